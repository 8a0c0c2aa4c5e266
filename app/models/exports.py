"""What was taken out: exports, which come and go, and snapshots, which stay as they are."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, CreatedAt, Moment, PublicId
from app.models.studies import Study


class Export(Base):
    """Files of a study that somebody asked for, and how far they have come."""

    __tablename__ = "exports"
    __table_args__ = (
        CheckConstraint(
            "status in ('waiting', 'running', 'done', 'failed', 'cancelled', 'expired')",
            name="status",
        ),
        CheckConstraint("(status = 'done') = (file_key is not null)", name="file"),
        CheckConstraint("(status = 'failed') = (failure is not null)", name="failure"),
        Index("ix_exports_study_id", "study_id", "created_at"),
        Index(
            "ix_exports_unfinished",
            "created_at",
            postgresql_where=sql("status in ('waiting', 'running')"),
        ),
        Index("ix_exports_done", "finished_at", postgresql_where=sql("status = 'done'")),
    )

    id: Mapped[PublicId]
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    spec: Mapped[dict[str, Any]] = mapped_column(JSONB)  # services.exports.ExportSpec
    status: Mapped[str] = mapped_column(String(16), default="waiting")
    n_rows: Mapped[int] = mapped_column(default=0)  # counted when it started
    n_written: Mapped[int] = mapped_column(default=0)
    failure: Mapped[str | None]
    # Set when it is done. When the file has lain there long enough it goes, and its key with it.
    file_key: Mapped[str | None]  # in storage
    file_name: Mapped[str | None]  # for whoever downloads it
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    finished_at: Mapped[Moment | None]
    created_at: Mapped[CreatedAt]

    study: Mapped[Study] = relationship(lazy="raise")

    @property
    def is_unfinished(self) -> bool:
        return self.status in ("waiting", "running")


class Snapshot(Base):
    """A study's data as it was, under a number. The database refuses to change or delete it."""

    __tablename__ = "snapshots"
    __table_args__ = (
        UniqueConstraint("study_id", "number"),
        CheckConstraint("number > 0", name="number"),
    )

    id: Mapped[PublicId]
    # No cascade: a study that was published from stays.
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id"))
    number: Mapped[int]
    made_by: Mapped[dict[str, Any]] = mapped_column(JSONB)
    files: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)  # name, size_bytes, sha256 of each
    file_key: Mapped[str]  # the archive in storage
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))  # of the archive
    created_at: Mapped[CreatedAt]

    study: Mapped[Study] = relationship(lazy="raise")
