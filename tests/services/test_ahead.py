"""Rounds that are dealt while the player still reads the last answer."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy.orm import Session

from app.infra.errors import ConflictError
from app.models import Player, Restriction, Round
from app.services import checks, players, rounds
from tests.factories import make_account
from tests.services.conftest import Game


@pytest.fixture
def ahead(session: Session, game: Game, player: Player) -> Round:
    found = rounds.deal_ahead(session, player=player, study=game.study, daily=False)
    assert found is not None
    return found


def test_it_takes_no_place_until_it_is_shown(
    session: Session, game: Game, player: Player, ahead: Round
) -> None:
    assert ahead.place_until is None
    assert checks.find_drift(session) == []
    shown = rounds.deal(session, player=player, study=game.study)
    assert shown is ahead
    assert not shown.is_ahead
    assert shown.place_until is not None
    assert checks.find_drift(session) == []


def test_the_time_for_an_answer_begins_when_it_is_shown(
    session: Session, game: Game, player: Player, ahead: Round
) -> None:
    ahead.dealt_at = ahead.last_step_at = datetime.now(UTC) - timedelta(days=3)
    session.flush()
    shown = rounds.deal(session, player=player, study=game.study)
    assert shown is ahead
    assert datetime.now(UTC) - shown.last_step_at < timedelta(minutes=1)


def test_asked_again_it_is_the_same_round(
    session: Session, game: Game, player: Player, ahead: Round
) -> None:
    assert rounds.deal_ahead(session, player=player, study=game.study, daily=False) is ahead


def test_there_is_none_while_a_round_is_under_way(
    session: Session, game: Game, player: Player
) -> None:
    rounds.deal(session, player=player, study=game.study)
    assert rounds.deal_ahead(session, player=player, study=game.study, daily=False) is None


def test_when_others_have_taken_the_last_place_another_map_is_dealt(
    session: Session, game: Game, player: Player, rival: Player, ahead: Round
) -> None:
    map_id = ahead.cluster_map_id
    for found in game.maps:
        found.n_wanted = 1
    session.flush()
    taken = rounds.deal(session, player=rival, study=game.study)
    assert taken is not None
    assert taken.cluster_map_id == map_id
    shown = rounds.deal(session, player=player, study=game.study)
    assert shown is not None
    assert shown.cluster_map_id != map_id
    assert session.get(Round, ahead.id, populate_existing=True) is None
    assert checks.find_drift(session) == []


def test_for_todays_challenge_it_makes_way(
    session: Session, game: Game, player: Player, ahead: Round
) -> None:
    shown = rounds.deal(session, player=player, study=game.study, daily=True)
    assert shown is not None
    assert shown is not ahead
    assert shown.daily_on is not None


def test_it_is_in_nobodys_way_when_a_guest_signs_in(session: Session, game: Game) -> None:
    account = make_account(session, "Ada")
    rounds.deal_ahead(session, player=account.player, study=game.study, daily=False)
    guest, _ = players.create_guest(session)
    under_way = rounds.deal(session, player=guest, study=game.study)
    assert under_way is not None
    assert players.merge_guest(session, guest=guest, account=account) == 1
    found = rounds.deal(session, player=account.player, study=game.study)
    assert found is not None
    assert found.id == under_way.id
    assert checks.find_drift(session) == []


@pytest.mark.parametrize("act", ["reveal", "guess", "resign"])
def test_nothing_can_be_done_with_it_until_it_is_shown(
    session: Session, game: Game, player: Player, ahead: Round, act: str
) -> None:
    """Else a game that is over, or is for this player, could be played on by the rounds ahead."""
    ways = {
        "reveal": partial(rounds.reveal, from_index=0),
        "guess": partial(rounds.guess, class_id=game.cat.id, labels=["ear"]),
        "resign": rounds.resign,
    }
    with pytest.raises(ConflictError, match="not begun"):
        ways[act](session, round_id=ahead.id, player=player)
    assert ahead.is_open
    assert ahead.is_ahead


def test_a_banned_player_is_dealt_none(session: Session, game: Game, player: Player) -> None:
    ban = {"kind": "banned", "since": datetime.now(UTC)}
    session.add(Restriction(study_id=game.study.id, player_id=player.id, **ban))
    session.flush()
    assert rounds.deal_ahead(session, player=player, study=game.study, daily=False) is None
