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
from app.models import AuditEntry, Base, ClusterMap, StudyClass, StudyDraft
from app.services import accounts, audit, drafts, erasure, players, rounds
from app.services.audit import Actor, Subject
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


def test_names_in_lines_about_invitations_can_be_forgotten_from_then_on(
    alembic: Config, database: str
) -> None:
    """Before 0026 a line named who had accepted and, beside the role, who had invited."""
    engine = make_engine(database)
    with Session(engine) as session, session.begin():
        ada, ben = make_account(session, "Ada", role="admin"), make_account(session, "Ben")
        for act, who, subject in (
            ("send", ada, "somebody"),
            ("accept", ben, "Ben"),
            ("revoke", ben, "somebody"),
        ):
            audit.act_as(session, Actor(who.name, who.id))
            after = {"role": "researcher", "invited by": "Ada"}
            about = Subject("invitation", "its id", subject)
            audit.record(session, f"invitation.{act}", about, after=after)
    command.downgrade(alembic, "0025")
    command.upgrade(alembic, "head")
    with Session(engine) as session, session.begin():
        make_account(session, role="admin")
        accepted = audit.find(session, act="invitation.accept")[0]
        assert (accepted.actor, accepted.subject_name) == ("Ben", "Ada")
        for account in (accounts.find(session, "Ada"), accounts.find(session, "Ben")):
            erasure.erase(session, account, words="keep")
        lines = session.execute(
            select(AuditEntry.actor, AuditEntry.subject_name, AuditEntry.after)
            .where(AuditEntry.act.startswith("invitation."))
            .order_by(AuditEntry.id)
        ).all()
    engine.dispose()
    role = {"role": "researcher"}
    assert lines == [(audit.ERASED, name, role) for name in ("somebody", *2 * [audit.ERASED])]


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
