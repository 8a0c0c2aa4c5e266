"""What studies in the making need: looking at files, reading a network, explaining one picture."""

import logging
from typing import Any
from uuid import UUID

from sqlalchemy.exc import OperationalError

from app.infra.settings import get_settings
from app.services import drafts, intake, networks, trials
from workers.celery_app import celery_app
from workers.context import only_one, storage, task_transaction

_log = logging.getLogger(__name__)
_RETRIED = {"autoretry_for": (OperationalError,), "retry_backoff": True, "max_retries": 8}


@celery_app.task(name="drafts.take_in", **_RETRIED)  # type: ignore[untyped-decorator]
def take_in(draft_id: str) -> None:
    """Look at every file that waits in a draft, one worker at a time."""
    key = UUID(draft_id)
    while _is_waiting(key):
        with only_one(key) as mine:
            # Whoever is at it looks once more when done, and so finds what came in last.
            if not mine:
                return
            while not _take_in_some(key):
                pass


def _is_waiting(draft_id: UUID) -> bool:
    with task_transaction() as session:
        return intake.is_waiting(session, draft_id)


def _take_in_some(draft_id: UUID) -> bool:
    settings = get_settings()
    limits = intake.Limits(
        max_picture_bytes=settings.max_picture_mb * 1_000_000,
        # Pictures hardly shrink in a zip: what unpacks to twice of what may come in is no album.
        max_bytes=2 * settings.max_upload_mb * 1_000_000,
        max_pictures=settings.max_pictures,
    )
    with task_transaction() as session:
        taken = intake.take_in_some(session, storage(), draft_id=draft_id, limits=limits)
    for used in taken.used_keys:
        storage().delete(used)
    return taken.is_all


@celery_app.task(name="drafts.read_network", **_RETRIED)  # type: ignore[untyped-decorator]
def read_network(draft_id: str) -> None:
    with task_transaction() as session:
        trials.read_network(session, storage(), draft_id=UUID(draft_id))


@celery_app.task(name="drafts.preview", **_RETRIED)  # type: ignore[untyped-decorator]
def preview(draft_id: str, file_id: str) -> None:
    """Explain one picture of a draft, for its researcher to look at."""
    with task_transaction() as session:
        subject = trials.preview_subject(session, draft_id=UUID(draft_id), file_id=UUID(file_id))
        if subject is None or subject[0].network_id is None:
            return
        row = networks.get(session, subject[0].network_id)
    draft, file = subject
    found: dict[str, Any]
    try:
        network = networks.load_registered(row, storage())
        found = trials.compute_preview(storage(), draft=draft, file=file, network=network)
    except Exception as error:
        # The researcher reads why, and may choose other layers; the log has the whole story.
        _log.exception("draft %s: no preview of %s", draft_id, file_id)
        found = {"problem": str(error) if isinstance(error, ValueError) else repr(error)}
    with task_transaction() as session:
        trials.store_preview(session, draft_id=draft.id, file_id=file.id, found=found)


@celery_app.task(name="drafts.clear_files", **_RETRIED)  # type: ignore[untyped-decorator]
def clear_files(draft_id: str) -> None:
    with task_transaction() as session:
        drafts.clear_files(session, storage(), draft_id=UUID(draft_id))
