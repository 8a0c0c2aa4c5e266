"""Maps whose concepts have settled are dealt no more, until something changes."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import rules
from app.models import ClusterMap, Label, Round
from app.services import checks, labels, rounds, settling
from tests.factories import make_player
from tests.services.conftest import Game
from tests.services.test_labels import EMBED


def play(session: Session, game: Game, word: str) -> Round:
    """A round on the cat's heavy map by somebody new."""
    player = make_player(session)
    for m in game.maps[1:]:
        m.n_finished = 10
    session.flush()
    round_ = rounds.deal(session, player=player, study=game.study)
    assert round_ is not None
    return rounds.guess(
        session, round_id=round_.id, player=player, class_id=game.cat.id, labels=[word]
    )


def settle(session: Session, game: Game) -> ClusterMap:
    """Make the concepts of the cat; its heavy map."""
    labels.group_class(session, class_id=game.cat.id, embed=EMBED, recipe="paper")
    settling.settle_class(session, class_id=game.cat.id)
    session.expire_all()
    return game.maps[0]


@pytest.fixture
def agreed(session: Session, game: Game) -> Game:
    """As many players as it takes say the same of the cat's heavy map."""
    for _ in range(rules.SETTLED_MIN_ROUNDS):
        assert play(session, game, "ear").cluster_map_id == game.maps[0].id
    return game


def test_what_has_settled_is_dealt_no_more_and_the_rest_is(session: Session, agreed: Game) -> None:
    found = settle(session, agreed)
    assert found.settled_at is not None
    assert (found.is_wanted, found.n_finished) == (False, rules.SETTLED_MIN_ROUNDS)
    assert play(session, agreed, "fur").cluster_map_id != found.id
    assert not any("picture" in words for words in checks.find_drift(session))


def test_it_keeps_the_moment_when_it_settled(session: Session, agreed: Game) -> None:
    settle(session, agreed).settled_at = long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    session.flush()
    assert settle(session, agreed).settled_at == long_ago


def test_hidden_words_open_it_again(session: Session, agreed: Game) -> None:
    settle(session, agreed)
    for label in session.scalars(select(Label).limit(6)):
        label.hidden_at = datetime.now(UTC)
    session.flush()
    found = settle(session, agreed)
    assert (found.settled_at, found.is_wanted) == (None, True)


def test_without_a_number_wanted_no_map_is_ever_done(session: Session, agreed: Game) -> None:
    agreed.maps[0].n_wanted = None
    session.flush()
    assert settle(session, agreed).settled_at is None


def test_a_round_under_way_when_its_map_settles_counts(session: Session, agreed: Game) -> None:
    player = make_player(session)
    round_ = rounds.deal(session, player=player, study=agreed.study)
    assert round_ is not None
    assert round_.cluster_map_id == settle(session, agreed).id
    done = rounds.guess(
        session, round_id=round_.id, player=player, class_id=agreed.cat.id, labels=["ear"]
    )
    assert done.counts
    assert (agreed.maps[0].n_leased, agreed.maps[0].is_wanted) == (0, False)
