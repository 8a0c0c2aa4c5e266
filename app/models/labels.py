"""What players typed, and the concepts found in it."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.concepts.scoring import paper_score
from app.models.base import Base, CreatedAt, Moment, RowId
from app.models.rounds import Round
from app.models.studies import StudyClass


class Concept(Base):
    """A group of labels of one image class that mean the same, under its best word: labels of
    people, or of simulated players, never of both.

    A run of the concepts job keeps the row of a concept that shares its labels, whatever its name
    is now.
    """

    __tablename__ = "concepts"
    __table_args__ = (
        UniqueConstraint("class_id", "simulated", "name"),
        Index("ix_concepts_name", "name"),
    )

    id: Mapped[RowId]
    class_id: Mapped[int] = mapped_column(ForeignKey("study_classes.id", ondelete="CASCADE"))
    simulated: Mapped[bool] = mapped_column(default=False, server_default=false())
    name: Mapped[str] = mapped_column(String(60))
    # A person has decided about it: no run takes it away or calls it otherwise.
    is_fixed: Mapped[bool] = mapped_column(default=False, server_default=false())
    # What it became by such a decision: its page's address leads on, and no label is in it.
    merged_into_id: Mapped[int | None] = mapped_column(
        ForeignKey("concepts.id", ondelete="CASCADE"), index=True
    )
    is_junk: Mapped[bool] = mapped_column(default=False, server_default=false())
    # A researcher's word on whether it is part of its class; it counts before what words mean. What
    # is none of it should not matter: False marks a bias. None: nobody has said.
    is_part: Mapped[bool | None]
    created_at: Mapped[CreatedAt]

    image_class: Mapped[StudyClass] = relationship(lazy="raise")


class ConceptPin(Base):
    """A person's decision where labels of this text belong, whatever the concepts job finds: in a
    concept, or, without one, with what says nothing."""

    __tablename__ = "concept_pins"
    __table_args__ = (UniqueConstraint("class_id", "simulated", "text"),)

    id: Mapped[RowId]
    class_id: Mapped[int] = mapped_column(ForeignKey("study_classes.id", ondelete="CASCADE"))
    simulated: Mapped[bool] = mapped_column(default=False, server_default=false())
    text: Mapped[str] = mapped_column(Text)  # tidied, which may make it longer
    concept_id: Mapped[int | None] = mapped_column(
        ForeignKey("concepts.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[CreatedAt]


class ConceptRun(Base):
    """What a run of the concepts job came to, and from what: kept as it was, whatever later runs
    find. Numbered within a class and kind of players, from 1."""

    __tablename__ = "concept_runs"
    __table_args__ = (UniqueConstraint("class_id", "simulated", "number"),)

    id: Mapped[RowId]
    class_id: Mapped[int] = mapped_column(ForeignKey("study_classes.id", ondelete="CASCADE"))
    simulated: Mapped[bool]
    number: Mapped[int]
    made_at: Mapped[Moment]
    made_by: Mapped[dict[str, Any]] = mapped_column(JSONB)  # versions, recipe, sentence model
    n_labels: Mapped[int]
    # Of all that the run took and came to: the same again is no new run.
    digest: Mapped[str] = mapped_column(String(64))
    agreement: Mapped[dict[str, Any]] = mapped_column(JSONB)  # as app.concepts.agreement has it
    # Compact, as it may name thousands of maps: see services.concept_runs.
    result: Mapped[dict[str, Any]] = mapped_column(JSONB)

    image_class: Mapped[StudyClass] = relationship(lazy="raise")


class Label(Base):
    """One label as a player typed it. `text` never changes; the concepts job says what it means, a
    moderator may hide it."""

    __tablename__ = "labels"
    __table_args__ = (
        UniqueConstraint("round_id", "position"),
        Index("ix_labels_cluster_map_id", "cluster_map_id"),
        Index("ix_labels_hidden_at", "hidden_at", postgresql_where=sql("hidden_at is not null")),
        CheckConstraint(
            "remark in ('class name', 'empty', 'mash', 'repeated', 'pasted', 'taboo')",
            name="remark",
        ),
    )

    id: Mapped[RowId]
    round_id: Mapped[UUID] = mapped_column(ForeignKey("rounds.id", ondelete="CASCADE"))
    # Repeated from the round, so that "what others typed here" is one index look-up.
    cluster_map_id: Mapped[UUID] = mapped_column(ForeignKey("cluster_maps.id", ondelete="CASCADE"))
    position: Mapped[int]
    text: Mapped[str] = mapped_column(String(60))
    # Why it can earn nothing. What it means is for the concepts job to say, all the same.
    remark: Mapped[str | None] = mapped_column(String(16))
    concept_id: Mapped[int | None] = mapped_column(
        ForeignKey("concepts.id", ondelete="SET NULL"), index=True
    )
    # Since when a moderator has hidden it: it is kept, is shown to nobody else, and means nothing.
    hidden_at: Mapped[Moment | None]
    created_at: Mapped[CreatedAt]

    round: Mapped[Round] = relationship(lazy="raise")
    concept: Mapped[Concept | None] = relationship(lazy="raise")


class NewLabels(Base):
    """A finished round, by the number of its labels, that no concepts job has taken up yet. Rows
    are added and taken away, never changed, so that players of one class do not wait for each
    other."""

    __tablename__ = "new_labels"
    __table_args__ = (Index("ix_new_labels_class_id", "class_id", "simulated"),)

    id: Mapped[RowId]
    class_id: Mapped[int] = mapped_column(ForeignKey("study_classes.id", ondelete="CASCADE"))
    simulated: Mapped[bool]
    n_labels: Mapped[int]
    created_at: Mapped[CreatedAt]


class ConceptScore(Base):
    """How strongly a concept belongs to a cluster map. `score` is the one that results go by."""

    __tablename__ = "concept_scores"
    __table_args__ = (UniqueConstraint("cluster_map_id", "concept_id"),)

    id: Mapped[RowId]
    cluster_map_id: Mapped[UUID] = mapped_column(ForeignKey("cluster_maps.id", ondelete="CASCADE"))
    concept_id: Mapped[int] = mapped_column(
        ForeignKey("concepts.id", ondelete="CASCADE"), index=True
    )
    n_given: Mapped[int]
    mean_reveal_index: Mapped[float]
    any_right: Mapped[bool]
    score: Mapped[float]

    concept: Mapped[Concept] = relationship(lazy="raise")

    @property
    def paper_score(self) -> float:
        """The score of Bianchi et al. 2024, whichever recipe gave `score`."""
        return paper_score(self.n_given, self.mean_reveal_index, any_right=self.any_right)
