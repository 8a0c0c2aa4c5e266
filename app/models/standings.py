"""What the points ledger and the rounds add up to. All of it can be made anew from them.

The totals and the steps are kept by a trigger on the ledger (see the migration): whoever adds a
line, the sums are right when the transaction ends.
"""

from datetime import date
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, SmallInteger, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Moment, RowId

EVERY_STUDY = UUID(int=0)
"""The scope of a board for all studies together."""


class Board(Base):
    """Whose points are ranked together: of one study or all, of a day, a week or all time.

    A day is one of UTC. Simulated players have boards of their own.
    """

    __tablename__ = "boards"
    __table_args__ = (UniqueConstraint("scope", "period", "simulated"),)

    id: Mapped[RowId]
    scope: Mapped[UUID]  # a study's id, or EVERY_STUDY
    period: Mapped[str] = mapped_column(String(10))  # "2026-11-26", "2026-W48" or "all"
    simulated: Mapped[bool] = mapped_column(server_default=false())


class BoardTotal(Base):
    """A player's points on a board, and since when they have been so many."""

    __tablename__ = "board_totals"

    board_id: Mapped[int] = mapped_column(
        ForeignKey("boards.id", ondelete="CASCADE"), primary_key=True
    )
    player_id: Mapped[UUID] = mapped_column(ForeignKey("players.id"), primary_key=True)
    points: Mapped[int]
    reached_at: Mapped[Moment]


Index(
    "ix_board_totals_rank",
    BoardTotal.board_id,
    BoardTotal.points.desc(),
    BoardTotal.reached_at,
    BoardTotal.player_id,
)


class BoardStep(Base):
    """How many players of a board have points within a step. To rank a player is to add up the
    steps above, and to count within their own: as quick among a million as among ten.

    A step is one number of points below 128, from there on a sixty-fourth of a power of two. Each
    is kept in a few shards, so that players who earn at the same moment seldom wait for each other.
    """

    __tablename__ = "board_steps"

    board_id: Mapped[int] = mapped_column(
        ForeignKey("boards.id", ondelete="CASCADE"), primary_key=True
    )
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    shard: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    n_players: Mapped[int]


class Tally(Base):
    """What a player has done so far, counted in the transaction that does it."""

    __tablename__ = "tallies"

    player_id: Mapped[UUID] = mapped_column(
        ForeignKey("players.id", ondelete="CASCADE"), primary_key=True
    )
    n_rounds: Mapped[int] = mapped_column(default=0)
    n_right: Mapped[int] = mapped_column(default=0)
    n_from_first: Mapped[int] = mapped_column(default=0)  # right from the first spots
    n_practice: Mapped[int] = mapped_column(default=0)
    n_named: Mapped[int] = mapped_column(default=0)  # practice rounds named
    n_confirmed: Mapped[int] = mapped_column(default=0)  # labels that others agreed with
    n_first: Mapped[int] = mapped_column(default=0)
    n_daily: Mapped[int] = mapped_column(default=0)
    streak_days: Mapped[int] = mapped_column(default=0)  # up to last_day
    best_streak: Mapped[int] = mapped_column(default=0)
    last_day: Mapped[date | None]  # of UTC, of the last finished round
    news_seen_to: Mapped[int] = mapped_column(BigInteger, default=0)  # the last line told as news
