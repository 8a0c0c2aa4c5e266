"""Studies made in the browser: drafts with what was handed in, who may play, computing that stops.

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_RANDOM_TOKEN = "replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')"


def upgrade() -> None:
    # Code that still runs knows none of the new columns, so each has a default: games stay public
    # and open by themselves, as they did.
    op.add_column(
        "studies",
        sa.Column("opens_itself", sa.Boolean(), server_default=sa.true(), nullable=False),
    )
    op.add_column(
        "studies",
        sa.Column("visibility", sa.String(length=16), server_default="public", nullable=False),
    )
    op.add_column(
        "studies",
        sa.Column(
            "invite_token",
            sa.String(length=64),
            server_default=sa.text(_RANDOM_TOKEN),
            nullable=False,
        ),
    )
    op.add_column(
        "studies", sa.Column("n_wanted", sa.Integer(), server_default="20", nullable=True)
    )
    op.add_column(
        "studies",
        sa.Column(
            "computing_since",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=True,
        ),
    )
    op.create_unique_constraint(op.f("uq_studies_invite_token"), "studies", ["invite_token"])
    op.create_check_constraint(
        op.f("ck_studies_visibility"), "studies", "visibility in ('public', 'unlisted', 'private')"
    )
    op.create_check_constraint(op.f("ck_studies_n_wanted"), "studies", "n_wanted > 0")
    op.drop_constraint(op.f("ck_studies_status"), "studies", type_="check")
    op.create_check_constraint(
        op.f("ck_studies_status"),
        "studies",
        "status in ('computing', 'ready', 'open', 'paused', 'closed')",
    )
    op.create_table(
        "study_guests",
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column(
            "joined_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["player_id"],
            ["players.id"],
            name=op.f("fk_study_guests_player_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_study_guests_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study_id", "player_id", name=op.f("pk_study_guests")),
    )
    op.create_index(op.f("ix_study_guests_player_id"), "study_guests", ["player_id"])
    op.create_table(
        "study_drafts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("network_source", sa.String(length=200), nullable=True),
        sa.Column("network_problem", sa.String(), nullable=True),
        sa.Column("network_id", sa.BigInteger(), nullable=True),
        sa.Column("layers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("chosen_layers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("further_choices", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("n_wanted", sa.Integer(), nullable=True),
        sa.Column("visibility", sa.String(length=16), nullable=False),
        sa.Column("opens_itself", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("preview_file_id", sa.Uuid(), nullable=True),
        sa.Column("preview", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "visibility in ('public', 'unlisted', 'private')",
            name=op.f("ck_study_drafts_visibility"),
        ),
        sa.CheckConstraint("n_wanted > 0", name=op.f("ck_study_drafts_n_wanted")),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name=op.f("fk_study_drafts_network_id")
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["accounts.id"],
            name=op.f("fk_study_drafts_owner_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study_drafts")),
    )
    op.create_index(op.f("ix_study_drafts_owner_id"), "study_drafts", ["owner_id"])
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("draft_id", sa.Uuid(), nullable=False),
        sa.Column("path", sa.String(length=400), nullable=False),
        sa.Column("class_name", sa.String(length=200), nullable=True),
        sa.Column("storage_key", sa.String(), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("n_entries", sa.Integer(), nullable=True),
        sa.Column("n_looked_at", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["draft_id"], ["study_drafts.id"], name=op.f("fk_uploads_draft_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    op.create_index("ix_uploads_draft_id", "uploads", ["draft_id", "created_at"])
    op.create_table(
        "draft_files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("draft_id", sa.Uuid(), nullable=False),
        sa.Column("path", sa.String(length=400), nullable=False),
        sa.Column("class_name", sa.String(length=200), nullable=True),
        sa.Column("file_name", sa.String(length=300), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("storage_key", sa.String(), nullable=True),
        sa.Column("refusal", sa.String(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(refusal is null) = (storage_key is not null)", name=op.f("ck_draft_files_refusal")
        ),
        sa.CheckConstraint(
            "(refusal is null) = (sha256 is not null)", name=op.f("ck_draft_files_sha256")
        ),
        sa.CheckConstraint(
            "refusal is not null or class_name is not null", name=op.f("ck_draft_files_class")
        ),
        sa.ForeignKeyConstraint(
            ["draft_id"],
            ["study_drafts.id"],
            name=op.f("fk_draft_files_draft_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_draft_files")),
    )
    op.create_index(
        "uq_draft_files_picture",
        "draft_files",
        ["draft_id", "sha256"],
        unique=True,
        postgresql_where=sa.text("refusal is null"),
    )


def downgrade() -> None:
    op.drop_table("draft_files")
    op.drop_table("uploads")
    op.drop_table("study_drafts")
    op.drop_table("study_guests")
    # Code from before knows open games only, and shows them to everybody: what was not meant for
    # that is shut.
    op.execute(
        "update studies set status = 'closed' "
        "where status in ('ready', 'paused') or (status = 'open' and visibility <> 'public')"
    )
    op.drop_constraint(op.f("ck_studies_status"), "studies", type_="check")
    op.create_check_constraint(
        op.f("ck_studies_status"), "studies", "status in ('computing', 'open', 'closed')"
    )
    for column in ("computing_since", "n_wanted", "invite_token", "visibility", "opens_itself"):
        op.drop_column("studies", column)
