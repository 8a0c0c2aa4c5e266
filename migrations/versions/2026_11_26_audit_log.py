"""The audit log, append-only.

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_WORDS = (
    "to_tsvector('simple', actor || ' ' || replace(act, '.', ' ') || ' ' || subject_name || ' ' || "
    "coalesce(study_name, '') || ' ' || coalesce(why, ''))"
)
_APPEND_ONLY = """
create function refuse_audit_change() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is append-only: what has happened stays written';
end $$;
create trigger audit_entries_append_only before update or delete or truncate on audit_entries
    for each statement execute function refuse_audit_change();
"""


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("act", sa.String(length=40), nullable=False),
        sa.Column("subject_kind", sa.String(length=24), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("subject_name", sa.String(length=200), nullable=False),
        sa.Column("study_id", sa.Uuid(), nullable=True),
        sa.Column("study_name", sa.String(length=120), nullable=True),
        sa.Column("before", postgresql.JSONB(), nullable=True),
        sa.Column("after", postgresql.JSONB(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column(
            "words", postgresql.TSVECTOR(), sa.Computed(_WORDS, persisted=True), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_subject", "audit_entries", ["subject_kind", "subject_id"])
    op.create_index("ix_audit_entries_study_id", "audit_entries", ["study_id", "id"])
    op.create_index("ix_audit_entries_words", "audit_entries", ["words"], postgresql_using="gin")
    op.execute(_APPEND_ONLY)


def downgrade() -> None:
    op.drop_table("audit_entries")
    op.execute("drop function refuse_audit_change()")
