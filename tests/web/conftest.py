"""A browser without a screen, on an app whose requests share the test's transaction."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session, sessionmaker
from starlette.routing import BaseRoute
from starlette.testclient import TestClient

from app.infra.queue import Job
from app.infra.settings import Settings
from app.infra.storage import Storage
from app.models import Account, Image, Player, Round, Study
from app.services import accounts, players, rounds
from app.web.deps import PLAYER_COOKIE, SIGN_IN_COOKIE
from app.web.main import create_app
from tests.factories import make_account, make_image, make_study


@dataclass
class Sent:
    """Stands for the queue: keeps what was sent."""

    jobs: list[Job] = field(default_factory=list)

    def send(self, job: Job) -> None:
        self.jobs.append(job)


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture(scope="session")
def routes() -> list[BaseRoute]:
    """Filled by the first app. FastAPI works out at an app's first request what every route asks
    for, half a second of work; routes know nothing of their app, so one app's serve all."""
    return []


@pytest.fixture
def app(settings: Settings, session: Session, sent: Sent, routes: list[BaseRoute]) -> FastAPI:
    app = create_app(settings)
    if not routes:
        routes.extend(app.router.routes)
    app.router.routes = routes
    app.state.factory = sessionmaker(
        session.get_bind(), join_transaction_mode="create_savepoint", expire_on_commit=False
    )
    app.state.sender = sent
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """An anonymous visitor."""
    with TestClient(app, follow_redirects=False) as client:
        yield client


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return Storage(settings.storage_path)


@pytest.fixture
def study(session: Session) -> Study:
    study = make_study(session, name="Boats and kites")
    session.commit()
    return study


@pytest.fixture
def image(session: Session, storage: Storage, study: Study) -> Image:
    """A picture of a boat with two cluster maps."""
    image = make_image(session, storage, study, class_name="boat")
    session.commit()
    return image


@pytest.fixture
def round_(session: Session, player: Player, study: Study, image: Image) -> Round:
    """The client's open round."""
    dealt = rounds.deal(session, player=player, study=study)
    assert dealt is not None
    session.commit()
    return dealt


@pytest.fixture
def player(session: Session, client: TestClient) -> Player:
    """The client's player, who knows the game."""
    player, token = players.create_guest(session)
    player.is_introduced = True
    session.commit()
    client.cookies.set(PLAYER_COOKIE, token)
    return player


def sign_in(session: Session, client: TestClient, account: Account) -> None:
    """Give the client the cookie of a new sign-in."""
    token = accounts.sign_in(session, account, address="192.0.2.7", user_agent="Firefox/140.0")
    session.commit()
    client.cookies.set(SIGN_IN_COOKIE, token)


@pytest.fixture
def researcher(session: Session, client: TestClient) -> TestClient:
    """The client signed in as an admin: somebody who may do everything in every study."""
    sign_in(session, client, make_account(session, role="admin"))
    return client
