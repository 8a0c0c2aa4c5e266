"""The audit log: who did what, when, from where, before and after, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.models import Account, AuditEntry, Study

ACTS: Final[Mapping[str, str]] = {
    "study.create": "made the study",
    "study.open": "opened the game of",
    "study.pause": "paused the game of",
    "study.close": "closed the game of",
    "study.visibility": "changed who may play",
    "study.invitation": "renewed the link to play",
    "study.stop": "stopped the computing of",
    "study.resume": "went on with the computing of",
    "study.ask_concepts": "had the concepts made anew for",
    "study.share": "made a link to read the explanations of",
    "study.unshare": "took back a link to read",
    "member.set": "gave a role in the study to",
    "member.remove": "took out of the study",
    "account.role": "changed the role of",
    "account.password_link": "made a link for a new password for",
    "account.password": "set the password of",
    "account.erase": "erased",
    "invitation.send": "invited",
    "invitation.revoke": "took back an invitation by",
    "invitation.accept": "accepted an invitation by",
    "job.retry": "had tried again",
    "token.create": "made an access token for programs,",
    "token.revoke": "took back the access token",
    "export.request": "took data out of",
    "export.snapshot": "made a snapshot of",
    "label.hide": "hid",
    "label.restore": "showed again",
    "player.warned": "sent a note to",
    "player.silenced": "silenced",
    "player.excluded": "left all answers out of the results of",
    "player.banned": "banned",
    "player.lifted": "lifted the restriction of",
    "flag.dismiss": "dismissed what was odd about",
    "undo": "took back an act about",
    "concept.merge": "merged away the concept",
    "concept.split": "split the concept",
    "concept.rename": "renamed the concept",
    "concept.junk": "marked as junk the concept",
    "concept.part": "decided whether it is part of its class for the concept",
}
"""Every act that is logged, with the words that tell it: "anna opened the game of Boats"."""

PAGE_SIZE: Final = 50

ERASED: Final = "somebody erased"
"""What is left of a name."""

UNDO: Final = "undo"
"""The key in `before` of what an act that can be taken back needs for that; people are not shown
it."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever acts. name: as people know them, "anna" or "command line". address: the network
    address they came from; None where there is none."""

    name: str
    account_id: UUID | None = None
    address: str | None = None


_LAST: Final = "audit.last"

_COMPUTER: Final = Actor("Layerplay")
"""Whoever acts where nobody has said so: a job."""


def act_as(session: Session, actor: Actor) -> None:
    """Say who acts in this session. The edge does, where it knows: a request, a command. Services
    need not hand the actor on, and none can forget to."""
    session.info["actor"] = actor


def acting(session: Session) -> Actor:
    actor: Actor = session.info.get("actor", _COMPUTER)
    return actor


@dataclass(frozen=True, slots=True)
class Subject:
    """What is acted upon: of which kind ("study", "label"), its id, and its name at that time."""

    kind: str
    id: str
    name: str

    @classmethod
    def of_study(cls, study: Study) -> "Subject":
        return cls("study", str(study.id), study.name)

    @classmethod
    def of_account(cls, account: Account) -> "Subject":
        return cls("account", str(account.id), account.name)


def record(
    session: Session,
    act: str,
    subject: Subject,
    *,
    study: Study | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    why: str | None = None,
) -> None:
    """Write a line, in the transaction of the act and in the name of whoever acts in the session:
    neither is kept without the other.

    act: one of ACTS. before, after: what has changed, nothing secret. ValueError for an act that
    nobody has put into words.
    """
    if act not in ACTS:
        raise ValueError(f"{act!r} is not in ACTS")
    actor = acting(session)
    entry = AuditEntry(
        actor=actor.name[:120],
        actor_id=actor.account_id,
        address=actor.address,
        act=act,
        subject_kind=subject.kind,
        subject_id=subject.id,
        subject_name=subject.name[:200],
        study_id=study.id if study else None,
        study_name=study.name if study else None,
        before=dict(before) if before is not None else None,
        after=dict(after) if after is not None else None,
        why=why,
    )
    session.add(entry)
    session.info[_LAST] = entry


def last_recorded(session: Session) -> AuditEntry:
    """The line that this session has written last. KeyError when it has written none."""
    session.flush()
    entry: AuditEntry = session.info[_LAST]
    return entry


def forget(session: Session, account_id: UUID) -> None:
    """Take the name and the addresses of an account that is gone out of the log. The lines stay,
    with its id, which leads nowhere. It is the one change that the database lets pass."""
    session.execute(
        update(AuditEntry)
        .where(AuditEntry.actor_id == account_id)
        .values(actor=ERASED, address=None)
        .execution_options(synchronize_session="fetch")
    )
    session.execute(
        update(AuditEntry)
        .where(AuditEntry.subject_kind == "account", AuditEntry.subject_id == str(account_id))
        .values(subject_name=ERASED)
        .execution_options(synchronize_session="fetch")
    )


def find(
    session: Session,
    *,
    words: str = "",
    act: str | None = None,
    study_id: UUID | None = None,
    older_than: int | None = None,
) -> list[AuditEntry]:
    """At most PAGE_SIZE lines, the latest first.

    words: all of which must occur, each at the start of a word, in names, act or reason.
    older_than: the id of the last line that was seen, for the page after it.
    """
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(PAGE_SIZE)
    if act is not None:
        query = query.where(AuditEntry.act == act)
    if study_id is not None:
        query = query.where(AuditEntry.study_id == study_id)
    if older_than is not None:
        query = query.where(AuditEntry.id < older_than)
    for word in words.replace("\x00", " ").split():
        # The word goes through the same parser as the text, as what people typed may be anything.
        wanted = func.to_tsquery("simple", func.quote_literal(word).concat(":*"))
        query = query.where(AuditEntry.words.op("@@")(wanted))
    return list(session.scalars(query))
