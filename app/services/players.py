"""Players and what they have earned."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete, select, text, update
from sqlalchemy.orm import Session, aliased

from app import rules
from app.infra.security import new_token, token_digest
from app.models import Account, ClusterMap, Hand, Player, Round, Tally
from app.services import boards, ledger, moderation


def create_guest(session: Session) -> tuple[Player, str]:
    """A new guest and the token for their cookie. Only the token's digest is stored."""
    token = new_token()
    player = Player(token_digest=token_digest(token), last_seen_at=datetime.now(UTC))
    session.add(player)
    session.flush()
    return player, token


def create_simulated(session: Session) -> Player:
    """A new simulated player, which needs no introduction. Nobody gets its token, so no browser can
    play as it."""
    player = Player(
        kind="simulated",
        token_digest=token_digest(new_token()),
        is_introduced=True,
        last_seen_at=datetime.now(UTC),
    )
    session.add(player)
    session.flush()
    return player


def find_player(session: Session, token: str) -> Player | None:
    """The player whose cookie this is; None for one made up or from another installation."""
    return session.scalar(_PLAYER_OF_TOKEN, {"digest": token_digest(token)})


_PLAYER_OF_TOKEN = select(Player).where(Player.token_digest == bindparam("digest"))


def merge_guest(session: Session, *, guest: Player, account: Account) -> int:
    """Give a guest's rounds to the player of the account that they turned out to have; how many
    moved. Labels and points belong to whom their round belongs, so they move along.

    Where both have finished the same map the account's round counts and the guest's stays where it
    is: nobody earns by playing a map twice. A finished round goes before one that is open, and of
    two open rounds in a study the account's goes on. Done again, or for somebody who is no guest,
    nothing happens.
    """
    locked = _lock_for_merge(session, [guest.id, account.player_id])
    found = next((player for player in locked if player.id == guest.id), None)
    if found is None or found.kind != "guest" or found.merged_into_id is not None:
        return 0
    # Nobody has seen these, so they are in nobody's way.
    session.execute(
        delete(Round).where(Round.player_id.in_([found.id, account.player_id]), Round.is_ahead),
        execution_options={"synchronize_session": "fetch"},
    )
    own = aliased(Round)
    finished = select(Round.cluster_map_id).where(
        Round.player_id == guest.id, Round.status != "open"
    )
    # An open round holds nothing yet that could be lost, but a place, which is given back.
    superseded = (
        (Round.player_id == account.player_id)
        & (Round.status == "open")
        & Round.cluster_map_id.in_(finished)
    )
    held = select(Round.cluster_map_id).where(superseded, Round.place_until.is_not(None))
    session.execute(
        update(ClusterMap)
        .where(ClusterMap.id.in_(held))
        .values(n_leased=ClusterMap.n_leased - 1)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        delete(Round).where(superseded),
        execution_options={"synchronize_session": "fetch"},
    )
    same = (own.cluster_map_id == Round.cluster_map_id) | (
        (own.study_id == Round.study_id) & (own.status == "open") & (Round.status == "open")
    )
    taken = select(own.id).where(own.player_id == account.player_id, same).exists()
    moved = session.execute(
        update(Round)
        .where(Round.player_id == found.id, ~taken)
        .values(player_id=account.player_id)
        .returning(Round.id),
        execution_options={"synchronize_session": "fetch"},
    ).all()
    for player in locked:
        player.is_introduced |= found.is_introduced
    found.merged_into_id, found.token_digest = account.player_id, None
    session.flush()
    _merge_hands(session, source=found.id, target=account.player_id)
    # Their rounds in unlisted games are the account's now, and so is the way in.
    session.execute(_LET_IN, {"source": found.id, "target": account.player_id})
    ledger.merge(session, source=found.id, target=account.player_id)
    moderation.carry_over(session, source=found.id, target=account.player_id)
    return len(moved)


def _lock_for_merge(session: Session, player_ids: list[UUID]) -> Sequence[Player]:
    """The two players, locked with all that a merge moves: in one order for everybody, so that two
    merges at once wait for one another, and what is being dealt or answered is waited for."""
    # Locked as far as a merge changes them: what is dealt and answered only needs them to exist,
    # and would wait here for good while the merge waits for its round.
    players = session.scalars(
        select(Player)
        .where(Player.id.in_(player_ids))
        .order_by(Player.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    # A deal takes the hand first, and an answer its round, before the maps that a merge needs too.
    for key, of_them in (
        (Hand.study_id, Hand.player_id.in_(player_ids)),
        (Round.id, Round.player_id.in_(player_ids) & (Round.status == "open")),
    ):
        session.execute(select(key).where(of_them).order_by(key).with_for_update())
    return players


# The account goes through its own deck, with the guest's rounds counted as dealt.
_MERGE_HANDS = text(
    """
    insert into hands as kept (player_id, study_id, n_dealt, lap, image_ids)
    select :target, study_id, count(*), 1, '{}' from rounds
    where player_id = :target group by study_id
    on conflict (player_id, study_id) do update set n_dealt = excluded.n_dealt
    """
)


_LET_IN = text(
    """
    insert into study_guests (study_id, player_id)
    select study_id, :target from study_guests where player_id = :source
    on conflict do nothing
    """
)


def _merge_hands(session: Session, *, source: UUID, target: UUID) -> None:
    session.execute(_MERGE_HANDS, {"target": target})
    session.execute(delete(Hand).where(Hand.player_id == source))


@dataclass(frozen=True, slots=True)
class Standing:
    """What a player has done so far. next_level_at: points at which the next level begins.
    streak_days: days in a row with a finished round, today's or yesterday's the last."""

    points: int
    level: int
    level_at: int
    next_level_at: int
    n_rounds: int
    n_right: int
    streak_days: int


def standing(session: Session, player: Player) -> Standing:
    row = session.execute(
        _STANDING, {"player_id": player.id, "simulated": player.is_simulated}
    ).one()
    points = row.points or 0
    level = rules.level(points)
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    is_running = row.last_day is not None and row.last_day >= yesterday
    return Standing(
        points=points,
        level=level,
        level_at=rules.points_for_level(level),
        next_level_at=rules.points_for_level(level + 1),
        n_rounds=row.n_rounds or 0,
        n_right=row.n_right or 0,
        streak_days=row.streak_days if is_running else 0,
    )


# A new player has no tally yet, and no points.
_STANDING = (
    select(
        boards.POINTS_OF.scalar_subquery().label("points"),
        Tally.n_rounds,
        Tally.n_right,
        Tally.streak_days,
        Tally.last_day,
    )
    .select_from(Player)
    .outerjoin(Tally, Tally.player_id == Player.id)
    .where(Player.id == bindparam("player_id"))
)
