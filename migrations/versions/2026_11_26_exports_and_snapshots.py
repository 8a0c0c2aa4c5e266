"""Exports as jobs; snapshots that stay as they are.

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

# Others cite a snapshot by its number: what it holds must not change under them, whoever asks.
_REFUSE_CHANGE = """
create function refuse_snapshot_change() returns trigger language plpgsql as $$
begin
    raise exception 'a snapshot never changes: make a new one';
end $$;
create trigger snapshots_immutable before update or delete or truncate on snapshots
    for each statement execute function refuse_snapshot_change();
"""

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "exports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("n_rows", sa.Integer(), nullable=False),
        sa.Column("n_written", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("file_key", sa.String(), nullable=True),
        sa.Column("file_name", sa.String(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "status in ('waiting', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_exports_status"),
        ),
        sa.CheckConstraint(
            "(status = 'done') = (file_key is not null)", name=op.f("ck_exports_file")
        ),
        sa.CheckConstraint(
            "(status = 'failed') = (failure is not null)", name=op.f("ck_exports_failure")
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_exports_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_index("ix_exports_study_id", "exports", ["study_id", "created_at"])
    op.create_index(
        "ix_exports_unfinished",
        "exports",
        ["created_at"],
        postgresql_where=sa.text("status in ('waiting', 'running')"),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("made_by", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("files", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("file_key", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("number > 0", name=op.f("ck_snapshots_number")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_snapshots_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
        sa.UniqueConstraint("study_id", "number", name=op.f("uq_snapshots_study_id_number")),
    )
    op.execute(_REFUSE_CHANGE)


def downgrade() -> None:
    op.execute("drop trigger snapshots_immutable on snapshots")
    op.execute("drop function refuse_snapshot_change()")
    op.drop_table("snapshots")
    op.drop_index("ix_exports_unfinished", table_name="exports")
    op.drop_index("ix_exports_study_id", table_name="exports")
    op.drop_table("exports")
