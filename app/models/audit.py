"""Who did what to whom, kept for good."""

from typing import Any
from uuid import UUID

from sqlalchemy import Computed, Index, String, Text
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, RowId

_WORDS = (
    "to_tsvector('simple', actor || ' ' || replace(act, '.', ' ') || ' ' || subject_name || ' ' || "
    "coalesce(study_name, '') || ' ' || coalesce(why, ''))"
)


class AuditEntry(Base):
    """A line of the audit log. Lines are added, never changed: the database refuses it, but that
    names of accounts that are gone may go from it.

    Names are kept beside ids, and no id is a foreign key: the line outlives what it is about.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_subject", "subject_kind", "subject_id"),
        Index("ix_audit_entries_study_id", "study_id", "id"),
        Index("ix_audit_entries_words", "words", postgresql_using="gin"),
    )

    id: Mapped[RowId]
    at: Mapped[CreatedAt]
    actor: Mapped[str] = mapped_column(String(120))  # as people know them: "anna", "command line"
    actor_id: Mapped[UUID | None]  # their account, if they have one
    address: Mapped[str | None] = mapped_column(String(64))  # of the network, where they came from
    act: Mapped[str] = mapped_column(String(40))
    subject_kind: Mapped[str] = mapped_column(String(24))
    subject_id: Mapped[str] = mapped_column(String(64))
    subject_name: Mapped[str] = mapped_column(String(200))
    study_id: Mapped[UUID | None]
    study_name: Mapped[str | None] = mapped_column(String(120))
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    why: Mapped[str | None] = mapped_column(Text)
    words: Mapped[str] = mapped_column(TSVECTOR, Computed(_WORDS, persisted=True), deferred=True)
