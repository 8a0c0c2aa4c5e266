"""Studies in the making: what a researcher has chosen and handed in so far."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.accounts import Account
from app.models.base import Base, CreatedAt, Moment, PublicId
from app.models.studies import Network


class StudyDraft(Base):
    """A study that is being made in the browser. It becomes a `Study` and is gone.

    The network is chosen by `network_source`, read by a worker, and then is `network`, or there is
    a `network_problem`.
    """

    __tablename__ = "study_drafts"
    __table_args__ = (
        CheckConstraint("visibility in ('public', 'unlisted', 'private')", name="visibility"),
        CheckConstraint("n_wanted > 0", name="n_wanted"),
    )

    id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(String(120))
    # Whoever makes it; None when they are gone: then it is the admins'.
    owner_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("accounts.id", ondelete="SET NULL"), index=True
    )
    # A published network's name, `layerplay:NAME` for one that comes along, `registered:ID` for one
    # that a study uses, `file:KEY` for an uploaded description.
    network_source: Mapped[str | None] = mapped_column(String(200))
    network_problem: Mapped[str | None]
    network_id: Mapped[int | None] = mapped_column(ForeignKey("networks.id"))
    # The network's layers, each {name, n_channels, height, width, is_default}, input first, and the
    # names of those chosen.
    layers: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list)
    chosen_layers: Mapped[list[str]] = mapped_column(JSONB, default=list)
    # Answers beside the classes of the pictures.
    further_choices: Mapped[list[str]] = mapped_column(JSONB, default=list)
    n_wanted: Mapped[int | None] = mapped_column(default=20)
    visibility: Mapped[str] = mapped_column(String(16), default="public")
    opens_itself: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Of one picture explained: its file, and what was found or went wrong; see services.drafts.
    preview_file_id: Mapped[UUID | None]
    preview: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[CreatedAt]
    changed_at: Mapped[Moment] = mapped_column(server_default=func.now(), onupdate=func.now())

    network: Mapped[Network | None] = relationship(lazy="raise")
    owner: Mapped[Account | None] = relationship(lazy="raise")


class Upload(Base):
    """A file as it came in, a picture or a zip of pictures, until a worker has looked at it."""

    __tablename__ = "uploads"
    __table_args__ = (Index("ix_uploads_draft_id", "draft_id", "created_at"),)

    id: Mapped[PublicId]
    draft_id: Mapped[UUID] = mapped_column(ForeignKey("study_drafts.id", ondelete="CASCADE"))
    path: Mapped[str] = mapped_column(String(400))  # as the browser named it, with its folders
    class_name: Mapped[str | None] = mapped_column(String(200))  # None: the folder is the class
    storage_key: Mapped[str]
    n_bytes: Mapped[int] = mapped_column(BigInteger)
    n_entries: Mapped[int | None]  # of a zip, once it has been opened
    # Of those, stored with what came of them: a worker that was killed goes on from there.
    n_looked_at: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[CreatedAt]


class DraftFile(Base):
    """A file that was looked at: a picture that goes in, or one refused, with the reason."""

    __tablename__ = "draft_files"
    __table_args__ = (
        CheckConstraint("(refusal is null) = (storage_key is not null)", name="refusal"),
        CheckConstraint("(refusal is null) = (sha256 is not null)", name="sha256"),
        CheckConstraint("refusal is not null or class_name is not null", name="class"),
        Index(
            "uq_draft_files_picture",
            "draft_id",
            "sha256",
            unique=True,
            postgresql_where=text("refusal is null"),
        ),
    )

    id: Mapped[PublicId]
    draft_id: Mapped[UUID] = mapped_column(ForeignKey("study_drafts.id", ondelete="CASCADE"))
    path: Mapped[str] = mapped_column(String(400))
    class_name: Mapped[str | None] = mapped_column(String(200))
    file_name: Mapped[str] = mapped_column(String(300))
    sha256: Mapped[str | None] = mapped_column(String(64))
    storage_key: Mapped[str | None]
    refusal: Mapped[str | None]
    created_at: Mapped[CreatedAt]
