"""Players and what they have earned."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import rules
from app.infra.security import new_token, token_digest
from app.models import Player, Tally
from app.services import boards


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
    points = boards.points_of(session, player.id, simulated=player.is_simulated)
    tally = session.get(Tally, player.id, populate_existing=True)
    level = rules.level(points)
    today = datetime.now(UTC).date()
    is_running = (
        tally is not None
        and tally.last_day is not None
        and tally.last_day >= today - timedelta(days=1)
    )
    return Standing(
        points=points,
        level=level,
        level_at=rules.points_for_level(level),
        next_level_at=rules.points_for_level(level + 1),
        n_rounds=tally.n_rounds if tally else 0,
        n_right=tally.n_right if tally else 0,
        streak_days=tally.streak_days if tally and is_running else 0,
    )
