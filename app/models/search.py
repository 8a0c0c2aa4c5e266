"""What is searched by meaning."""

from typing import Any

from pgvector.sqlalchemy import Vector
from sqlalchemy import Index, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, RowId

INDEXED_DIMENSIONS = (384, 768)
"""Those of all-MiniLM-L6-v2, which is packaged, and of the paper's all-mpnet-base-v2. Vectors of
other models are found by reading them all."""


class WordEmbedding(Base):
    """The direction in which a model sees a concept's name; one row however many concepts have it.

    A vector has as many numbers as its model makes, so the column has no fixed number of them, and
    each number that is usual has an index of its own.
    """

    __tablename__ = "word_embeddings"
    __table_args__ = (
        Index("uq_word_embeddings_model_word", "model", "word", unique=True),
        *(
            Index(
                f"ix_word_embeddings_nearest_{n}",
                literal_column(f"(embedding::vector({n}))").label("nearest"),
                postgresql_using="hnsw",
                postgresql_ops={"nearest": "vector_cosine_ops"},
                postgresql_where=text(f"vector_dims(embedding) = {n}"),
            )
            for n in INDEXED_DIMENSIONS
        ),
    )

    id: Mapped[RowId]
    word: Mapped[str]
    model: Mapped[str]
    embedding: Mapped[Any] = mapped_column(Vector())
