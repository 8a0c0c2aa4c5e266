"""What moderators should look at, and what they have decided about players."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Moment, RowId


class Flag(Base):
    """A mark on a round that something was odd about. It changes nothing by itself: the round and
    its labels stay as they are until somebody has looked."""

    __tablename__ = "flags"
    __table_args__ = (
        UniqueConstraint("round_id", "reason"),
        CheckConstraint(
            "reason in ('too fast', 'burst', 'dishonest labels', 'reported', 'profanity', "
            "'pasted', 'practice failures', 'many accounts')",
            name="reason",
        ),
        Index("ix_flags_player_id", "player_id", "created_at"),
        Index("ix_flags_open", "round_id", postgresql_where=text("settled_at is null")),
        Index("ix_flags_queue", "id", postgresql_where=text("settled_at is null")),
    )

    id: Mapped[RowId]
    player_id: Mapped[UUID] = mapped_column(ForeignKey("players.id", ondelete="CASCADE"))
    round_id: Mapped[UUID] = mapped_column(ForeignKey("rounds.id", ondelete="CASCADE"))
    reason: Mapped[str] = mapped_column(String(20))
    detail: Mapped[str] = mapped_column(String(200), default="")  # the measured figure, or the word
    settled_at: Mapped[Moment | None]  # when a moderator had looked
    created_at: Mapped[CreatedAt]


class Restriction(Base):
    """What a player may no longer do in a study.

    silenced: from then on their answers are taken and do not count. excluded: none of their answers
    counts, earlier ones neither. banned: none counts, and they are dealt no more rounds.
    """

    __tablename__ = "restrictions"
    __table_args__ = (CheckConstraint("kind in ('silenced', 'excluded', 'banned')", name="kind"),)

    study_id: Mapped[UUID] = mapped_column(
        ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True
    )
    player_id: Mapped[UUID] = mapped_column(
        ForeignKey("players.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    kind: Mapped[str] = mapped_column(String(16))
    since: Mapped[Moment]


class Note(Base):
    """A note from a study's moderators to a player, shown with their next round until they say that
    they have read it."""

    __tablename__ = "notes"
    __table_args__ = (
        Index("ix_notes_unread", "player_id", postgresql_where=text("acknowledged_at is null")),
        Index("ix_notes_study_id", "study_id", "player_id"),
    )

    id: Mapped[RowId]
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    player_id: Mapped[UUID] = mapped_column(ForeignKey("players.id", ondelete="CASCADE"))
    words: Mapped[str] = mapped_column(String(500))
    acknowledged_at: Mapped[Moment | None]
    created_at: Mapped[CreatedAt]


class PlayerDevice(Base):
    """A browser in which a player with an account has played, by a keyed digest of its cookie: it
    tells that two accounts share a device, and nothing of the device."""

    __tablename__ = "player_devices"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    player_id: Mapped[UUID] = mapped_column(
        ForeignKey("players.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    seen_on: Mapped[date]
