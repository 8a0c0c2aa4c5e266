"""What is known of each request afterwards, and what is not."""

import json
import logging

import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.infra.logging import JsonLines, Lines, request_id
from app.services import accounts
from tests.factories import make_account


class TestNumbers:
    def test_each_request_has_one_of_its_own(self, client: TestClient) -> None:
        first, second = (client.get("/").headers["x-request-id"] for _ in range(2))
        assert first != second

    def test_that_of_a_proxy_is_kept(self, client: TestClient) -> None:
        answer = client.get("/", headers={"X-Request-ID": "abc-12345678"})
        assert answer.headers["x-request-id"] == "abc-12345678"

    @pytest.mark.parametrize("given", ["", "short", "x" * 65, 'a"b;c\td<script>'])
    def test_what_is_none_is_not(self, client: TestClient, given: str) -> None:
        answer = client.get("/", headers={"X-Request-ID": given})
        assert answer.headers["x-request-id"] != given


class TestLog:
    def test_a_one_time_link_does_not_stand_there(
        self, client: TestClient, session: Session, caplog: pytest.LogCaptureFixture
    ) -> None:
        token = accounts.make_link(session, make_account(session), purpose="password")
        session.commit()
        caplog.set_level(logging.INFO, logger="app")
        assert client.get(f"/reset/{token}").status_code == 200
        assert "GET /reset/{token} 200" in caplog.text
        # The client of the test has a log of its own, which is not ours.
        ours = [one.getMessage() for one in caplog.records if one.name.startswith("app")]
        assert token not in " ".join(ours)

    def test_a_line_is_one_json_object_with_its_request_and_facts(self) -> None:
        record = logging.makeLogRecord(
            {"name": "app.web", "levelname": "INFO", "msg": "%s\nhere", "args": ("é",), "status": 7}
        )
        token = request_id.set("abc")
        line = JsonLines().format(record)
        text = Lines().format(record)
        request_id.reset(token)
        assert "\n" not in line
        found = json.loads(line)
        assert found.pop("time").endswith("+00:00")
        assert found == {
            "level": "info",
            "logger": "app.web",
            "message": "é\nhere",
            "request_id": "abc",
            "status": 7,
        }
        assert text.endswith("[abc]")

    def test_an_error_stands_there_with_its_story(self) -> None:
        try:
            raise RuntimeError("kaboom")
        except RuntimeError as error:
            info = (type(error), error, error.__traceback__)
            record = logging.makeLogRecord({"msg": "no", "exc_info": info})
        assert "kaboom" in json.loads(JsonLines().format(record))["error"]


class TestMetrics:
    @pytest.fixture
    def with_token(self, app: FastAPI) -> None:
        app.state.settings = app.state.settings.model_copy(update={"metrics_token": "sesame"})

    def test_requests_are_counted_by_route(self, client: TestClient, with_token: None) -> None:
        for address in ("/play/one", "/play/two", "/static/css/base.css", "/nowhere"):
            client.get(address)
        answer = client.get("/metrics", headers={"Authorization": "Bearer sesame"})
        assert answer.headers["content-type"].startswith("text/plain")
        lines = answer.text.splitlines()
        assert (
            'layerplay_requests_total{method="GET",route="/play/{slug}",status="404"} 2.0' in lines
        )
        assert 'layerplay_request_seconds_count{route="/play/{slug}"} 2.0' in lines
        assert "/play/one" not in answer.text
        assert 'layerplay_requests_total{method="GET",route="none",status="404"} 1.0' in lines
        assert 'layerplay_requests_total{method="GET",route="static",status="200"} 1.0' in lines

    @pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer ", "Bearer x", "sesame"])
    def test_without_the_token_there_is_no_such_page(
        self, client: TestClient, with_token: None, given: str | None
    ) -> None:
        headers = {} if given is None else {"Authorization": given.encode()}
        assert client.get("/metrics", headers=headers).status_code == 404

    def test_without_one_in_the_settings_neither(self, client: TestClient) -> None:
        assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404
