"""The audit log: who did what, when, from where, before and after, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import AuditEntry, Study

ACTS: Final[Mapping[str, str]] = {
    "study.create": "made the study",
    "study.open": "opened the game of",
    "study.close": "closed the game of",
    "study.ask_concepts": "had the concepts made anew for",
}
"""Every act that is logged, with the words that tell it: "anna opened the game of Boats"."""

PAGE_SIZE: Final = 50


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever acts. name: as people know them, "anna" or "command line". address: the network
    address they came from; None where there is none."""

    name: str
    account_id: UUID | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is acted upon: of which kind ("study", "label"), its id, and its name at that time."""

    kind: str
    id: str
    name: str

    @classmethod
    def of_study(cls, study: Study) -> "Subject":
        return cls("study", str(study.id), study.name)


def record(
    session: Session,
    actor: Actor,
    act: str,
    subject: Subject,
    *,
    study: Study | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    why: str | None = None,
) -> None:
    """Write a line, in the transaction of the act: neither is kept without the other.

    act: one of ACTS. before, after: what has changed, nothing secret. ValueError for an act that
    nobody has put into words.
    """
    if act not in ACTS:
        raise ValueError(f"{act!r} is not in ACTS")
    session.add(
        AuditEntry(
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
