"""What the queues hold, what workers are at, and what has failed for good."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from app.infra.queue import BROKER_SETTINGS
from app.infra.supervisor import QUEUES

_log = logging.getLogger(__name__)

_FAILED: Final = "layerplay:failed-jobs"
_KEPT: Final = 100
_WORKERS_ANSWER_S: Final = 1.0
_REDIS_ANSWERS_S: Final = 3
_MAX_ERROR_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that a worker is at. told: its arguments. since: when it was begun, if known."""

    worker: str
    name: str
    told: Mapping[str, Any]
    since: datetime | None


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that has failed as often as it is tried, with the error of the last time."""

    id: str
    name: str
    told: Mapping[str, Any]
    error: str
    at: datetime


class Jobs:
    """The jobs behind a Redis address. redis.RedisError when it does not answer."""

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        self._redis = redis.Redis.from_url(
            redis_url, socket_timeout=_REDIS_ANSWERS_S, socket_connect_timeout=_REDIS_ANSWERS_S
        )

    def close(self) -> None:
        self._redis.close()

    def waiting(self) -> dict[str, int]:
        """How many jobs wait in each queue."""
        return {name: int(self._redis.llen(name)) for name in QUEUES}

    def running(self) -> list[RunningJob]:
        """What workers are at, those that answer within a second."""
        try:
            with Celery(broker=self._url) as celery:
                celery.conf.update(BROKER_SETTINGS)
                active = celery.control.inspect(timeout=_WORKERS_ANSWER_S).active() or {}
        except OperationalError:
            return []
        return [
            RunningJob(
                worker=worker,
                name=task["name"],
                told=task.get("kwargs") or {},
                since=datetime.fromtimestamp(task["time_start"], UTC)
                if task.get("time_start")
                else None,
            )
            for worker, tasks in sorted(active.items())
            for task in tasks
        ]

    def note_failed(self, *, name: str, told: Mapping[str, Any], error: str) -> None:
        """Keep a failed job in mind. One that cannot be noted is in the worker's log all the
        same."""
        entry = {
            "id": uuid4().hex,
            "name": name,
            "told": dict(told),
            "error": error[:_MAX_ERROR_CHARACTERS],
            "at": datetime.now(UTC).isoformat(),
        }
        try:
            with self._redis.pipeline() as pipe:
                pipe.lpush(_FAILED, json.dumps(entry))
                pipe.ltrim(_FAILED, 0, _KEPT - 1)
                pipe.execute()
        except redis.RedisError as problem:
            _log.warning("failed job %s not noted: %s", name, problem)

    def failed(self) -> list[FailedJob]:
        """The last hundred failed jobs, the latest first."""
        return [_read(entry) for entry in self._redis.lrange(_FAILED, 0, -1)]

    def take_failed(self, job_id: str) -> FailedJob | None:
        """Strike a failed job from the list, and return it; None when somebody has before."""
        for entry in self._redis.lrange(_FAILED, 0, -1):
            job = _read(entry)
            if job.id == job_id and self._redis.lrem(_FAILED, 1, entry):  # type: ignore[arg-type]
                return job
        return None


def _read(entry: bytes | str) -> FailedJob:
    values = json.loads(entry)
    return FailedJob(**{**values, "at": datetime.fromisoformat(values["at"])})
