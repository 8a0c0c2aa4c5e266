"""The points ledger: lines with a reason and a round, added once, whatever is run again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TypeVarTuple
from uuid import UUID

from sqlalchemy import Select, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import rules
from app.models import Player, PointsEntry, Round, Tally
from app.services.answers import unnameable_maps

_Row = TypeVarTuple("_Row")


@dataclass(frozen=True, slots=True)
class Line:
    """A line to add: whom, for which round, why, and of what the reason speaks (a label, a badge, a
    day)."""

    player_id: UUID
    round_id: UUID
    reason: str
    points: int
    detail: str = ""


NOTHING_NAMEABLE = ""
"""What stands in the place of a label where others confirm that there is nothing to name."""

_COUNTED = {"agreement": "n_confirmed", "confirmed": "n_confirmed", "first": "n_first"}
"""What a line adds to its player's tally."""


_COUNTERS = [c.key for c in Tally.__table__.columns if c.key not in ("player_id", "last_day")]
"""The columns that count something."""


def lock_tallies(session: Session, player_ids: Collection[UUID]) -> dict[UUID, Tally]:
    """The players' tallies, made where there is none, locked until the transaction ends.

    Whoever pays takes these locks first, in one order, so that two who pay never wait in a circle.
    """
    ids = sorted(set(player_ids))
    if not ids:
        return {}
    locked = session.scalars(_LOCKED_TALLIES, {"ids": ids}).all()
    if len(locked) < len(ids):
        zeros = dict.fromkeys(_COUNTERS, 0)
        session.execute(
            insert(Tally).on_conflict_do_nothing(), [{"player_id": i, **zeros} for i in ids]
        )
        locked = session.scalars(_LOCKED_TALLIES, {"ids": ids}).all()
    return {tally.player_id: tally for tally in locked}


_LOCKED_TALLIES = (
    select(Tally)
    .where(Tally.player_id.in_(bindparam("ids", expanding=True)))
    .order_by(Tally.player_id)
    .with_for_update()
    .execution_options(populate_existing=True)
)


def post(
    session: Session,
    lines: Sequence[Line],
    tallies: Mapping[UUID, Tally],
    *,
    rounds_of: Mapping[UUID, UUID],
) -> list[Line]:
    """Add lines that are not in the ledger yet, and those for badges that are reached by now; the
    lines that were added. tallies: locked ones of all the players concerned. rounds_of: by player,
    the round to which a badge belongs."""
    with session.no_autoflush:  # a tally is stored once, with all that there is to count
        added = _insert(session, lines)
    for line in added:
        if line.reason in _COUNTED:
            name = _COUNTED[line.reason]
            tally = tallies[line.player_id]
            setattr(tally, name, getattr(tally, name) + 1)
    session.flush()
    return added + _award_badges(session, rounds_of, tallies)


def _award_badges(
    session: Session, rounds_of: Mapping[UUID, UUID], tallies: Mapping[UUID, Tally]
) -> list[Line]:
    """Add the badges that players have reached and do not have."""
    reached = [
        Line(player_id, round_id, "badge", rules.BADGE_POINTS, badge.key)
        for player_id, round_id in rounds_of.items()
        for badge in rules.badges_of(_counters(tallies[player_id]))
    ]
    if not reached:
        return []
    rows = session.execute(_BADGES, {"player_ids": list(rounds_of)})
    had = {(player_id, detail) for player_id, detail in rows}
    return _insert(session, [line for line in reached if (line.player_id, line.detail) not in had])


# A badge that somebody had as a guest, and brought along by its round, is theirs already.
_BADGES = text(
    """
    select player_id, detail from points_entries
    where player_id = any(:player_ids) and reason = 'badge'
    union all
    select rounds.player_id, lines.detail
    from players guests
    join points_entries lines on lines.player_id = guests.id and lines.reason = 'badge'
    join rounds on rounds.id = lines.round_id and rounds.player_id = guests.merged_into_id
    where guests.merged_into_id = any(:player_ids)
    """
)


def _counters(tally: Tally) -> dict[str, int]:
    return {name: getattr(tally, name) for name in _COUNTERS}


def _insert(session: Session, lines: Sequence[Line]) -> list[Line]:
    if not lines:
        return []
    # In one statement, for the totals are kept once a statement.
    rows = session.execute(_INSERT, [asdict(line) for line in lines])
    return [Line(*row) for row in rows]


_INSERT = (
    insert(PointsEntry)
    .on_conflict_do_nothing()
    .returning(
        PointsEntry.player_id,
        PointsEntry.round_id,
        PointsEntry.reason,
        PointsEntry.points,
        PointsEntry.detail,
    )
)


# What the concepts job finds. Labels with a remark earn nothing, and confirm nobody's; each player
# counts once for a concept on a map, by their first label.
_CONFIRMED = text(
    """
    with given as (
        select labels.cluster_map_id, labels.concept_id, rounds.player_id,
            (array_agg(labels.id order by rounds.finished_at, labels.id))[1] as label_id
        from labels
        join rounds on rounds.id = labels.round_id
        join concepts on concepts.id = labels.concept_id
        where concepts.class_id = :class_id and concepts.simulated = :simulated
            and labels.remark is null and not rounds.practice and not rounds.is_spare
            and not rounds.is_excluded and labels.hidden_at is null
        group by 1, 2, 3
    ), ranked as (
        select given.*, count(*) over w as n_players,
            row_number() over (w order by rounds.finished_at, labels.id) as place
        from given
        join labels on labels.id = given.label_id
        join rounds on rounds.id = labels.round_id
        window w as (partition by given.cluster_map_id, given.concept_id)
    ), paid_first as (
        select distinct labels.cluster_map_id, labels.concept_id
        from points_entries
        join labels on labels.round_id = points_entries.round_id
            and labels.text = points_entries.detail
        join concepts on concepts.id = labels.concept_id
        where points_entries.reason = 'first' and concepts.class_id = :class_id
            and concepts.simulated = :simulated
    )
    select ranked.player_id, labels.round_id, labels.text,
        not exists (
            select from points_entries
            where points_entries.round_id = labels.round_id
                and points_entries.detail = labels.text
                and points_entries.reason in ('agreement', 'confirmed')
        ) as is_confirmed,
        ranked.place = 1 and ranked.n_players >= :min_players and paid_first.concept_id is null
            as is_first
    from ranked
    join labels on labels.id = ranked.label_id
    left join paid_first on paid_first.cluster_map_id = ranked.cluster_map_id
        and paid_first.concept_id = ranked.concept_id
    where ranked.n_players > 1
    order by ranked.player_id, labels.round_id, labels.text
    """
)


def pay_confirmed(session: Session, *, class_id: int, simulated: bool) -> list[Line]:
    """Pay the labels of a class that the words of others confirm by now, whoever was the first
    with one that holds, and whoever said that nothing is nameable where most say so; what was
    added. Run again, it pays nothing that was paid."""
    rows = session.execute(
        _CONFIRMED,
        {
            "class_id": class_id,
            "simulated": simulated,
            "min_players": rules.FIRST_FINDER_MIN_PLAYERS,
        },
    )
    lines = []
    for row in rows:
        if row.is_confirmed:
            lines.append(
                Line(row.player_id, row.round_id, "confirmed", rules.CONFIRMED_POINTS, row.text)
            )
        if row.is_first:
            lines.append(
                Line(row.player_id, row.round_id, "first", rules.FIRST_FINDER_POINTS, row.text)
            )
    lines += _unnameable_lines(session, class_id=class_id, simulated=simulated)
    if not lines:
        return []
    # A badge belongs to the player's last round among those paid now.
    rounds_of = {line.player_id: line.round_id for line in lines}
    return post(session, lines, lock_tallies(session, rounds_of), rounds_of=rounds_of)


def _unnameable_lines(session: Session, *, class_id: int, simulated: bool) -> list[Line]:
    map_ids = unnameable_maps(session, class_id=class_id, simulated=simulated)
    paid = select(PointsEntry.id).where(
        PointsEntry.round_id == Round.id,
        PointsEntry.reason.in_(("agreement", "confirmed")),
        PointsEntry.detail == NOTHING_NAMEABLE,
    )
    rows = session.execute(
        select(Round.player_id, Round.id)
        .join(Round.player)
        .where(Round.cluster_map_id.in_(map_ids), Round.nothing_nameable, Round.counts)
        .where(Player.is_simulated.is_(simulated), ~paid.exists())
    )
    return [
        Line(player_id, round_id, "confirmed", rules.CONFIRMED_POINTS, NOTHING_NAMEABLE)
        for player_id, round_id in rows
    ]


def badges(session: Session, player_id: UUID) -> dict[str, datetime]:
    """The badges a player has, by their keys, and since when."""
    rows = session.execute(
        select(PointsEntry.detail, func.min(PointsEntry.created_at))
        .join(Round, Round.id == PointsEntry.round_id)
        .where(Round.player_id == player_id, PointsEntry.reason == "badge")
        .group_by(PointsEntry.detail)
    )
    return dict(rows.all())


def news(session: Session, player_id: UUID) -> list[PointsEntry]:
    """Points that came while the player was away, and that they have not been told of."""
    return list(session.scalars(_NEWS, {"player_id": player_id}))


def n_news(session: Session, player_id: UUID) -> int:
    """How many points came while the player was away, and they have not been told of."""
    points: int = session.execute(_N_NEWS, {"player_id": player_id}).scalar_one()
    return points


def _of_news(query: Select[*_Row]) -> Select[*_Row]:
    return (
        query.join(Round, Round.id == PointsEntry.round_id)
        .join(Tally, Tally.player_id == Round.player_id)
        .where(
            Round.player_id == bindparam("player_id"),
            PointsEntry.id > Tally.news_seen_to,
            PointsEntry.reason.in_(("confirmed", "first")),
        )
    )


_NEWS = _of_news(select(PointsEntry)).order_by(PointsEntry.id)
_N_NEWS = _of_news(select(func.coalesce(func.sum(PointsEntry.points), 0)))


def mark_news_seen(session: Session, player_id: UUID, *, up_to: int) -> None:
    """The player has been told of all lines up to this one."""
    session.execute(
        update(Tally)
        .where(Tally.player_id == player_id)
        .values(news_seen_to=func.greatest(Tally.news_seen_to, up_to))
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """A line as its player reads it, with the class of the picture it was for."""

    points: int
    reason: str
    detail: str
    class_name: str
    round_id: UUID
    created_at: datetime


_HISTORY = text(
    """
    select points, reason, detail, study_classes.name as class_name, round_id,
        points_entries.created_at
    from points_entries
    join rounds on rounds.id = points_entries.round_id
    join cluster_maps on cluster_maps.id = rounds.cluster_map_id
    join images on images.id = cluster_maps.image_id
    join study_classes on study_classes.id = images.class_id
    where rounds.player_id = :player_id
    order by points_entries.created_at desc, points_entries.id desc
    limit :n
    """
)


def history(session: Session, player_id: UUID, *, n: int) -> list[Entry]:
    """The player's last n lines, newest first."""
    rows = session.execute(_HISTORY, {"player_id": player_id, "n": n})
    return [Entry(**row._mapping) for row in rows]


# Whose each line is: the player's of its round, who is another than at the time where a guest has
# signed in since. What is earned once by a player counts once, then: an account's badge or streak
# of a day is not paid again by the guest's.
OWNED_LINES = """
    select lines.id, rounds.player_id, rounds.study_id, lines.reason, lines.detail, lines.points,
        lines.created_at
    from points_entries lines
    join rounds on rounds.id = lines.round_id
    where {whose} and not (
        lines.reason in ('badge', 'streak', 'daily') and exists (
            select from points_entries earlier
            join rounds earlier_rounds on earlier_rounds.id = earlier.round_id
            where earlier_rounds.player_id = rounds.player_id and earlier.id < lines.id
                and earlier.reason = lines.reason and earlier.detail = lines.detail
        )
    )
"""


def board_sums(*, whose: str) -> str:
    """SQL for what the ledger says that each player has on each board.

    whose: a condition on `rounds`. The trigger that keeps the totals adds up in the same way (see
    the migration); `checks.find_drift` compares the two.
    """
    return f"""
        select scopes.scope, periods.period, players.kind = 'simulated' as simulated,
            lines.player_id, sum(lines.points)::integer as points,
            max(lines.created_at) as reached_at
        from ({OWNED_LINES.format(whose=whose)}) lines
        join players on players.id = lines.player_id
        cross join lateral (values
            (lines.study_id), ('00000000-0000-0000-0000-000000000000'::uuid)
        ) scopes (scope)
        cross join lateral (values
            ('all'),
            (to_char(lines.created_at at time zone 'UTC', 'IYYY-"W"IW')),
            (to_char(lines.created_at at time zone 'UTC', 'YYYY-MM-DD'))
        ) periods (period)
        group by 1, 2, 3, 4
    """


_RECOUNT = (
    # The rows first, in one order, and their places among the steps.
    """
    select from board_totals where player_id = any(:players) order by board_id, player_id for update
    """,
    """
    with gone as (
        select board_id, points_step(points) as step, get_byte(uuid_send(player_id), 0) % 4 as shard
        from board_totals where player_id = any(:players)
    )
    insert into board_steps as steps (board_id, step, shard, n_players)
    select board_id, step, shard, -count(*) from gone group by 1, 2, 3 order by 1, 2, 3
    on conflict (board_id, step, shard)
        do update set n_players = steps.n_players + excluded.n_players
    """,
    "delete from board_totals where player_id = any(:players)",
    f"""
    with sums as ({board_sums(whose="rounds.player_id = any(:players)")})
    insert into board_totals (board_id, player_id, points, reached_at)
    select boards.id, player_id, points, reached_at
    from sums join boards using (scope, period, simulated)
    order by 1, 2
    """,
    """
    with come as (
        select board_id, points_step(points) as step, get_byte(uuid_send(player_id), 0) % 4 as shard
        from board_totals where player_id = any(:players)
    )
    insert into board_steps as steps (board_id, step, shard, n_players)
    select board_id, step, shard, count(*) from come group by 1, 2, 3 order by 1, 2, 3
    on conflict (board_id, step, shard)
        do update set n_players = steps.n_players + excluded.n_players
    """,
    f"""
    with played as (
        select player_id, count(*) as n_rounds,
            count(*) filter (where status = 'won') as n_right,
            count(*) filter (where status = 'won' and reveal_index = 0) as n_from_first,
            count(*) filter (where practice) as n_practice,
            count(*) filter (where named_known) as n_named
        from rounds where player_id = any(:players) and status <> 'open' group by 1
    ), earned as (
        select player_id,
            count(*) filter (where reason in ('agreement', 'confirmed')) as n_confirmed,
            count(*) filter (where reason = 'first') as n_first,
            count(*) filter (where reason = 'daily') as n_daily
        from ({OWNED_LINES.format(whose="rounds.player_id = any(:players)")}) lines group by 1
    )
    update tallies set
        n_rounds = coalesce(played.n_rounds, 0), n_right = coalesce(played.n_right, 0),
        n_from_first = coalesce(played.n_from_first, 0),
        n_practice = coalesce(played.n_practice, 0), n_named = coalesce(played.n_named, 0),
        n_confirmed = coalesce(earned.n_confirmed, 0), n_first = coalesce(earned.n_first, 0),
        n_daily = coalesce(earned.n_daily, 0)
    from unnest(:players) given (player_id)
    left join played using (player_id)
    left join earned using (player_id)
    where tallies.player_id = given.player_id
    """,
)


def merge(session: Session, *, source: UUID, target: UUID) -> None:
    """Count anew what two players have earned whose rounds have just become one's. The lines of the
    ledger stay as they were written."""
    players = sorted([source, target])
    tallies = lock_tallies(session, players)
    old, new = tallies[source], tallies[target]
    if old.last_day is not None and (new.last_day is None or old.last_day > new.last_day):
        new.streak_days, new.last_day = old.streak_days, old.last_day
    new.best_streak = max(new.best_streak, old.best_streak)
    new.news_seen_to = max(new.news_seen_to, old.news_seen_to)
    session.flush()
    for statement in _RECOUNT:
        session.execute(text(statement), {"players": players})
    session.expire(old)
    session.expire(new)
