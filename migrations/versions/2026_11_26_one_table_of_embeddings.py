"""One table of embeddings: those that are kept for jobs, and of concepts' names those searched.

Revision: 0021, after 0020
"""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import Vector

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_DIMENSIONS = (384, 768)


def _index(table: str, column: str, n: int) -> None:
    op.create_index(
        f"ix_{table}_nearest_{n}",
        table,
        [sa.literal_column(f"({column}::vector({n}))").label("nearest")],
        unique=False,
        postgresql_using="hnsw",
        postgresql_ops={"nearest": "vector_cosine_ops"},
        postgresql_where=sa.text(f"vector_dims({column}) = {n}"),
    )


def upgrade() -> None:
    op.add_column("embeddings", sa.Column("direction", Vector(), nullable=True))
    # Names that no job has kept are embedded again by the upkeep task, within minutes.
    op.execute(
        "update embeddings set direction = words.embedding from word_embeddings words "
        "where words.model = embeddings.model and words.word = embeddings.text"
    )
    op.drop_table("word_embeddings")
    for n in _DIMENSIONS:
        _index("embeddings", "direction", n)


def downgrade() -> None:
    op.create_table(
        "word_embeddings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("word", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("embedding", Vector(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_word_embeddings")),
    )
    op.execute(
        "insert into word_embeddings (word, model, embedding) "
        "select text, model, direction from embeddings where direction is not null"
    )
    op.create_index(
        "uq_word_embeddings_model_word", "word_embeddings", ["model", "word"], unique=True
    )
    for n in _DIMENSIONS:
        _index("word_embeddings", "embedding", n)
        op.drop_index(f"ix_embeddings_nearest_{n}", table_name="embeddings")
    op.drop_column("embeddings", "direction")
