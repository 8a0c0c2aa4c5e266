"""Each preview of a draft has pictures of its own; those made before are made anew.

Revision: 0025, after 0024
"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# A draft that asked for a preview and has none is waiting for it: upkeep asks a worker again.
_MAKE_ANEW = "update study_drafts set preview = null where preview ? '{}'"


def upgrade() -> None:
    op.execute(_MAKE_ANEW.format("number"))


def downgrade() -> None:
    op.execute(_MAKE_ANEW.format("id"))
