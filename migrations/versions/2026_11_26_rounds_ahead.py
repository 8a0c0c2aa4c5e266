"""Rounds that are dealt ahead, so that their picture can be fetched before they are shown.

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "rounds", sa.Column("is_ahead", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_rounds_ahead"),
        "rounds",
        "not is_ahead or (status = 'open' and place_until is null)",
    )


def downgrade() -> None:
    # Nobody has seen them, and code that knows no such rounds would show them without a place.
    op.execute("delete from rounds where is_ahead")
    op.drop_constraint(op.f("ck_rounds_ahead"), "rounds")
    op.drop_column("rounds", "is_ahead")
