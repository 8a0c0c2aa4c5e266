"""Concepts that people have a hand in, and embeddings kept.

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("is_fixed", "is_junk"):
        op.add_column(
            "concepts", sa.Column(column, sa.Boolean(), server_default=sa.false(), nullable=False)
        )
    op.add_column("concepts", sa.Column("is_part", sa.Boolean(), nullable=True))
    op.add_column("concepts", sa.Column("merged_into_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_concepts_merged_into_id"),
        "concepts",
        "concepts",
        ["merged_into_id"],
        ["id"],
        ondelete="CASCADE",
    )
    op.create_index(op.f("ix_concepts_merged_into_id"), "concepts", ["merged_into_id"])
    op.create_table(
        "concept_pins",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("class_id", sa.BigInteger(), nullable=False),
        sa.Column("simulated", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("concept_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["class_id"],
            ["study_classes.id"],
            name=op.f("fk_concept_pins_class_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["concept_id"],
            ["concepts.id"],
            name=op.f("fk_concept_pins_concept_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_concept_pins")),
        sa.UniqueConstraint(
            "class_id", "simulated", "text", name=op.f("uq_concept_pins_class_id_simulated_text")
        ),
    )
    op.create_index(op.f("ix_concept_pins_concept_id"), "concept_pins", ["concept_id"])
    op.create_table(
        "embeddings",
        sa.Column("model", sa.String(length=300), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("model", "text", name=op.f("pk_embeddings")),
    )


def downgrade() -> None:
    op.drop_table("embeddings")
    op.drop_index(op.f("ix_concept_pins_concept_id"), table_name="concept_pins")
    op.drop_table("concept_pins")
    op.drop_index(op.f("ix_concepts_merged_into_id"), table_name="concepts")
    # Without the column nothing would tell them from the others, which hold labels.
    op.execute("delete from concepts where merged_into_id is not null or is_junk")
    op.drop_column("concepts", "merged_into_id")
    for column in ("is_part", "is_junk", "is_fixed"):
        op.drop_column("concepts", column)
