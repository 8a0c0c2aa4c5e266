"""Files of exports go after a while.

Revision: 0020, after 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_STATUSES = "'waiting', 'running', 'done', 'failed', 'cancelled'"


def upgrade() -> None:
    op.drop_constraint(op.f("ck_exports_status"), "exports")
    op.create_check_constraint(
        op.f("ck_exports_status"), "exports", f"status in ({_STATUSES}, 'expired')"
    )
    op.create_index(
        "ix_exports_done",
        "exports",
        ["finished_at"],
        postgresql_where=sa.text("status = 'done'"),
    )


def downgrade() -> None:
    op.drop_index("ix_exports_done", table_name="exports")
    # Without a file they are as good as cancelled, and can be asked for again.
    op.execute("update exports set status = 'cancelled' where status = 'expired'")
    op.drop_constraint(op.f("ck_exports_status"), "exports")
    op.create_check_constraint(op.f("ck_exports_status"), "exports", f"status in ({_STATUSES})")
