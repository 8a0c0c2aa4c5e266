"""Two people at one map, who agree on words without talking.

Each plays a round as any other; what they typed is compared when both have answered. Who finds
nobody plays with what somebody typed for the map before. Simulated players have no part in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy import delete, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import rules
from app.concepts import contains_word, tidy_label
from app.infra.errors import ConflictError, ForbiddenError
from app.models import Hand, Label, Partner, Player, Round, Seat, Study
from app.services import dealing, moderation, studies
from app.services.ledger import Line


def seek(session: Session, *, player: Player, study: Study) -> UUID | None:
    """Deal a map to the player and to somebody who waits; that one's player's id, for their page to
    be told. None when nobody waits whom it could be: now the player does.

    ConflictError while the player has a round under way.
    """
    _check_may_play(session, player, study)
    now = datetime.now(UTC)
    # One at a time in a study: of two who come at once, the second finds the first.
    key = func.hashtextextended(f"seats of study {study.id}", 0)
    session.execute(select(func.pg_advisory_xact_lock(key)))
    hand = _lock_free_hand(session, player, study)
    if hand is None:
        raise ConflictError("You have a round under way. Finish it, then look for a partner.")
    waiting = session.execute(
        select(Seat, Player)
        .join(Player, Player.id == Seat.player_id)
        .where(
            Seat.study_id == study.id,
            Seat.player_id != player.id,
            Seat.since > now - rules.SEAT_LASTS,
            Player.merged_into_id.is_(None),
        )
        .order_by(Seat.since)
    ).all()
    for seat, other in waiting:
        others_hand = _lock_free_hand(session, other, study)
        if others_hand is None:
            continue
        map_id = _take_map_for_two(session, study, [player.id, other.id])
        if map_id is None:
            continue
        own = _deal(session, hand, map_id, now)
        others = _deal(session, others_hand, map_id, now)
        session.add_all(
            Partner(round_id=a.id, partner_id=b.id, is_recorded=False)
            for a, b in ((own, others), (others, own))
        )
        session.delete(seat)
        _leave(session, player)
        return other.id
    session.execute(
        insert(Seat)
        .values(player_id=player.id, study_id=study.id, since=now)
        .on_conflict_do_update(
            index_elements=["player_id"], set_={"study_id": study.id, "since": now}
        )
    )
    return None


def seek_recorded(session: Session, *, player: Player, study: Study) -> None:
    """Deal the player a map that somebody has named before, with that one's words as partner; or
    nothing, where there is none. Who has found a partner meanwhile keeps them."""
    _check_may_play(session, player, study)
    hand = _lock_free_hand(session, player, study)
    _leave(session, player)
    if hand is None:
        return
    found = session.execute(
        _RECORDED, {**_near(study), "player_id": player.id, "order": str(player.id)}
    ).all()
    for map_id, recorded_id in found:
        if dealing.take_place(session, map_id):
            round_ = _deal(session, hand, map_id, datetime.now(UTC))
            session.add(Partner(round_id=round_.id, partner_id=recorded_id, is_recorded=True))
            return


def waiting_s(session: Session, *, player: Player, study: Study) -> float | None:
    """Seconds that the player will wait for somebody else from now on; None for who waits not."""
    since = session.scalar(
        select(Seat.since).where(Seat.player_id == player.id, Seat.study_id == study.id)
    )
    now = datetime.now(UTC)
    if since is None or since <= now - rules.SEAT_LASTS:
        return None
    return max(0.0, rules.LIVE_WAIT_S - (now - since).total_seconds())


def has_round(session: Session, *, player: Player, study: Study) -> bool:
    """Whether the player has a round with a partner under way."""
    found = dealing.open_round(session, player, study)
    return found is not None and found.with_partner


@dataclass(frozen=True, slots=True)
class Company:
    """Who plays with the player of a round. is_recorded: they have played it before. is_done: they
    have answered. words: what they typed; met: which of the player's own words met one of theirs.
    The last two are for after the player's own answer."""

    player_id: UUID
    is_recorded: bool
    is_done: bool
    words: list[str]
    met: list[str]


def company(session: Session, round_: Round) -> Company | None:
    """The partner of a round; None where there is none, or their round is gone."""
    if not round_.with_partner:
        return None
    row = session.execute(
        select(Partner.is_recorded, Round.id, Round.player_id, Round.status)
        .join(Round, Round.id == Partner.partner_id)
        .where(Partner.round_id == round_.id)
    ).one_or_none()
    if row is None:
        return None
    own, theirs = _words(session, round_.id), _words(session, row.id)
    return Company(
        player_id=row.player_id,
        is_recorded=row.is_recorded,
        is_done=row.status != "open",
        words=theirs,
        met=_met(own, theirs),
    )


def lines_for_meeting(session: Session, round_: Round) -> list[Line]:
    """What words that met earn, for both, once both have answered; to be asked in the transaction
    that finishes a round. Who played before has had their points."""
    if not round_.with_partner:
        return []
    # Two who answer at once take turns here: the second sees what the first has stored.
    session.execute(
        select(Partner.round_id)
        .where(or_(Partner.round_id == round_.id, Partner.partner_id == round_.id))
        .where(~Partner.is_recorded | (Partner.round_id == round_.id))
        .order_by(Partner.round_id)
        .with_for_update()
    )
    row = session.execute(
        select(Partner.is_recorded, Round.id, Round.player_id)
        .join(Round, Round.id == Partner.partner_id)
        .where(Partner.round_id == round_.id, Round.status != "open")
    ).one_or_none()
    if row is None:
        return []
    own, theirs = _words(session, round_.id), _words(session, row.id)
    lines = _lines(round_.player_id, round_.id, _met(own, theirs))
    return lines if row.is_recorded else lines + _lines(row.player_id, row.id, _met(theirs, own))


def _lines(player_id: UUID, round_id: UUID, words: Sequence[str]) -> list[Line]:
    return [Line(player_id, round_id, "met", rules.MET_POINTS, word) for word in words]


def _words(session: Session, round_id: UUID) -> list[str]:
    return list(
        session.scalars(
            select(Label.text)
            .where(Label.round_id == round_id, Label.remark.is_(None), Label.hidden_at.is_(None))
            .order_by(Label.position)
        )
    )


def _met(own: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Which of one's own words meet one of theirs: "white sails" meets "sail"."""
    tidy = [tidy_label(word) or "" for word in theirs]
    return [word for word in own if any(_meet(tidy_label(word) or "", other) for other in tidy)]


def _meet(a: str, b: str) -> bool:
    return contains_word(a, b) or contains_word(b, a)


def _check_may_play(session: Session, player: Player, study: Study) -> None:
    if player.is_simulated:
        raise ForbiddenError("Simulated players play by themselves.")
    studies.check_open(study)
    moderation.check_may_play(session, study, player)


def _lock_free_hand(session: Session, player: Player, study: Study) -> Hand | None:
    """The player's hand, locked; None while they have a round under way. One dealt ahead, which
    nobody has seen, makes way."""
    hand = dealing.lock_hand(session, player, study)
    open_round = dealing.open_round(session, player, study)
    if open_round is not None:
        if not open_round.is_ahead:
            return None
        dealing.take_back(session, hand, open_round)
    return hand


def _deal(session: Session, hand: Hand, map_id: UUID, now: datetime) -> Round:
    """A round on a map of which a place has been taken. No word is taboo: it has to be possible
    that both say the same."""
    round_ = Round(
        study_id=hand.study_id,
        player_id=hand.player_id,
        cluster_map_id=map_id,
        with_partner=True,
        place_until=now + rules.PLACE_LASTS,
        dealt_at=now,
        last_step_at=now,
    )
    hand.n_dealt += 1
    session.add(round_)
    session.flush()
    return round_


def _leave(session: Session, player: Player) -> None:
    session.execute(delete(Seat).where(Seat.player_id == player.id))


def _take_map_for_two(session: Session, study: Study, player_ids: list[UUID]) -> UUID | None:
    found: UUID | None = session.scalar(_TAKE_FOR_TWO, {**_near(study), "player_ids": player_ids})
    return found


def _near(study: Study) -> dict[str, object]:
    """Pictures from anywhere in the deck."""
    return {"study_id": study.id, "low": uuid4(), "n": rules.HAND_PICTURES}


_TAKE_FOR_TWO = text(
    dealing.NEAR
    + """
    update cluster_maps set n_leased = n_leased + 2
    where id = (
        select maps.id from near join cluster_maps maps on maps.image_id = near.id
        where maps.is_wanted
            and maps.n_finished + maps.n_leased + 2 <= coalesce(maps.n_wanted, 2147483647)
            and not exists (
                select from rounds
                where rounds.player_id = any(:player_ids) and rounds.cluster_map_id = maps.id
            )
        order by maps.n_finished + maps.n_leased, maps.weight desc, maps.id limit 1
        for no key update of maps skip locked
    )
    returning id
    """
)
_RECORDED = text(
    dealing.NEAR
    + """
    select maps.id, recorded.id from near
    join cluster_maps maps on maps.image_id = near.id
    cross join lateral (
        select rounds.id from rounds join players on players.id = rounds.player_id
        where rounds.cluster_map_id = maps.id and rounds.status in ('won', 'lost')
            and players.kind <> 'simulated' and rounds.player_id <> :player_id
            and not (rounds.practice or rounds.is_spare or rounds.is_excluded)
            and exists (
                select from labels
                where labels.round_id = rounds.id and remark is null and hidden_at is null
            )
        order by md5(rounds.id::text || :order) limit 1
    ) recorded
    where maps.is_wanted and not exists (
        select from rounds
        where rounds.player_id = :player_id and rounds.cluster_map_id = maps.id
    )
    order by maps.n_finished + maps.n_leased, maps.weight desc, maps.id
    limit :n
    """
)
