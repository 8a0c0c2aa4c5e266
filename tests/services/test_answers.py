"""Maps of which players say that they show nothing nameable."""

import pytest
from sqlalchemy.orm import Session

from app import rules
from app.infra.errors import InvalidInputError
from app.models import Image, Player
from app.services import explanations, ledger, rounds, shown
from app.services.answers import Answers, count_answers
from tests.factories import make_player
from tests.services.conftest import Game
from tests.services.test_ledger import finish, group, paid

AGREED = ("agreement", ledger.NOTHING_NAMEABLE, rules.AGREEMENT_POINTS)
CONFIRMED = ("confirmed", ledger.NOTHING_NAMEABLE, rules.CONFIRMED_POINTS)


def say_nothing(session: Session, player: Player, game: Game) -> None:
    """Give the cat's first map up as one that shows nothing nameable."""
    for number, cluster_map in enumerate(game.maps):
        cluster_map.is_playable = number == 0
    session.flush()
    round_ = rounds.deal(session, player=player, study=game.study)
    assert round_ is not None
    rounds.resign(session, round_id=round_.id, player=player, nothing_nameable=True)


def test_it_is_said_in_place_of_labels(session: Session, player: Player, game: Game) -> None:
    round_ = rounds.deal(session, player=player, study=game.study)
    assert round_ is not None
    answer = {"round_id": round_.id, "player": player, "class_id": game.cat.id}
    with pytest.raises(InvalidInputError, match="Keep one of them"):
        rounds.guess(session, **answer, labels=["fur"], nothing_nameable=True)
    done = rounds.guess(session, **answer, labels=[" "], nothing_nameable=True)
    assert (done.status, done.nothing_nameable) == ("won", True)
    assert shown.outcome(session, done).nothing_nameable


def test_it_earns_once_three_say_so_and_outnumber_those_who_name_something(
    session: Session, game: Game
) -> None:
    """Two say so and one names something: not yet. The third who says so earns at once, the others
    with the next job, and nobody twice."""
    first, second, third = (make_player(session) for _ in range(3))
    finish(session, make_player(session), game, "fur")
    say_nothing(session, first, game)
    say_nothing(session, second, game)
    group(session, game)
    assert paid(session, first) == paid(session, second) == []
    say_nothing(session, third, game)
    assert paid(session, third) == [AGREED]
    for _ in range(2):
        group(session, game)
        assert paid(session, first) == paid(session, second) == [CONFIRMED]
        assert paid(session, third) == [AGREED]


def test_words_that_say_nothing_name_nothing(session: Session, game: Game) -> None:
    say_nothing(session, make_player(session), game)
    finish(session, make_player(session), game, "asdfgh")
    finish(session, make_player(session), game, "fur", "ear")
    said = count_answers(session, Image.class_id == game.cat.id, simulated=False)
    assert said == {game.maps[0].id: Answers(n_nothing=1, n_named=1)}


def test_the_explanation_shows_such_a_map_as_one_without_a_best_concept(
    session: Session, game: Game
) -> None:
    finish(session, make_player(session), game, "fur")
    for _ in range(3):
        say_nothing(session, make_player(session), game)
    group(session, game)
    page = explanations.local(session, game.images[0].id, merge="labels")
    shown = page.layers[0].groups[0]
    assert shown.map_ids == (game.maps[0].id,)
    assert (shown.answers, shown.best) == (Answers(3, 1), None)
    assert shown.concepts, "what was named stays readable"
    assert not page.stretches[0].concept
