"""Labels hidden, players restricted, flags settled; the log forgets names of who is erased.

Revision: 0010, after 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# A line's names may go, of nobody but accounts that are gone, and nothing else of it.
_FORGET_ERASED = """
create function keep_audit_line() returns trigger language plpgsql as $$
begin
    if (new.id, new.at, new.actor_id, new.act, new.subject_kind, new.subject_id, new.study_id,
            new.study_name, new.before, new.after, new.why)
        is not distinct from
            (old.id, old.at, old.actor_id, old.act, old.subject_kind, old.subject_id, old.study_id,
            old.study_name, old.before, old.after, old.why)
        and ((new.actor, new.address) is not distinct from (old.actor, old.address)
            or (new.actor = 'somebody erased' and new.address is null and old.actor_id is not null
                and not exists (select from accounts where id = old.actor_id)))
        and (new.subject_name = old.subject_name
            or (new.subject_name = 'somebody erased' and old.subject_kind = 'account'
                and not exists (select from accounts where id::text = old.subject_id)))
    then
        return new;
    end if;
    raise exception 'the audit log is append-only: what has happened stays written';
end $$;
drop trigger audit_entries_append_only on audit_entries;
create trigger audit_entries_append_only before delete or truncate on audit_entries
    for each statement execute function refuse_audit_change();
create trigger audit_entries_keep_lines before update on audit_entries
    for each row execute function keep_audit_line();
"""
_FORGET_NOBODY = """
drop trigger audit_entries_keep_lines on audit_entries;
drop function keep_audit_line();
drop trigger audit_entries_append_only on audit_entries;
create trigger audit_entries_append_only before update or delete or truncate on audit_entries
    for each statement execute function refuse_audit_change();
"""


def upgrade() -> None:
    op.create_table(
        "restrictions",
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind in ('silenced', 'excluded', 'banned')", name=op.f("ck_restrictions_kind")
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_restrictions_study_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["player_id"],
            ["players.id"],
            name=op.f("fk_restrictions_player_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_id", "player_id", name=op.f("pk_restrictions")),
    )
    op.create_index(op.f("ix_restrictions_player_id"), "restrictions", ["player_id"])
    op.add_column("labels", sa.Column("hidden_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "rounds",
        sa.Column("is_excluded", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_rounds_excluded"),
        "rounds",
        "not is_excluded or (status <> 'open' and not practice)",
    )
    op.add_column("flags", sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_flags_open", "flags", ["round_id"], postgresql_where=sa.text("settled_at is null")
    )
    op.drop_constraint(op.f("ck_flags_reason"), "flags")
    op.create_check_constraint(
        op.f("ck_flags_reason"),
        "flags",
        "reason in ('too fast', 'burst', 'dishonest labels', 'reported')",
    )
    op.execute(_FORGET_ERASED)


def downgrade() -> None:
    op.execute(_FORGET_NOBODY)
    op.execute("delete from flags where reason = 'reported'")
    op.drop_constraint(op.f("ck_flags_reason"), "flags")
    op.create_check_constraint(
        op.f("ck_flags_reason"), "flags", "reason in ('too fast', 'burst', 'dishonest labels')"
    )
    op.drop_index("ix_flags_open", table_name="flags")
    op.drop_column("flags", "settled_at")
    op.drop_constraint(op.f("ck_rounds_excluded"), "rounds")
    # What was left out of the maps' counts counts again.
    op.execute(
        """
        update cluster_maps set n_finished = n_finished + back.n
        from (
            select cluster_map_id, count(*) as n from rounds
            where is_excluded and not is_spare group by 1
        ) back
        where cluster_maps.id = back.cluster_map_id
        """
    )
    op.drop_column("rounds", "is_excluded")
    op.drop_column("labels", "hidden_at")
    op.drop_index(op.f("ix_restrictions_player_id"), table_name="restrictions")
    op.drop_table("restrictions")
