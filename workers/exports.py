"""Writing exports and snapshots."""

import logging
from functools import partial
from uuid import UUID

from sqlalchemy.exc import OperationalError

from app.infra.settings import get_settings
from app.services import export_jobs, snapshots
from workers.celery_app import celery_app
from workers.context import only_one, session_maker, storage, task_transaction

_log = logging.getLogger(__name__)


@celery_app.task(  # type: ignore[untyped-decorator]
    name="exports.write",
    autoretry_for=(OperationalError,),
    retry_backoff=True,
    max_retries=8,
)
def write(export_id: str) -> None:
    """Write the file of an export. Done once, however often it is asked for."""
    key = UUID(export_id)
    with only_one(key) as mine:
        if not mine:
            return
        with task_transaction() as session:
            started = export_jobs.start(session, key)
        if started is None:
            return
        try:
            file_key, file_name = export_jobs.write(
                session_maker(),
                storage(),
                started,
                secret=get_settings().secret(),
                on_progress=partial(_report, key),
            )
            with task_transaction() as session:
                export_jobs.finish(session, storage(), key, file_key=file_key, file_name=file_name)
        except export_jobs.CancelledError:
            return
        except OperationalError:
            raise  # the database will be back; the export begins anew
        except Exception as error:
            _log.exception("export %s cannot be written", export_id)
            with task_transaction() as session:
                export_jobs.fail(session, key, reason=f"{type(error).__name__}: {error}")


def _report(export_id: UUID, n_written: int, n_rows: int) -> None:
    with task_transaction() as session:
        export_jobs.report(session, export_id, n_written=n_written, n_rows=n_rows)


@celery_app.task(  # type: ignore[untyped-decorator]
    name="exports.make_snapshot",
    autoretry_for=(OperationalError,),
    retry_backoff=True,
    max_retries=8,
)
def make_snapshot(study_slug: str, licence: str) -> None:
    """Make a snapshot of a study, unless the last one holds the same data."""
    prepared = snapshots.prepare(
        session_maker(),
        storage(),
        study_slug=study_slug,
        secret=get_settings().secret(),
        licence=licence,
    )
    with task_transaction() as session:
        snapshots.number(session, prepared)
