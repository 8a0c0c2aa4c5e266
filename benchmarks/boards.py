"""How long a board's page and a player's own rank take among a million players.

The rows are made by SQL; what is measured is the service that pages call. The peer is the plain
way: rank() over all totals of the board.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.infra.db import make_engine, session_factory
from app.infra.embedded import Embedded
from app.infra.schema import migrate
from app.models import Board
from app.models.standings import EVERY_STUDY
from app.services import boards

FILL = """
insert into players (id, kind, token_digest, last_seen_at)
select gen_random_uuid(), 'guest', sha256(n::text::bytea), now() from generate_series(1, :n) n;
"""
# Most play little and few play much: an exponential share, the longest tail some thousands.
FILL_TOTALS = """
insert into board_totals (board_id, player_id, points, reached_at)
select :board, id, 1 + floor(-400 * ln(1 - random()))::int, now() - random() * interval '90 days'
from players
"""
FILL_STEPS = """
insert into board_steps (board_id, step, shard, n_players)
select board_id, points_step(points), get_byte(uuid_send(player_id), 0) % 4, count(*)
from board_totals group by 1, 2, 3
"""
PEER = """
select rank from (
    select player_id, rank() over (order by points desc) as rank
    from board_totals where board_id = :board
) ranked where player_id = :player
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--players", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, Embedded(Path(home), durable=False) as services:
        migrate(services.database_url)
        engine = make_engine(services.database_url)
        with session_factory(engine).begin() as session:
            fill(session, arguments.players)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("vacuum analyze"))
        with session_factory(engine)() as session:
            report(session, arguments.calls)
        engine.dispose()


def fill(session: Session, n_players: int) -> None:
    board = Board(scope=EVERY_STUDY, period="all", simulated=False)
    session.add(board)
    session.flush()
    session.execute(text(FILL), {"n": n_players})
    session.execute(text(FILL_TOTALS), {"board": board.id})
    session.execute(text(FILL_STEPS))


def report(session: Session, n_calls: int) -> None:
    board_id = session.scalar(text("select id from boards"))
    assert board_id is not None
    sample = "select player_id, points from board_totals order by random() limit :n"
    rows = session.execute(text(sample), {"n": n_calls}).all()
    wrong = 0
    for player, points in rows[:5]:
        peer = session.scalar(text(PEER), {"board": board_id, "player": player})
        wrong += peer != boards.rank_of(session, board_id, points)
    page = timed(lambda row: boards.read(session, "all"), rows)
    rank = timed(lambda row: boards.rank_of(session, board_id, row[1]), rows)
    whole = timed(lambda row: boards.read(session, "all", player_id=row[0]), rows)
    peer = timed(
        lambda row: session.scalar(text(PEER), {"board": board_id, "player": row[0]}), rows[:5]
    )
    print(f"{session.scalar(text('select count(*) from board_totals')):,} players; ms")
    print(f"{'':34}{'least':>9}{'median':>9}{'p95':>9}")
    for name, times in (
        ("page, the first fifty", page),
        ("own rank", rank),
        ("page, own rank and neighbours", whole),
        ("peer: rank() over all", peer),
    ):
        least, p95 = min(times), quantile(times, 0.95)
        print(f"{name:34}{least:9.2f}{statistics.median(times):9.2f}{p95:9.2f}")
    print(f"peer / own rank: {statistics.median(peer) / statistics.median(rank):,.0f}")
    print(f"ranks that differ from the peer's: {wrong} of 5")


def timed(call: Callable[[tuple], object], rows: list) -> list[float]:
    """Milliseconds of each call, after one that warms up."""
    call(rows[0])
    times = []
    for row in rows:
        started = time.perf_counter()
        call(row)
        times.append(1000 * (time.perf_counter() - started))
    return times


def quantile(times: list[float], share: float) -> float:
    return sorted(times)[min(int(share * len(times)), len(times) - 1)]


if __name__ == "__main__":
    main()
