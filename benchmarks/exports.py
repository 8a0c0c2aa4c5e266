"""How fast is an export of very many labels, and how much memory does it take?

The floor is PostgreSQL's COPY of the same joined rows to a file, which no export can beat. Each
side runs in a process of its own, so that its peak memory is its own.

    python benchmarks/exports.py --labels 1000000
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from app.formats.packing import write_file
from app.infra.db import make_engine, reading, session_factory
from app.infra.embedded import Embedded
from app.infra.schema import migrate
from app.infra.storage import Storage
from app.services import export_files, studies
from app.services.exports import ExportSpec, FileFormat
from tests.many_labels import add_labels
from tests.services.conftest import make_game

FORMATS: tuple[FileFormat, ...] = ("jsonl", "csv", "parquet")
_COPY = """
copy (
    select l.id, l.text, l.created_at, c.name, s.n_given, r.id, r.reveal_index, r.status,
           r.practice, r.player_id, p.kind, g.name, m.id, m.weight, m.channels, y.name, i.file_name,
           i.sha256, i.target_name, k.name
    from labels l
    join rounds r on r.id = l.round_id
    join players p on p.id = r.player_id
    join study_classes g on g.id = r.guessed_class_id
    join cluster_maps m on m.id = r.cluster_map_id
    join layers y on y.id = m.layer_id
    join images i on i.id = m.image_id
    join study_classes k on k.id = i.class_id
    left join concepts c on c.id = l.concept_id
    left join concept_scores s on s.cluster_map_id = m.id and s.concept_id = c.id
    order by l.id
) to stdout
"""


def measure(url: str, folder: Path, what: str) -> dict[str, float]:
    """Seconds and peak MiB of writing one file, in this process."""
    engine = make_engine(url)
    out = folder / f"labels.{what}"
    started, cpu_started = time.perf_counter(), time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if what == "copy":
        address = make_url(url).set(drivername="postgresql").render_as_string(False)
        with (
            psycopg.connect(address) as connection,
            out.open("wb") as file,
            connection.cursor().copy(_COPY) as rows,
        ):
            for piece in rows:
                file.write(piece)
    else:
        with reading(session_factory(engine)) as session, out.open("wb") as file:
            (one,) = export_files.files(
                session,
                Storage(folder),
                study=studies.get(session, "cats-and-dogs"),
                secret=b"k",
                spec=ExportSpec(what),  # type: ignore[arg-type]
            )
            write_file(file, one)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    engine.dispose()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "s": seconds,
        "cpu_s": cpu_s,
        "more_mib": (peak - before) / 1024,
        "mb": out.stat().st_size / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--measure", nargs=3, metavar=("URL", "FOLDER", "WHAT"))
    arguments = parser.parse_args()
    if arguments.measure:
        url, folder, what = arguments.measure
        print(json.dumps(measure(url, Path(folder), what)))
        return
    with tempfile.TemporaryDirectory() as folder, Embedded(Path(folder), durable=False) as services:
        url = services.database_url
        migrate(url)
        engine = make_engine(url)
        with session_factory(engine).begin() as session:
            game = make_game(session, Storage(Path(folder)))
            n_players = arguments.labels // 5
            add_labels(session, game.study, game.maps[0], game.cat, n_players=n_players)
        engine.dispose()
        print("| | s | s / COPY | CPU s, without the server's | MB | MiB above the start |")
        print("|---|---|---|---|---|---|")
        floor = 0.0
        for what in ("copy", *FORMATS):
            command = [sys.executable, __file__, "--measure", url, folder, what]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout)
            floor = floor or found["s"]
            print(
                f"| {what} | {found['s']:.1f} | {found['s'] / floor:.1f} | {found['cpu_s']:.1f} "
                f"| {found['mb']:.0f} | {found['more_mib']:.0f} |"
            )


if __name__ == "__main__":
    main()
