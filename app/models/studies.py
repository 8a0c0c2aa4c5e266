"""Studies: a network, its classes, its images, its layers."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    false,
    func,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.accounts import Account
from app.models.base import Base, CreatedAt, Moment, PublicId, RowId

RANDOM_TOKEN = "replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')"
"""SQL for a token that nobody can guess: 244 random bits."""


class Network(Base):
    """A network as a study uses it: what to load and how to prepare pictures for it."""

    __tablename__ = "networks"
    __table_args__ = (
        CheckConstraint("weights in ('default', 'random', 'file')", name="weights"),
        CheckConstraint("(weights = 'file') = (description_key is not null)", name="file"),
    )

    id: Mapped[RowId]
    name: Mapped[str] = mapped_column(String(200))
    architecture: Mapped[str] = mapped_column(String(100))
    weights: Mapped[str] = mapped_column(String(16))
    description_key: Mapped[str | None]  # in storage: its description, the weights beside it
    weights_sha256: Mapped[str] = mapped_column(String(64))
    fingerprint: Mapped[str] = mapped_column(String(64), unique=True)
    classes: Mapped[list[str]] = mapped_column(JSONB)
    created_at: Mapped[CreatedAt]


class Study(Base):
    """A network, pictures and a game about them."""

    __tablename__ = "studies"
    __table_args__ = (
        CheckConstraint(
            "status in ('computing', 'ready', 'open', 'paused', 'closed')", name="status"
        ),
        CheckConstraint("visibility in ('public', 'unlisted', 'private')", name="visibility"),
        CheckConstraint("n_wanted > 0", name="n_wanted"),
    )

    id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(String(120), unique=True)
    slug: Mapped[str] = mapped_column(String(120), unique=True)
    network_id: Mapped[int] = mapped_column(ForeignKey("networks.id"))
    clusterer: Mapped[str] = mapped_column(String(32))
    seed: Mapped[int]
    status: Mapped[str] = mapped_column(String(16), default="computing")
    # None when it was made on the command line for nobody, or its owner is gone: it is the admins'.
    owner_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("accounts.id", ondelete="SET NULL"), index=True
    )
    # Whether the game opens when the last picture is computed; else it is ready, for somebody to
    # look at first.
    opens_itself: Mapped[bool] = mapped_column(default=True, server_default=true())
    # public: on the start page. unlisted: for whoever has the link. private: for researchers.
    visibility: Mapped[str] = mapped_column(String(16), default="public", server_default="public")
    # Part of an unlisted game's link; a new one makes the old link useless.
    invite_token: Mapped[str] = mapped_column(
        String(64), server_default=text(RANDOM_TOKEN), unique=True
    )
    n_wanted: Mapped[int | None]  # rounds for each map; None: as many as people play
    # When computing was last begun or taken up again; None while it is stopped by hand.
    computing_since: Mapped[Moment | None] = mapped_column(
        default=lambda: datetime.now(UTC), server_default=func.now()
    )
    created_at: Mapped[CreatedAt]

    owner: Mapped[Account | None] = relationship(lazy="raise")
    network: Mapped[Network] = relationship(lazy="raise")
    classes: Mapped[list["StudyClass"]] = relationship(
        lazy="raise", order_by="StudyClass.position", back_populates="study"
    )
    layers: Mapped[list["Layer"]] = relationship(
        lazy="raise", order_by="Layer.position", back_populates="study"
    )


class StudyMember(Base):
    """Somebody who works on another's study: a moderator, or a viewer who only looks."""

    __tablename__ = "study_members"
    __table_args__ = (CheckConstraint("role in ('moderator', 'viewer')", name="role"),)

    study_id: Mapped[UUID] = mapped_column(
        ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True
    )
    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[CreatedAt]

    account: Mapped[Account] = relationship(lazy="raise")


class StudyClass(Base):
    """An image class of a study, which is also an answer in its game."""

    __tablename__ = "study_classes"
    __table_args__ = (
        UniqueConstraint("study_id", "name"),
        UniqueConstraint("study_id", "position"),
    )

    id: Mapped[RowId]
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    position: Mapped[int]
    # True from when enough labels are new until the concepts job has taken them up: one job for
    # many labels, for those of people and for those of simulated players.
    has_new_labels: Mapped[bool] = mapped_column(default=False)
    has_new_simulated_labels: Mapped[bool] = mapped_column(default=False, server_default=false())

    study: Mapped[Study] = relationship(lazy="raise", back_populates="classes")


class Layer(Base):
    """A place in the network whose feature maps the study looks at, counted from the input."""

    __tablename__ = "layers"
    __table_args__ = (
        UniqueConstraint("study_id", "name"),
        UniqueConstraint("study_id", "position"),
    )

    id: Mapped[RowId]
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    position: Mapped[int]
    n_channels: Mapped[int]

    study: Mapped[Study] = relationship(lazy="raise", back_populates="layers")


class Image(Base):
    """A picture in a study, and how far its explanation has come."""

    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("study_id", "sha256"),
        CheckConstraint("status in ('pending', 'done', 'failed')", name="status"),
        CheckConstraint("(status = 'failed') = (failure is not null)", name="failure"),
        CheckConstraint("(status = 'done') = (maps_key is not null)", name="maps"),
        Index("ix_images_pending", "study_id", postgresql_where=text("status = 'pending'")),
        # The deck, see models.rounds.Hand: for simulated players, and for people.
        Index("ix_images_deck", "study_id", "n_playable", "id"),
        Index(
            "ix_images_deck_wanted",
            "study_id",
            "n_playable",
            "id",
            postgresql_where=text("n_wanted > 0"),
        ),
    )

    id: Mapped[PublicId]
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    class_id: Mapped[int] = mapped_column(ForeignKey("study_classes.id"), index=True)
    file_name: Mapped[str] = mapped_column(String(300))
    sha256: Mapped[str] = mapped_column(String(64))
    original_key: Mapped[str]
    status: Mapped[str] = mapped_column(String(16), default="pending")
    failure: Mapped[str | None]
    # What the explanation says; empty until status is done.
    view_key: Mapped[str | None]  # the part of the picture that the network saw, as a JPEG
    maps_key: Mapped[str | None]  # every cluster map and channel weight, as an npz
    target_index: Mapped[int | None]
    target_name: Mapped[str | None]
    probability: Mapped[float | None]
    computed_at: Mapped[Moment | None]
    compute_s: Mapped[float | None]
    # Maps that can be played, and those of them that people may be dealt; a trigger counts them.
    n_playable: Mapped[int] = mapped_column(default=0, server_default="0")
    n_wanted: Mapped[int] = mapped_column(default=0, server_default="0")
    made_by: Mapped[dict[str, Any] | None] = mapped_column(JSONB)  # versions and settings
    created_at: Mapped[CreatedAt]

    study: Mapped[Study] = relationship(lazy="raise")
    image_class: Mapped[StudyClass] = relationship(lazy="raise")


class Guest(Base):
    """A player who came in by the link of an unlisted study. They stay in when the link changes."""

    __tablename__ = "study_guests"

    study_id: Mapped[UUID] = mapped_column(
        ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True
    )
    player_id: Mapped[UUID] = mapped_column(
        ForeignKey("players.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    joined_at: Mapped[CreatedAt]


class Invitation(Base):
    """Somebody is asked, by e-mail, to take a role: on the site, or in a study. Accepted, it goes.

    The link is made when the e-mail is sent; until then there is no digest of it.
    """

    __tablename__ = "invitations"
    __table_args__ = (
        CheckConstraint(
            "(study_id is null and role in ('player', 'researcher', 'admin')) or "
            "(study_id is not null and role in ('moderator', 'viewer'))",
            name="role",
        ),
    )

    id: Mapped[PublicId]
    email: Mapped[str] = mapped_column(String(254))
    role: Mapped[str] = mapped_column(String(16))
    study_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("studies.id", ondelete="CASCADE"), index=True
    )
    invited_by_id: Mapped[UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), index=True
    )
    token_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]

    study: Mapped[Study | None] = relationship(lazy="raise")
    invited_by: Mapped[Account] = relationship(lazy="raise")
