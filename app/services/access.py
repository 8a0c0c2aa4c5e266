"""Who may do what with which study."""

from enum import IntEnum
from uuid import UUID

from sqlalchemy import Select, or_, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload

from app.infra.errors import ConflictError, ForbiddenError, NotFoundError
from app.models import Account, Image, Study, StudyDraft, StudyMember
from app.services import accounts, audit
from app.services.audit import Subject


class Level(IntEnum):
    """What somebody may do with a study; each level may what those below it may.

    VIEW: look at everything in it. MODERATE: decide about its labels, players and concepts.
    OWN: everything else, such as opening its game or who works on it.
    """

    NONE = 0
    VIEW = 1
    MODERATE = 2
    OWN = 3


_LEVELS = {"viewer": Level.VIEW, "moderator": Level.MODERATE}


def level_of(role: str) -> Level:
    """What a role in a study lets one do."""
    return _LEVELS[role]


def may_enter_studio(session: Session, account: Account) -> bool:
    """Researchers and admins may, and whoever works on somebody's study."""
    if account.role != "player":
        return True
    works = select(StudyMember.study_id).where(StudyMember.account_id == account.id)
    return bool(session.scalar(select(works.exists())))


def require_maker(account: Account) -> None:
    """Refuse whoever may not make studies."""
    if account.role not in ("researcher", "admin"):
        raise ForbiddenError("Only researchers make studies. An admin can make you one.")


def level(session: Session, account: Account, *, study_id: UUID) -> Level:
    """What an account may do with a study. NONE also for one that does not exist."""
    row = session.execute(
        select(Study.owner_id, StudyMember.role)
        .outerjoin(
            StudyMember,
            (StudyMember.study_id == Study.id) & (StudyMember.account_id == account.id),
        )
        .where(Study.id == study_id)
    ).one_or_none()
    if row is None:
        return Level.NONE
    if account.role == "admin" or row.owner_id == account.id:
        return Level.OWN
    return _LEVELS.get(row.role, Level.NONE)


def require(session: Session, account: Account, *, study_id: UUID, at_least: Level) -> None:
    """Refuse whoever may not do that much. NotFoundError for those who may not even look, so that
    nobody learns from an address what studies others have; else ForbiddenError."""
    has = level(session, account, study_id=study_id)
    if has == Level.NONE:
        raise NotFoundError("There is no such study, or it is not shared with you.")
    if has < at_least:
        raise ForbiddenError(
            "In this study you may look only. Its owner can let you moderate it."
            if has == Level.VIEW
            else "Only the owner of this study may do that."
        )


def visible_studies(account: Account) -> Select[UUID]:
    """Ids of the studies that an account may look at: its own, those shared with it; an admin's are
    all."""
    if account.role == "admin":
        return select(Study.id).where(true())
    shared = select(StudyMember.study_id).where(StudyMember.account_id == account.id)
    return select(Study.id).where(or_(Study.owner_id == account.id, Study.id.in_(shared)))


def require_own_draft(session: Session, account: Account, *, draft_id: UUID) -> None:
    """NotFoundError for a draft that is neither the account's nor, for an admin, anybody's."""
    query = select(StudyDraft.id).where(StudyDraft.id == draft_id)
    if account.role != "admin":
        query = query.where(StudyDraft.owner_id == account.id)
    if session.scalar(query) is None:
        raise NotFoundError("This draft is gone: it was discarded, or has become a study.")


def study_of_image(session: Session, image_id: UUID) -> UUID:
    study_id = session.scalar(select(Image.study_id).where(Image.id == image_id))
    if study_id is None:
        raise NotFoundError("There is no such picture.")
    return study_id


def members(session: Session, study: Study) -> list[StudyMember]:
    """Who works on a study besides its owner, with their accounts, the first first."""
    return list(
        session.scalars(
            select(StudyMember)
            .where(StudyMember.study_id == study.id)
            .options(joinedload(StudyMember.account))
            .order_by(StudyMember.created_at, StudyMember.account_id)
        )
    )


def set_member(session: Session, study: Study, *, name: str, role: str) -> None:
    """Let somebody work on a study, or give them another role in it. ConflictError for its owner,
    who may everything already; NotFoundError when nobody has the name."""
    account = accounts.find(session, name.strip())
    if account.id == study.owner_id:
        raise ConflictError(f"{account.name} owns this study and may do everything in it already.")
    member = session.get(StudyMember, (study.id, account.id), populate_existing=True)
    audit.record(
        session,
        "member.set",
        Subject.of_account(account),
        study=study,
        before={"role": member.role if member else None},
        after={"role": role},
    )
    session.execute(
        insert(StudyMember)
        .values(study_id=study.id, account_id=account.id, role=role)
        .on_conflict_do_update(index_elements=["study_id", "account_id"], set_={"role": role})
    )


def remove_member(session: Session, study: Study, account_id: UUID) -> None:
    member = session.scalar(
        select(StudyMember)
        .where(StudyMember.study_id == study.id, StudyMember.account_id == account_id)
        .options(joinedload(StudyMember.account))
    )
    if member is None:
        return
    audit.record(
        session,
        "member.remove",
        Subject.of_account(member.account),
        study=study,
        before={"role": member.role},
    )
    session.delete(member)
    session.flush()
