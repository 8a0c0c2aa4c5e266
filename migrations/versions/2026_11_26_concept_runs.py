"""What each run of the concepts job came to, with the agreement of its labels.

Revision: 0015, after 0014
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "concept_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("class_id", sa.BigInteger(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", postgresql.JSONB(), nullable=False),
        sa.Column("n_labels", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("agreement", postgresql.JSONB(), nullable=False),
        sa.Column("result", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["class_id"],
            ["study_classes.id"],
            name=op.f("fk_concept_runs_class_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_concept_runs")),
        sa.UniqueConstraint(
            "class_id",
            "simulated",
            "number",
            name=op.f("uq_concept_runs_class_id_simulated_number"),
        ),
    )
    op.add_column("local_explanations", sa.Column("run_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_local_explanations_run_id"),
        "local_explanations",
        "concept_runs",
        ["run_id"],
        ["id"],
        ondelete="SET NULL",
    )
    op.create_index(op.f("ix_local_explanations_run_id"), "local_explanations", ["run_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_local_explanations_run_id"), table_name="local_explanations")
    op.drop_column("local_explanations", "run_id")
    op.drop_table("concept_runs")
