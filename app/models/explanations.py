"""What the explanation of an image found, layer by layer."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, Moment, PublicId, RowId
from app.models.studies import Image, Layer


class LayerExplanation(Base):
    """One image at one layer: how many channels were kept, with how much of the weight."""

    __tablename__ = "layer_explanations"
    __table_args__ = (UniqueConstraint("image_id", "layer_id"),)

    id: Mapped[RowId]
    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    layer_id: Mapped[int] = mapped_column(ForeignKey("layers.id", ondelete="CASCADE"), index=True)
    n_kept: Mapped[int]
    kept_weight: Mapped[float]  # percent of the layer's weight


class ClusterMap(Base):
    """A group of similar feature maps, merged. Its array lies in the image's maps file."""

    __tablename__ = "cluster_maps"
    __table_args__ = (
        UniqueConstraint("image_id", "layer_id", "rank"),
        Index(
            "ix_cluster_maps_wanted",
            "study_id",
            "n_finished",
            "weight",
            postgresql_where=text("is_wanted"),
        ),
        CheckConstraint("n_leased >= 0", name="n_leased"),
    )

    id: Mapped[PublicId]
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    layer_id: Mapped[int] = mapped_column(ForeignKey("layers.id", ondelete="CASCADE"), index=True)
    rank: Mapped[int]  # 0 is the heaviest of its layer
    weight: Mapped[float]  # percent of the layer's weight
    # What the logit loses without it, to first order; none of maps that were computed before 0027.
    effect: Mapped[float | None]
    channels: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    array_name: Mapped[str] = mapped_column(String(64))
    # A map without contrast has no highest pixels to show, so it is never dealt.
    is_playable: Mapped[bool]
    # Finished rounds that were no practice, those of people and those of simulated players, counted
    # in the transaction that finishes one: dealing sorts by the own kind's.
    n_finished: Mapped[int] = mapped_column(default=0)
    simulated_n_finished: Mapped[int] = mapped_column(default=0, server_default="0")
    n_leased: Mapped[int] = mapped_column(default=0, server_default="0")  # open rounds with a place
    # The study's number; None: as many as people play.
    n_wanted: Mapped[int | None] = mapped_column(default=20, server_default="20")
    # Since when people's words for it have settled: see rules.SETTLED_MIN_ROUNDS.
    settled_at: Mapped[Moment | None]
    # Whether people may be dealt it. A trigger counts a picture's maps of which this holds.
    is_wanted: Mapped[bool] = mapped_column(
        Computed(
            "is_playable and settled_at is null "
            "and n_finished + n_leased < coalesce(n_wanted, 2147483647)",
            persisted=True,
        )
    )

    image: Mapped[Image] = relationship(lazy="raise")
    layer: Mapped[Layer] = relationship(lazy="raise")
    known_answer: Mapped["KnownAnswer | None"] = relationship(lazy="raise", viewonly=True)


class KnownAnswer(Base):
    """What a cluster map shows, where that is beyond doubt: practice rounds are about such maps."""

    __tablename__ = "known_answers"
    __table_args__ = (
        CheckConstraint("energy_share > 0.6 and energy_share <= 1", name="share"),
        Index("ix_known_answers_study_id", "study_id", "cluster_map_id"),
    )

    cluster_map_id: Mapped[UUID] = mapped_column(
        ForeignKey("cluster_maps.id", ondelete="CASCADE"), primary_key=True
    )
    # Repeated from the map, so that those of a study are one stretch of an index.
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    region: Mapped[str] = mapped_column(String(60))  # as players are told: "This spot shows the …"
    words: Mapped[list[str]] = mapped_column(JSONB)  # any of them names it; tidied, lower case
    energy_share: Mapped[float]  # 0..1, the share of the map's energy that lies in the region


class LocalExplanation(Base):
    """An image's explanation in words: per layer the cluster maps, plain and merged by label, with
    their concepts. Made by the concepts job; the page only draws it. One comes from the words of
    people, one from those of simulated players."""

    __tablename__ = "local_explanations"

    image_id: Mapped[UUID] = mapped_column(
        ForeignKey("images.id", ondelete="CASCADE"), primary_key=True
    )
    simulated: Mapped[bool] = mapped_column(primary_key=True, default=False, server_default=false())
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)
    made_by: Mapped[dict[str, Any]] = mapped_column(JSONB)
    made_at: Mapped[Moment]
    # The last run that came to it; None for those made before runs were kept.
    run_id: Mapped[int | None] = mapped_column(
        ForeignKey("concept_runs.id", ondelete="SET NULL"), index=True
    )


class Contrast(Base):
    """Why a picture's class and not another: how much of what speaks for the one rather than for
    the other lies in each of the picture's cluster maps."""

    __tablename__ = "contrasts"
    __table_args__ = (
        UniqueConstraint("image_id", "other_index"),
        CheckConstraint("status in ('pending', 'done', 'failed')", name="status"),
        CheckConstraint("(status = 'failed') = (failure is not null)", name="failure"),
        CheckConstraint("(status = 'done') = (weights is not null)", name="weights"),
        Index("ix_contrasts_pending", "asked_at", postgresql_where=text("status = 'pending'")),
    )

    id: Mapped[PublicId]
    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    other_index: Mapped[int]  # of the network's classes
    other_name: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(16), default="pending")
    failure: Mapped[str | None]
    # By cluster map, percent of its layer's weight for the difference of the two logits.
    weights: Mapped[dict[str, float] | None] = mapped_column(JSONB(none_as_null=True))
    difference: Mapped[float | None]  # of the logits
    asked_at: Mapped[Moment]
    made_at: Mapped[Moment | None]
    made_by: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))

    image: Mapped[Image] = relationship(lazy="raise")
