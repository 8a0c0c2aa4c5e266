"""Starting a worker process for a command that needs one."""

from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery

from app.infra.queue import BROKER_SETTINGS
from app.infra.settings import Settings
from app.infra.supervisor import Supervisor, process_environment, worker_command


@contextmanager
def worker_running(settings: Settings, database_url: str, redis_url: str) -> Iterator[None]:
    """See to it that a worker runs meanwhile: one of ours when none answers on this Redis."""
    if _worker_answers(redis_url):
        yield
        return
    home = settings.home.absolute()
    (home / "run").mkdir(parents=True, exist_ok=True)
    with Supervisor(home / "logs") as supervisor:
        environment = process_environment(settings, database_url, redis_url)
        supervisor.start("worker", worker_command(home), environment=environment)
        yield


def _worker_answers(redis_url: str) -> bool:
    with Celery(broker=redis_url) as celery:
        celery.conf.update(BROKER_SETTINGS)
        return bool(celery.control.ping(timeout=1.0))
