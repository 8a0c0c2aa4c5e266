"""Erasing a person: who they are goes, what they gave stays or goes as they wish."""

import pytest
from sqlalchemy import func, inspect, select
from sqlalchemy.orm import Session

from app.infra.errors import ConflictError
from app.infra.queue import queued_jobs
from app.infra.security import token_digest
from app.models import (
    Account,
    Label,
    OneTimeLink,
    PointsEntry,
    Round,
    SignIn,
    Study,
    StudyMember,
)
from app.models.base import Base
from app.services import access, accounts, audit, erasure, invitations, players, rounds
from app.services.audit import Actor
from tests.factories import make_account, make_player, make_study
from tests.services.conftest import Game


def count(session: Session, table: type[Base]) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.fixture
def ada(session: Session, game: Game) -> Account:
    """Somebody who has played a round with two words, and works on two studies."""
    ada = make_account(session, "Ada", email="ada@example.org")
    round_ = rounds.deal(session, player=ada.player, study=game.study)
    assert round_ is not None
    rounds.guess(
        session,
        round_id=round_.id,
        player=ada.player,
        class_id=game.cat.id,
        labels=["whiskers", "fur"],
    )
    accounts.sign_in(session, ada, address="192.0.2.7", user_agent="")
    accounts.make_link(session, ada, purpose="password")
    make_study(session, owner=ada)
    access.set_member(session, game.study, name="Ada", role="moderator")
    session.info.clear()
    return ada


@pytest.mark.parametrize("words", ["keep", "remove"])
def test_nothing_tells_who_they_were(session: Session, ada: Account, words: erasure.Words) -> None:
    erasure.erase(session, ada, words=words)
    for table in (Account, SignIn, OneTimeLink, StudyMember):
        assert count(session, table) == 0
    text_columns = [
        (table, column)
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if column.type.python_type is str
    ]
    assert text_columns
    for table, column in text_columns:
        assert "Ada" not in session.scalars(select(column).select_from(table)).all()


def test_their_invitations_tell_no_name_either(session: Session) -> None:
    make_account(session, role="admin")
    ada, ben = make_account(session, "Ada", role="admin"), make_account(session, "Ben")
    audit.act_as(session, Actor("Ada", ada.id, "192.0.2.7"))
    invitation = invitations.invite(session, by=ada, email="ben@example.org", role="researcher")
    invitation.token_digest = token_digest("a link")
    session.flush()
    audit.act_as(session, Actor("Ben", ben.id, "192.0.2.8"))
    invitations.accept(session, "a link", ben)
    for account in (ada, ben):
        erasure.erase(session, account, words="keep")
    lines = audit.find(session)
    assert {"invitation.send", "invitation.accept"} <= {line.act for line in lines}
    for line in lines:
        told = f"{line.actor} {line.subject_name} {line.before} {line.after}"
        assert "Ada" not in told
        assert "Ben" not in told


def test_words_stay_without_a_name(session: Session, ada: Account) -> None:
    erasure.erase(session, ada, words="keep")
    assert set(session.scalars(select(Label.text))) == {"whiskers", "fur"}
    assert queued_jobs(session) == []


def test_or_go_and_concepts_are_made_without_them(
    session: Session, ada: Account, game: Game
) -> None:
    erasure.erase(session, ada, words="remove")
    assert count(session, Label) == 0
    (job,) = queued_jobs(session)
    assert job.name == "labels.group_class"
    assert job.arguments == {"class_id": game.cat.id, "simulated": False}


def test_words_typed_as_a_guest_go_too_and_nobody_elses(
    session: Session, ada: Account, game: Game
) -> None:
    guest, other = make_player(session), make_player(session)
    for player in (guest, other):
        round_ = rounds.deal(session, player=player, study=game.study)
        assert round_ is not None
        rounds.guess(
            session, round_id=round_.id, player=player, class_id=game.cat.id, labels=["paw"]
        )
    players.merge_guest(session, guest=guest, account=ada)
    erasure.erase(session, ada, words="remove")
    assert session.scalars(
        select(Round.player_id).join(Label, Label.round_id == Round.id)
    ).all() == [other.id]


def test_the_ledger_stays_whole(session: Session, ada: Account) -> None:
    before = count(session, PointsEntry)
    erasure.erase(session, ada, words="remove")
    assert count(session, PointsEntry) == before > 0
    assert count(session, Round) == 1


def test_their_studies_are_the_admins(session: Session, ada: Account) -> None:
    erasure.erase(session, ada, words="keep")
    session.expire_all()
    assert set(session.scalars(select(Study.owner_id))) == {None}


def test_the_only_admin_stays(session: Session) -> None:
    boss = make_account(session, role="admin")
    with pytest.raises(ConflictError, match="only admin"):
        erasure.erase(session, boss, words="keep")
    assert inspect(boss).persistent
