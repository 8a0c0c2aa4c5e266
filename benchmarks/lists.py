"""Do lists stay quick where there is very much? A million labels of ten thousand players.

The rows are made by SQL; what is measured is the whole request on the server: pages and API calls,
as an admin's browser and program ask for them, the first page and one far down. For each list:
queries on a short and on a long page, which must be as many, and milliseconds. What takes longer
than LIMIT_MS is marked.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from fastapi.testclient import TestClient
from sqlalchemy import Engine, event, select, text
from sqlalchemy.orm import Session

from app.infra.db import make_engine, session_factory
from app.infra.embedded import Embedded
from app.infra.schema import migrate
from app.infra.settings import Settings
from app.models import Account, AuditEntry, Flag, Study
from app.services import accounts, tokens
from app.services.exports import ExportSpec
from app.web.deps import SIGN_IN_COOKIE
from app.web.main import create_app
from tests.factories import make_account, make_study

LIMIT_MS = 150

MAPS_PER_PICTURE = 20
ROUNDS_PER_MAP = 10
N_CLASSES = 20

# Triggers and foreign keys would be most of the time; the rows are as they would leave them.
FILL = """
set local session_replication_role = replica;
insert into images (id, study_id, class_id, file_name, sha256, original_key, status, view_key,
    maps_key, target_index, target_name, probability, n_playable, n_wanted)
select gen_random_uuid(), :study, :class + n % :classes, n || '.jpg',
    encode(sha256(n::text::bytea), 'hex'), 'o', 'done', 'v', 'm', 0, 'boat', 0.9,
    :per_picture, :per_picture
from generate_series(1, :maps / :per_picture) n;
insert into cluster_maps (id, study_id, image_id, layer_id, rank, weight, channels, array_name,
    is_playable, n_finished)
select gen_random_uuid(), :study, images.id, :layer, rank, 50.0 / (rank + 1), array[1], 'a', true,
    :per_map
from images cross join generate_series(0, :per_picture - 1) rank;
insert into players (id, kind, token_digest, last_seen_at)
select gen_random_uuid(), 'guest', sha256(n::text::bytea), now()
from generate_series(1, :players) n;
insert into accounts (id, name, password_hash, role, player_id)
select gen_random_uuid(), 'person' || row_number() over (), 'none', 'player', id
from players where kind = 'guest';
insert into rounds (id, study_id, cluster_map_id, player_id, status, reveal_index,
    guessed_class_id, finished_at)
select gen_random_uuid(), :study, maps.id, people.id, case when random() < 0.7 then 'won' else
    'lost' end, 2, maps.class_id, now() - random() * interval '60 days'
from (select id, row_number() over () - 1 as n from players where kind = 'guest') people
cross join generate_series(0, :per_player - 1) k
join (
    select cluster_maps.id, class_id, row_number() over () - 1 as n
    from cluster_maps join images on images.id = image_id
) maps
    on maps.n = (people.n * :per_player + k) % :maps;
insert into concepts (class_id, simulated, name)
select :class + n / 100, false, 'concept ' || n from generate_series(0, 100 * :classes - 1) n;
insert into labels (round_id, cluster_map_id, position, text, concept_id, hidden_at, created_at)
select rounds.id, cluster_map_id, position, 'word ' || get_byte(uuid_send(rounds.id), 0) * 8,
    (select min(id) from concepts) + (guessed_class_id - :class) * 100
        + get_byte(uuid_send(rounds.id), 0) % 100,
    case when get_byte(uuid_send(rounds.id), 1) = 0 then now() end, finished_at
from rounds cross join generate_series(0, 1) position;
insert into flags (player_id, round_id, reason, detail, settled_at)
select player_id, id, 'too fast', '0.31 s for 2 labels',
    case when get_byte(uuid_send(id), 2) < 128 then now() end
from rounds where get_byte(uuid_send(id), 3) < 50;
insert into restrictions (study_id, player_id, kind, since)
select :study, id, 'silenced', now() from players where get_byte(uuid_send(id), 0) < 5;
insert into audit_entries (actor, act, subject_kind, subject_id, subject_name, study_id, study_name,
    before)
select 'anna', case when n % 2 = 0 then 'label.hide' else 'export.request' end, 'label', n::text,
    'word ' || n, :study, 'Study', case when n % 2 = 0 then '{"undo": {}}'::jsonb end
from generate_series(1, :labels / 5) n;
insert into exports (id, study_id, spec, status, n_rows, n_written, file_key, file_name,
    size_bytes, sha256, finished_at, created_at)
select gen_random_uuid(), :study, cast(:spec as jsonb), 'done', 1, 1, 'k', 'f', 1, 's', now(),
    now() - n * interval '1 minute'
from generate_series(1, 5000) n;
set local session_replication_role = origin
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--players", type=int, default=10_000)
    parser.add_argument("--calls", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, Embedded(Path(home), durable=False) as services:
        migrate(services.database_url)
        engine = make_engine(services.database_url)
        with session_factory(engine).begin() as session:
            study, admin = fill(session, arguments.labels, arguments.players)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("vacuum analyze"))
        settings = Settings(
            home=Path(home) / "site",
            database_url=services.database_url,
            redis_url=services.redis_url,
            secret_key="a key for this benchmark",
        )
        report(settings, engine, study.id, admin.id, arguments.calls)
        engine.dispose()


def fill(session: Session, n_labels: int, n_players: int) -> tuple[Study, Account]:
    admin = make_account(session, "ada", role="admin")
    classes = [f"class {n}" for n in range(N_CLASSES)]
    study = make_study(session, name="Many boats", classes=classes, owner=admin)
    per_player = n_labels // 2 // n_players
    values = {
        "study": study.id,
        "class": study.classes[0].id,
        "classes": N_CLASSES,
        "layer": study.layers[0].id,
        "labels": n_labels,
        "players": n_players,
        "per_player": per_player,
        "per_map": ROUNDS_PER_MAP,
        "maps": n_labels // 2 // ROUNDS_PER_MAP // MAPS_PER_PICTURE * MAPS_PER_PICTURE,
        "per_picture": MAPS_PER_PICTURE,
        "spec": json.dumps(ExportSpec().as_json()),
    }
    for statement in FILL.split(";\n"):
        names = text(statement)
        session.execute(names, {key: values[key] for key in names._bindparams})
    return study, admin


def report(settings: Settings, engine: Engine, study_id: UUID, admin_id: UUID, n: int) -> None:
    app = create_app(settings)
    with session_factory(engine).begin() as session:
        admin = session.get_one(Account, admin_id)
        cookie = accounts.sign_in(session, admin, address="192.0.2.7", user_agent="Firefox/140.0")
        _, token = tokens.create(session, admin, name="a", scopes=set(tokens.SCOPES), days=1)
        slug = session.get_one(Study, study_id).slug
        class_id = session.scalar(text("select min(id) from study_classes"))
        flag = session.scalar(
            select(Flag.id).where(Flag.settled_at.is_(None)).order_by(Flag.id).offset(1000).limit(1)
        )
        entry = session.scalar(select(AuditEntry.id).order_by(AuditEntry.id).offset(1000).limit(1))
    studio, api = f"/studio/{slug}", f"/api/v1/studies/{slug}"
    pages = {
        "moderation queue": f"{studio}/moderation",
        "moderation queue, far down": f"{studio}/moderation?older_than={flag}",
        "study's log": f"{studio}/log",
        "study's log, far down": f"{studio}/log?older_than={entry}",
        "site's log, searched": "/admin/log?q=word%201234",
        "users": "/admin/users",
        "users, far down": "/admin/users?after=person7000",
        "users, searched": "/admin/users?q=son77",
        "concepts of a class": f"{studio}/concepts-of/{class_id}",
        "studies": "/studio",
        "a study": studio,
        "its exports": f"{studio}/exports",
        "its members": f"{studio}/members",
    }
    calls = {
        "API studies": "/api/v1/studies",
        "API images": f"{api}/images",
        "API concepts": f"{api}/classes/{class_id}/concepts",
        "API cases": f"{api}/moderation/cases",
        "API acts": f"{api}/moderation/acts",
        "API exports": f"{api}/exports",
        "API snapshots": f"{api}/snapshots",
    }
    print(f"{'':30}{'queries':>12}{'ms, median':>12}{'most':>8}{'of it SQL':>12}")
    with TestClient(app, follow_redirects=False) as client:
        client.cookies.set(SIGN_IN_COOKIE, cookie)
        for name, address in pages.items():
            row(name, app.state.engine, client, [address], n)
        client.cookies.clear()
        client.headers["Authorization"] = f"Bearer {token}"
        for name, address in calls.items():
            addresses = [address]
            if name != "API acts":
                far = far_down(client, address)
                addresses = [f"{address}?limit=20", f"{address}?limit=200", far]
            row(name, app.state.engine, client, addresses, n)


def far_down(client: TestClient, address: str) -> str:
    """The tenth page of a list, or its last."""
    found = f"{address}?limit=20"
    for _ in range(10):
        cursor = client.get(found).json()["next"]
        if cursor is None:
            break
        found = f"{address}?limit=20&cursor={cursor}"
    return found


def row(name: str, engine: Engine, client: TestClient, addresses: list[str], n: int) -> None:
    counts, took, in_sql = set(), [], []
    for address in addresses:
        assert client.get(address).status_code == 200, address
        for _ in range(n):
            with watched(engine) as queries:
                started = time.perf_counter()
                client.get(address)
                took.append(1000 * (time.perf_counter() - started))
            counts.add(len(queries))
            in_sql.append(1000 * sum(queries))
    mark = " !" if statistics.median(took) > LIMIT_MS else ""
    shown = "/".join(map(str, sorted(counts)))
    print(
        f"{name:30}{shown:>12}{statistics.median(took):12.0f}{max(took):8.0f}"
        f"{statistics.median(in_sql):12.0f}{mark}"
    )


@contextmanager
def watched(engine: Engine) -> Iterator[list[float]]:
    """The seconds of each query that the engine runs meanwhile."""
    queries: list[float] = []
    started = 0.0

    def before(*_: object) -> None:
        nonlocal started
        started = time.perf_counter()

    def after(*_: object) -> None:
        queries.append(time.perf_counter() - started)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    try:
        yield queries
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "after_cursor_execute", after)


if __name__ == "__main__":
    main()
