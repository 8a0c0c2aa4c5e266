"""Indexes for what moderators look at: open flags from the last on, and hidden labels.

Revision: 0023, after 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_labels_hidden_at",
        "labels",
        ["hidden_at"],
        postgresql_where=sa.text("hidden_at is not null"),
    )
    op.create_index(
        "ix_flags_queue", "flags", ["id"], postgresql_where=sa.text("settled_at is null")
    )


def downgrade() -> None:
    op.drop_index("ix_flags_queue", table_name="flags")
    op.drop_index("ix_labels_hidden_at", table_name="labels")
