"""A new player's first rounds are an introduction.

Revision: 0017, after 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "players",
        sa.Column("is_introduced", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.execute("update players set is_introduced = true where kind = 'simulated'")
    op.add_column("rounds", sa.Column("lesson", sa.SmallInteger(), nullable=True))
    # Every row has none, so there is nothing that a check of them all could find.
    op.create_check_constraint(op.f("ck_rounds_lesson"), "rounds", "lesson is null or practice")


def downgrade() -> None:
    op.drop_constraint(op.f("ck_rounds_lesson"), "rounds")
    op.drop_column("rounds", "lesson")
    op.drop_column("players", "is_introduced")
