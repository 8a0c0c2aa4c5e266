"""Access tokens: made on the account page, shown once, good for what their scopes say."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.models import Account, ApiToken, AuditEntry
from app.services import tokens
from tests.factories import make_account
from tests.web.conftest import sign_in

FORM = {"name": "A nightly export", "scope": ["read", "export"], "days": "30"}


@pytest.fixture
def account(session: Session, client: TestClient) -> Account:
    account = make_account(session, role="researcher")
    sign_in(session, client, account)
    return account


def made(client: TestClient) -> str:
    found = re.search(r"layerplay_[\w-]{43}", client.post("/account/tokens", data=FORM).text)
    assert found is not None
    return found[0]


def status(client: TestClient, token: str) -> int:
    """What a program without any cookie is told."""
    headers = {"Authorization": f"Bearer {token}"}
    return TestClient(client.app).get("/api/v1/studies", headers=headers).status_code


def test_it_is_shown_once_and_kept_as_a_digest(
    session: Session, client: TestClient, account: Account
) -> None:
    token = made(client)
    page = client.get("/account/tokens").text
    assert "A nightly export" in page
    assert token not in page
    kept = session.scalars(select(ApiToken)).one()
    assert (kept.scopes, kept.account_id) == (["read", "export"], account.id)
    assert token.encode() not in kept.token_digest
    assert session.scalars(select(AuditEntry.act)).all() == ["token.create"]


def test_taken_back_it_is_refused_at_once(
    session: Session, client: TestClient, account: Account
) -> None:
    token = made(client)
    assert status(client, token) == 200
    kept = session.scalars(select(ApiToken)).one()
    assert kept.last_used_at is not None
    client.post(f"/account/tokens/{kept.id}/revoke")
    assert status(client, token) == 401


def test_it_ends_by_itself(session: Session, client: TestClient, account: Account) -> None:
    token = made(client)
    session.execute(update(ApiToken).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert status(client, token) == 401


@pytest.mark.parametrize(
    "wrong", [{"name": " "}, {"scope": []}, {"days": "0"}, {"days": "4000"}, {"name": "x" * 61}]
)
def test_what_cannot_be_is_said(
    session: Session, client: TestClient, account: Account, wrong: dict
) -> None:
    answer = client.post("/account/tokens", data=FORM | wrong)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert session.scalars(select(ApiToken)).all() == []


def test_nobody_takes_anothers_back(session: Session, client: TestClient, account: Account) -> None:
    other = make_account(session)
    kept, _ = tokens.create(session, other, name="theirs", scopes={"read"}, days=1)
    assert client.post(f"/account/tokens/{kept.id}/revoke").status_code == 404
    assert session.scalars(select(ApiToken)).one() is kept
