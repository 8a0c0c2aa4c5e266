"""Rounds that two people play together.

Revision: 0022, after 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_OLD_REASONS = (
    "reason in ('guess', 'agreement', 'confirmed', 'first', 'practice', 'streak', 'daily', 'badge')"
)
_NEW_REASONS = (
    "reason in ('guess', 'agreement', 'confirmed', 'first', 'practice', 'streak', 'daily', "
    "'badge', 'met')"
)


def upgrade() -> None:
    op.create_table(
        "seats",
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["player_id"], ["players.id"], name=op.f("fk_seats_player_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_seats_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("player_id", name=op.f("pk_seats")),
    )
    op.create_index("ix_seats_study_id", "seats", ["study_id", "since"], unique=False)
    op.create_table(
        "partners",
        sa.Column("round_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("is_recorded", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner_id"], ["rounds.id"], name=op.f("fk_partners_partner_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["round_id"], ["rounds.id"], name=op.f("fk_partners_round_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("round_id", name=op.f("pk_partners")),
    )
    op.create_index(op.f("ix_partners_partner_id"), "partners", ["partner_id"], unique=False)
    op.add_column(
        "rounds", sa.Column("with_partner", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    _set_reasons(_NEW_REASONS, not_valid=False)


def downgrade() -> None:
    # Lines stay as they were written: the ledger takes no change. Only new ones are checked.
    _set_reasons(_OLD_REASONS, not_valid=True)
    op.drop_column("rounds", "with_partner")
    op.drop_table("partners")
    op.drop_table("seats")


def _set_reasons(condition: str, *, not_valid: bool) -> None:
    op.drop_constraint(op.f("ck_points_entries_reason"), "points_entries")
    op.create_check_constraint(
        op.f("ck_points_entries_reason"),
        "points_entries",
        condition,
        postgresql_not_valid=not_valid,
    )
