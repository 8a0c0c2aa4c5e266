"""Rounds and the points they earn."""

from datetime import date
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
    Uuid,
    and_,
    false,
    not_,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.hybrid import hybrid_property
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
        CheckConstraint("lesson is null or practice", name="lesson"),
        CheckConstraint("place_until is null or (status = 'open' and not practice)", name="place"),
        CheckConstraint("not is_spare or (status <> 'open' and not practice)", name="spare"),
        CheckConstraint("not is_excluded or (status <> 'open' and not practice)", name="excluded"),
        CheckConstraint("not is_ahead or (status = 'open' and place_until is null)", name="ahead"),
        CheckConstraint("not nothing_nameable or status <> 'open'", name="nothing_nameable"),
        Index(
            "ix_rounds_place_until",
            "place_until",
            postgresql_where=text("place_until is not null"),
        ),
        Index("ix_rounds_study", "study_id", "practice"),
        Index("ix_rounds_player_finished", "player_id", text("finished_at desc")),
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
    # Which round of a new player's introduction it is, from 1; None for any other.
    lesson: Mapped[int | None] = mapped_column(SmallInteger)
    # While it is set, one of the rounds wanted of the map is kept for this one. A round left open
    # gives its place back then, and is still its player's.
    place_until: Mapped[Moment | None]
    # Finished when the map had all the rounds wanted. It earned points, and counts in no result.
    is_spare: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Moderators have decided about its player that it counts in no result: see Restriction.
    is_excluded: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Dealt while the player still reads the last answer, so that its picture can be fetched ahead.
    # Nobody has seen it yet, and it has no place: it gets one when it is shown.
    is_ahead: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Its player says that what was lit shows nothing that a word would name. It has no labels then.
    nothing_nameable: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Played at the same time as somebody else, or against somebody's words: see models.live.
    with_partner: Mapped[bool] = mapped_column(default=False, server_default=false())
    daily_on: Mapped[date | None]  # the day whose challenge it belongs to
    taboo: Mapped[list[str]] = mapped_column(ARRAY(String(60)), default=list, server_default="{}")
    dealt_at: Mapped[CreatedAt]
    last_step_at: Mapped[CreatedAt]  # dealt, or the last reveal
    finished_at: Mapped[Moment | None]

    cluster_map: Mapped[ClusterMap] = relationship(lazy="raise")
    player: Mapped[Player] = relationship(lazy="raise")
    guessed_class: Mapped[StudyClass | None] = relationship(lazy="raise")

    @property
    def is_open(self) -> bool:
        return self.status == "open"

    @property
    def is_won(self) -> bool:
        return self.status == "won"

    @hybrid_property
    def counts(self) -> bool:
        """Whether it counts in the results of its study, once it is finished."""
        return not (self.practice or self.is_spare or self.is_excluded)

    @counts.inplace.expression
    @classmethod
    def _counts(cls) -> ColumnElement[bool]:
        return and_(not_(cls.practice), not_(cls.is_spare), not_(cls.is_excluded))


class Hand(Base):
    """A player's way through a study: the pictures at hand, and how far the deck has been drawn.

    The deck is the study's pictures by their random ids, from the player's own id on and round.
    Each lap goes through it once and gives one map of a picture.
    """

    __tablename__ = "hands"

    player_id: Mapped[UUID] = mapped_column(
        ForeignKey("players.id", ondelete="CASCADE"), primary_key=True
    )
    study_id: Mapped[UUID] = mapped_column(
        ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True
    )
    n_dealt: Mapped[int] = mapped_column(default=0)
    lap: Mapped[int] = mapped_column(default=1)
    drawn_to: Mapped[UUID | None]  # the picture drawn last in this lap
    image_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), default=list)


class DailyMap(Base):
    """One of the maps of a study's challenge of a day, the same for everybody."""

    __tablename__ = "daily_maps"
    __table_args__ = (UniqueConstraint("study_id", "day", "cluster_map_id"),)

    study_id: Mapped[UUID] = mapped_column(
        ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    cluster_map_id: Mapped[UUID] = mapped_column(ForeignKey("cluster_maps.id", ondelete="CASCADE"))


class PointsEntry(Base):
    """A line of the points ledger: why, and in which round. Lines are added, never changed: the
    database refuses it, and adds each to the totals (see models.standings).

    Points belong to the player of their round. `player_id` says who earned them at the time, which
    is another one where a guest has signed in since.
    """

    __tablename__ = "points_entries"
    __table_args__ = (
        UniqueConstraint("round_id", "reason", "detail"),
        # A label is paid for agreeing once, at once or later.
        Index(
            "uq_points_entries_agreed",
            "round_id",
            "detail",
            unique=True,
            postgresql_where=text("reason in ('agreement', 'confirmed')"),
        ),
        # These are earned once by a player, whatever the round. The detail is the badge or the day.
        Index(
            "uq_points_entries_once",
            "player_id",
            "reason",
            "detail",
            unique=True,
            postgresql_where=text("reason in ('badge', 'streak', 'daily')"),
        ),
        CheckConstraint("points > 0", name="points"),
        CheckConstraint(
            "reason in ('guess', 'agreement', 'confirmed', 'first', 'practice', 'streak', 'daily', "
            "'badge', 'met')",
            name="reason",
        ),
        Index("ix_points_entries_player", "player_id", "created_at"),
    )

    id: Mapped[RowId]
    player_id: Mapped[UUID] = mapped_column(ForeignKey("players.id"))
    round_id: Mapped[UUID] = mapped_column(ForeignKey("rounds.id"))
    reason: Mapped[str] = mapped_column(String(16))
    # The label that agreed or met (none: that nothing is nameable), the badge, or the day.
    detail: Mapped[str] = mapped_column(String(60), default="")
    points: Mapped[int]
    created_at: Mapped[CreatedAt]
