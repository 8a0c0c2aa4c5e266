"""Why a picture's class and not another: weights of its maps for the difference of two logits.

Revision: 0018, after 0017
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "contrasts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("other_index", sa.Integer(), nullable=False),
        sa.Column("other_name", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("weights", postgresql.JSONB(), nullable=True),
        sa.Column("difference", sa.Float(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_by", postgresql.JSONB(), nullable=True),
        sa.CheckConstraint(
            "status in ('pending', 'done', 'failed')", name=op.f("ck_contrasts_status")
        ),
        sa.CheckConstraint(
            "(status = 'failed') = (failure is not null)", name=op.f("ck_contrasts_failure")
        ),
        sa.CheckConstraint(
            "(status = 'done') = (weights is not null)", name=op.f("ck_contrasts_weights")
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_contrasts_image_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contrasts")),
        sa.UniqueConstraint(
            "image_id", "other_index", name=op.f("uq_contrasts_image_id_other_index")
        ),
    )
    op.create_index(
        "ix_contrasts_pending",
        "contrasts",
        ["asked_at"],
        postgresql_where=sa.text("status = 'pending'"),
    )


def downgrade() -> None:
    op.drop_table("contrasts")
