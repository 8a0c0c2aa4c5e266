"""Whether the parts that Layerplay runs on answer, and how they are."""

import shutil
import time
from dataclasses import dataclass

import redis
from celery import Celery
from kombu.exceptions import OperationalError
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from app.infra.queue import BROKER_SETTINGS
from app.infra.storage import Storage
from app.infra.supervisor import QUEUES

_MIN_FREE_BYTES = 1_000_000_000
_WORKERS_ANSWER_S = 1.0
_REDIS_ANSWERS_S = 3


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the installation. figures: what to know about it, each with its name. problem: what
    is wrong and what to do about it, None when nothing is."""

    name: str
    figures: dict[str, str]
    problem: str | None = None

    @property
    def is_well(self) -> bool:
        return self.problem is None


def database(engine: Engine) -> Part:
    started = time.perf_counter()
    try:
        with engine.connect() as connection:
            connection.execute(text("select 1"))
            answered_ms = (time.perf_counter() - started) * 1000
            row = connection.execute(
                text(
                    "select current_setting('server_version') as version, "
                    "pg_size_pretty(pg_database_size(current_database())) as size, "
                    "(select count(*) from pg_stat_activity where datname = current_database()) "
                    "as n_connections"
                )
            ).one()
    except SQLAlchemyError:
        return Part("Database", {}, "PostgreSQL does not answer. Nothing works without it.")
    return Part(
        "Database",
        {
            "Version": f"PostgreSQL {row.version.split()[0]}",
            "Answers in": f"{answered_ms:.1f} ms",
            "Size": row.size,
            "Connections": str(row.n_connections),
        },
    )


def queue(redis_url: str) -> Part:
    """Redis, and how many jobs wait in each queue."""
    try:
        with redis.Redis.from_url(redis_url, socket_timeout=_REDIS_ANSWERS_S) as client:
            version = client.info("server")["redis_version"]
            waiting = {name: int(client.llen(name)) for name in QUEUES}
    except redis.RedisError:
        problem = "Redis does not answer. The game goes on; nothing is computed until it is back."
        return Part("Queue", {}, problem)
    figures = {f"Waiting: {name}": f"{n:,}" for name, n in waiting.items()}
    return Part("Queue", {"Version": f"Redis {version}", **figures})


def workers(redis_url: str) -> Part:
    """The workers that answer within a second, and what they are at."""
    try:
        with Celery(broker=redis_url) as celery:
            celery.conf.update(BROKER_SETTINGS)
            inspect = celery.control.inspect(timeout=_WORKERS_ANSWER_S)
            active = inspect.active() or {}
    except OperationalError:
        return Part("Workers", {}, "They cannot be asked while Redis does not answer.")
    if not active:
        problem = "No worker answers: pictures are not computed, and no concepts made. Start one."
        return Part("Workers", {"Answering": "0"}, problem)
    busy = {name: f"{len(tasks)} at work" for name, tasks in sorted(active.items())}
    return Part("Workers", {"Answering": str(len(active)), **busy})


def storage(files: Storage) -> Part:
    """Where pictures and maps are, and the disk that they, or copies of them, lie on."""
    folder = files.root
    try:
        files.check()
        # It is made when the first picture is stored.
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Part("Storage", {}, f"{files.place} cannot be reached: {error.strerror or error}.")
    problem = None
    if free < _MIN_FREE_BYTES:
        problem = "The disk is nearly full: pictures that come in now may not be stored."
    return Part("Storage", {**files.places, "Free": f"{free / 1e9:.1f} GB"}, problem)


def all_parts(engine: Engine, redis_url: str, files: Storage) -> list[Part]:
    """Every part. Takes about a second, since workers get that long to answer."""
    return [database(engine), queue(redis_url), workers(redis_url), storage(files)]
