"""How many rounds can be played at once, how long does a player wait, and what CPU does one cost?

Players over HTTP, each with a connection and a guest's cookie: the next round by HTMX, then a guess
with two words, at once and without thinking. Two web processes with all there is: sessions, the
check of foreign posts, ledger, boards, badges, partials. "Whole" rounds also fetch what a browser
does: the lit picture, both answers' pictures and the round ahead. With `--think 10` players look
and type for ten seconds on average before they answer; people take longer. After each load the
database is checked: nothing lost, doubled, over the number wanted, or counted otherwise than its
rows say.

Before and after, the same players play skeleton.py in the same way: the least that such a game can
be on the same libraries.
"""

import argparse
import http.client
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from itertools import count
from pathlib import Path
from threading import Lock
from urllib.parse import urlencode

import psutil
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.infra.db import make_engine, session_factory
from app.infra.embedded import Embedded, free_port
from app.infra.schema import migrate
from app.infra.settings import Settings
from app.infra.storage import Storage
from app.infra.supervisor import process_environment
from app.models import ClusterMap, Label, Round
from app.services import checks
from benchmarks import skeleton
from tests.factories import make_image, make_study, spot_map

SLUG = "boats-and-kites"
ROUNDS_PER_GUEST = 25
"""Then another guest comes from another address: from one address rounds would be slowed."""
WARM_UP_S = 10.0
HTMX = {"HX-Request": "true", "Content-Type": "application/x-www-form-urlencoded"}
ROUND = re.compile(r"/rounds/([0-9a-f-]{36})/guess")
CHOICE = re.compile(r'name="class_id" value="(\d+)"')


@dataclass
class Found:
    """Of all players together: rounds answered, and each request's milliseconds by what it was."""

    n_rounds: int = 0
    times: dict[str, list[float]] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each load")
    parser.add_argument("--players", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--think", type=float, default=0.0, help="seconds, mean of each round")
    parser.add_argument("--pictures", type=int, default=200, help="of the study, three maps each")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Embedded(Path(folder) / "engines") as services:
        home = Path(folder) / "home"
        migrate(services.database_url)
        engine = make_engine(services.database_url)
        factory = session_factory(engine)
        skeleton.fill(engine)
        with factory.begin() as session:
            fill(session, Storage(home / "storage"), arguments.pictures)
        settings = Settings(
            home=home, database_url=services.database_url, redis_url=services.redis_url
        )
        environment = process_environment(settings, services.database_url, services.redis_url)
        print(f"{'':27}{'pairs/s':>9}{'deal ms':>15}{'guess ms':>15}{'CPU ms a round':>22}")
        print(f"{'':27}{'':>9}{'median, p95':>15}{'median, p95':>15}{'server, PostgreSQL':>22}")
        for target, ways in (
            ("benchmarks.skeleton:app", [False]),
            ("app.web.main:app", [False, True]),
            ("benchmarks.skeleton:app", [False]),
        ):
            with serve(target, environment, Path(folder) / "web.log") as (port, web):
                warm_up(port, whole=True in ways)
                for whole in ways:
                    report(Load(target, port, web, whole), factory, arguments)
        engine.dispose()


@contextmanager
def serve(target: str, environment: Mapping[str, str], log: Path) -> Iterator[tuple[int, int]]:
    """Two web processes of an application: their port, and the process from which both come."""
    port = free_port()
    with log.open("a") as file:
        web = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", target, "--workers", "2", "--port", str(port)),
                *("--log-level", "warning", "--no-access-log"),
                *("--timeout-keep-alive", "60"),  # players who think keep their connection
            ],
            env=environment,
            stdout=file,
            stderr=file,
        )
        try:
            wait_until_up(port)
            yield port, web.pid
        finally:
            web.terminate()
            web.wait()


def fill(session: Session, storage: Storage, n_pictures: int) -> None:
    study = make_study(session, name="Boats and kites")
    spots = [(60.0, spot_map(x=0.4)), (30.0, spot_map(x=0.7)), (10.0, spot_map(y=0.8))]
    for _ in range(n_pictures):
        make_image(session, storage, study, maps={"layer4": spots})


def wait_until_up(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the web server does not start")


def warm_up(port: int, *, whole: bool) -> None:
    """Have both processes load all they need. The port is open before either of them answers, so
    the first round is waited for before any time is counted."""
    Client(port).round(0, whole=whole, think_s=0.0)
    play(port, 8, WARM_UP_S, whole=whole, think_s=0.0)


@dataclass(frozen=True, slots=True)
class Load:
    """What is played: an application, where it answers, its process, whether rounds are whole."""

    target: str
    port: int
    web: int
    whole: bool

    @property
    def is_floor(self) -> bool:
        return "skeleton" in self.target


def report(load: Load, factory: sessionmaker[Session], arguments: argparse.Namespace) -> None:
    for n_players in arguments.players:
        before = cpu_s(load.web), cpu_s(keeper(factory)), n_answered(factory)
        started = time.perf_counter()
        found = play(
            load.port, n_players, arguments.seconds, whole=load.whole, think_s=arguments.think
        )
        taken = time.perf_counter() - started
        server, database = cpu_s(load.web) - before[0], cpu_s(keeper(factory)) - before[1]
        what = "skeleton" if load.is_floor else "whole" if load.whole else "pairs"
        name = f"{n_players} player{'s' * (n_players > 1)}, {what}"
        each = 1000 / found.n_rounds
        print(
            f"{name:27}{found.n_rounds / taken:9.1f}{cell(found.times['deal']):>15}"
            f"{cell(found.times['guess']):>15}{server * each:13.1f}{database * each:9.1f}",
            flush=True,
        )
        if not load.is_floor:
            check(factory, n_rounds=before[2] + found.n_rounds)


def cell(times: list[float]) -> str:
    p95 = sorted(times)[int(0.95 * (len(times) - 1))]
    return f"{statistics.median(times):.0f}, {p95:.0f}"


def play(port: int, n_players: int, seconds: float, *, whole: bool, think_s: float) -> Found:
    """So many players at once for so long; each finishes the round it is in. think_s: how long one
    looks and types, on average; evenly between half of that and half more."""
    found, lock = Found(), Lock()
    until = time.perf_counter() + seconds

    def one(player: int) -> None:
        rng = random.Random(player)
        time.sleep(think_s * rng.random())  # they do not come at the same moment
        for client in iter(lambda: Client(port), None):
            for number in range(ROUNDS_PER_GUEST):
                if time.perf_counter() > until:
                    return
                times = client.round(number, whole=whole, think_s=think_s * rng.uniform(0.5, 1.5))
                with lock:
                    found.n_rounds += 1
                    for name, ms in times.items():
                        found.times.setdefault(name, []).append(ms)

    with ThreadPoolExecutor(n_players) as pool:
        list(pool.map(one, range(n_players)))
    return found


_addresses = count(2)


class Client:
    """A browser of a new guest, at a loopback address of its own."""

    def __init__(self, port: int) -> None:
        number = next(_addresses)
        address = f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        self.connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=60, source_address=(address, 0)
        )
        self.host = f"http://127.0.0.1:{port}"
        self.cookies = SimpleCookie()
        self.ask("GET", f"/play/{SLUG}")

    def ask(self, method: str, address: str, fields: list[tuple[str, str]] | None = None) -> str:
        """An answer's text. SystemExit for one that is no success: nothing may fail under load."""
        kept = "; ".join(f"{name}={one.value}" for name, one in self.cookies.items())
        headers = {**HTMX, "Origin": self.host, "Cookie": kept}
        body = urlencode(fields) if fields else None
        self.connection.request(method, address, body=body, headers=headers)
        response = self.connection.getresponse()
        content = response.read()
        if response.status >= 300:
            raise SystemExit(f"{method} {address}: {response.status} {content[:400]!r}")
        for cookie in response.headers.get_all("Set-Cookie", []):
            self.cookies.load(cookie)
        return content.decode(errors="replace")

    def round(self, number: int, *, whole: bool, think_s: float) -> dict[str, float]:
        """Play one; milliseconds of the deal and of the guess."""
        started = time.perf_counter()
        page = self.ask("GET", f"/play/{SLUG}")
        dealt = time.perf_counter()
        match = ROUND.search(page)
        assert match, page[:400]
        at = f"/rounds/{match[1]}"
        if whole:
            self.ask("GET", f"{at}/picture?step=0")
        choice = CHOICE.findall(page)[number % 2]
        words = [("label", "white sail"), ("label", f"hull {number}")]
        time.sleep(think_s)
        asked = time.perf_counter()
        self.ask("POST", f"{at}/guess", [("class_id", choice), *words])
        answered = time.perf_counter()
        if whole:
            self.ask("GET", f"{at}/answer.jpg")
            self.ask("GET", f"{at}/answer.jpg?heat=1")
            self.ask("POST", f"/play/{SLUG}/ahead")
        return {"deal": 1000 * (dealt - started), "guess": 1000 * (answered - asked)}


def keeper(factory: sessionmaker[Session]) -> int:
    """The process from which all others of PostgreSQL come."""
    with factory() as session:
        backend: int = session.scalars(select(func.pg_backend_pid())).one()
    parent = psutil.Process(backend).parent()
    assert parent is not None
    return parent.pid


def cpu_s(pid: int) -> float:
    """Seconds of CPU of a process, those that came from it, and those of them that have ended."""
    root = psutil.Process(pid)
    return sum(sum(one.cpu_times()[:4]) for one in (root, *root.children(recursive=True)))


def n_answered(factory: sessionmaker[Session]) -> int:
    with factory() as session:
        answered = select(func.count()).select_from(Round).where(Round.status != "open")
        return session.scalars(answered).one()


def check(factory: sessionmaker[Session], *, n_rounds: int) -> None:
    """SystemExit when the database holds anything else than what players were told."""
    with factory() as session:
        wrong = checks.find_drift(session)
        n_labels = session.scalar(select(func.count()).select_from(Label))
        over = session.scalar(
            select(func.count())
            .select_from(ClusterMap)
            .where(ClusterMap.n_finished + ClusterMap.n_leased > ClusterMap.n_wanted)
        )
    answered = n_answered(factory)
    if wrong or over or answered != n_rounds or n_labels != 2 * n_rounds:
        raise SystemExit(
            f"{wrong}; {over} maps over the number wanted; {answered} of {n_rounds} rounds, "
            f"{n_labels} of {2 * n_rounds} words"
        )


if __name__ == "__main__":
    main()
