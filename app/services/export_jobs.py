"""Exports as jobs: asked for, written by a worker with progress, cancelled, asked for again."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import IO
from uuid import UUID

from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import Session, sessionmaker

from app import rules
from app.formats.packing import FileToWrite, digest, write_file, write_zip
from app.infra.db import reading
from app.infra.errors import ConflictError, NotFoundError
from app.infra.queue import enqueue
from app.infra.storage import Storage
from app.models import Export, Study
from app.services import audit, export_files, exports, studies
from app.services.audit import Subject
from app.services.exports import ExportSpec

_REPORT_EVERY_S = 0.5
_FOLDER = "exports"

_HALF_WRITTEN_KEPT = timedelta(days=1)
"""No worker writes at one file for so long, so whoever has begun it is no more."""


class CancelledError(Exception):
    """Somebody has cancelled the export that is being written."""


def request(session: Session, *, study: Study, spec: ExportSpec) -> Export:
    """Ask for an export. InvalidInputError for classes or layers that the study has not."""
    exports.check(study, spec.selection)
    export = Export(study_id=study.id, spec=spec.as_json())
    session.add(export)
    session.flush()
    audit.record(session, "export.request", Subject.of_study(study), study=study, after=export.spec)
    enqueue(session, "exports.write", export_id=str(export.id))
    return export


def recent(
    session: Session,
    study: Study,
    *,
    limit: int = 20,
    after: tuple[datetime, UUID] | None = None,
) -> list[Export]:
    """The study's exports, newest first. after: when the last one that was seen was asked for, and
    its id."""
    query = select(Export).where(Export.study_id == study.id)
    if after is not None:
        query = query.where(tuple_(Export.created_at, Export.id) < after)
    query = query.order_by(Export.created_at.desc(), Export.id.desc()).limit(limit)
    return list(session.scalars(query))


def get(session: Session, study: Study, export_id: UUID, *, lock: bool = False) -> Export:
    query = select(Export).where(Export.id == export_id, Export.study_id == study.id)
    export = session.scalar(query.with_for_update() if lock else query)
    if export is None:
        raise NotFoundError("There is no such export of this study.")
    return export


def file_key(storage: Storage, export: Export) -> str:
    """Where the file of an export lies. ConflictError before it is done."""
    if export.file_key is None:
        raise ConflictError("This export is not done, so there is no file yet.")
    if not storage.exists(export.file_key):
        raise NotFoundError("The file of this export is gone. Ask for it again.")
    return export.file_key


def cancel(session: Session, export: Export) -> None:
    """Stop an export that is not finished; one that is stays. The export is locked."""
    if export.is_unfinished:
        export.status = "cancelled"
        export.finished_at = datetime.now(UTC)


def resume(session: Session, export: Export) -> None:
    """Ask again for an export that was cancelled, has failed, or whose file is gone. It begins
    anew: a file half of which is older than the other would not be what the study was at any
    moment. The export is locked."""
    if export.status not in ("cancelled", "failed", "expired"):
        raise ConflictError("This export is being written, or is done.")
    export.status, export.failure, export.finished_at, export.n_written = "waiting", None, None, 0
    session.flush()
    enqueue(session, "exports.write", export_id=str(export.id))


def clear_old(session: Session, storage: Storage) -> int:
    """Remove files that have lain there for rules.EXPORT_FILES_KEPT, and what killed workers have
    left half written; the number of exports whose file went. Snapshots stay.

    A file goes before its row says so: what is broken off in between is done again.
    """
    old = session.scalars(
        select(Export)
        .where(
            Export.status == "done",
            Export.finished_at < datetime.now(UTC) - rules.EXPORT_FILES_KEPT,
        )
        .with_for_update(skip_locked=True)
    ).all()
    for export in old:
        assert export.file_key is not None, "an export that is done has a file"
        storage.delete(export.file_key)
        export.status, export.file_key = "expired", None
    storage.clear_unfinished(_FOLDER, older_than=_HALF_WRITTEN_KEPT)
    return len(old)


def unfinished(session: Session) -> list[UUID]:
    """Exports that wait or are being written, for the upkeep task to ask for again."""
    query = select(Export.id).where(Export.status.in_(("waiting", "running")))
    return list(session.scalars(query.order_by(Export.created_at)))


# --- writing one, in steps of a transaction each


@dataclass(frozen=True, slots=True)
class Started:
    """An export that is to be written."""

    id: UUID
    slug: str
    spec: ExportSpec


def start(session: Session, export_id: UUID) -> Started | None:
    """Begin, or begin anew after a worker died. None when there is nothing to do any more."""
    export = session.scalar(select(Export).where(Export.id == export_id).with_for_update())
    if export is None or not export.is_unfinished:
        return None
    export.status, export.n_written = "running", 0
    slug = session.scalar(select(Study.slug).where(Study.id == export.study_id))
    assert slug is not None
    return Started(export.id, slug, ExportSpec.from_json(export.spec))


def write(
    factory: sessionmaker[Session],
    storage: Storage,
    started: Started,
    *,
    secret: bytes,
    on_progress: Callable[[int, int], None],
) -> tuple[str, str]:
    """Write the file into storage; its key, and its name for whoever downloads it. All of it is
    the study at one moment. on_progress: called now and then with the rows written and all rows;
    what it raises stops the writing, and nothing is left of the file."""
    with reading(factory) as session:
        study = studies.get(session, started.slug)
        counts = exports.count_rows(session, study=study, spec=started.spec)
        progress = _Progress(sum(counts.values()), on_progress)
        files = export_files.files(
            session, storage, study=study, secret=secret, spec=started.spec, on_row=progress.row
        )
        what = "data" if len(files) > 1 else files[0].name.partition(".")[0]
        suffix = ".zip" if len(files) > 1 else f".{started.spec.file_format}"
        key = f"{_FOLDER}/{started.id}{suffix}"
        storage.put_with(key, partial(_write_all, files))
        progress.tell()
        return key, f"{study.slug}-{what}{suffix}"


def _write_all(files: list[FileToWrite], file: IO[bytes]) -> None:
    if len(files) > 1:
        write_zip(file, files)
    else:
        write_file(file, files[0])


class _Progress:
    """Counts rows, and tells of them twice a second."""

    def __init__(self, n_rows: int, on_progress: Callable[[int, int], None]) -> None:
        self._n_rows = n_rows
        self._on_progress = on_progress
        self._n_written = 0
        self._told_at = 0.0

    def row(self) -> None:
        self._n_written += 1
        if time.monotonic() - self._told_at > _REPORT_EVERY_S:
            self.tell()

    def tell(self) -> None:
        self._on_progress(self._n_written, self._n_rows)
        self._told_at = time.monotonic()


def report(session: Session, export_id: UUID, *, n_written: int, n_rows: int) -> None:
    """Record the progress. CancelledError when nobody waits for the export any more."""
    still = session.execute(
        update(Export)
        .where(Export.id == export_id, Export.status == "running")
        .values(n_written=n_written, n_rows=n_rows)
        .returning(Export.id)
    )
    if still.scalar() is None:
        raise CancelledError


def finish(
    session: Session, storage: Storage, export_id: UUID, *, file_key: str, file_name: str
) -> None:
    """Record that the file is there. CancelledError when somebody cancelled it meanwhile."""
    with closing(storage.open(file_key)) as file:
        size_bytes, sha256 = digest(file)
    done = session.execute(
        update(Export)
        .where(Export.id == export_id, Export.status == "running")
        .values(
            status="done",
            file_key=file_key,
            file_name=file_name,
            size_bytes=size_bytes,
            sha256=sha256,
            finished_at=datetime.now(UTC),
        )
        .returning(Export.id)
    )
    if done.scalar() is None:
        storage.delete(file_key)
        raise CancelledError


def fail(session: Session, export_id: UUID, *, reason: str) -> None:
    """Record that the export cannot be written, and why."""
    session.execute(
        update(Export)
        .where(Export.id == export_id, Export.status == "running")
        .values(status="failed", failure=reason, finished_at=datetime.now(UTC))
    )
