"""Taking a study's data out: choose, look at the first rows, download; snapshots."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.responses import FileResponse, Response

from app import rules
from app.formats.tables import CONCEPTS, LABELS, Table
from app.infra.errors import InvalidInputError
from app.infra.settings import Settings
from app.infra.storage import Storage
from app.models import Export, Snapshot, Study
from app.services import export_jobs, exports, snapshots
from app.services.exports import Content, ExportSpec, FileFormat, Players, Selection
from app.web.deps import Number, OwnedStudyDep, SessionDep, SettingsDep, StorageDep
from app.web.templating import is_htmx, redirect, render

router = APIRouter(prefix="/studio/{slug}/exports", default_response_class=Response)

_N_PREVIEW_ROWS = 5

_MAX_COUNTED = 10_000
"""So far rows are counted for the page; to count a million would take longer than to read it."""


class ExportForm(BaseModel):
    """The form, as the browser sends it: an empty field is an empty text."""

    file_format: FileFormat = "jsonl"
    content: Content = "labels"
    classes: list[str] = Field(default_factory=list)
    layers: list[str] = Field(default_factory=list)
    given_from: str = ""
    given_until: str = ""
    min_agreement: str = ""
    players: Players = "people"
    practice: bool = False
    reveal_index: str = ""
    licence: str = ""

    def spec(self, settings: Settings) -> ExportSpec:
        """What is asked for. InvalidInputError names the field that cannot be read."""
        step = self.reveal_index.strip()
        return ExportSpec(
            file_format=self.file_format,
            content=self.content,
            selection=Selection(
                classes=tuple(self.classes),
                layers=tuple(self.layers),
                given_from=_day(self.given_from, "first"),
                given_until=_day(self.given_until, "last"),
                min_agreement=_whole(self.min_agreement or "0", "number of players who agree"),
                players=self.players,
                practice=self.practice,
            ),
            reveal_index=_whole(step, "step") if step else None,
            licence=self.licence.strip() or settings.data_licence,
        )


class PageQuery(ExportForm):
    """The page's address. asked: what has just been asked for."""

    asked: Literal["", "export", "snapshot"] = ""


def _day(text: str, which: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidInputError(f"The {which} day is not a date such as 2026-03-31.") from None


def _whole(text: str, what: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InvalidInputError(f"The {what} is not a whole number of 0 or more.")
    return int(text)


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows of a table, and how many there are. columns: those that fit a page."""

    table: Table
    n_rows: int
    columns: tuple[str, ...]
    rows: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class PreviewContext:
    """previews: of the tables that hold what players said. counts: rows of every table by its
    name, as far as max_counted. spec: what is asked for."""

    study: Study
    spec: ExportSpec
    counts: dict[str, int]
    previews: list[Preview]
    max_counted: int = _MAX_COUNTED


@dataclass(frozen=True, slots=True)
class JobsContext:
    """exports: newest first. is_busy: whether any is not finished yet."""

    study: Study
    exports: list[Export]
    specs: dict[UUID, ExportSpec]
    is_busy: bool


@dataclass(frozen=True, slots=True)
class PageContext:
    """The page: the form as it was sent, the preview, exports and snapshots.

    asked: what has just been asked for. steps: reveal index and percent lit.
    """

    study: Study
    form: ExportForm
    spec: ExportSpec
    counts: dict[str, int]
    previews: list[Preview]
    exports: list[Export]
    specs: dict[UUID, ExportSpec]
    is_busy: bool
    snapshots: list[Snapshot]
    asked: Literal["", "export", "snapshot"]
    max_counted: int = _MAX_COUNTED
    steps: Sequence[tuple[int, float]] = field(
        default_factory=lambda: list(enumerate(rules.REVEAL_PERCENTS))
    )


@router.get("")
def show(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    study: OwnedStudyDep,
    form: Annotated[PageQuery, Query()],
) -> Response:
    """The page, or for HTMX the preview alone."""
    spec = form.spec(settings)
    exports.check(study, spec.selection)
    counts = exports.count_rows(session, study=study, spec=spec, at_most=_MAX_COUNTED)
    previews = _previews(session, study, spec, settings, counts)
    if is_htmx(request):
        context = PreviewContext(study, spec, counts, previews)
        return render(request, "exports/_preview.html", context)
    jobs = _jobs(session, study)
    page = PageContext(
        study=study,
        form=form,
        spec=spec,
        counts=counts,
        previews=previews,
        exports=jobs.exports,
        specs=jobs.specs,
        is_busy=jobs.is_busy,
        snapshots=snapshots.of_study(session, study),
        asked=form.asked,
    )
    return render(request, "exports/show.html", page)


def _previews(
    session: Session,
    study: Study,
    spec: ExportSpec,
    settings: Settings,
    counts: dict[str, int],
) -> list[Preview]:
    found = {
        LABELS.name: lambda: exports.label_rows(
            session,
            study=study,
            secret=settings.secret(),
            selection=spec.selection,
            limit=_N_PREVIEW_ROWS,
        ),
        CONCEPTS.name: lambda: exports.concept_rows(
            session, study=study, selection=spec.selection, limit=_N_PREVIEW_ROWS
        ),
    }
    columns = {
        LABELS.name: (
            *("label", "concept", "agreement", "image_class", "layer", "guess", "right"),
            *("reveal_index", "player"),
        ),
        CONCEPTS.name: (
            *("concept", "agreement", "score", "image_class", "layer", "weight"),
            "mean_reveal_index",
        ),
    }
    # In search of the first rows where there are none, the database would go through all labels.
    return [
        Preview(table, n_rows, columns[table.name], list(found[table.name]()) if n_rows else [])
        for table in (LABELS, CONCEPTS)
        if (n_rows := counts.get(table.name)) is not None
    ]


def _jobs(session: Session, study: Study) -> JobsContext:
    found = export_jobs.recent(session, study)
    return JobsContext(
        study=study,
        exports=found,
        specs={export.id: ExportSpec.from_json(export.spec) for export in found},
        is_busy=any(export.is_unfinished for export in found),
    )


@router.post("")
def create(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    study: OwnedStudyDep,
    form: Annotated[ExportForm, Form()],
) -> Response:
    export_jobs.request(session, study=study, spec=form.spec(settings))
    return redirect(request, f"/studio/{study.slug}/exports?asked=export#exports")


@router.get("/jobs")
def show_jobs(request: Request, session: SessionDep, study: OwnedStudyDep) -> Response:
    """The list of exports alone, for the page that asks every two seconds while one is written."""
    if not is_htmx(request):
        return redirect(request, f"/studio/{study.slug}/exports")
    return render(request, "exports/_jobs.html", _jobs(session, study))


@router.post("/{export_id}/cancel")
def cancel(
    request: Request, session: SessionDep, study: OwnedStudyDep, export_id: UUID
) -> Response:
    export_jobs.cancel(session, export_jobs.get(session, study, export_id, lock=True))
    return _after_change(request, session, study)


@router.post("/{export_id}/resume")
def resume(
    request: Request, session: SessionDep, study: OwnedStudyDep, export_id: UUID
) -> Response:
    export_jobs.resume(session, export_jobs.get(session, study, export_id, lock=True))
    return _after_change(request, session, study)


def _after_change(request: Request, session: Session, study: Study) -> Response:
    if is_htmx(request):
        session.flush()
        return render(request, "exports/_jobs.html", _jobs(session, study))
    return redirect(request, f"/studio/{study.slug}/exports#exports")


@router.get("/{export_id}/file")
def download(
    session: SessionDep, storage: StorageDep, study: OwnedStudyDep, export_id: UUID
) -> Response:
    return send_export(storage, export_jobs.get(session, study, export_id))


def send_export(storage: Storage, export: Export) -> Response:
    """The file of an export that is done."""
    key = export_jobs.file_key(storage, export)
    return FileResponse(
        storage.path(key),
        filename=export.file_name,
        headers={"Cache-Control": "private, no-store"},
    )


@router.post("/snapshots")
def make_snapshot(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    study: OwnedStudyDep,
    licence: Annotated[str, Form()] = "",
) -> Response:
    """Ask for a snapshot of the study as it is."""
    snapshots.request(session, study, licence=licence.strip() or settings.data_licence)
    return redirect(request, f"/studio/{study.slug}/exports?asked=snapshot#snapshots")


@router.get("/snapshots/{number}/file")
def download_snapshot(
    session: SessionDep, storage: StorageDep, study: OwnedStudyDep, number: Number
) -> Response:
    return send_snapshot(storage, study, snapshots.get(session, study, number))


def send_snapshot(storage: Storage, study: Study, snapshot: Snapshot) -> Response:
    """The archive of a snapshot."""
    key = snapshots.file_key(storage, snapshot)
    return FileResponse(
        storage.path(key),
        filename=f"{study.slug}-snapshot-{snapshot.number}.zip",
        headers={"Cache-Control": "private, max-age=31536000, immutable"},
    )
