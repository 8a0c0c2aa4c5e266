"""Results of people and of simulated players apart; practice rounds with a known answer.

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

# Code that still runs knows none of the new columns: those that must not be empty have a default.
# What simulated players did so far was counted with people: take it apart, and have the concepts of
# the classes that they played made anew from each kind's own words.
_COUNT_APART = """
update cluster_maps
set n_finished = n_finished - played.n, simulated_n_finished = played.n
from (
    select rounds.cluster_map_id, count(*) as n
    from rounds join players on players.id = rounds.player_id
    where players.kind = 'simulated' and rounds.status <> 'open'
    group by rounds.cluster_map_id
) played
where played.cluster_map_id = cluster_maps.id
"""
_MAKE_ANEW = """
update study_classes
set has_new_labels = true, has_new_simulated_labels = true
where id in (
    select images.class_id
    from images
    join cluster_maps on cluster_maps.image_id = images.id
    where cluster_maps.simulated_n_finished > 0
)
"""
_COUNT_TOGETHER = "update cluster_maps set n_finished = n_finished + simulated_n_finished"

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, column in (
        ("study_classes", "has_new_simulated_labels"),
        ("concepts", "simulated"),
        ("local_explanations", "simulated"),
        ("rounds", "practice"),
    ):
        op.add_column(
            table, sa.Column(column, sa.Boolean(), server_default=sa.false(), nullable=False)
        )
    op.add_column(
        "cluster_maps",
        sa.Column("simulated_n_finished", sa.Integer(), server_default="0", nullable=False),
    )
    op.add_column("rounds", sa.Column("named_known", sa.Boolean(), nullable=True))
    op.create_table(
        "known_answers",
        sa.Column("cluster_map_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.String(length=60), nullable=False),
        sa.Column("words", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("energy_share", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "energy_share > 0.6 and energy_share <= 1", name=op.f("ck_known_answers_share")
        ),
        sa.ForeignKeyConstraint(
            ["cluster_map_id"],
            ["cluster_maps.id"],
            name=op.f("fk_known_answers_cluster_map_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("cluster_map_id", name=op.f("pk_known_answers")),
    )

    op.execute(_COUNT_APART)
    op.execute(_MAKE_ANEW)

    op.create_index(
        "ix_cluster_maps_dealing_simulated",
        "cluster_maps",
        ["study_id", "simulated_n_finished", "weight"],
        unique=False,
    )
    op.create_unique_constraint(
        op.f("uq_concepts_class_id_simulated_name"), "concepts", ["class_id", "simulated", "name"]
    )
    op.drop_constraint(op.f("uq_concepts_class_id_name"), "concepts", type_="unique")
    op.drop_constraint(op.f("pk_local_explanations"), "local_explanations", type_="primary")
    op.create_primary_key(
        op.f("pk_local_explanations"), "local_explanations", ["image_id", "simulated"]
    )
    op.create_check_constraint(
        op.f("ck_rounds_named_known"),
        "rounds",
        "(named_known is not null) = (practice and status in ('won', 'lost'))",
    )
    op.drop_constraint(op.f("ck_points_entries_reason"), "points_entries", type_="check")
    op.create_check_constraint(
        op.f("ck_points_entries_reason"),
        "points_entries",
        "reason in ('guess', 'agreement', 'practice')",
    )


def downgrade() -> None:
    # Points earned by practice stay, as every line of the ledger does; no new ones are taken.
    op.drop_constraint(op.f("ck_points_entries_reason"), "points_entries", type_="check")
    op.create_check_constraint(
        op.f("ck_points_entries_reason"),
        "points_entries",
        "reason in ('guess', 'agreement')",
        postgresql_not_valid=True,
    )
    op.drop_constraint(op.f("ck_rounds_named_known"), "rounds", type_="check")
    op.execute("delete from local_explanations where simulated")
    op.drop_constraint(op.f("pk_local_explanations"), "local_explanations", type_="primary")
    op.create_primary_key(op.f("pk_local_explanations"), "local_explanations", ["image_id"])
    op.execute("delete from concepts where simulated")
    op.create_unique_constraint(op.f("uq_concepts_class_id_name"), "concepts", ["class_id", "name"])
    op.drop_constraint(op.f("uq_concepts_class_id_simulated_name"), "concepts", type_="unique")
    op.drop_index("ix_cluster_maps_dealing_simulated", table_name="cluster_maps")
    op.execute(_COUNT_TOGETHER)
    op.drop_table("known_answers")
    op.drop_column("rounds", "named_known")
    op.drop_column("cluster_maps", "simulated_n_finished")
    for table, column in (
        ("rounds", "practice"),
        ("local_explanations", "simulated"),
        ("concepts", "simulated"),
        ("study_classes", "has_new_simulated_labels"),
    ):
        op.drop_column(table, column)
