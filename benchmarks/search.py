"""How fast is a search by meaning, and what does the index cost in exactness?

100,000 concepts with distinct names, in 20 studies, with directions of 384 numbers around 2,000
centres, as words gather around topics; three maps each. Searches through the index against the
same query with the index switched off, in turns. Wanted: under 100 ms.

    python benchmarks/search.py
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pgvector.psycopg import register_vector
from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from app.infra.db import make_engine
from app.infra.embedded import Embedded
from app.infra.schema import migrate
from app.models import Study
from app.services import concept_search

MODEL = "benchmark"
N_DIMENSIONS = 384

_FILL = """
insert into networks (name, architecture, weights, weights_sha256, fingerprint, classes)
values ('net', 'resnet18', 'random', repeat('0', 64), repeat('0', 64), '[]');
insert into studies (id, name, slug, network_id, clusterer, seed, status)
select gen_random_uuid(), 'Study ' || s, 'study-' || s, (select id from networks), 'fast', 0, 'open'
from generate_series(1, 20) s;
insert into study_classes (study_id, name, position, has_new_labels)
select id, 'class ' || c, c, false from studies, generate_series(1, 10) c;
insert into layers (study_id, name, position, n_channels)
select id, 'layer', 0, 512 from studies;
insert into images (id, study_id, class_id, file_name, sha256, original_key, status, maps_key)
select gen_random_uuid(), study_id, id, 'p' || i, id || '-' || i, 'o', 'done', 'm'
from study_classes, generate_series(1, 50) i;
insert into cluster_maps
  (id, study_id, image_id, layer_id, rank, weight, channels, array_name, is_playable, n_finished)
select gen_random_uuid(), i.study_id, i.id, l.id, r, 30, '{1}', 'a', true, 1
from images i join layers l on l.study_id = i.study_id, generate_series(0, 2) r;
insert into concepts (class_id, name)
select c.id, 'word ' || (c.number * :per_class + n)
from (select id, row_number() over (order by id) - 1 as number from study_classes) c,
  generate_series(0, :per_class - 1) n;
insert into concept_scores
  (cluster_map_id, concept_id, n_given, mean_reveal_index, any_right, score)
select m.id, c.id, 1, 0, true, 1
from (select id, class_id, row_number() over (partition by class_id order by id) as place
      from concepts) c
join (select m.id, i.class_id, row_number() over (partition by i.class_id order by m.id) as place
      from cluster_maps m join images i on i.id = m.image_id) m
  on m.class_id = c.class_id and (m.place - c.place) % 150 between 0 and 2;
"""


class Fixed:
    """Stands for Sentence-BERT, whose time is its own: the direction is known already."""

    name = MODEL

    def __init__(self, vector: NDArray[np.float64]) -> None:
        self.vector = vector

    def __call__(self, texts: Any) -> NDArray[np.float64]:
        return self.vector[None]


def fill(connection: Connection, n_concepts: int, rng: np.random.Generator) -> None:
    for statement in _FILL.split(";\n"):
        if statement.strip():
            names = {"per_class": n_concepts // 200} if ":per_class" in statement else {}
            connection.execute(text(statement), names)
    index = f"ix_embeddings_nearest_{N_DIMENSIONS}"
    definition = connection.scalar(
        text("select indexdef from pg_indexes where indexname = :name"), {"name": index}
    )
    # An index on a full table is built in a fraction of the time that growing it takes.
    connection.execute(text(f"drop index {index}"))
    driver = connection.connection.driver_connection
    register_vector(driver)
    centres = rng.normal(size=(2000, N_DIMENSIONS))
    with driver.cursor().copy(
        "copy embeddings (text, model, vector, direction) from stdin (format binary)"
    ) as copy:
        copy.set_types(["text", "text", "bytea", "vector"])
        for number in range(n_concepts):
            direction = near(centres[number % 2000], rng)
            copy.write_row((f"word {number}", MODEL, direction.astype("<f4").tobytes(), direction))
    connection.execute(text("set local maintenance_work_mem = '512MB'"))
    started = time.perf_counter()
    connection.execute(text(definition))
    print(f"index built in {time.perf_counter() - started:.0f} s", flush=True)


def near(centre: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    row = centre + 0.8 * rng.normal(size=N_DIMENSIONS)
    direction: NDArray[np.float64] = row / np.linalg.norm(row)
    return direction


def search(
    session: Session, vector: NDArray[np.float64], ids: list[UUID], *, exact: bool
) -> tuple[float, list[str]]:
    """Milliseconds of a whole search, maps included, and the words found."""
    session.execute(text(f"set local enable_indexscan = {'off' if exact else 'on'}"))
    started = time.perf_counter()
    found = concept_search.find_maps(
        session, "a word", embed=Fixed(vector), study_ids=ids, simulated=False
    )
    elapsed = 1000 * (time.perf_counter() - started)
    session.rollback()
    return elapsed, [one.word for one in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--concepts", type=int, default=100_000)
    parser.add_argument("--searches", type=int, default=50)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Embedded(Path(folder) / "home", durable=False) as services,
    ):
        migrate(services.database_url)
        engine = make_engine(services.database_url)
        rng = np.random.default_rng(0)
        with engine.begin() as connection:
            fill(connection, options.concepts, rng)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("vacuum analyze"))
        with Session(engine) as session:
            ids = list(session.scalars(select(Study.id).order_by(Study.name)))
            rows = session.scalars(
                text(
                    f"select direction::text from embeddings order by text limit {options.searches}"
                )
            ).all()
            stored = np.array([row[1:-1].split(",") for row in rows], dtype=float)
            vectors = [near(np.sqrt(N_DIMENSIONS) * row, rng) for row in stored]
            session.rollback()
            for n_studies in (20, 1):
                report(session, vectors, ids[:n_studies], options.concepts)
        engine.dispose()


def report(
    session: Session, vectors: list[NDArray[np.float64]], ids: list[UUID], n_concepts: int
) -> None:
    times: dict[bool, list[float]] = {False: [], True: []}
    agreed, wanted = 0, 0
    for vector in vectors:
        words = {}
        for exact in (False, True):
            elapsed, words[exact] = search(session, vector, ids, exact=exact)
            times[exact].append(elapsed)
        agreed += len(set(words[False]) & set(words[True]))
        wanted += len(words[True])
    print(f"\n{n_concepts:,} concepts, {len(ids)} of 20 studies searched, {len(vectors)} searches")
    print("| | median ms | 95th percentile ms |\n|---|---|---|")
    for exact, name in ((False, "through the index"), (True, "exact scan")):
        slowest = sorted(times[exact])[int(0.95 * len(vectors))]
        print(f"| {name} | {statistics.median(times[exact]):.1f} | {slowest:.1f} |")
    ratio = statistics.median(times[True]) / statistics.median(times[False])
    print(f"exact / index {ratio:.1f}; the index finds {agreed} of {wanted} words")


if __name__ == "__main__":
    main()
