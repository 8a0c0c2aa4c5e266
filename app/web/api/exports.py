"""Taking a study's data out: exports, written by a worker, and snapshots, which stay."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from app import rules
from app.infra.settings import Settings
from app.models import Export, Snapshot
from app.services import export_jobs, snapshots
from app.services.exports import Content, ExportSpec, FileFormat, Players, Selection
from app.web.api.callers import ExportedStudyDep
from app.web.api.paging import Cursor, Limit, moment, number, page, read_cursor
from app.web.api.shapes import FILE, Page, Shape, Text, example
from app.web.deps import Number, SessionDep, SettingsDep, StorageDep
from app.web.exports import send_export, send_snapshot

_EXPORTS, _SNAPSHOTS = "/studies/{slug}/exports", "/studies/{slug}/snapshots"

router = APIRouter(tags=["exports"])

_EXPORT = "5d2f6b0a-8f3c-4d71-b1a4-6a9d5f0c7e21"

Licence = Annotated[
    Text | None, Field(max_length=100, description="Of the data; null for that of the site.")
]
Names = Annotated[list[Text], Field(max_length=1000)]


class ExportIn(Shape):
    """What to take out. classes, layers: by name, empty for all. given_from, given_until: days of
    UTC on which labels came. min_agreement: players who gave a label's concept on its map.
    reveal_index: the step whose lit pixels are a COCO region, null for that of each concept."""

    model_config = example(
        file_format="parquet",
        content="both",
        classes=["sailboat"],
        layers=[],
        given_from="2026-11-01",
        given_until=None,
        min_agreement=2,
        players="people",
        practice=False,
        reveal_index=None,
        licence="cc-by-4.0",
    )

    file_format: FileFormat = "jsonl"
    content: Content = "labels"
    classes: Names = Field(default_factory=list)
    layers: Names = Field(default_factory=list)
    given_from: date | None = None
    given_until: date | None = None
    min_agreement: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    players: Players = "people"
    practice: bool = False
    reveal_index: Annotated[int, Field(ge=0, le=rules.LAST_REVEAL_INDEX)] | None = None
    licence: Licence = None

    def spec(self, settings: Settings) -> ExportSpec:
        return ExportSpec(
            file_format=self.file_format,
            content=self.content,
            selection=Selection(
                classes=tuple(self.classes),
                layers=tuple(self.layers),
                given_from=self.given_from,
                given_until=self.given_until,
                min_agreement=self.min_agreement,
                players=self.players,
                practice=self.practice,
            ),
            reveal_index=self.reveal_index,
            licence=(self.licence or "").strip() or settings.data_licence,
        )


class ExportOut(Shape):
    """An export, and how far it is. The file's name, size and SHA-256 stand here once it is done;
    failure says why it could not be. expired: the file lay there for two weeks, and is gone."""

    model_config = example(
        id=_EXPORT,
        status="done",
        n_rows=1200,
        n_written=1200,
        failure=None,
        file_name="picture-book-data.zip",
        size_bytes=48211,
        sha256="9f" * 32,
        created_at="2026-11-26T17:40:00Z",
        finished_at="2026-11-26T17:40:03Z",
        asked={},
    )

    id: UUID
    status: Literal["waiting", "running", "done", "failed", "cancelled", "expired"]
    n_rows: int
    n_written: int
    failure: str | None
    file_name: str | None
    size_bytes: int | None
    sha256: str | None
    created_at: datetime
    finished_at: datetime | None
    asked: ExportIn


class NewSnapshot(Shape):
    """Under which licence the snapshot is."""

    model_config = example(licence="cc-by-4.0")

    licence: Licence = None


class FileOut(Shape):
    """A file in a snapshot's archive."""

    model_config = example(name="README.md", size_bytes=2114, sha256="9f" * 32)

    name: str
    size_bytes: int
    sha256: str


class SnapshotOut(Shape):
    """A study's data as it was. made_by: everything that its bytes depend on besides the labels."""

    model_config = example(
        number=3,
        sha256="9f" * 32,
        size_bytes=73012,
        created_at="2026-11-26T17:40:00Z",
        files=[{"name": "README.md", "size_bytes": 2114, "sha256": "9f" * 32}],
        made_by={"code": {"layerplay": "0.1.0"}},
    )

    number: int
    sha256: str
    size_bytes: int
    created_at: datetime
    files: list[FileOut]
    made_by: dict[str, Any]


class Asked(Shape):
    """A worker makes the snapshot, unless the last one holds the same data."""

    model_config = example(status="asked")

    status: Literal["asked"] = "asked"


def _export_out(export: Export) -> ExportOut:
    spec = ExportSpec.from_json(export.spec)
    chosen = spec.selection
    return ExportOut.model_validate(
        {
            "id": export.id,
            "status": export.status,
            "n_rows": export.n_rows,
            "n_written": export.n_written,
            "failure": export.failure,
            "file_name": export.file_name,
            "size_bytes": export.size_bytes,
            "sha256": export.sha256,
            "created_at": export.created_at,
            "finished_at": export.finished_at,
            "asked": ExportIn(
                file_format=spec.file_format,
                content=spec.content,
                classes=list(chosen.classes),
                layers=list(chosen.layers),
                given_from=chosen.given_from,
                given_until=chosen.given_until,
                min_agreement=chosen.min_agreement,
                players=chosen.players,
                practice=chosen.practice,
                reveal_index=spec.reveal_index,
                licence=spec.licence,
            ),
        }
    )


def _snapshot_out(snapshot: Snapshot) -> SnapshotOut:
    return SnapshotOut.model_validate(
        {
            "number": snapshot.number,
            "sha256": snapshot.sha256,
            "size_bytes": snapshot.size_bytes,
            "created_at": snapshot.created_at,
            "files": snapshot.files,
            "made_by": snapshot.made_by,
        }
    )


@router.post(_EXPORTS, status_code=202, summary="Ask for an export")
def create(
    session: SessionDep, settings: SettingsDep, study: ExportedStudyDep, asked: ExportIn
) -> ExportOut:
    """A worker writes it. Ask for it until it is done, then for its file."""
    export = export_jobs.request(session, study=study, spec=asked.spec(settings))
    return _export_out(export)


@router.get(_EXPORTS, summary="Exports of a study")
def list_exports(
    session: SessionDep, study: ExportedStudyDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[ExportOut]:
    """Newest first."""
    after = read_cursor(cursor, moment, UUID)
    found = export_jobs.recent(session, study, limit=limit + 1, after=after)
    return page(found, limit, key=lambda one: (one.created_at, one.id), shape=_export_out)


@router.get(_EXPORTS + "/{export_id}", summary="An export")
def show(session: SessionDep, study: ExportedStudyDep, export_id: UUID) -> ExportOut:
    """How far it is."""
    return _export_out(export_jobs.get(session, study, export_id))


@router.post(_EXPORTS + "/{export_id}/cancel", summary="Cancel an export")
def cancel(session: SessionDep, study: ExportedStudyDep, export_id: UUID) -> ExportOut:
    """One that is done stays."""
    export = export_jobs.get(session, study, export_id, lock=True)
    export_jobs.cancel(session, export)
    return _export_out(export)


@router.post(_EXPORTS + "/{export_id}/resume", summary="Have an export written again")
def resume(session: SessionDep, study: ExportedStudyDep, export_id: UUID) -> ExportOut:
    """One that was cancelled, has failed, or whose file is gone. It begins anew."""
    export = export_jobs.get(session, study, export_id, lock=True)
    export_jobs.resume(session, export)
    return _export_out(export)


@router.get(
    _EXPORTS + "/{export_id}/file",
    summary="The file of an export",
    responses=FILE,
    response_class=Response,
)
def download(
    session: SessionDep, storage: StorageDep, study: ExportedStudyDep, export_id: UUID
) -> Response:
    """One file, or a zip of several."""
    return send_export(storage, export_jobs.get(session, study, export_id))


@router.post(_SNAPSHOTS, status_code=202, summary="Ask for a snapshot")
def make_snapshot(
    session: SessionDep, settings: SettingsDep, study: ExportedStudyDep, asked: NewSnapshot
) -> Asked:
    """The study as it is, under the next number, never to change."""
    licence = (asked.licence or "").strip() or settings.data_licence
    snapshots.request(session, study, licence=licence)
    return Asked()


@router.get(_SNAPSHOTS, summary="Snapshots of a study")
def list_snapshots(
    session: SessionDep, study: ExportedStudyDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[SnapshotOut]:
    """Newest first."""
    below = read_cursor(cursor, number)
    found = snapshots.of_study(session, study, limit=limit + 1, below=below)
    return page(found, limit, key=lambda one: (one.number,), shape=_snapshot_out)


@router.get(_SNAPSHOTS + "/{number}", summary="A snapshot")
def show_snapshot(session: SessionDep, study: ExportedStudyDep, number: Number) -> SnapshotOut:
    """Its files with their checksums, and what made it."""
    return _snapshot_out(snapshots.get(session, study, number))


@router.get(
    _SNAPSHOTS + "/{number}/file",
    summary="The archive of a snapshot",
    responses=FILE,
    response_class=Response,
)
def download_snapshot(
    session: SessionDep, storage: StorageDep, study: ExportedStudyDep, number: Number
) -> Response:
    """A zip: a Hugging Face datasets folder, and a manifest."""
    return send_snapshot(storage, study, snapshots.get(session, study, number))
