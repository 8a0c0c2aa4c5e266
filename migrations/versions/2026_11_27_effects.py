"""Each cluster map has its effect: what the network's logit loses, to first order, without it.

Of maps that are there it is not known, and stays so: they have no gradients left.

Revision: 0027, after 0026
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cluster_maps", sa.Column("effect", sa.Float()))


def downgrade() -> None:
    op.drop_column("cluster_maps", "effect")
