"""Notes to players, accounts that share a device, and more reasons to look at a round.

Revision: 0013, after 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_REASONS = "'too fast', 'burst', 'dishonest labels', 'reported'"
_NEW_REASONS = "'profanity', 'pasted', 'practice failures', 'many accounts'"


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column("words", sa.String(length=500), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_notes_study_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["player_id"], ["players.id"], name=op.f("fk_notes_player_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notes")),
    )
    op.create_index(
        "ix_notes_unread",
        "notes",
        ["player_id"],
        postgresql_where=sa.text("acknowledged_at is null"),
    )
    op.create_index("ix_notes_study_id", "notes", ["study_id", "player_id"])
    op.create_table(
        "player_devices",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column("seen_on", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["player_id"],
            ["players.id"],
            name=op.f("fk_player_devices_player_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("digest", "player_id", name=op.f("pk_player_devices")),
    )
    op.create_index(op.f("ix_player_devices_player_id"), "player_devices", ["player_id"])
    op.drop_constraint(op.f("ck_flags_reason"), "flags")
    op.create_check_constraint(
        op.f("ck_flags_reason"), "flags", f"reason in ({_REASONS}, {_NEW_REASONS})"
    )


def downgrade() -> None:
    op.execute(f"delete from flags where reason in ({_NEW_REASONS})")
    op.drop_constraint(op.f("ck_flags_reason"), "flags")
    op.create_check_constraint(op.f("ck_flags_reason"), "flags", f"reason in ({_REASONS})")
    op.drop_table("player_devices")
    op.drop_table("notes")
