"""A whole installation as its users meet it: web server, worker, command line, real engines."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy.orm import Session, sessionmaker

from app.infra.db import make_engine, session_factory
from app.infra.settings import Settings
from app.infra.supervisor import Supervisor
from app.infra.workers import process_environment, worker_command
from tests.factories import PASSWORD, make_account

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "test-artifacts"
AXE = (ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text()
LAYERPLAY = Path(sys.executable).with_name("layerplay")

# How fast the site is, benchmarks tell; here a busy machine may take its time.
expect.set_options(timeout=20_000)


@dataclass(frozen=True)
class Site:
    """A running site. `sessions` looks into its database; `layerplay` runs its command line."""

    address: str
    sessions: sessionmaker[Session]
    environment: dict[str, str]

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


@pytest.fixture
def site(tmp_path: Path, database: str, redis_url: str) -> Iterator[Site]:
    with _run_site(tmp_path, database, redis_url, has_worker=True) as running:
        yield running


@pytest.fixture
def site_without_worker(tmp_path: Path, database: str, redis_url: str) -> Iterator[Site]:
    """For tests that wait for no job: a worker takes seconds to load torch."""
    with _run_site(tmp_path, database, redis_url, has_worker=False) as running:
        yield running


@contextmanager
def _run_site(home: Path, database: str, redis_url: str, *, has_worker: bool) -> Iterator[Site]:
    name, home = home.name, home / "home"
    (home / "run").mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(home=home, database_url=database, redis_url=redis_url, port=port)
    environment = process_environment(settings, database, redis_url)
    web = [sys.executable, "-m", "uvicorn", "app.web.main:app", "--port", str(port)]
    engine = make_engine(database)
    address = f"http://127.0.0.1:{port}"
    with Supervisor(home / "logs") as supervisor:
        if has_worker:
            supervisor.start("worker", worker_command(home), environment=environment)
        supervisor.start("web", web, environment=environment)
        supervisor.wait_until_healthy("127.0.0.1", port)
        yield Site(
            address=address,
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


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Check a page with axe-core, and take a screenshot of all of it, kept under the test's name
    for people to look at."""
    folder = ARTIFACTS / request.node.name

    def shoot(page: Page, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        assert_accessible(page)
        # Pictures further down would load only when somebody scrolls there.
        page.evaluate(
            """() => Promise.all([...document.images].map(image => {
                image.loading = 'eager';
                return image.checkVisibility() && image.decode();
            }))"""
        )
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    return shoot
