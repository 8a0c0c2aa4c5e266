"""Somebody is invited by e-mail, accepts once, and has the role."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.infra.errors import ForbiddenError, InvalidInputError, NotFoundError
from app.infra.queue import queued_jobs
from app.models import Account, AuditEntry, Invitation, Study
from app.services import access, audit, invitations
from tests.factories import make_account, make_study


class Post:
    """Stands for the mail server."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def send(self, *, to: str, subject: str, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def owner(session: Session) -> Account:
    return make_account(session, "anna", role="researcher")


@pytest.fixture
def study(session: Session, owner: Account) -> Study:
    return make_study(session, name="Boats", owner=owner)


@pytest.fixture
def admin(session: Session) -> Account:
    return make_account(session, "ada", role="admin")


def link(session: Session, invitation: Invitation) -> str:
    """The token of the link that is sent."""
    post = Post()
    invitations.send(
        session,
        post,
        site="https://play.example",
        invitation_id=invitation.id,  # type: ignore[arg-type]
    )
    found = re.search(r"https://play.example/invited/([\w-]+)", post.texts[0])
    assert found is not None
    return found[1]


def test_accepted_once_it_gives_the_role_and_the_address(
    session: Session, owner: Account, study: Study
) -> None:
    invitation = invitations.invite(
        session, by=owner, email=" eve@example.org ", role="moderator", study=study
    )
    assert [job.name for job in queued_jobs(session)] == ["accounts.send_invitation"]
    assert invitations.waiting(session, study=study) == [invitation]
    assert invitations.waiting(session) == []
    first, token = link(session, invitation), link(session, invitation)
    with pytest.raises(NotFoundError):
        invitations.find(session, first)  # sent again, the last one works
    eve = make_account(session, "eve")
    assert invitations.accept(session, token, eve) is study
    assert access.level(session, eve, study_id=study.id) == access.Level.MODERATE
    assert eve.email == "eve@example.org"
    with pytest.raises(NotFoundError):
        invitations.accept(session, token, make_account(session))
    acts = session.scalars(select(AuditEntry.act).order_by(AuditEntry.id)).all()
    assert acts == ["invitation.send", "invitation.accept", "member.set"]


def test_the_log_tells_who_had_invited(session: Session, owner: Account, study: Study) -> None:
    for act in ("accept", "revoke"):
        invitation = invitations.invite(
            session, by=owner, email="x@example.org", role="viewer", study=study
        )
        if act == "accept":
            invitations.accept(session, link(session, invitation), make_account(session))
        else:
            invitations.revoke(session, invitation.id, study=study)
        (line,) = audit.find(session, act=f"invitation.{act}")
        assert (line.subject_name, line.subject_id) == ("anna", str(owner.id))
        assert (line.study_id, line.after) == (study.id, {"role": "viewer"})


def test_it_takes_no_role_down(session: Session, admin: Account) -> None:
    other = make_account(session, role="admin")
    invitation = invitations.invite(session, by=admin, email="x@example.org", role="researcher")
    invitations.accept(session, link(session, invitation), other)
    assert other.role == "admin"


def test_nobody_gives_what_they_may_not(
    session: Session, owner: Account, study: Study, admin: Account
) -> None:
    with pytest.raises(ForbiddenError):
        invitations.invite(session, by=owner, email="x@example.org", role="admin")
    with pytest.raises(ForbiddenError):
        invitations.invite(
            session, by=make_account(session), email="x@example.org", role="viewer", study=study
        )
    # Nor what they may not any more.
    token = link(
        session, invitations.invite(session, by=admin, email="x@example.org", role="admin")
    )
    admin.role = "player"
    session.flush()
    eve = make_account(session)
    with pytest.raises(ForbiddenError):
        invitations.accept(session, token, eve)
    assert eve.role == "player"


def test_it_ends_and_can_be_taken_back(session: Session, admin: Account) -> None:
    invitation = invitations.invite(session, by=admin, email="x@example.org", role="researcher")
    token = link(session, invitation)
    invitations.revoke(session, invitation.id)
    with pytest.raises(NotFoundError):
        invitations.find(session, token)
    late = invitations.invite(session, by=admin, email="x@example.org", role="researcher")
    token = link(session, late)
    session.execute(update(Invitation).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    with pytest.raises(NotFoundError):
        invitations.find(session, token)
    invitations.forget_expired(session)
    assert session.scalars(select(Invitation)).all() == []


def test_what_is_no_address_is_said(session: Session, admin: Account) -> None:
    with pytest.raises(InvalidInputError):
        invitations.invite(session, by=admin, email="nowhere", role="player")
