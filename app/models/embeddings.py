"""What texts mean to a sentence model."""

from typing import Any

from pgvector.sqlalchemy import Vector
from sqlalchemy import Index, String, Text, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

INDEXED_DIMENSIONS = (384, 768)
"""Those of all-MiniLM-L6-v2, which is packaged, and of the paper's all-mpnet-base-v2. Directions
that other models give are found by reading them all."""


class Embedding(Base):
    """The direction in which a model's meaning of a text points, so that no job works it out
    twice. A cache: whatever is deleted comes back.

    Of concepts' names alone it is there as `direction` too, by which they are searched: an index of
    every label ever typed would be large, and mostly in the way. A direction has as many numbers as
    its model makes, so the column has no fixed number of them, and each number that is usual has an
    index of its own.
    """

    __tablename__ = "embeddings"
    __table_args__ = tuple(
        Index(
            f"ix_embeddings_nearest_{n}",
            literal_column(f"(direction::vector({n}))").label("nearest"),
            postgresql_using="hnsw",
            postgresql_ops={"nearest": "vector_cosine_ops"},
            postgresql_where=text(f"vector_dims(direction) = {n}"),
        )
        for n in INDEXED_DIMENSIONS
    )

    model: Mapped[str] = mapped_column(String(300), primary_key=True)
    # Read and written as bytes: a job takes up thousands, and the other column's text is slow.
    text: Mapped[str] = mapped_column(Text, primary_key=True)
    vector: Mapped[bytes]  # float32, little-endian
    direction: Mapped[Any | None] = mapped_column(Vector())
