"""Rounds and the points they earn."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.accounts import Player
from app.models.base import Base, CreatedAt, Moment, PublicId, RowId
from app.models.explanations import ClusterMap
from app.models.studies import StudyClass


class Round(Base):
    """One player, one cluster map, from dealing to the answer."""

    __tablename__ = "rounds"
    __table_args__ = (
        # Nobody is dealt a map twice, and has one open round in a study at a time.
        UniqueConstraint("player_id", "cluster_map_id"),
        Index(
            "uq_rounds_open",
            "player_id",
            "study_id",
            unique=True,
            postgresql_where=text("status = 'open'"),
        ),
        CheckConstraint("status in ('open', 'won', 'lost', 'resigned')", name="status"),
        CheckConstraint("(status = 'open') = (finished_at is null)", name="finished"),
        CheckConstraint(
            "(status in ('won', 'lost')) = (guessed_class_id is not null)", name="guess"
        ),
        CheckConstraint("reveal_index between 0 and 5", name="reveal_index"),
        CheckConstraint(
            "(named_known is not null) = (practice and status in ('won', 'lost'))",
            name="named_known",
        ),
    )

    id: Mapped[PublicId]
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    cluster_map_id: Mapped[UUID] = mapped_column(
        ForeignKey("cluster_maps.id", ondelete="CASCADE"), index=True
    )
    player_id: Mapped[UUID] = mapped_column(ForeignKey("players.id"))
    status: Mapped[str] = mapped_column(String(16), default="open")
    reveal_index: Mapped[int] = mapped_column(default=0)
    guessed_class_id: Mapped[int | None] = mapped_column(ForeignKey("study_classes.id"))
    # A practice round is about a map with a known answer, and counts in no result.
    practice: Mapped[bool] = mapped_column(default=False, server_default=false())
    named_known: Mapped[bool | None]  # whether a label named what is known; set by the guess
    dealt_at: Mapped[CreatedAt]
    finished_at: Mapped[Moment | None]

    cluster_map: Mapped[ClusterMap] = relationship(lazy="raise")
    player: Mapped[Player] = relationship(lazy="raise")
    guessed_class: Mapped[StudyClass | None] = relationship(lazy="raise")

    @property
    def is_open(self) -> bool:
        return self.status == "open"


class PointsEntry(Base):
    """A line of the points ledger. Lines are added, never changed: the database refuses it.

    Points belong to the player of their round. `player_id` says who earned them at the time, which
    is another one where a guest has signed in since.
    """

    __tablename__ = "points_entries"
    __table_args__ = (
        UniqueConstraint("round_id", "reason", "detail"),
        CheckConstraint("points > 0", name="points"),
        CheckConstraint("reason in ('guess', 'agreement', 'practice')", name="reason"),
        Index("ix_points_entries_player", "player_id", "created_at"),
    )

    id: Mapped[RowId]
    player_id: Mapped[UUID] = mapped_column(ForeignKey("players.id"))
    round_id: Mapped[UUID] = mapped_column(ForeignKey("rounds.id"))
    reason: Mapped[str] = mapped_column(String(16))
    detail: Mapped[str] = mapped_column(String(60), default="")  # the label that agreed
    points: Mapped[int]
    created_at: Mapped[CreatedAt]
