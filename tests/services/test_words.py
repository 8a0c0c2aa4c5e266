"""What a player is told that their words have taught."""

from datetime import UTC, datetime

import pytest
from sqlalchemy.orm import Session

from app import rules
from app.models import Concept, ConceptScore, Label, Player, Round
from app.services import words
from tests.services.conftest import Game

ENOUGH = rules.LESSON_MIN_PLAYERS


@pytest.mark.parametrize(
    ("n_given", "score", "rival", "told"),
    [
        (ENOUGH, 3.0, 2.0, [(1, 1)]),
        (ENOUGH, 3.0, None, [(1, 1)]),
        (ENOUGH, 3.0, 3.0, [(1, 0)]),  # a tie: neither is what most say
        (ENOUGH, 2.0, 3.0, [(1, 0)]),
        (ENOUGH - 1, 3.0, None, []),
        (1, 1.0, None, []),
    ],
)
def test_a_lesson_takes_three_players_and_most_a_lead(
    session: Session,
    game: Game,
    player: Player,
    n_given: int,
    score: float,
    rival: float | None,
    told: list[tuple[int, int]],
) -> None:
    now = datetime.now(UTC)
    ear, tail = (Concept(class_id=game.cat.id, name=name) for name in ("ear", "tail"))
    round_ = Round(
        study_id=game.study.id,
        player_id=player.id,
        cluster_map_id=game.maps[0].id,
        dealt_at=now,
        last_step_at=now,
        finished_at=now,
        status="won",
        guessed_class_id=game.cat.id,
    )
    session.add_all([ear, tail, round_])
    session.flush()
    session.add(
        Label(
            round_id=round_.id,
            cluster_map_id=game.maps[0].id,
            position=0,
            text="ears",
            concept_id=ear.id,
        )
    )
    for concept, its_score in ((ear, score), (tail, rival)):
        if its_score is not None:
            session.add(
                ConceptScore(
                    cluster_map_id=game.maps[0].id,
                    concept_id=concept.id,
                    n_given=n_given,
                    mean_reveal_index=0,
                    any_right=True,
                    score=its_score,
                )
            )
    session.flush()
    found = words.lessons(session, player.id, n=5)
    assert [(one.n_maps, one.n_leading) for one in found] == told
