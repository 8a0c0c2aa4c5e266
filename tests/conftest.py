"""What every test may ask for: real services, a session that is rolled back, pictures, a browser.

The engines start when the first test asks for them. All workers of one run share them: each joins
through the same home folder, and the last to finish stops them.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import redis
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import Engine, inspect, make_url, text
from sqlalchemy.orm import Session

from app.infra.db import make_engine
from app.infra.embedded import Embedded, Services
from app.infra.schema import migrate
from app.infra.settings import Settings
from tests.buckets import BUCKET, bucket_server
from tests.drawings import SCENES

_HOME_VARIABLE = "LAYERPLAY_TEST_HOME"
_TEMPLATE = "layerplay_template"
_REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    # Tests must not see the installation that a developer has set up in this shell.
    if not hasattr(config, "workerinput"):
        for name in list(os.environ):
            if name in {"DATABASE_URL", "REDIS_URL"} or (
                name.startswith("LAYERPLAY_")
                and name not in {"LAYERPLAY_BROWSER", "LAYERPLAY_COMPOSE"}
            ):
                del os.environ[name]
        os.environ[_HOME_VARIABLE] = tempfile.mkdtemp(prefix="layerplay-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and _HOME_VARIABLE in os.environ:
        # After a worker's crash the engines' keeper may still be stopping them in there.
        shutil.rmtree(os.environ.pop(_HOME_VARIABLE), ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("LAYERPLAY_BROWSER") == "skip":
        terminalreporter.section("NO BROWSER TEST HAS RUN", red=True, bold=True)
        terminalreporter.line("There is no Chromium. Install one, or name it with CHROMIUM=path.")


@pytest.hookimpl(optionalhook=True)  # not there without xdist
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, for browsers and processes make tests wait."""
    return min((os.cpu_count() or 1) + 1, 4)


_SLOWEST_FIRST = ("tests/walkthroughs", "tests/infra", "tests/workers", "tests/picturebook")


def _turn(item: pytest.Item) -> int:
    """When a test's file is begun: what takes longest first, or one worker ends long after all
    others (with `--no-loadscope-reorder`, which leaves the order as it is here)."""
    folder = item.path.parent.relative_to(_REPOSITORY).as_posix()
    return _SLOWEST_FIRST.index(folder) if folder in _SLOWEST_FIRST else len(_SLOWEST_FIRST)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)
    for item in items:
        if _turn(item) == 0:
            # A whole site, its jobs and a browser, beside two more of them on two cores.
            item.add_marker(pytest.mark.timeout(600))
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
            if os.environ.get("LAYERPLAY_BROWSER") == "skip":
                item.add_marker(
                    pytest.mark.skip(reason="LAYERPLAY_BROWSER=skip: no Chromium on this machine")
                )


# Services


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """PostgreSQL and Redis of this test run."""
    # fsync is off: what a power cut does to a test database does not matter.
    with Embedded(Path(os.environ[_HOME_VARIABLE]) / "home", durable=False) as running:
        yield running


@pytest.fixture(scope="session")
def template_database(services: Services) -> str:
    """Name of a database made by running every migration, for cloning."""
    with _run_lock("template.lock"):
        with _admin(services) as admin:
            found = admin.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", (_TEMPLATE,)
            ).fetchone()
        if found is None:
            # It gets its name once it is complete.
            unfinished = create_database(services, template="template1")
            migrate(unfinished)
            with _admin(services) as admin:
                name = make_url(unfinished).database
                admin.execute(f'ALTER DATABASE "{name}" RENAME TO "{_TEMPLATE}"')
    return _TEMPLATE


@pytest.fixture(scope="session")
def worker_database(services: Services, template_database: str) -> Iterator[str]:
    """Address of this test worker's own migrated database. Nothing in it is ever committed."""
    url = create_database(services, template=template_database)
    yield url
    drop_database(services, url)


@pytest.fixture(scope="session")
def worker_engine(worker_database: str) -> Iterator[Engine]:
    engine = make_engine(worker_database)
    yield engine
    engine.dispose()


@pytest.fixture
def session(worker_engine: Engine) -> Iterator[Session]:
    """A session whose work is undone after the test. A commit in it ends a savepoint only."""
    with worker_engine.connect() as connection:
        transaction = connection.begin()
        with Session(
            connection, join_transaction_mode="create_savepoint", expire_on_commit=False
        ) as session:
            yield session
        transaction.rollback()


@pytest.fixture
def database(services: Services, template_database: str) -> Iterator[str]:
    """Address of a migrated database of the test's own, for what needs true commits."""
    url = create_database(services, template=template_database)
    yield url
    drop_database(services, url)


@pytest.fixture
def redis_url(services: Services, worker_id: str) -> str:
    """Address of an empty Redis database that no other test worker uses."""
    url = redis_database(services, worker_id)
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


def redis_database(services: Services, worker_id: str, *, shift: int = 0) -> str:
    """Address of a Redis database that is this test worker's alone, with this shift."""
    number = 1 + int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 0
    return services.redis_url.rpartition("/")[0] + f"/{shift + number}"


@pytest.fixture(scope="session")
def bucket_environment() -> Iterator[dict[str, str]]:
    """What a process has to know of a server that speaks S3."""
    with bucket_server() as environment:
        yield environment


@pytest.fixture
def bucket_url(bucket_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A place in a bucket that no other test has, and the environment to reach it."""
    for name, value in bucket_environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid4()}"


@pytest.fixture
def settings(tmp_path: Path, worker_database: str, redis_url: str) -> Settings:
    """Settings whose files lie in the test's own folder."""
    return Settings(
        home=tmp_path / "home",
        database_url=worker_database,
        redis_url=redis_url,
        secret_key="a key for tests",
    )


# Pictures


@pytest.fixture(scope="session")
def photos_root() -> Path:
    """Real photos: `train` and `test`, each with one folder per class. They lie beside the
    repository on the machines that have them; a test that asks for them is skipped elsewhere."""
    root = _REPOSITORY.parent / "shared" / "data" / "photos"
    if not root.is_dir():
        pytest.skip(f"there are no real photos at {root}")
    return root


@pytest.fixture
def drawn_photos(tmp_path: Path) -> Path:
    """A folder with the classes boat, flower and house, three drawn pictures each."""
    root = tmp_path / "drawn"
    for name, draw in SCENES.items():
        (root / name).mkdir(parents=True)
        for number in range(3):
            draw(number).save(root / name / f"{name}-{number}.png")
    return root


@pytest.fixture(scope="session")
def toy_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Description file of a SqueezeNet with random weights that answers boat, flower, house."""
    # Only here, because most tests need no torch and importing it takes seconds.
    import torch
    import torchvision
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("network")
    torch.manual_seed(0)
    module = torchvision.models.squeezenet1_1(num_classes=3)
    save_file(module.state_dict(), folder / "toy.safetensors")
    description = {
        "architecture": "squeezenet1_1",
        "num_classes": 3,
        "classes": list(SCENES),
        "input_size": 128,
        "resize": 128,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
        "weights": "toy.safetensors",
    }
    (folder / "toy.json").write_text(json.dumps(description))
    return folder / "toy.json"


# Browser


def _chromium_path() -> str | None:
    """The Chromium to use, or None for the one that Playwright has installed itself."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_chromium_path(),
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def browser_page(chromium: Browser) -> Iterator[Page]:
    """A page of a fresh visitor, 1280 x 800. Actions give up after 10 seconds."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, service_workers="block")
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


@contextmanager
def _run_lock(name: str) -> Iterator[None]:
    """One of this run's workers at a time."""
    with (Path(os.environ[_HOME_VARIABLE]) / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _admin(services: Services) -> Iterator[psycopg.Connection]:
    url = make_url(services.database_url).set(drivername="postgresql")
    address = url.render_as_string(hide_password=False)
    connection = psycopg.connect(address, autocommit=True)
    try:
        yield connection
    finally:
        connection.close()


def create_database(services: Services, *, template: str) -> str:
    """Address of a new database, a copy of the template."""
    name = f"test_{uuid4().hex}"
    with _admin(services) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    url = make_url(services.database_url).set(database=name)
    return url.render_as_string(hide_password=False)


def drop_database(services: Services, url: str) -> None:
    with _admin(services) as admin:
        admin.execute(f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)')


def empty_database(engine: Engine) -> None:
    """Remove every row, also of the tables that only grow, and go on counting: no number that a
    process may remember stands for another row."""
    tables = [name for name in inspect(engine).get_table_names() if name != "alembic_version"]
    with engine.begin() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        connection.execute(text(f"truncate {', '.join(tables)}"))
