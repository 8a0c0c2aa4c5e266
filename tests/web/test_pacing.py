"""Bursts of rounds from one address are marked, then slowed; never lost."""

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import rules
from app.infra.limits import Limits
from app.models import Flag, Image, Player, Round, Study


def guess(client: TestClient, round_: Round, image: Image) -> int:
    answer = client.post(f"/rounds/{round_.id}/guess", data={"class_id": image.class_id})
    return answer.status_code


def test_a_burst_is_marked(
    client: TestClient,
    session: Session,
    round_: Round,
    image: Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules, "BURST_ROUNDS", 0)
    assert guess(client, round_, image) == 303
    assert session.scalars(select(Flag.reason)).all() == ["burst"]


def test_what_nobody_can_play_waits_and_can_be_sent_again(
    client: TestClient,
    session: Session,
    round_: Round,
    image: Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rules, "SLOWED_ROUNDS", 0)
        answer = client.post(f"/rounds/{round_.id}/guess", data={"class_id": image.class_id})
        assert answer.status_code == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 60
        assert "Nothing is lost" in answer.text
        session.expire_all()
        assert session.scalars(select(Round.status)).all() == ["open"]
    assert guess(client, round_, image) == 303


def test_new_guests_of_pages_and_programs_are_counted_together(
    app: FastAPI, client: TestClient, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "NEW_GUESTS", 1)
    assert client.post("/api/v1/players").status_code == 201
    assert client.get("/me").status_code == 429


def test_who_has_played_before_is_let_in_however_many_are_new(
    client: TestClient, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "NEW_GUESTS", 0)
    assert client.get("/me").status_code == 200


def test_without_redis_the_game_goes_on(
    app: FastAPI, client: TestClient, round_: Round, image: Image
) -> None:
    app.state.limits = Limits("redis://127.0.0.1:1/0")
    assert guess(client, round_, image) == 303
