"""The Celery application: `python -m celery -A workers.celery_app worker`."""

from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import beat_init, task_failure, worker_process_init

from app.infra.jobs import Jobs
from app.infra.queue import BROKER_SETTINGS
from app.infra.settings import get_settings

celery_app = Celery(
    "layerplay",
    broker=get_settings().redis_url,
    include=[
        "workers.accounts",
        "workers.drafts",
        "workers.explanations",
        "workers.exports",
        "workers.labels",
        "workers.upkeep",
    ],
)
celery_app.conf.update(
    BROKER_SETTINGS,
    # A task counts as done when it is done, not when it is taken: a worker that dies gives it back.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    task_create_missing_queues=True,
    task_default_queue="upkeep",
    beat_schedule={
        "upkeep": {"task": "upkeep.ask_again", "schedule": 60.0},
        "concepts": {"task": "labels.group_all", "schedule": crontab(hour="3", minute="0")},
    },
    worker_hijack_root_logger=False,
)


@beat_init.connect  # type: ignore[untyped-decorator]
def _ask_at_once(**_: object) -> None:
    """What was lost while all was down is asked for now, and not when the time has first passed."""
    celery_app.send_task("upkeep.ask_again")


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _one_thread_per_process(**_: object) -> None:
    """As many processes as cores are at work: more threads would only get in each other's way."""
    import torch

    torch.set_num_threads(1)


@task_failure.connect  # type: ignore[untyped-decorator]
def _note_failed(
    sender: Any, exception: BaseException, kwargs: dict[str, Any] | None = None, **_: object
) -> None:
    """What has failed for good stands on a page for admins, who can have it tried again."""
    jobs = Jobs(get_settings().redis_url or "")
    error = f"{type(exception).__name__}: {exception}"
    jobs.note_failed(name=sender.name, told=kwargs or {}, error=error)
    jobs.close()
