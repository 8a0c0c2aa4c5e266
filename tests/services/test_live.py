"""Two people at one map: finding each other, and what words that meet earn."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app import rules
from app.infra.errors import ConflictError, ForbiddenError
from app.models import Player, PointsEntry, Round, Seat
from app.services import checks, live, players, rounds, shown
from tests.factories import make_player
from tests.services.conftest import Game


def open_round(session: Session, player: Player) -> Round:
    return session.scalars(
        select(Round).where(Round.player_id == player.id, Round.status == "open")
    ).one()


def guess(session: Session, player: Player, game: Game, *words: str) -> Round:
    round_id = open_round(session, player).id
    return rounds.guess(
        session, round_id=round_id, player=player, class_id=game.cat.id, labels=words
    )


def met(session: Session, player: Player) -> list[tuple[str, int]]:
    query = select(PointsEntry.detail, PointsEntry.points).where(
        PointsEntry.player_id == player.id, PointsEntry.reason == "met"
    )
    return [(detail, points) for detail, points in session.execute(query)]


@pytest.fixture
def pair(session: Session, player: Player, rival: Player, game: Game) -> Game:
    """The player and the rival have found each other."""
    assert live.seek(session, player=player, study=game.study) is None
    assert live.seek(session, player=rival, study=game.study) == player.id
    return game


def test_two_who_look_are_dealt_the_same_map(
    session: Session, player: Player, rival: Player, pair: Game
) -> None:
    own, theirs = open_round(session, player), open_round(session, rival)
    assert own.cluster_map_id == theirs.cluster_map_id
    session.expire_all()
    found = next(m for m in pair.maps if m.id == own.cluster_map_id)
    assert found.n_leased == 2
    assert session.scalars(select(Seat)).all() == []
    assert rounds.deal(session, player=player, study=pair.study) is own


def test_words_that_meet_earn_for_both_once_both_have_answered(
    session: Session, player: Player, rival: Player, pair: Game
) -> None:
    first = guess(session, player, pair, "pointy ears", "fur")
    assert met(session, player) == []
    company = shown.outcome(session, first).company
    assert company is not None
    assert not company.is_done
    second = guess(session, rival, pair, "ear", "whisker")
    assert met(session, player) == [("pointy ears", rules.MET_POINTS)]
    assert met(session, rival) == [("ear", rules.MET_POINTS)]
    rounds.guess(session, round_id=second.id, player=rival, class_id=pair.cat.id, labels=["fur"])
    assert len(met(session, rival)) == 1
    company = shown.outcome(session, first).company
    assert company is not None
    assert (company.is_done, company.words, company.met) == (
        True, ["ear", "whisker"], ["pointy ears"]
    )  # fmt: skip
    assert checks.find_drift(session) == []


def test_who_gives_up_leaves_the_other_with_what_a_round_earns(
    session: Session, player: Player, rival: Player, pair: Game
) -> None:
    rounds.resign(session, round_id=open_round(session, player).id, player=player)
    done = guess(session, rival, pair, "ear")
    company = shown.outcome(session, done).company
    assert company is not None
    assert (company.is_done, company.words) == (True, [])
    assert met(session, rival) == met(session, player) == []


def test_who_finds_nobody_plays_with_what_somebody_typed_before(
    session: Session, player: Player, rival: Player, game: Game
) -> None:
    rounds.deal(session, player=rival, study=game.study)
    earlier = guess(session, rival, game, "ear")
    live.seek(session, player=player, study=game.study)
    live.seek_recorded(session, player=player, study=game.study)
    round_ = open_round(session, player)
    assert round_.cluster_map_id == earlier.cluster_map_id
    guess(session, player, game, "ears")
    assert met(session, player) == [("ears", rules.MET_POINTS)]
    assert met(session, rival) == []


def test_where_nobody_has_played_there_is_no_recorded_partner(
    session: Session, player: Player, game: Game
) -> None:
    live.seek_recorded(session, player=player, study=game.study)
    assert not live.has_round(session, player=player, study=game.study)
    round_ = rounds.deal(session, player=player, study=game.study)
    assert round_ is not None
    assert not round_.with_partner


def test_who_has_left_the_page_is_not_dealt_to(
    session: Session, player: Player, rival: Player, game: Game
) -> None:
    live.seek(session, player=player, study=game.study)
    past = Seat.since - rules.SEAT_LASTS - timedelta(seconds=1)
    session.execute(update(Seat).values(since=past))
    assert live.seek(session, player=rival, study=game.study) is None


def test_a_round_under_way_comes_first(session: Session, player: Player, game: Game) -> None:
    rounds.deal(session, player=player, study=game.study)
    with pytest.raises(ConflictError, match="round under way"):
        live.seek(session, player=player, study=game.study)


def test_one_dealt_ahead_makes_way(session: Session, player: Player, game: Game) -> None:
    rounds.deal_ahead(session, player=player, study=game.study, daily=False)
    assert live.seek(session, player=player, study=game.study) is None
    assert live.seek(session, player=make_player(session), study=game.study) == player.id


def test_people_and_simulated_players_never_meet(session: Session, game: Game) -> None:
    with pytest.raises(ForbiddenError):
        live.seek(session, player=players.create_simulated(session), study=game.study)
