"""What was measured about the concepts of a class."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Moment, RowId


class ClassMeasurement(Base):
    """That a class's concepts, those of people or of simulated players, were to be measured with
    the network, and how far that has come. The numbers are in concept_tests and
    concept_hidings."""

    __tablename__ = "class_measurements"
    __table_args__ = (
        CheckConstraint("status in ('pending', 'done', 'failed')", name="status"),
        CheckConstraint("(status = 'failed') = (failure is not null)", name="failure"),
        CheckConstraint("status <> 'done' or made_at is not null", name="made"),
    )

    class_id: Mapped[int] = mapped_column(
        ForeignKey("study_classes.id", ondelete="CASCADE"), primary_key=True
    )
    simulated: Mapped[bool] = mapped_column(primary_key=True)
    status: Mapped[str]
    failure: Mapped[str | None]
    asked_at: Mapped[Moment]
    made_at: Mapped[Moment | None]
    made_by: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


class ConceptTest(Base):
    """TCAV of a concept at a layer. The numbers are missing where there were too few examples."""

    __tablename__ = "concept_tests"
    __table_args__ = (UniqueConstraint("concept_id", "layer_id"),)

    id: Mapped[RowId]
    concept_id: Mapped[int] = mapped_column(ForeignKey("concepts.id", ondelete="CASCADE"))
    layer_id: Mapped[int] = mapped_column(ForeignKey("layers.id", ondelete="CASCADE"), index=True)
    n_examples: Mapped[int]
    accuracy: Mapped[float | None]  # share of left-out examples told rightly, 0..1
    score: Mapped[float | None]  # share of pictures whose logit grows along the direction, 0..1
    p_value: Mapped[float | None]
    corrected_p_value: Mapped[float | None]  # as if no other concept of the class had been tested


class ConceptHiding(Base):
    """What the network does when a concept's region is hidden, against equal regions elsewhere.

    Probabilities of the class, 0..1, means over n_pictures; ends of 95 % intervals, missing for a
    single picture.
    """

    __tablename__ = "concept_hidings"

    concept_id: Mapped[int] = mapped_column(
        ForeignKey("concepts.id", ondelete="CASCADE"), primary_key=True
    )
    n_pictures: Mapped[int]
    area: Mapped[float]  # share of the picture that was hidden, 0..1
    probability: Mapped[float]
    hidden_probability: Mapped[float]
    elsewhere_probability: Mapped[float]
    drop: Mapped[float]
    drop_low: Mapped[float | None]
    drop_high: Mapped[float | None]
    difference: Mapped[float]  # of the drop to that for regions elsewhere
    difference_low: Mapped[float | None]
    difference_high: Mapped[float | None]
    n_changed: Mapped[int]  # pictures in which the network then says another class


class ConceptBelonging(Base):
    """Whether a concept is near to its class in meaning, or to what is around things."""

    __tablename__ = "concept_belongings"

    concept_id: Mapped[int] = mapped_column(
        ForeignKey("concepts.id", ondelete="CASCADE"), primary_key=True
    )
    own: Mapped[str]
    own_similarity: Mapped[float]
    surrounding: Mapped[str]
    surrounding_similarity: Mapped[float]
    is_foreign: Mapped[bool]


class MapPrototype(Base):
    """A picture of the study that drives a cluster map's channels, other than the map's own."""

    __tablename__ = "map_prototypes"
    __table_args__ = (UniqueConstraint("cluster_map_id", "rank"),)

    id: Mapped[RowId]
    cluster_map_id: Mapped[UUID] = mapped_column(ForeignKey("cluster_maps.id", ondelete="CASCADE"))
    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), index=True)
    rank: Mapped[int]  # 0 is the picture that drives them most
    peak: Mapped[float]  # the mean of the channels at its highest, in percent of the own picture's
