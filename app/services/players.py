"""Players and what they have earned."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.infra.security import new_token, token_digest
from app.models import Player, PointsEntry, Round


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


@dataclass(frozen=True, slots=True)
class Standing:
    """What a player has done so far: points from the ledger, rounds finished, guesses right."""

    points: int
    n_rounds: int
    n_right: int


def standing(session: Session, player: Player) -> Standing:
    points = session.scalar(
        select(func.coalesce(func.sum(PointsEntry.points), 0)).where(
            PointsEntry.player_id == player.id
        )
    )
    n_rounds, n_right = session.execute(
        select(func.count(), func.count().filter(Round.status == "won")).where(
            Round.player_id == player.id, Round.status != "open"
        )
    ).one()
    return Standing(points=int(points or 0), n_rounds=n_rounds, n_right=n_right)
