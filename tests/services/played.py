"""A study in which something of every kind has happened, to be taken out again."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.models import KnownAnswer, Label, Player
from app.services import labels, players, rounds
from tests.factories import make_player
from tests.services.conftest import Game
from tests.services.test_labels import EMBED

AWKWARD = ["ears", 'a "quoted", label', "=1+1", "NA", "orecchie à punta", "naïve 猫 🐈"]
"""What files are known to stumble over: quotes, commas, formulas, missing values, scripts."""


def give(session: Session, player: Player, game: Game, map_number: int, *texts: str) -> None:
    """Have a player guess right on a map, typing these labels."""
    for number, cluster_map in enumerate(game.maps):
        n = 0 if number == map_number else 1000
        cluster_map.n_finished = cluster_map.simulated_n_finished = n
    session.flush()
    round_ = rounds.deal(session, player=player, study=game.study)
    assert round_ is not None
    assert round_.cluster_map_id == game.maps[map_number].id
    if len(texts) > 1:
        rounds.reveal(session, round_id=round_.id, player=player, from_index=0)
    truth = game.dog if map_number == 2 else game.cat
    rounds.guess(session, round_id=round_.id, player=player, class_id=truth.id, labels=texts)


def play_all_kinds(session: Session, game: Game) -> Sequence[Label]:
    """Labels of two people and a simulated player on two pictures, one practice round; concepts of
    all of them. Gives the labels that a plain export holds, as they came."""
    anna, ben, robot = make_player(session), make_player(session), players.create_simulated(session)
    give(session, anna, game, 0, *AWKWARD[:5])
    give(session, ben, game, 0, "ears", AWKWARD[5])
    give(session, ben, game, 2, "tail")
    give(session, robot, game, 0, "edges")
    session.add(
        KnownAnswer(
            cluster_map_id=game.maps[1].id,
            study_id=game.study.id,
            region="ear",
            words=["ear"],
            energy_share=0.9,
        )
    )
    session.flush()
    learner = make_player(session)
    round_ = rounds.deal(session, player=learner, study=game.study)
    assert round_ is not None
    assert round_.practice
    rounds.guess(
        session, round_id=round_.id, player=learner, class_id=game.cat.id, labels=["practised"]
    )
    for image_class in (game.cat, game.dog):
        for simulated in (False, True):
            labels.group_class(
                session, class_id=image_class.id, embed=EMBED, recipe="paper", simulated=simulated
            )
    # A day for each picture, so that days can tell them apart.
    session.execute(
        update(Label)
        .where(Label.cluster_map_id == game.maps[2].id)
        .values(created_at=datetime(2026, 3, 2, 23, 59, 59, 123456, UTC))
    )
    session.execute(
        update(Label)
        .where(Label.cluster_map_id != game.maps[2].id)
        .values(created_at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    )
    return session.scalars(
        select(Label)
        .join(Label.round)
        .where(Label.text.not_in(["edges", "practised"]))
        .order_by(Label.id)
        .execution_options(populate_existing=True)
    ).all()
