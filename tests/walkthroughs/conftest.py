"""A whole installation as its users meet it: web server, worker, command line, real engines."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from celery import Celery
from playwright.sync_api import Page, expect
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.infra.db import make_engine, session_factory
from app.infra.embedded import Services, free_port
from app.infra.queue import BROKER_SETTINGS
from app.infra.settings import Settings
from app.infra.storage import Storage
from app.infra.supervisor import Supervisor
from app.infra.workers import process_environment, worker_command
from tests.conftest import create_database, drop_database, empty_database, redis_database
from tests.factories import PASSWORD, make_account

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "test-artifacts"
AXE = (ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text()
LAYERPLAY = Path(sys.executable).with_name("layerplay")

# How fast the site is, benchmarks tell; here a busy machine may take its time.
expect.set_options(timeout=20_000)
_IDLE_S = 240.0


@dataclass
class Site:
    """A running site. `sessions` looks into its database; `layerplay` runs its command line."""

    address: str
    engine: Engine
    sessions: sessionmaker[Session]
    environment: dict[str, str]
    _log_read_to: int = 0

    @property
    def home(self) -> Path:
        return Path(self.environment["LAYERPLAY_HOME"])

    @property
    def storage(self) -> Storage:
        return Storage(self.home / "storage")

    def worker_log(self) -> str:
        """What the worker has logged since the site was emptied."""
        return self._worker_log.read_bytes()[self._log_read_to :].decode()

    @property
    def _worker_log(self) -> Path:
        return self.home / "logs" / "worker.log"

    def empty(self) -> None:
        """Have nothing left of the walkthrough before: rows, files, jobs, limits."""
        with redis.Redis.from_url(self.environment["REDIS_URL"]) as client:
            _forget_keys(client)
            self._wait_until_idle()
            _forget_keys(client)
        empty_database(self.engine)
        shutil.rmtree(self.home / "storage", ignore_errors=True)
        self._log_read_to = self._worker_log.stat().st_size

    def _wait_until_idle(self) -> None:
        """Wait for the jobs that the worker has begun or taken."""
        until = time.monotonic() + _IDLE_S
        with Celery(broker=self.environment["REDIS_URL"]) as celery:
            celery.conf.update(BROKER_SETTINGS)
            inspect = celery.control.inspect(timeout=2, limit=1)
            while True:
                # It does not hear what was asked before it listened, seconds after its start.
                answers = (inspect.active(), inspect.reserved())
                if all(answer and not any(answer.values()) for answer in answers):
                    return
                assert time.monotonic() < until, f"the worker is not idle for very long: {answers}"
                time.sleep(0.1)

    def sign_in(self, page: Page, name: str) -> None:
        """Sign the browser in, with the password of every account of the tests."""
        page.goto(f"{self.address}/sign-in")
        page.get_by_label("Name or e-mail").fill(name)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/sign-in" not in url)

    def enter_studio(self, page: Page) -> None:
        """Sign the browser in as an admin, who sees every study."""
        with self.sessions.begin() as session:
            name = make_account(session, role="admin").name
        self.sign_in(page, name)

    def layerplay(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [LAYERPLAY, *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )


def _forget_keys(client: "redis.Redis[bytes]") -> None:
    # But for what says which job goes into which queue: nobody would write it again.
    keys = [key for key in client.scan_iter() if not key.startswith(b"_kombu.binding.")]
    if keys:
        client.delete(*keys)


@pytest.fixture(scope="package")
def running_site(
    services: Services,
    template_database: str,
    worker_id: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """The site of all walkthroughs of this test worker: web server and worker load for many seconds
    what they need."""
    database = create_database(services, template=template_database)
    home = tmp_path_factory.mktemp("site")
    with run_site(home, database, redis_database(services, worker_id, shift=8)) as running:
        yield running
    drop_database(services, database)


@pytest.fixture
def site(running_site: Site) -> Site:
    """The site with nothing in it."""
    running_site.empty()
    return running_site


@pytest.fixture
def site_to_break(tmp_path: Path, database: str, redis_url: str) -> Iterator[Site]:
    """A site of the test's own, whose processes it may kill."""
    with run_site(tmp_path, database, redis_url) as running:
        yield running


@contextmanager
def run_site(folder: Path, database: str, redis_url: str) -> Iterator[Site]:
    name, home = folder.name, folder / "home"
    (home / "run").mkdir(parents=True)
    port = free_port()
    settings = Settings(home=home, database_url=database, redis_url=redis_url, port=port)
    environment = process_environment(settings, database, redis_url)
    web = [sys.executable, "-m", "uvicorn", "app.web.main:app", "--port", str(port)]
    engine = make_engine(database)
    with Supervisor(home / "logs") as supervisor:
        supervisor.start("worker", worker_command(home), environment=environment)
        supervisor.start("web", web, environment=environment)
        supervisor.wait_until_healthy("127.0.0.1", port)
        yield Site(
            address=f"http://127.0.0.1:{port}",
            engine=engine,
            sessions=session_factory(engine),
            environment=environment,
        )
        shutil.copytree(home / "logs", ARTIFACTS / "logs" / name, dirs_exist_ok=True)
    engine.dispose()


def assert_accessible(page: Page) -> None:
    """axe-core finds no breach of WCAG 2.2 AA on the page as it stands."""
    # Half-way between light and dark a button's colours are neither's.
    page.evaluate(
        """() => Promise.allSettled(document.getAnimations()
            .filter(animation => animation instanceof CSSTransition)
            .map(transition => transition.finished))"""
    )
    page.evaluate(AXE)
    found = page.evaluate(
        """() => axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })"""
    )
    broken = {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in found["violations"]}
    assert broken == {}, f"{page.url}: {broken}"


def assert_nothing_spills(page: Page) -> None:
    """No words stand outside the label or the button that they belong to, over something else."""
    spilling = page.evaluate(
        """() => [...document.querySelectorAll('label, button')]
            .filter(box => box.checkVisibility() && box.clientHeight
                && getComputedStyle(box).overflow === 'visible'
                && !box.closest('.visually-hidden'))
            .filter(box => {
                const outer = box.getBoundingClientRect();
                const texts = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
                const words = document.createRange();
                while (texts.nextNode()) {
                    if (texts.currentNode.parentElement.closest('.visually-hidden')) continue;
                    words.selectNodeContents(texts.currentNode);
                    const inner = words.getBoundingClientRect();
                    if (inner.height > outer.height + 8 || inner.width > outer.width + 8)
                        return true;
                }
                return false;
            })
            .map(box => box.outerHTML)"""
    )
    assert spilling == [], f"{page.url}: {spilling}"


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Check a page with axe-core and for spilt words, and take a screenshot of all of it, kept by
    the test's name for people to look at."""
    folder = ARTIFACTS / request.node.name

    def shoot(page: Page, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        assert_accessible(page)
        assert_nothing_spills(page)
        # Pictures further down would load, and lists be laid out, when somebody scrolls there.
        page.evaluate(
            """() => {
                for (const list of document.querySelectorAll('ul'))
                    list.style.contentVisibility = 'visible';
                return Promise.all([...document.images].map(image => {
                    image.loading = 'eager';
                    return image.checkVisibility() && image.decode();
                }));
            }"""
        )
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    return shoot
