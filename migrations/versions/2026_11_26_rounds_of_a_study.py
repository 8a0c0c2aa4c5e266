"""The rounds of a study by an index: its page counts them, and a study that goes takes them along.

Revision: 0024, after 0023
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_rounds_study", "rounds", ["study_id", "practice"])


def downgrade() -> None:
    op.drop_index("ix_rounds_study", table_name="rounds")
