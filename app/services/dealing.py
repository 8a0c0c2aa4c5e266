"""Which map a player is dealt next, and the places that keep a map from being played too often.

The rules with their reasons are in docs/algorithms/dealing.md. Every step is a look-up by an index,
whatever the study's size and however much of it the player has seen.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from sqlalchemy import bindparam, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import rules
from app.models import ClusterMap, DailyMap, Hand, Image, Player, Round, Study


def lock_hand(session: Session, player: Player, study: Study) -> Hand:
    """The player's hand in a study, made where there is none, locked until the transaction ends: a
    second tab waits here. So does whoever is being restricted at this moment: later, with a map in
    hand, they would wait for the moderator, who waits for that map."""
    whose = {"player_id": player.id, "study_id": study.id}
    hand: Hand | None = session.scalar(_LOCKED_HAND, whose)
    if hand is None:
        values = {**whose, "n_dealt": 0, "lap": 1, "image_ids": []}
        session.execute(insert(Hand).values(values).on_conflict_do_nothing())
        hand = session.scalars(_LOCKED_HAND, whose).one()
    return hand


_LOCKED_HAND = (
    select(Hand)
    .from_statement(
        text(
            """
            select hands.* from hands join players on players.id = hands.player_id
            where player_id = :player_id and study_id = :study_id
            for update of hands for key share of players
            """
        )
    )
    .execution_options(populate_existing=True)
)


def open_round(session: Session, player: Player, study: Study) -> Round | None:
    """The round that the player has under way in a study, or that was dealt ahead."""
    return session.scalar(_OPEN_ROUND, {"player_id": player.id, "study_id": study.id})


_OPEN_ROUND = select(Round).where(
    Round.player_id == bindparam("player_id"),
    Round.study_id == bindparam("study_id"),
    Round.status == "open",
)


def take_back(session: Session, hand: Hand, round_: Round) -> None:
    """Undo the deal of a round that nobody has seen: it is as if it had not been dealt."""
    session.delete(round_)
    hand.n_dealt -= 1
    session.flush()


def take_next_map(
    session: Session, player: Player, study: Study, hand: Hand, *, with_place: bool
) -> UUID | None:
    """A map that the player has not been dealt, and unless told otherwise with a place kept for
    them; None if there is none.

    Of the maps of the pictures at hand: one of a picture whose answer the player does not know yet,
    then the one with the fewest rounds, finished or under way, then the heaviest.
    """
    at_hand = _AtHand(hand.lap, hand.drawn_to, list(hand.image_ids))
    map_id = _take_from_hand(session, player, study, at_hand, with_place=with_place)
    hand.lap, hand.drawn_to, hand.image_ids = at_hand.lap, at_hand.drawn_to, at_hand.image_ids
    return map_id


@dataclass(slots=True)
class _AtHand:
    """A hand while it is being played: stored once, when a map is taken."""

    lap: int
    drawn_to: UUID | None
    image_ids: list[UUID]


def _take_from_hand(
    session: Session, player: Player, study: Study, at_hand: _AtHand, *, with_place: bool
) -> UUID | None:
    while True:
        _draw(session, player, study, at_hand)
        if not at_hand.image_ids:
            if at_hand.lap > _last_lap(session, study):
                return _sweep(session, player, study, with_place=with_place)
            at_hand.lap, at_hand.drawn_to = at_hand.lap + 1, None
            continue
        found = _candidates(session, player, at_hand)
        map_id = _take(session, [map_id for map_id, _ in found], with_place=with_place)
        # A picture that has given its map of this lap waits for the next one.
        playable = {image_id for _, image_id in found}
        given = {image_id for taken, image_id in found if taken == map_id}
        at_hand.image_ids = [i for i in at_hand.image_ids if i in playable - given]
        if map_id is not None:
            return map_id


# Compared and ordered as pairs, so that no index but the deck's will do: to find one picture, the
# planner rather walks through the ids of all pictures, and where none has n maps, to their end.
_STRETCH = """
    select picked.id
    from generate_series(
        {lap},
        (select n_playable from images where study_id = :study_id order by n_playable desc limit 1)
    ) as n
    cross join lateral (
        select id from images
        where study_id = :study_id {wanted}
            and (n_playable, id) > (n, {low}) and (n_playable, id) <= (n, {high})
        order by n_playable, id limit :n
    ) picked
    order by picked.id limit :n
"""
_WANTED = "and n_wanted > 0"
_DRAW = {"lap": "cast(:lap as integer)", "low": ":low", "high": ":high"}
_DRAW_FOR_PEOPLE = text(_STRETCH.format(**_DRAW, wanted=_WANTED))
_DRAW_FOR_SIMULATED = text(_STRETCH.format(**_DRAW, wanted=""))
_LOWEST, _HIGHEST = UUID(int=0), UUID(int=2**128 - 1)


def _draw(session: Session, player: Player, study: Study, at_hand: _AtHand) -> None:
    """Fill the hand from the deck, up to the end of the lap. In the n-th lap only pictures with n
    maps or more are in the deck: others have nothing left for whoever has gone round so often."""
    query = _DRAW_FOR_SIMULATED if player.is_simulated else _DRAW_FOR_PEOPLE
    start, at = player.id, at_hand.drawn_to
    # From the player's own id up, then from the lowest one up to it.
    stretches = [(start, _HIGHEST), (_LOWEST, start)]
    if at is not None:
        stretches = [(at, _HIGHEST), (_LOWEST, start)] if at > start else [(at, start)]
    for low, high in stretches:
        n = rules.HAND_PICTURES - len(at_hand.image_ids)
        if n <= 0:
            return
        found = {"lap": at_hand.lap, "study_id": study.id, "low": low, "high": high, "n": n}
        drawn = session.scalars(query, found).all()
        if drawn:
            at_hand.image_ids.extend(drawn)
            at_hand.drawn_to = drawn[-1]


def _last_lap(session: Session, study: Study) -> int:
    """The lap after which every picture has given all its maps."""
    return (
        session.scalar(
            select(Image.n_playable)
            .where(Image.study_id == study.id)
            .order_by(Image.n_playable.desc())
            .limit(1)
        )
        or 0
    )


_CANDIDATES = """
    with seen as (
        select maps.id, maps.image_id, maps.weight, {n_taken} as n_taken,
            {is_open} and rounds.id is null as is_candidate,
            count(rounds.id) over (partition by maps.image_id) as n_dealt
        from cluster_maps maps
        left join lateral (
            -- A look-up for each map: with all the rounds of a diligent player it would be slow.
            select id from rounds
            where rounds.player_id = :player_id and rounds.cluster_map_id = maps.id offset 0
        ) rounds on true
        where maps.image_id = any(:image_ids)
    )
    select id, image_id from seen
    where is_candidate and n_dealt < :lap
    order by n_dealt > 0, n_taken, weight desc, id
"""
_CANDIDATES_FOR_PEOPLE = text(
    _CANDIDATES.format(n_taken="maps.n_finished + maps.n_leased", is_open="maps.is_wanted")
)
_CANDIDATES_FOR_SIMULATED = text(
    _CANDIDATES.format(n_taken="maps.simulated_n_finished", is_open="maps.is_playable")
)


def _candidates(session: Session, player: Player, at_hand: _AtHand) -> list[tuple[UUID, UUID]]:
    """Maps that may be dealt now with their pictures, the best first."""
    rows = session.execute(
        _CANDIDATES_FOR_SIMULATED if player.is_simulated else _CANDIDATES_FOR_PEOPLE,
        {"player_id": player.id, "image_ids": at_hand.image_ids, "lap": at_hand.lap},
    )
    return [(map_id, image_id) for map_id, image_id in rows]


_TAKE = """
    update cluster_maps set n_leased = n_leased + 1
    where id = (
        select id from cluster_maps
        where id = any(:map_ids) and is_wanted
        order by array_position(:map_ids, id) limit 1
        for no key update {wait}
    )
    returning id
"""
_TAKE_FREE = text(_TAKE.format(wait="skip locked"))
_TAKE_WAITING = text(_TAKE.format(wait=""))
_LOCK = text("select from cluster_maps where id = any(:map_ids) order by id for no key update")


def _take(session: Session, map_ids: list[UUID], *, with_place: bool) -> UUID | None:
    """The first of these maps that has a place left, which is now the player's. A map that somebody
    else is taking at this moment is passed over, unless there is no other."""
    if not with_place:
        return map_ids[0] if map_ids else None
    tried = {"map_ids": map_ids[:_MOST_TRIED]}
    for is_waiting in (False, True):
        # The connection's savepoint: the session's would forget the rows that callers have loaded.
        connection = session.connection()
        with connection.begin_nested() as trial:
            if is_waiting:
                # In one order: two who wait must not hold what the other needs.
                connection.execute(_LOCK, tried)
            query = _TAKE_WAITING if is_waiting else _TAKE_FREE
            found: UUID | None = connection.scalar(query, tried)
            if found is not None:
                return found
            # Looked at and found full, a map stays locked: let go of those.
            trial.rollback()
    return None


_MOST_TRIED = 64
"""More than players who are dealt a round at the same moment."""


def lock_maps(session: Session, map_ids: Collection[UUID]) -> None:
    """Lock maps before what is to be counted for several of them, in the order that all keep to."""
    session.execute(_LOCK, {"map_ids": list(map_ids)})


def take_place(session: Session, map_id: UUID) -> bool:
    """Keep a place of this map; False when it has none left."""
    return session.scalar(_TAKE_WAITING, {"map_ids": [map_id]}) is not None


def _sweep(session: Session, player: Player, study: Study, *, with_place: bool) -> UUID | None:
    """What the laps have left: maps whose places were all taken when the player came by, and that
    came back. Only for who has gone through the whole deck; it looks at every open map."""
    n_taken = ClusterMap.n_finished + ClusterMap.n_leased
    is_open = ClusterMap.is_wanted
    if player.is_simulated:
        n_taken, is_open = ClusterMap.simulated_n_finished + 0, ClusterMap.is_playable
    dealt = select(Round.id).where(
        Round.player_id == player.id, Round.cluster_map_id == ClusterMap.id
    )
    left = session.scalars(
        select(ClusterMap.id)
        .where(ClusterMap.study_id == study.id, is_open, ~dealt.exists())
        .order_by(n_taken, ClusterMap.weight.desc(), ClusterMap.id)
        .limit(_MOST_TRIED)
    ).all()
    return _take(session, list(left), with_place=with_place) if left else None


_PRACTICE = text(
    """
    with near as (
        select known_answers.cluster_map_id as id
        from known_answers
        where study_id = :study_id and cluster_map_id > :low
        order by cluster_map_id limit :n
    )
    select maps.id from near join cluster_maps maps using (id)
    where maps.is_playable and not exists (
        select from rounds
        where rounds.player_id = :player_id and rounds.cluster_map_id = maps.id
    )
    order by exists (
        select from rounds join cluster_maps other on other.id = rounds.cluster_map_id
        where rounds.player_id = :player_id and other.image_id = maps.image_id
    ), md5(maps.id::text || :player_id)
    limit 1
    """
)


def next_practice_map(session: Session, player: Player, study: Study, hand: Hand) -> UUID | None:
    """A map with a known answer that the player has not been dealt, of a new picture if there is
    one nearby; None when there is none.

    Another one for each player. Were it the same for all, everybody would know that map from
    practice, and nobody could be dealt it in a round that counts.
    """
    # Anywhere in the deck of known answers, and from its start when that was near the end.
    anywhere = rules.drawn_uuid(player_id=player.id, study_id=study.id, number=hand.n_dealt + 1)
    for low in (anywhere, _LOWEST):
        found: UUID | None = session.scalar(
            _PRACTICE,
            {
                "study_id": study.id,
                "player_id": player.id,
                "low": low,
                "n": rules.PRACTICE_CHOICE,
            },
        )
        if found is not None:
            return found
    return None


_GIVE_BACK = text(
    """
    update cluster_maps set n_leased = n_leased - left_open.n
    from (
        select map_id, count(*) as n from unnest(cast(:map_ids as uuid[])) map_id group by 1
    ) left_open
    where cluster_maps.id = left_open.map_id
    """
)


def return_abandoned(session: Session) -> int:
    """Give back the places of rounds that were left open; how many there were. Their players can
    still finish them."""
    late = (
        select(Round.id)
        .where(Round.place_until < datetime.now(UTC))
        .order_by(Round.id)
        .limit(1000)
        .with_for_update(skip_locked=True)
    )
    map_ids = session.scalars(
        update(Round)
        .where(Round.id.in_(late.scalar_subquery()))
        .values(place_until=None)
        .returning(Round.cluster_map_id)
        .execution_options(synchronize_session=False)
    ).all()
    # Maps before the pictures that count them, as everybody does.
    lock_maps(session, map_ids)
    session.execute(_GIVE_BACK, {"map_ids": map_ids})
    return len(map_ids)


def mark_settled(session: Session, *, settled: Sequence[UUID], opened: Sequence[UUID]) -> None:
    """Deal the settled maps to people no more, and those that have been opened again."""
    # Maps before the pictures that count them, as everybody does.
    lock_maps(session, [*settled, *opened])
    for map_ids, settled_at in ((settled, datetime.now(UTC)), (opened, None)):
        session.execute(
            update(ClusterMap)
            .where(ClusterMap.id.in_(map_ids))
            .values(settled_at=settled_at)
            .execution_options(synchronize_session="fetch")
        )


def daily_maps(session: Session, study: Study, day: date) -> list[UUID]:
    """The maps of a day's challenge, in order; chosen at the first call of the day, of pictures as
    different as can be, those that need rounds most first."""
    chosen = _stored_daily(session, study, day)
    if chosen:
        return chosen
    rows = session.execute(
        _DAILY,
        {"study_id": study.id, "low": rules.daily_uuid(study.id, day), "n": rules.DAILY_MAPS},
    ).scalars()
    values = [
        {"study_id": study.id, "day": day, "position": position, "cluster_map_id": map_id}
        for position, map_id in enumerate(rows)
    ]
    if values:
        # Two first callers choose alike in turn: the second finds what the first has stored.
        session.execute(insert(DailyMap).values(values).on_conflict_do_nothing())
    return _stored_daily(session, study, day)


_ABOVE = _STRETCH.format(lap="1", low=":low", high=f"'{_HIGHEST}'::uuid", wanted=_WANTED)
_BELOW = _STRETCH.format(lap="1", low=f"'{_LOWEST}'::uuid", high=":low", wanted=_WANTED)
NEAR = f"""
    with near as (
        select id from (
            select id, 0 as turn from ({_ABOVE}) above_it
            union all
            select id, 1 from ({_BELOW}) below_it
        ) both_stretches
        order by turn, id limit :n
    )
"""
"""SQL for the pictures with places left that follow `low` in a study's deck, which has no end:
`near`, n of them. A look-up by an index, however many maps there are."""

_DAILY = text(
    NEAR
    + """
    select (
        select maps.id from cluster_maps maps
        where maps.image_id = near.id and maps.is_wanted
        order by maps.n_finished, maps.weight desc, maps.id limit 1
    )
    from near
    """
)


def _stored_daily(session: Session, study: Study, day: date) -> list[UUID]:
    return list(
        session.scalars(
            select(DailyMap.cluster_map_id)
            .where(DailyMap.study_id == study.id, DailyMap.day == day)
            .order_by(DailyMap.position)
        )
    )


def finishes_daily(session: Session, round_: Round, day: date) -> bool:
    """Whether a finished round was the last that its player needed for a day's challenge. Its maps
    count whenever and however they were played, once the player has taken the challenge up."""
    whose = {"study_id": round_.study_id, "player_id": round_.player_id}
    asked = {**whose, "day": day, "map_id": round_.cluster_map_id}
    found: bool | None = session.scalar(_FINISHES_DAILY, asked)
    return bool(found)


_FINISHES_DAILY = text(
    """
    select bool_or(daily.cluster_map_id = :map_id)
        and bool_or(rounds.daily_on = :day)
        and bool_and(rounds.status is not null and rounds.status <> 'open')
    from daily_maps daily
    left join rounds
        on rounds.cluster_map_id = daily.cluster_map_id and rounds.player_id = :player_id
    where daily.study_id = :study_id and daily.day = :day
    """
)
