"""The migrations make exactly the tables that the models describe, and keep what is in them."""

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from app.infra.db import make_engine
from app.infra.storage import Storage
from app.models import Base, ClusterMap, StudyClass, StudyDraft
from app.services import drafts, players, rounds
from tests.factories import make_account, make_player
from tests.services.conftest import make_game

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def alembic(database: str) -> Config:
    """What alembic's commands need to work on the test's own database."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["url"] = database
    return config


def test_the_migrated_schema_is_that_of_the_models(worker_engine: Engine) -> None:
    with worker_engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    assert differences == []


def test_rounds_of_simulated_players_are_counted_apart_from_then_on(
    alembic: Config, database: str, tmp_path: Path
) -> None:
    """A cat's map that a person and a simulated player finished, a dog's that a person did: before
    0002 both kinds were counted together."""
    engine = make_engine(database)
    with Session(engine) as session, session.begin():
        game = make_game(session, Storage(tmp_path))
        for player, map_number in (
            (make_player(session), 0),
            (make_player(session), 2),
            (players.create_simulated(session), 0),
        ):
            for m in game.maps:
                m.n_finished, m.simulated_n_finished = 9, 9
            game.maps[map_number].n_finished = game.maps[map_number].simulated_n_finished = 0
            session.flush()
            round_ = rounds.deal(session, player=player, study=game.study)
            assert round_ is not None
            rounds.resign(session, round_id=round_.id, player=player)
        session.execute(text("update study_classes set has_new_labels = false"))
        session.execute(text("delete from new_labels"))
        session.execute(text("update cluster_maps set n_finished = 0, simulated_n_finished = 0"))
        session.execute(
            text(
                "update cluster_maps set n_finished = "
                "(select count(*) from rounds where cluster_map_id = cluster_maps.id)"
            )
        )
    command.downgrade(alembic, "0001")
    command.upgrade(alembic, "head")
    with Session(engine) as session:
        counts = session.execute(
            select(ClusterMap.n_finished, ClusterMap.simulated_n_finished)
            .join(ClusterMap.image)
            .join(StudyClass)
            .order_by(StudyClass.position, ClusterMap.rank)
        ).all()
        waiting = session.execute(
            select(StudyClass.has_new_labels, StudyClass.has_new_simulated_labels).order_by(
                StudyClass.position
            )
        ).all()
    engine.dispose()
    assert counts == [(1, 1), (0, 0), (1, 0)]
    assert waiting == [(True, True), (False, False)]


def test_previews_from_before_they_had_pictures_of_their_own_are_made_anew(
    alembic: Config, database: str
) -> None:
    """Since 0025 a preview is found by its id. What was said of a network's problem stays."""
    engine = make_engine(database)
    with Session(engine) as session, session.begin():
        owner = make_account(session, role="researcher")
        for name, preview in (
            ("before", {"number": "0123", "layers": []}),
            ("problem", {"problem": "It is too large."}),
        ):
            drafts.create(session, name=name, owner=owner).preview = preview
    command.downgrade(alembic, "0024")
    command.upgrade(alembic, "head")
    with Session(engine) as session:
        found = dict(session.execute(select(StudyDraft.name, StudyDraft.preview)).all())
    engine.dispose()
    assert found == {"before": None, "problem": {"problem": "It is too large."}}
