"""How many requests with a session are at work at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import text
from starlette.testclient import TestClient

from app.infra.settings import Settings
from app.web.deps import SessionDep
from app.web.main import create_app

N_AT_ONCE = 80
"""More than there are threads and connections together."""


def wait_in_database(session: SessionDep) -> None:
    session.execute(text("select pg_sleep(0.02)"))


def answer(session: SessionDep, waited: Annotated[None, Depends(wait_in_database)]) -> str:
    """A page in two steps, each in a thread, with one connection."""
    return str(session.scalar(text("select 'answered'")))


@pytest.fixture
def two_step_app(settings: Settings) -> FastAPI:
    app = create_app(settings)
    app.add_api_route("/two-steps", answer, methods=["GET"])
    return app


def test_very_many_at_once_are_all_answered(two_step_app: FastAPI) -> None:
    """None has to wait for a connection that is kept by one that waits for its thread."""
    with TestClient(two_step_app) as client, ThreadPoolExecutor(N_AT_ONCE) as pool:
        answers = list(pool.map(client.get, ["/two-steps"] * N_AT_ONCE))
    assert {(one.status_code, one.text) for one in answers} == {(200, '"answered"')}
