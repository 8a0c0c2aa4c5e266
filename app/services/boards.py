"""Who has how many points: today, this week, of all time; in one study or in all."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, select, text, tuple_
from sqlalchemy.orm import Session

from app.models import Board, BoardTotal, Study
from app.models.standings import EVERY_STUDY
from app.services.names import public_names

Period = Literal["today", "week", "all"]

N_SHOWN = 50
"""Players on a board's page: what one scrolls through without getting lost."""

N_AROUND = 2
"""Players shown above and below one's own place, where that is further down."""


@dataclass(frozen=True, slots=True)
class Place:
    """A player's place. Players with as many points share a rank."""

    rank: int
    player_id: UUID
    name: str
    points: int


class _Row(NamedTuple):
    """A place while its player's name has not been looked up."""

    rank: int
    player_id: UUID
    points: int


@dataclass(frozen=True, slots=True)
class BoardPage:
    """The top of a board. own: the asking player's place, None without points. around: those next
    to it, where it is not among the top."""

    n_players: int
    top: list[Place]
    own: Place | None
    around: list[Place]


def period_key(period: Period, now: datetime) -> str:
    """How a period that holds `now` is stored; days and weeks are those of UTC."""
    day = now.astimezone(UTC)
    return {"today": day.strftime("%Y-%m-%d"), "week": day.strftime("%G-W%V"), "all": "all"}[period]


def read(
    session: Session, period: Period, *, study: Study | None = None, player_id: UUID | None = None
) -> BoardPage:
    """A board of people, as a player sees it."""
    board_id = _find(session, period, study.id if study else EVERY_STUDY, simulated=False)
    if board_id is None:
        return BoardPage(0, [], None, [])
    rows = session.execute(
        select(BoardTotal.player_id, BoardTotal.points)
        .where(BoardTotal.board_id == board_id)
        .order_by(*_ORDER)
        .limit(N_SHOWN)
    ).all()
    top: list[_Row] = []
    for number, (found, points) in enumerate(rows, start=1):
        shared = top and top[-1].points == points
        rank = top[-1].rank if shared else number
        top.append(_Row(rank, found, points))
    own = None if player_id is None else _own(session, board_id, player_id)
    is_among_top = own is None or own.player_id in {row.player_id for row in top}
    around = [] if own is None or is_among_top else _around(session, board_id, own)
    names = public_names(session, {row.player_id for row in (*top, *around)})

    def place(row: _Row) -> Place:
        return Place(row.rank, row.player_id, names[row.player_id], row.points)

    return BoardPage(
        n_players=_count(session, board_id),
        top=[place(row) for row in top],
        own=None if own is None else place(own),
        around=[place(row) for row in around],
    )


_ORDER = (BoardTotal.points.desc(), BoardTotal.reached_at, BoardTotal.player_id)
"""Who had so many points first stands before those who reached them later."""


POINTS_OF = (
    select(BoardTotal.points)
    .join(Board, Board.id == BoardTotal.board_id)
    .where(
        Board.scope == EVERY_STUDY,
        Board.period == "all",
        Board.simulated == bindparam("simulated"),
        BoardTotal.player_id == bindparam("player_id"),
    )
)
"""The query for all the points of a player, with the parameters `player_id` and `simulated`."""


def _find(session: Session, period: Period, scope: UUID, *, simulated: bool) -> int | None:
    return session.scalar(
        select(Board.id).where(
            Board.scope == scope,
            Board.period == period_key(period, datetime.now(UTC)),
            Board.simulated.is_(simulated),
        )
    )


def _count(session: Session, board_id: int) -> int:
    n = session.scalar(
        text("select sum(n_players) from board_steps where board_id = :board_id"),
        {"board_id": board_id},
    )
    return int(n or 0)


# One more than those above: all in higher steps, and those within the player's own step.
_RANK = text(
    """
    select 1
        + (select coalesce(sum(n_players), 0) from board_steps
           where board_id = :board_id and step > points_step(:points))
        + (select count(*) from board_totals
           where board_id = :board_id
               and points > :points and points <= points_step_end(:points))
    """
)


def rank_of(session: Session, board_id: int, points: int) -> int:
    """The rank that so many points have on a board."""
    return int(session.scalar(_RANK, {"board_id": board_id, "points": points}) or 1)


def _own(session: Session, board_id: int, player_id: UUID) -> _Row | None:
    points = session.scalar(
        select(BoardTotal.points).where(
            BoardTotal.board_id == board_id, BoardTotal.player_id == player_id
        )
    )
    if points is None:
        return None
    return _Row(rank_of(session, board_id, points), player_id, points)


def _around(session: Session, board_id: int, own: _Row) -> list[_Row]:
    """The player's place with its neighbours, best first."""
    reached_at = session.scalar(
        select(BoardTotal.reached_at).where(
            BoardTotal.board_id == board_id, BoardTotal.player_id == own.player_id
        )
    )
    # Better ones have more points, or as many since an earlier moment: as a row to compare with,
    # both must grow in one direction, so points are looked up by their own condition.
    same = BoardTotal.points == own.points
    rest = tuple_(BoardTotal.reached_at, BoardTotal.player_id)
    at = tuple_(reached_at, own.player_id)
    places = select(BoardTotal.player_id, BoardTotal.points).where(BoardTotal.board_id == board_id)
    upwards = (BoardTotal.points, BoardTotal.reached_at.desc(), BoardTotal.player_id.desc())
    before = session.execute(places.where(same, rest < at).order_by(*upwards).limit(N_AROUND)).all()
    if len(before) < N_AROUND:
        n = N_AROUND - len(before)
        more = places.where(BoardTotal.points > own.points).order_by(*upwards).limit(n)
        before = [*before, *session.execute(more).all()]
    after = session.execute(places.where(same, rest > at).order_by(*_ORDER).limit(N_AROUND)).all()
    if len(after) < N_AROUND:
        n = N_AROUND - len(after)
        more = places.where(BoardTotal.points < own.points).order_by(*_ORDER).limit(n)
        after = [*after, *session.execute(more).all()]
    ranks = {own.points: own.rank}
    for _, points in (*before, *after):
        if points not in ranks:
            ranks[points] = rank_of(session, board_id, points)
    return [
        _Row(ranks[points], player_id, points)
        for player_id, points in (*reversed(before), (own.player_id, own.points), *after)
    ]
