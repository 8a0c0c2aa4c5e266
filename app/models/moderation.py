"""What moderators should look at."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, RowId


class Flag(Base):
    """A mark on a round that something was odd about. It changes nothing by itself: the round and
    its labels stay as they are until somebody has looked."""

    __tablename__ = "flags"
    __table_args__ = (
        UniqueConstraint("round_id", "reason"),
        CheckConstraint("reason in ('too fast', 'burst', 'dishonest labels')", name="reason"),
        Index("ix_flags_player_id", "player_id", "created_at"),
    )

    id: Mapped[RowId]
    player_id: Mapped[UUID] = mapped_column(ForeignKey("players.id", ondelete="CASCADE"))
    round_id: Mapped[UUID] = mapped_column(ForeignKey("rounds.id", ondelete="CASCADE"))
    reason: Mapped[str] = mapped_column(String(20))
    detail: Mapped[str] = mapped_column(String(200), default="")  # the measured figure
    created_at: Mapped[CreatedAt]
