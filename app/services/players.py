"""Players and what they have earned."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session, aliased

from app.infra.security import new_token, token_digest
from app.models import Account, Player, PointsEntry, Round


def create_guest(session: Session) -> tuple[Player, str]:
    """A new guest and the token for their cookie. Only the token's digest is stored."""
    token = new_token()
    player = Player(token_digest=token_digest(token), last_seen_at=datetime.now(UTC))
    session.add(player)
    session.flush()
    return player, token


def create_simulated(session: Session) -> Player:
    """A new simulated player. Nobody gets its token, so no browser can play as it."""
    player = Player(
        kind="simulated", token_digest=token_digest(new_token()), last_seen_at=datetime.now(UTC)
    )
    session.add(player)
    session.flush()
    return player


def find_player(session: Session, token: str) -> Player | None:
    """The player whose cookie this is; None for one made up or from another installation."""
    return session.scalar(select(Player).where(Player.token_digest == token_digest(token)))


def merge_guest(session: Session, *, guest: Player, account: Account) -> int:
    """Give a guest's rounds to the player of the account that they turned out to have; how many
    moved. Labels and points belong to whom their round belongs, so they move along.

    Where both have finished the same map the account's round counts and the guest's stays where it
    is: nobody earns by playing a map twice. A finished round goes before one that is open, and of
    two open rounds in a study the account's goes on. Done again, or for somebody who is no guest,
    nothing happens.
    """
    # In one order for everybody, so that two merges at once wait for one another and never lock up.
    locked = session.scalars(
        select(Player)
        .where(Player.id.in_([guest.id, account.player_id]))
        .order_by(Player.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    found = next((player for player in locked if player.id == guest.id), None)
    if found is None or found.kind != "guest" or found.merged_into_id is not None:
        return 0
    own = aliased(Round)
    finished = select(Round.cluster_map_id).where(
        Round.player_id == guest.id, Round.status != "open"
    )
    # An open round holds nothing yet that could be lost.
    session.execute(
        delete(Round).where(
            Round.player_id == account.player_id,
            Round.status == "open",
            Round.cluster_map_id.in_(finished),
        ),
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
    found.merged_into_id, found.token_digest = account.player_id, None
    session.flush()
    return len(moved)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a player has done so far: points from the ledger, rounds finished, guesses right."""

    points: int
    n_rounds: int
    n_right: int


def standing(session: Session, player: Player) -> Standing:
    # By the round's player, not the entry's: the ledger never changes, and rounds of a guest move.
    points = session.scalar(
        select(func.coalesce(func.sum(PointsEntry.points), 0))
        .join(Round, Round.id == PointsEntry.round_id)
        .where(Round.player_id == player.id)
    )
    n_rounds, n_right = session.execute(
        select(func.count(), func.count().filter(Round.status == "won")).where(
            Round.player_id == player.id, Round.status != "open"
        )
    ).one()
    return Standing(points=int(points or 0), n_rounds=n_rounds, n_right=n_right)
