"""Jobs: asked for by name inside a transaction, sent once it has committed."""

import logging
from dataclasses import dataclass
from typing import Any, Protocol

from celery import Celery
from kombu.exceptions import OperationalError
from sqlalchemy.orm import Session

_log = logging.getLogger(__name__)
_KEY = "layerplay_jobs"


@dataclass(frozen=True, slots=True)
class Job:
    """A task's name with what it is told. The queue is the first part of the name."""

    name: str
    arguments: dict[str, Any]
    delay_s: int = 0

    @property
    def queue(self) -> str:
        return self.name.partition(".")[0]


class JobSender(Protocol):
    def send(self, job: Job) -> None: ...


def enqueue(session: Session, name: str, *, delay_s: int = 0, **arguments: Any) -> None:
    """Ask for a job. It is sent when this session's transaction has committed.

    Arguments are ids and plain values: the task reads the rest from the database.
    """
    session.info.setdefault(_KEY, []).append(Job(name, arguments, delay_s))


def queued_jobs(session: Session) -> list[Job]:
    """The jobs asked for so far in this session."""
    return list(session.info.get(_KEY, []))


def send_jobs(session: Session, sender: JobSender) -> None:
    """Send what was asked for. A queue that cannot be reached loses nothing: the rows say what is
    still to be done, and the upkeep task asks for it again."""
    for job in session.info.pop(_KEY, []):
        try:
            sender.send(job)
        except OperationalError as error:
            _log.error("job %s not sent, upkeep will send it again: %s", job.name, error)


class CelerySender:
    """Sends jobs to the Celery workers behind a Redis address."""

    def __init__(self, redis_url: str) -> None:
        self._celery = Celery(broker=redis_url)
        self._celery.conf.update(BROKER_SETTINGS)

    def send(self, job: Job) -> None:
        self._celery.send_task(
            job.name, kwargs=job.arguments, queue=job.queue, countdown=job.delay_s or None
        )


# Shared by those who send and those who work, so that they cannot disagree. A worker that died
# gives its message back after the visibility timeout; the upkeep task is usually faster.
BROKER_SETTINGS: dict[str, Any] = {
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_ignore_result": True,
    "task_publish_retry": False,
    "broker_connection_timeout": 3,
    "broker_transport_options": {
        "visibility_timeout": 3600,
        "socket_connect_timeout": 3,
        "socket_timeout": 10,
    },
}
