"""Rounds whose player says that there is nothing to name.

Revision: 0014, after 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "rounds",
        sa.Column("nothing_nameable", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_rounds_nothing_nameable"), "rounds", "not nothing_nameable or status <> 'open'"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_rounds_nothing_nameable"), "rounds")
    op.drop_column("rounds", "nothing_nameable")
