"""What moderators should look at, and what they have decided about players."""

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
            "reason in ('too fast', 'burst', 'dishonest labels', 'reported')", name="reason"
        ),
        Index("ix_flags_player_id", "player_id", "created_at"),
        Index("ix_flags_open", "round_id", postgresql_where=text("settled_at is null")),
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
