"""Invitations: somebody is asked by e-mail to take a role on the site or in a study."""

from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from app.infra.errors import ConflictError, ForbiddenError, NotFoundError
from app.infra.mail import Mailer
from app.infra.queue import enqueue
from app.infra.security import new_token, token_digest
from app.models import Account, Invitation, Study
from app.services import access, accounts, audit
from app.services.access import Level
from app.services.audit import Subject

StudyRole = Literal["viewer", "moderator"]

AGE: Final = timedelta(days=7)
MAX_WAITING: Final = 200
"""Invitations of one person that are not answered yet: more would be a way to send mail at will."""

_RANK: Final = ("player", "researcher", "admin")
_DOES: Final = {
    "player": "play",
    "researcher": "make studies",
    "admin": "run the site",
    "viewer": "look at the study “{study}”",
    "moderator": "moderate the study “{study}”",
}


def does(invitation: Invitation) -> str:
    """What somebody is invited to, in words: "moderate the study “Boats”"."""
    study = invitation.study.name if invitation.study else ""
    return _DOES[invitation.role].format(study=study)


def invite(
    session: Session,
    *,
    by: Account,
    email: str,
    role: accounts.Role | StudyRole,
    study: Study | None = None,
) -> Invitation:
    """Have a link sent to an e-mail address. With a study the role is one in it.

    ForbiddenError for whoever may not give that role; InvalidInputError for what is no address.
    """
    email = accounts.check_email(email)
    n_waiting = select(func.count()).where(Invitation.invited_by_id == by.id)
    if (session.scalar(n_waiting) or 0) >= MAX_WAITING:
        raise ConflictError("Very many invitations of yours wait. Take some of them back first.")
    invitation = Invitation(
        email=email,
        role=role,
        study=study,
        invited_by=by,
        expires_at=datetime.now(UTC) + AGE,
    )
    _require_may_give(session, invitation)
    session.add(invitation)
    session.flush()
    subject = Subject("invitation", str(invitation.id), "somebody")
    audit.record(session, "invitation.send", subject, study=study, after={"role": role})
    enqueue(session, "accounts.send_invitation", invitation_id=str(invitation.id))
    return invitation


def _require_may_give(session: Session, invitation: Invitation) -> None:
    """Refuse whoever may not give the role, or may not any more."""
    by, study = invitation.invited_by, invitation.study
    if study is None:
        may = by.role == "admin"
    else:
        may = access.level(session, by, study_id=study.id) >= Level.OWN
    if not may:
        raise ForbiddenError(f"{by.name} may not give this role.")


def send(session: Session, mailer: Mailer, *, site: str, invitation_id: UUID) -> None:
    """Send the link. Sent again, the last one works."""
    invitation = _get(session, Invitation.id == invitation_id)
    if invitation is None:
        return
    token = new_token()
    invitation.token_digest = token_digest(token)
    mailer.send(
        to=invitation.email,
        subject="An invitation to Layerplay",
        text=f"Hello,\n\n{invitation.invited_by.name} invites you to {does(invitation)} at "
        f"{site}.\nOpen this link within {AGE.days} days to accept:\n\n{site}/invited/{token}\n\n"
        "If you do not know what this is about, do nothing.\n",
    )


def waiting(session: Session, *, study: Study | None = None) -> list[Invitation]:
    """Invitations that nobody has accepted yet, to a study or to the site, the newest first."""
    return list(
        session.scalars(
            select(Invitation)
            .where(Invitation.study_id == (study.id if study else None))
            .where(Invitation.expires_at > datetime.now(UTC))
            .order_by(Invitation.created_at.desc(), Invitation.id)
        )
    )


def revoke(session: Session, invitation_id: UUID, *, study: Study | None = None) -> None:
    """Take an invitation back. One that is gone already is no error."""
    of_study = Invitation.study_id == (study.id if study else None)
    invitation = _get(session, (Invitation.id == invitation_id) & of_study)
    if invitation is not None:
        _record_of_inviter(session, "invitation.revoke", invitation)
        session.delete(invitation)
        session.flush()


def find(session: Session, token: str, *, lock: bool = False) -> Invitation:
    """The invitation of a link. NotFoundError once it was accepted, taken back, or is too old."""
    valid = (Invitation.token_digest == token_digest(token)) & (
        Invitation.expires_at > datetime.now(UTC)
    )
    invitation = _get(session, valid, lock=lock)
    if invitation is None:
        raise NotFoundError("This invitation has been used or is too old. Ask for a new one.")
    return invitation


def accept(session: Session, token: str, account: Account) -> Study | None:
    """Give an account the role that its owner was invited to; the study, if it is one in a study.

    A role is never taken down. Whoever has opened the link has the address it was sent to: it
    becomes the account's, if that has none.
    """
    invitation = find(session, token, lock=True)
    _require_may_give(session, invitation)
    _record_of_inviter(session, "invitation.accept", invitation)
    study = invitation.study
    if study is not None:
        is_less = access.level(session, account, study_id=study.id) < access.level_of(
            invitation.role
        )
        if is_less:
            access.set_member(session, study, name=account.name, role=invitation.role)
    elif _RANK.index(invitation.role) > _RANK.index(account.role):
        accounts.change_role(session, account, _as_role(invitation.role))
    _take_address(session, account, invitation.email)
    session.delete(invitation)
    session.flush()
    return study


def _as_role(role: str) -> accounts.Role:
    return "admin" if role == "admin" else "researcher"


def _take_address(session: Session, account: Account, email: str) -> None:
    if account.email is not None:
        return
    try:
        with session.begin_nested():
            account.email = email
            session.flush()
    except IntegrityError:
        session.refresh(account)  # another account of theirs has it


def forget_expired(session: Session) -> None:
    """Remove invitations that are over."""
    session.execute(delete(Invitation).where(Invitation.expires_at < datetime.now(UTC)))


def _get(session: Session, where: ColumnElement[bool], *, lock: bool = False) -> Invitation | None:
    query = (
        select(Invitation)
        .where(where)
        .options(joinedload(Invitation.study), joinedload(Invitation.invited_by))
    )
    return session.scalar(query.with_for_update(of=Invitation) if lock else query)


def _record_of_inviter(session: Session, act: str, invitation: Invitation) -> None:
    """A line about whoever had invited: as its subject, they can be taken out of it."""
    subject = Subject.of_account(invitation.invited_by)
    after = {"role": invitation.role}
    audit.record(session, act, subject, study=invitation.study, after=after)
