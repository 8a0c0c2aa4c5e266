"""What the explanation of an image found, layer by layer."""

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint
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
        Index("ix_cluster_maps_dealing", "study_id", "n_finished", "weight"),
    )

    id: Mapped[PublicId]
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    layer_id: Mapped[int] = mapped_column(ForeignKey("layers.id", ondelete="CASCADE"), index=True)
    rank: Mapped[int]  # 0 is the heaviest of its layer
    weight: Mapped[float]  # percent of the layer's weight
    channels: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    array_name: Mapped[str] = mapped_column(String(64))
    # A map without contrast has no highest pixels to show, so it is never dealt.
    is_playable: Mapped[bool]
    # Finished rounds, counted in the transaction that finishes one: dealing sorts by it.
    n_finished: Mapped[int] = mapped_column(default=0)

    image: Mapped[Image] = relationship(lazy="raise")
    layer: Mapped[Layer] = relationship(lazy="raise")


class LocalExplanation(Base):
    """An image's explanation in words: per layer the cluster maps, plain and merged by label, with
    their concepts. Made by the concepts job; the page only draws it."""

    __tablename__ = "local_explanations"

    image_id: Mapped[UUID] = mapped_column(
        ForeignKey("images.id", ondelete="CASCADE"), primary_key=True
    )
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)
    made_by: Mapped[dict[str, Any]] = mapped_column(JSONB)
    made_at: Mapped[Moment]
