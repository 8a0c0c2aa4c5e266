"""Boards with totals from the ledger, dealing by decks with places, taboo words, flags.

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

# Points are ranked in steps: each number by itself below 128, from there on the sixty-fourth part
# of a power of two. points_step names the step of a number of points, points_step_end its last one.
_STEPS = """
create function points_step(points integer) returns integer language sql immutable parallel safe
return case
    when points < 128 then points
    else 64 * (length(ltrim(points::bit(32)::text, '0')) - 7)
        + (points >> (length(ltrim(points::bit(32)::text, '0')) - 7))
end;
create function points_step_end(points integer) returns integer language sql immutable parallel safe
return case
    when points < 128 then points
    else (((points >> (length(ltrim(points::bit(32)::text, '0')) - 7)) + 1)
        << (length(ltrim(points::bit(32)::text, '0')) - 7)) - 1
end;
"""

# Adds lines of the ledger to the totals and moves their players between steps. Rows are locked in
# one order, totals first, so that two transactions that pay the same players do not deadlock.
_ADD_TO_TOTALS = """
with sums as materialized (
    select scopes.scope, periods.period, players.kind = 'simulated' as simulated,
        lines.player_id, sum(lines.points)::integer as points, max(lines.created_at) as reached_at
    from {lines} lines
    join rounds on rounds.id = lines.round_id
    join players on players.id = lines.player_id
    cross join lateral (values
        (rounds.study_id), ('00000000-0000-0000-0000-000000000000'::uuid)
    ) scopes (scope)
    cross join lateral (values
        ('all'),
        (to_char(lines.created_at at time zone 'UTC', 'IYYY-"W"IW')),
        (to_char(lines.created_at at time zone 'UTC', 'YYYY-MM-DD'))
    ) periods (period)
    group by 1, 2, 3, 4
), new_boards as (
    insert into boards (scope, period, simulated)
    select distinct scope, period, simulated from sums
    where not exists (
        select from boards where boards.scope = sums.scope and boards.period = sums.period
            and boards.simulated = sums.simulated
    )
    order by 1, 2, 3
    on conflict (scope, period, simulated) do update set simulated = excluded.simulated
    returning id, scope, period, simulated
), known_boards as materialized (
    select id, scope, period, simulated from new_boards
    union
    select id, scope, period, simulated from boards
    where (scope, period, simulated) in (select scope, period, simulated from sums)
), due as materialized (
    select known_boards.id as board_id, sums.player_id, sums.points, sums.reached_at
    from sums join known_boards using (scope, period, simulated)
    order by 1, 2
), totals as (
    insert into board_totals as kept (board_id, player_id, points, reached_at)
    select board_id, player_id, points, reached_at from due order by board_id, player_id
    on conflict (board_id, player_id) do update
    set points = kept.points + excluded.points, reached_at = excluded.reached_at
    returning board_id, player_id, points
), moves as (
    select board_id, points_step(totals.points) as step, player_id, 1 as n from totals
    union all
    select board_id, points_step(totals.points - due.points), player_id, -1
    from totals join due using (board_id, player_id)
    where totals.points > due.points
)
insert into board_steps as kept (board_id, step, shard, n_players)
select board_id, step, get_byte(uuid_send(player_id), 0) % 4, sum(n)
from moves group by 1, 2, 3 having sum(n) <> 0 order by 1, 2, 3
on conflict (board_id, step, shard) do update set n_players = kept.n_players + excluded.n_players
"""
_TOTALS_TRIGGER = f"""
create function add_points_to_totals() returns trigger language plpgsql as $$
begin
    {_ADD_TO_TOTALS.format(lines="added")};
    return null;
end $$;
create trigger points_entries_totals after insert on points_entries
    referencing new table as added
    for each statement execute function add_points_to_totals();
"""

# A picture knows how many maps it has for dealing, so that the deck can leave out those that have
# none without looking.
_COUNT_MAPS = """
create function count_playable_maps() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        update images set n_playable = n_playable - old.is_playable::int,
            n_wanted = n_wanted - old.is_wanted::int
        where id = old.image_id;
    end if;
    if tg_op <> 'DELETE' then
        update images set n_playable = n_playable + new.is_playable::int,
            n_wanted = n_wanted + new.is_wanted::int
        where id = new.image_id;
    end if;
    return null;
end $$;
create trigger cluster_maps_counted after insert or delete on cluster_maps
    for each row execute function count_playable_maps();
create trigger cluster_maps_recounted after update on cluster_maps
    for each row when (
        old.is_wanted is distinct from new.is_wanted
        or old.is_playable is distinct from new.is_playable
    ) execute function count_playable_maps();
"""

_FILL_COUNTS = """
update images set n_playable = maps.n_playable, n_wanted = maps.n_wanted
from (
    select image_id, count(*) filter (where is_playable) as n_playable,
        count(*) filter (where is_wanted) as n_wanted
    from cluster_maps group by image_id
) maps
where maps.image_id = images.id
"""
_FILL_TALLIES = """
insert into tallies
select player_id,
    count(*), count(*) filter (where status = 'won'),
    count(*) filter (where status = 'won' and reveal_index = 0),
    count(*) filter (where practice), count(*) filter (where named_known),
    coalesce(max(agreed.n), 0), 0, 0, 1, 1,
    max((finished_at at time zone 'UTC')::date), 0
from rounds
left join (
    select player_id, count(*) as n from points_entries where reason = 'agreement'
    group by player_id
) agreed using (player_id)
where status <> 'open'
group by player_id
"""
_FILL_HANDS = """
insert into hands (player_id, study_id, n_dealt, lap, image_ids)
select player_id, study_id, count(*), 1, '{}' from rounds group by player_id, study_id
"""

_FILL_KNOWN = """
update known_answers set study_id = cluster_maps.study_id
from cluster_maps where cluster_maps.id = known_answers.cluster_map_id
"""

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NEW_REASONS = (
    "reason in ('guess', 'agreement', 'confirmed', 'first', 'practice', 'streak', 'daily', 'badge')"
)
_OLD_REASONS = "reason in ('guess', 'agreement', 'practice')"


def upgrade() -> None:
    op.create_table(
        "boards",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("scope", sa.Uuid(), nullable=False),
        sa.Column("period", sa.String(length=10), nullable=False),
        sa.Column("simulated", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_boards")),
        sa.UniqueConstraint(
            "scope", "period", "simulated", name=op.f("uq_boards_scope_period_simulated")
        ),
    )
    op.create_table(
        "board_steps",
        sa.Column("board_id", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("n_players", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["board_id"], ["boards.id"], name=op.f("fk_board_steps_board_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("board_id", "step", "shard", name=op.f("pk_board_steps")),
    )
    op.create_table(
        "board_totals",
        sa.Column("board_id", sa.BigInteger(), nullable=False),
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("reached_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["board_id"], ["boards.id"], name=op.f("fk_board_totals_board_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["player_id"], ["players.id"], name=op.f("fk_board_totals_player_id")
        ),
        sa.PrimaryKeyConstraint("board_id", "player_id", name=op.f("pk_board_totals")),
    )
    op.create_index(
        "ix_board_totals_rank",
        "board_totals",
        ["board_id", sa.literal_column("points DESC"), "reached_at", "player_id"],
        unique=False,
    )
    op.create_table(
        "tallies",
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column("n_rounds", sa.Integer(), nullable=False),
        sa.Column("n_right", sa.Integer(), nullable=False),
        sa.Column("n_from_first", sa.Integer(), nullable=False),
        sa.Column("n_practice", sa.Integer(), nullable=False),
        sa.Column("n_named", sa.Integer(), nullable=False),
        sa.Column("n_confirmed", sa.Integer(), nullable=False),
        sa.Column("n_first", sa.Integer(), nullable=False),
        sa.Column("n_daily", sa.Integer(), nullable=False),
        sa.Column("streak_days", sa.Integer(), nullable=False),
        sa.Column("best_streak", sa.Integer(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("news_seen_to", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["player_id"], ["players.id"], name=op.f("fk_tallies_player_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("player_id", name=op.f("pk_tallies")),
    )
    op.create_table(
        "hands",
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("n_dealt", sa.Integer(), nullable=False),
        sa.Column("lap", sa.Integer(), nullable=False),
        sa.Column("drawn_to", sa.Uuid(), nullable=True),
        sa.Column("image_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.ForeignKeyConstraint(
            ["player_id"], ["players.id"], name=op.f("fk_hands_player_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_hands_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("player_id", "study_id", name=op.f("pk_hands")),
    )
    op.create_table(
        "daily_maps",
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("cluster_map_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_map_id"],
            ["cluster_maps.id"],
            name=op.f("fk_daily_maps_cluster_map_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_daily_maps_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study_id", "day", "position", name=op.f("pk_daily_maps")),
        sa.UniqueConstraint(
            "study_id",
            "day",
            "cluster_map_id",
            name=op.f("uq_daily_maps_study_id_day_cluster_map_id"),
        ),
    )
    op.create_table(
        "flags",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column("round_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.String(length=200), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "reason in ('too fast', 'burst', 'dishonest labels')", name=op.f("ck_flags_reason")
        ),
        sa.ForeignKeyConstraint(
            ["player_id"], ["players.id"], name=op.f("fk_flags_player_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["round_id"], ["rounds.id"], name=op.f("fk_flags_round_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flags")),
        sa.UniqueConstraint("round_id", "reason", name=op.f("uq_flags_round_id_reason")),
    )
    op.create_index("ix_flags_player_id", "flags", ["player_id", "created_at"], unique=False)
    op.add_column(
        "cluster_maps", sa.Column("n_leased", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column(
        "cluster_maps", sa.Column("n_wanted", sa.Integer(), server_default="20", nullable=True)
    )
    op.add_column(
        "cluster_maps", sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "cluster_maps",
        sa.Column(
            "is_wanted",
            sa.Boolean(),
            sa.Computed(
                "is_playable and settled_at is null "
                "and n_finished + n_leased < coalesce(n_wanted, 2147483647)",
                persisted=True,
            ),
            nullable=False,
        ),
    )
    op.drop_index(op.f("ix_cluster_maps_dealing"), table_name="cluster_maps")
    op.drop_index(op.f("ix_cluster_maps_dealing_simulated"), table_name="cluster_maps")
    op.create_index(
        "ix_cluster_maps_wanted",
        "cluster_maps",
        ["study_id", "n_finished", "weight"],
        unique=False,
        postgresql_where=sa.text("is_wanted"),
    )
    op.add_column(
        "images", sa.Column("n_playable", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("images", sa.Column("n_wanted", sa.Integer(), server_default="0", nullable=False))
    op.create_index("ix_images_deck", "images", ["study_id", "n_playable", "id"], unique=False)
    op.create_index(
        "ix_images_deck_wanted",
        "images",
        ["study_id", "n_playable", "id"],
        unique=False,
        postgresql_where=sa.text("n_wanted > 0"),
    )
    op.add_column("known_answers", sa.Column("study_id", sa.Uuid(), nullable=True))
    op.execute(_FILL_KNOWN)
    op.alter_column("known_answers", "study_id", nullable=False)
    op.create_index(
        "ix_known_answers_study_id", "known_answers", ["study_id", "cluster_map_id"], unique=False
    )
    op.create_foreign_key(
        op.f("fk_known_answers_study_id"),
        "known_answers",
        "studies",
        ["study_id"],
        ["id"],
        ondelete="CASCADE",
    )
    op.add_column("labels", sa.Column("remark", sa.String(length=16), nullable=True))
    op.create_index(
        "uq_points_entries_agreed",
        "points_entries",
        ["round_id", "detail"],
        unique=True,
        postgresql_where=sa.text("reason in ('agreement', 'confirmed')"),
    )
    op.create_index(
        "uq_points_entries_once",
        "points_entries",
        ["player_id", "reason", "detail"],
        unique=True,
        postgresql_where=sa.text("reason in ('badge', 'streak', 'daily')"),
    )
    op.add_column("rounds", sa.Column("place_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "rounds", sa.Column("is_spare", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("rounds", sa.Column("daily_on", sa.Date(), nullable=True))
    op.add_column(
        "rounds",
        sa.Column(
            "taboo", postgresql.ARRAY(sa.String(length=60)), server_default="{}", nullable=False
        ),
    )
    op.add_column(
        "rounds",
        sa.Column(
            "last_step_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
    )
    op.create_index(
        "ix_rounds_place_until",
        "rounds",
        ["place_until"],
        unique=False,
        postgresql_where=sa.text("place_until is not null"),
    )
    op.create_index(
        "ix_rounds_player_finished",
        "rounds",
        ["player_id", sa.literal_column("finished_at desc")],
        unique=False,
    )
    op.create_check_constraint(op.f("ck_cluster_maps_n_leased"), "cluster_maps", "n_leased >= 0")
    op.create_check_constraint(
        op.f("ck_labels_remark"),
        "labels",
        "remark in ('class name', 'empty', 'mash', 'repeated', 'pasted', 'taboo')",
    )
    op.create_check_constraint(
        op.f("ck_rounds_place"),
        "rounds",
        "place_until is null or (status = 'open' and not practice)",
    )
    op.create_check_constraint(
        op.f("ck_rounds_spare"), "rounds", "not is_spare or (status <> 'open' and not practice)"
    )
    op.drop_constraint(op.f("ck_points_entries_reason"), "points_entries", type_="check")
    op.create_check_constraint(op.f("ck_points_entries_reason"), "points_entries", _NEW_REASONS)

    for statements in (_STEPS, _COUNT_MAPS, _TOTALS_TRIGGER):
        op.execute(statements)
    op.execute(_FILL_COUNTS)
    op.execute(_ADD_TO_TOTALS.format(lines="points_entries"))
    op.execute(_FILL_TALLIES)
    op.execute(_FILL_HANDS)


def downgrade() -> None:
    for trigger, table in (
        ("points_entries_totals", "points_entries"),
        ("cluster_maps_counted", "cluster_maps"),
        ("cluster_maps_recounted", "cluster_maps"),
    ):
        op.execute(f"drop trigger {trigger} on {table}")
    for function in (
        "add_points_to_totals()",
        "count_playable_maps()",
        "points_step(integer)",
        "points_step_end(integer)",
    ):
        op.execute(f"drop function {function}")
    # What was earned stays, as every line of the ledger does; no new lines of its kinds are taken.
    op.drop_constraint(op.f("ck_points_entries_reason"), "points_entries", type_="check")
    op.create_check_constraint(
        op.f("ck_points_entries_reason"), "points_entries", _OLD_REASONS, postgresql_not_valid=True
    )
    op.drop_constraint(op.f("ck_rounds_spare"), "rounds", type_="check")
    op.drop_constraint(op.f("ck_rounds_place"), "rounds", type_="check")
    op.drop_constraint(op.f("ck_labels_remark"), "labels", type_="check")
    op.drop_constraint(op.f("ck_cluster_maps_n_leased"), "cluster_maps", type_="check")
    op.drop_index("ix_rounds_player_finished", table_name="rounds")
    op.drop_index(
        "ix_rounds_place_until",
        table_name="rounds",
        postgresql_where=sa.text("place_until is not null"),
    )
    op.drop_column("rounds", "last_step_at")
    op.drop_column("rounds", "taboo")
    op.drop_column("rounds", "daily_on")
    op.drop_column("rounds", "is_spare")
    op.drop_column("rounds", "place_until")
    op.drop_index(
        "uq_points_entries_once",
        table_name="points_entries",
        postgresql_where=sa.text("reason in ('badge', 'streak', 'daily')"),
    )
    op.drop_index(
        "uq_points_entries_agreed",
        table_name="points_entries",
        postgresql_where=sa.text("reason in ('agreement', 'confirmed')"),
    )
    op.drop_column("labels", "remark")
    op.drop_constraint(op.f("fk_known_answers_study_id"), "known_answers", type_="foreignkey")
    op.drop_index("ix_known_answers_study_id", table_name="known_answers")
    op.drop_column("known_answers", "study_id")
    op.drop_index(
        "ix_images_deck_wanted", table_name="images", postgresql_where=sa.text("n_wanted > 0")
    )
    op.drop_index("ix_images_deck", table_name="images")
    op.drop_column("images", "n_wanted")
    op.drop_column("images", "n_playable")
    op.drop_index(
        "ix_cluster_maps_wanted", table_name="cluster_maps", postgresql_where=sa.text("is_wanted")
    )
    op.create_index(
        op.f("ix_cluster_maps_dealing_simulated"),
        "cluster_maps",
        ["study_id", "simulated_n_finished", "weight"],
        unique=False,
    )
    op.create_index(
        op.f("ix_cluster_maps_dealing"),
        "cluster_maps",
        ["study_id", "n_finished", "weight"],
        unique=False,
    )
    op.drop_column("cluster_maps", "is_wanted")
    op.drop_column("cluster_maps", "settled_at")
    op.drop_column("cluster_maps", "n_wanted")
    op.drop_column("cluster_maps", "n_leased")
    op.drop_index("ix_flags_player_id", table_name="flags")
    op.drop_table("flags")
    op.drop_table("daily_maps")
    op.drop_table("hands")
    op.drop_table("tallies")
    op.drop_index("ix_board_totals_rank", table_name="board_totals")
    op.drop_table("board_totals")
    op.drop_table("board_steps")
    op.drop_table("boards")
