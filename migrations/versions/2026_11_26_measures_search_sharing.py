"""Classes measured with their network, words found by meaning, links to read explanations by.

Revision: 0007, after 0006
"""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import Vector
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The extension comes with PostgreSQL's image and with the embedded engine. It is marked as
    # trusted, so the database's owner may create it.
    op.execute("create extension if not exists vector")
    op.create_table(
        "word_embeddings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("word", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("embedding", Vector(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_word_embeddings")),
    )
    for n in (384, 768):
        op.create_index(
            f"ix_word_embeddings_nearest_{n}",
            "word_embeddings",
            [sa.literal_column(f"(embedding::vector({n}))").label("nearest")],
            unique=False,
            postgresql_using="hnsw",
            postgresql_ops={"nearest": "vector_cosine_ops"},
            postgresql_where=sa.text(f"vector_dims(embedding) = {n}"),
        )
    op.create_index(
        "uq_word_embeddings_model_word", "word_embeddings", ["model", "word"], unique=True
    )
    op.create_table(
        "share_links",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_share_links_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_share_links")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_share_links_token_digest")),
    )
    op.create_index(op.f("ix_share_links_study_id"), "share_links", ["study_id"], unique=False)
    op.create_table(
        "class_measurements",
        sa.Column("class_id", sa.BigInteger(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_by", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "(status = 'failed') = (failure is not null)",
            name=op.f("ck_class_measurements_failure"),
        ),
        sa.CheckConstraint(
            "status <> 'done' or made_at is not null", name=op.f("ck_class_measurements_made")
        ),
        sa.CheckConstraint(
            "status in ('pending', 'done', 'failed')", name=op.f("ck_class_measurements_status")
        ),
        sa.ForeignKeyConstraint(
            ["class_id"],
            ["study_classes.id"],
            name=op.f("fk_class_measurements_class_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("class_id", "simulated", name=op.f("pk_class_measurements")),
    )
    op.create_table(
        "concept_belongings",
        sa.Column("concept_id", sa.BigInteger(), nullable=False),
        sa.Column("own", sa.String(), nullable=False),
        sa.Column("own_similarity", sa.Double(), nullable=False),
        sa.Column("surrounding", sa.String(), nullable=False),
        sa.Column("surrounding_similarity", sa.Double(), nullable=False),
        sa.Column("is_foreign", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["concept_id"],
            ["concepts.id"],
            name=op.f("fk_concept_belongings_concept_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("concept_id", name=op.f("pk_concept_belongings")),
    )
    op.create_table(
        "concept_hidings",
        sa.Column("concept_id", sa.BigInteger(), nullable=False),
        sa.Column("n_pictures", sa.Integer(), nullable=False),
        sa.Column("area", sa.Double(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("hidden_probability", sa.Double(), nullable=False),
        sa.Column("elsewhere_probability", sa.Double(), nullable=False),
        sa.Column("drop", sa.Double(), nullable=False),
        sa.Column("drop_low", sa.Double(), nullable=True),
        sa.Column("drop_high", sa.Double(), nullable=True),
        sa.Column("difference", sa.Double(), nullable=False),
        sa.Column("difference_low", sa.Double(), nullable=True),
        sa.Column("difference_high", sa.Double(), nullable=True),
        sa.Column("n_changed", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["concept_id"],
            ["concepts.id"],
            name=op.f("fk_concept_hidings_concept_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("concept_id", name=op.f("pk_concept_hidings")),
    )
    op.create_table(
        "concept_tests",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("concept_id", sa.BigInteger(), nullable=False),
        sa.Column("layer_id", sa.BigInteger(), nullable=False),
        sa.Column("n_examples", sa.Integer(), nullable=False),
        sa.Column("accuracy", sa.Double(), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("p_value", sa.Double(), nullable=True),
        sa.Column("corrected_p_value", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["concept_id"],
            ["concepts.id"],
            name=op.f("fk_concept_tests_concept_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["layer_id"], ["layers.id"], name=op.f("fk_concept_tests_layer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_concept_tests")),
        sa.UniqueConstraint(
            "concept_id", "layer_id", name=op.f("uq_concept_tests_concept_id_layer_id")
        ),
    )
    op.create_index(op.f("ix_concept_tests_layer_id"), "concept_tests", ["layer_id"], unique=False)
    op.create_table(
        "map_prototypes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("cluster_map_id", sa.Uuid(), nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("peak", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_map_id"],
            ["cluster_maps.id"],
            name=op.f("fk_map_prototypes_cluster_map_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_map_prototypes_image_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_map_prototypes")),
        sa.UniqueConstraint(
            "cluster_map_id", "rank", name=op.f("uq_map_prototypes_cluster_map_id_rank")
        ),
    )
    op.create_index(
        op.f("ix_map_prototypes_image_id"), "map_prototypes", ["image_id"], unique=False
    )
    op.create_index("ix_concepts_name", "concepts", ["name"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_concepts_name", table_name="concepts")
    op.drop_table("map_prototypes")
    op.drop_table("concept_tests")
    op.drop_table("concept_hidings")
    op.drop_table("concept_belongings")
    op.drop_table("class_measurements")
    op.drop_table("share_links")
    op.drop_table("word_embeddings")
    op.execute("drop extension vector")
