"""Labels that wait for the concepts job are counted by rows of their own.

Revision: 0016, after 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "new_labels",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("class_id", sa.BigInteger(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("n_labels", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["class_id"],
            ["study_classes.id"],
            name=op.f("fk_new_labels_class_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_new_labels")),
    )
    op.create_index("ix_new_labels_class_id", "new_labels", ["class_id", "simulated"])


def downgrade() -> None:
    # Code that knows no such rows would never take those labels up.
    for column, simulated in (("has_new_labels", "false"), ("has_new_simulated_labels", "true")):
        op.execute(
            f"update study_classes set {column} = true where id in "
            f"(select class_id from new_labels where simulated = {simulated})"
        )
    op.drop_table("new_labels")
