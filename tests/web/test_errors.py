"""What no database holds is refused in a sentence: zero characters, numbers without end."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from sqlalchemy import text
from starlette.testclient import TestClient

from app.infra.settings import Settings
from app.models import Image, Round, Study
from app.services.signs import Signs
from app.web.deps import SessionDep
from app.web.languages import LANGUAGE_COOKIE
from app.web.main import create_app
from tests.web.reading import text_of

TOO_LARGE = 10**30


class TestZeroCharacters:
    @pytest.mark.parametrize(
        "address",
        [
            "/play/a%00b",
            "/play/a%00b/daily",
            "/play/a%00b/live",
            "/join/a%00b",
            "/studio/a%00b/network",
            "/static/a%00b.css",
        ],
    )
    def test_there_is_no_page_at_an_address_with_one(
        self, client: TestClient, address: str
    ) -> None:
        answer = client.get(address)
        assert answer.status_code == 404
        assert "There is no page at this address." in text_of(answer.text)

    @pytest.mark.parametrize(
        "address", ["/boards/today?study=a%00b", "/admin/log?act=%00", "/search?q=a%00b"]
    )
    def test_a_query_with_one_is_refused(self, researcher: TestClient, address: str) -> None:
        answer = researcher.get(address)
        assert answer.status_code == 422
        assert "a character that nobody can read" in text_of(answer.text)

    def test_it_is_said_in_the_players_language(self, client: TestClient) -> None:
        client.cookies.set(LANGUAGE_COOKIE, "it")
        answer = client.get("/boards/today?study=%00")
        assert "un carattere illeggibile" in text_of(answer.text)

    @pytest.mark.parametrize(
        ("address", "status"),
        [("/api/v1/boards/today?study=a%00b", 422), ("/api/v1/studies/a%00b", 404)],
    )
    def test_the_api_says_so_as_a_problem(
        self, client: TestClient, address: str, status: int
    ) -> None:
        answer = client.get(address)
        assert answer.status_code == answer.json()["status"] == status
        assert answer.headers["content-type"] == "application/problem+json"

    def test_an_escaped_escape_is_none(self, client: TestClient, study: Study) -> None:
        assert client.get("/boards/today?study=%2500").status_code == 404

    def test_a_form_with_one_is_refused_and_logged(
        self, researcher: TestClient, study: Study, caplog: pytest.LogCaptureFixture
    ) -> None:
        address = f"/studio/{study.slug}/shares"
        answer = researcher.post(address, data={"address": "/studio\0", "days": "7"})
        assert answer.status_code == 422
        assert "a character that nobody can read" in text_of(answer.text)
        assert f"POST {address}: PostgreSQL text fields cannot contain NUL" in caplog.text

    def test_whatever_else_the_database_refuses_is_a_mistake_of_ours(
        self, settings: Settings
    ) -> None:
        app = create_app(settings)

        def fail(session: SessionDep) -> None:
            session.execute(text("select cast(:n as smallint)"), {"n": 100_000})

        app.add_api_route("/fail-in-the-database", fail)
        with TestClient(app) as client:
            assert client.get("/fail-in-the-database").status_code == 500


class TestNumbers:
    def test_one_without_end_is_no_answer_and_none_that_was_lost(
        self, app: FastAPI, client: TestClient, round_: Round
    ) -> None:
        address = f"/rounds/{round_.id}/guess"
        assert client.post(address, data={"class_id": TOO_LARGE}).status_code == 422
        signs: Signs = app.state.signs
        assert signs.lost_answers() == 0

    @pytest.mark.parametrize(
        ("method", "address", "status"),
        [
            ("GET", "/studio/{slug}/classes/{n}", 404),
            ("GET", "/studio/{slug}/classes/{n}/runs", 404),
            ("GET", "/studio/{slug}/classes/{class_id}/runs/{n}", 404),
            ("GET", "/studio/{slug}/concepts/{n}", 404),
            ("GET", "/studio/{slug}/exports/snapshots/{n}/file", 404),
            ("POST", "/studio/{slug}/shares/{n}/revoke", 404),
            ("GET", "/explanations/{image_id}?against={n}", 422),
        ],
    )
    @pytest.mark.parametrize("number", [2**31, 2**63, TOO_LARGE])
    def test_a_page_of_one_is_not_there(
        self,
        researcher: TestClient,
        study: Study,
        image: Image,
        method: str,
        address: str,
        status: int,
        number: int,
    ) -> None:
        path = address.format(slug=study.slug, class_id=image.class_id, image_id=image.id, n=number)
        assert researcher.request(method, path).status_code == status

    def test_a_snapshot_before_one_without_end_is_none_of_the_list(
        self, researcher: TestClient, study: Study
    ) -> None:
        cursor = "WyI5OTk5OTk5OTk5OTkiXQ"  # ["999999999999"]
        address = f"/api/v1/studies/{study.slug}/snapshots"
        assert researcher.get(address, params={"cursor": cursor}).status_code == 422

    def test_no_route_takes_numbers_without_end(self, app: FastAPI) -> None:
        taken = {
            f"{route.path}: {name}"
            for route in iter_route_contexts(app.routes)
            if (dependant := getattr(route.route, "dependant", None)) is not None
            for name in without_end(dependant)
        }
        assert taken == set()


def without_end(dependant: Dependant) -> Iterator[str]:
    """The names of whole numbers that a route asks for and that may be of any size."""
    for field in (*dependant.path_params, *dependant.query_params, *dependant.body_params):
        for sent in (TOO_LARGE, [TOO_LARGE]):
            value, errors = field.validate(sent, {}, loc=())
            if not errors and type(value[0] if isinstance(value, list) else value) is int:
                yield field.name
    for other in dependant.dependencies:
        yield from without_end(other)
