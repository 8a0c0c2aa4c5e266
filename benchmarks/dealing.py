"""Does dealing a round cost the same among a thousand maps and among a million?

For a new player, for one who has played 99.9 % of the maps, and for sixteen at once. The rows are
made by SQL: pictures with twenty maps each, and for the diligent player the rounds and the hand
that playing so far leads to. Every measured deal is undone, but for those of the sixteen. Peers, by
SQL alone: any map by `order by random()`, and the least played by index, for the diligent player.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from app.infra.db import make_engine, session_factory
from app.infra.embedded import Embedded
from app.infra.schema import migrate
from app.models import Hand, Player, Study
from app.services import players, rounds
from tests.factories import make_study

MAPS_PER_PICTURE = 20

FILL = """
set local session_replication_role = replica;
insert into images (id, study_id, class_id, file_name, sha256, original_key, status, view_key,
    maps_key, target_index, target_name, probability, n_playable, n_wanted)
select gen_random_uuid(), '{study}', {image_class}, n || '.jpg', lpad(n::text, 64, '0'), 'o',
    'done', 'v', 'm', 0, 'boat', 0.9, {per_picture}, {per_picture}
from generate_series(1, {n_images}) n;
insert into cluster_maps (id, study_id, image_id, layer_id, rank, weight, channels, array_name,
    is_playable, n_finished)
select gen_random_uuid(), '{study}', images.id, {layer}, rank, 50.0 / (rank + 1), array[1], 'a',
    true, floor(random() * 4)::int
from images cross join generate_series(0, {per_picture} - 1) rank
where images.study_id = '{study}';
set local session_replication_role = origin;
"""
# All laps but the last, and of the last one all but two pictures in a hundred (one of fifty).
PLAYED = """
insert into rounds (id, study_id, cluster_map_id, player_id, status, reveal_index, finished_at)
select gen_random_uuid(), maps.study_id, maps.id, :player, 'resigned', 0, now()
from cluster_maps maps
join (
    select id, row_number() over (order by id < :player, id) as place, count(*) over () as n
    from images where study_id = :study
) deck on deck.id = maps.image_id
where maps.rank < :last_rank or deck.place <= deck.n - greatest(deck.n / 50, 1)
"""
LAST_PLAYED = """
select id from (
    select id, row_number() over (order by id < :player, id) as place, count(*) over () as n
    from images where study_id = :study
) deck where place = n - greatest(n / 50, 1)
"""
AT_RANDOM = """
select id from cluster_maps maps where study_id = :study and not exists (
    select from rounds where player_id = :player and cluster_map_id = maps.id
) order by random() limit 1
"""
LEAST_PLAYED = """
select id from cluster_maps maps where study_id = :study and is_wanted and not exists (
    select from rounds where player_id = :player and cluster_map_id = maps.id
) order by n_finished, weight limit 1
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", type=int, nargs=2, default=[1_000, 1_000_000])
    parser.add_argument("--deals", type=int, default=100)
    arguments = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as home, Embedded(Path(home), durable=False) as services:
        migrate(services.database_url)
        engine = make_engine(services.database_url, pool_size=16)
        factory = session_factory(engine)
        studies = [fill(factory, n) for n in arguments.maps]
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("vacuum analyze"))
        for n, (study, diligent) in zip(arguments.maps, studies, strict=True):
            found[n] = measure(factory, study, diligent, arguments.deals)
        engine.dispose()
    report(found)


def fill(factory: sessionmaker[Session], n_maps: int) -> tuple[UUID, UUID]:
    """A study with so many maps, and a player who has played 99.9 % of them; their ids."""
    with factory.begin() as session:
        study = make_study(session)
        player, _ = players.create_guest(session)
        statements = FILL.format(
            study=study.id,
            image_class=study.classes[0].id,
            layer=study.layers[0].id,
            per_picture=MAPS_PER_PICTURE,
            n_images=n_maps // MAPS_PER_PICTURE,
        )
        for statement in statements.split(";\n"):
            if statement.strip():
                session.execute(text(statement))
        values = {"player": player.id, "study": study.id, "last_rank": MAPS_PER_PICTURE - 1}
        session.execute(text(PLAYED), values)
        n_dealt = session.scalar(
            text("select count(*) from rounds where player_id = :player"), values
        )
        session.add(
            Hand(
                player_id=player.id,
                study_id=study.id,
                n_dealt=n_dealt,
                lap=MAPS_PER_PICTURE,
                drawn_to=session.scalar(text(LAST_PLAYED), values),
            )
        )
        print(f"{n_maps:,} maps, {n_dealt / n_maps:.1%} of them played", flush=True)
        return study.id, player.id


def measure(
    factory: sessionmaker[Session], study_id: UUID, diligent: UUID, n_deals: int
) -> dict[str, list[float]]:
    """Milliseconds of each deal."""

    def deal_and_undo(player_id: UUID | None) -> float:
        with factory() as session:
            study = session.get_one(Study, study_id)
            player = (
                session.get_one(Player, player_id)
                if player_id
                else players.create_guest(session)[0]
            )
            started = time.perf_counter()
            assert rounds.deal(session, player=player, study=study) is not None
            taken = 1000 * (time.perf_counter() - started)
            session.rollback()
        return taken

    def play_some(_: int) -> list[float]:
        with factory.begin() as session:
            player, _token = players.create_guest(session)
        times = []
        for _round in range(max(n_deals // 16, 3)):
            with factory.begin() as session:
                study = session.get_one(Study, study_id)
                merged = session.get_one(Player, player.id)
                started = time.perf_counter()
                round_ = rounds.deal(session, player=merged, study=study)
                times.append(1000 * (time.perf_counter() - started))
            assert round_ is not None
            with factory.begin() as session:
                merged = session.get_one(Player, player.id)
                rounds.resign(session, round_id=round_.id, player=merged)
        return times

    def by_sql(query: str, player_id: UUID) -> float:
        with factory() as session:
            started = time.perf_counter()
            session.scalar(text(query), {"study": study_id, "player": player_id})
            return 1000 * (time.perf_counter() - started)

    def repeat(call: Callable[[], float], n: int) -> list[float]:
        return [call() for _ in range(n + 1)][1:]

    with factory.begin() as session:
        fresh = players.create_guest(session)[0].id
    with ThreadPoolExecutor(16) as pool:
        at_once = [one for times in pool.map(play_some, range(16)) for one in times]
    return {
        "a new player": repeat(lambda: deal_and_undo(None), n_deals),
        "one who has played 99.9 %": repeat(lambda: deal_and_undo(diligent), n_deals),
        "sixteen at once": at_once,
        "peer: order by random()": repeat(lambda: by_sql(AT_RANDOM, fresh), 3),
        "peer: least played, 99.9 %": repeat(lambda: by_sql(LEAST_PLAYED, diligent), 3),
    }


def report(found: dict[int, dict[str, list[float]]]) -> None:
    few, many = found
    print(f"\nms, median (least){f'{few:,} maps':>22}{f'{many:,} maps':>22}{'ratio':>8}")
    for name in found[few]:
        a, b = found[few][name], found[many][name]
        ratio = statistics.median(b) / statistics.median(a)
        print(f"{name:28}{cell(a):>20}{cell(b):>22}{ratio:8.2f}")


def cell(times: list[float]) -> str:
    return f"{statistics.median(times):.2f} ({min(times):.2f})"


if __name__ == "__main__":
    main()
