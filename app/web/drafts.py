"""Making a study, step by step. A draft keeps every step, so that a reload loses nothing."""

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.infra.errors import ConflictError, InvalidInputError, NotFoundError
from app.infra.storage import Storage
from app.models import Network, StudyDraft
from app.services import drafts
from app.services.drafts import Contents
from app.web import uploads
from app.web.deps import DraftOwnerDep, MakerDep, SessionDep, SettingsDep, StorageDep
from app.web.templating import is_htmx, redirect, render, render_part

router = APIRouter(prefix="/drafts", dependencies=[DraftOwnerDep], default_response_class=Response)

STEPS: Final = {
    "network": "Network",
    "layers": "Layers",
    "pictures": "Pictures",
    "game": "Game",
    "review": "Preview and start",
}

_MAX_NETWORK_FILES: Final = 2
_PREVIEW_PICTURE: Final = re.compile(r"view|[0-9]{1,4}-[0-9]{1,4}")
_PICTURE_HEADERS = {"Cache-Control": "private, max-age=31536000, immutable"}


@dataclass(frozen=True, slots=True)
class NewContext:
    """A study's name, as typed before, with what is wrong with it."""

    name: str = ""
    message: str | None = None


@dataclass(frozen=True, slots=True)
class StepContext:
    """What every step of a draft shows.

    contents: what was handed in. lacks: what is missing, each the step and a sentence. message:
    what is wrong with what was sent last.
    """

    draft: StudyDraft
    step: str
    contents: Contents
    lacks: list[tuple[str, str]]
    steps: dict[str, str]
    message: str | None = None


@dataclass(frozen=True, slots=True)
class NetworkContext(StepContext):
    """What there is to choose from. known: networks that studies use already. own: by name, those
    that come with Layerplay, each with what it is."""

    known: list[Network] = field(default_factory=list)
    published: tuple[str, ...] = drafts.PUBLISHED_NETWORKS
    own: dict[str, str] = field(default_factory=lambda: drafts.OWN_NETWORKS)


@dataclass(frozen=True, slots=True)
class PicturesContext(StepContext):
    """The limits that the page states."""

    max_picture_mb: int = 0
    max_upload_mb: int = 0
    max_pictures: int = 0


def _common(session: Session, draft: StudyDraft, step: str) -> dict[str, Any]:
    contents = drafts.contents(session, draft)
    return {
        "draft": draft,
        "step": step,
        "contents": contents,
        "lacks": drafts.missing(draft, contents),
        "steps": STEPS,
    }


@router.get("/new")
def new(request: Request) -> Response:
    return render(request, "drafts/new.html", NewContext())


@router.post("/new")
def create(
    request: Request, session: SessionDep, maker: MakerDep, name: Annotated[str, Form()] = ""
) -> Response:
    try:
        draft = drafts.create(session, name=name, owner=maker.account)
    except (InvalidInputError, ConflictError) as error:
        context = NewContext(name[:200], error.message)
        return render(request, "drafts/new.html", context, status_code=error.status)
    return redirect(request, f"/drafts/{draft.id}/network")


@router.get("/{draft_id}")
def show(request: Request, session: SessionDep, draft_id: UUID) -> Response:
    """The first step at which something is missing."""
    draft = drafts.get(session, draft_id)
    lacks = drafts.missing(draft, drafts.contents(session, draft))
    return redirect(request, f"/drafts/{draft_id}/{lacks[0][0] if lacks else 'review'}")


@router.post("/{draft_id}/discard")
def discard(request: Request, session: SessionDep, draft_id: UUID) -> Response:
    drafts.discard(session, drafts.get(session, draft_id))
    return redirect(request, "/studio")


# --- network


@router.get("/{draft_id}/network")
def show_network(request: Request, session: SessionDep, draft_id: UUID) -> Response:
    context = _network_context(session, drafts.get(session, draft_id))
    return render_part(request, "drafts/network.html", "drafts/_network.html", context)


def _network_context(
    session: Session, draft: StudyDraft, message: str | None = None
) -> NetworkContext:
    return NetworkContext(
        **_common(session, draft, "network"),
        message=message,
        known=drafts.known_networks(session),
    )


@router.post("/{draft_id}/network")
def choose_network(
    request: Request,
    session: SessionDep,
    draft_id: UUID,
    source: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
) -> Response:
    """source: one of the list, or `named` for the name that was typed."""
    draft = drafts.get(session, draft_id, lock=True)
    try:
        drafts.choose_network(session, draft, source=name if source == "named" else source)
    except InvalidInputError as error:
        context = _network_context(session, draft, error.message)
        return render(request, "drafts/network.html", context, status_code=error.status)
    return redirect(request, f"/drafts/{draft_id}/network")


@router.post("/{draft_id}/network-files")
async def upload_network(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    storage: StorageDep,
    draft_id: UUID,
) -> Response:
    """A description and its weights."""
    await run_in_threadpool(drafts.get, session, draft_id)  # before anything of it is read
    upload = uuid4().hex

    def key_for(field: str, file_name: str) -> str:
        return drafts.network_file_key(
            draft_id, upload, file_name=file_name, is_weights=field == "weights"
        )

    try:
        await uploads.receive_for_draft(
            request,
            session,
            storage,
            draft_id,
            key_for=key_for,
            keep=partial(_keep_network, session, storage),
            max_bytes=settings.max_upload_mb * 1_000_000,
            max_files=_MAX_NETWORK_FILES,
        )
    except InvalidInputError as error:
        if is_htmx(request):
            raise
        session.rollback()
        draft = await run_in_threadpool(drafts.get, session, draft_id)
        context = await run_in_threadpool(_network_context, session, draft, error.message)
        return render(request, "drafts/network.html", context, status_code=error.status)
    return redirect(request, f"/drafts/{draft_id}/network")


def _keep_network(
    session: Session, storage: Storage, draft: StudyDraft, form: uploads.Form
) -> None:
    descriptions, weights = form.files.get("description"), form.files.get("weights")
    if not descriptions or not weights:
        raise InvalidInputError("Choose both files: the description (JSON) and the weights.")
    if descriptions[0].n_bytes > drafts.MAX_DESCRIPTION_BYTES:
        raise InvalidInputError(f"{descriptions[0].path} is too large for a description.")
    drafts.keep_network_files(
        session,
        storage,
        draft,
        description_key=descriptions[0].storage_key,
        weights_key=weights[0].storage_key,
    )


# --- layers


@router.get("/{draft_id}/layers")
def show_layers(request: Request, session: SessionDep, draft_id: UUID) -> Response:
    draft = drafts.get(session, draft_id)
    if draft.network is None:
        return redirect(request, f"/drafts/{draft_id}/network")
    return render(request, "drafts/layers.html", StepContext(**_common(session, draft, "layers")))


@router.post("/{draft_id}/layers")
def choose_layers(
    request: Request,
    session: SessionDep,
    draft_id: UUID,
    layer: Annotated[list[str], Form()] = [],  # noqa: B006
) -> Response:
    draft = drafts.get(session, draft_id, lock=True)
    if draft.network is None:
        return redirect(request, f"/drafts/{draft_id}/network")
    try:
        drafts.choose_layers(draft, names=layer)
    except InvalidInputError as error:
        context = StepContext(**_common(session, draft, "layers"), message=error.message)
        return render(request, "drafts/layers.html", context, status_code=error.status)
    return redirect(request, f"/drafts/{draft_id}/pictures")


# --- pictures


@router.get("/{draft_id}/pictures")
def show_pictures(
    request: Request, session: SessionDep, settings: SettingsDep, draft_id: UUID
) -> Response:
    context = _pictures_context(session, drafts.get(session, draft_id), settings)
    return render_part(request, "drafts/pictures.html", "drafts/_pictures.html", context)


def _pictures_context(
    session: Session, draft: StudyDraft, settings: SettingsDep, message: str | None = None
) -> PicturesContext:
    return PicturesContext(
        **_common(session, draft, "pictures"),
        message=message,
        max_picture_mb=settings.max_picture_mb,
        max_upload_mb=settings.max_upload_mb,
        max_pictures=settings.max_pictures,
    )


@router.post("/{draft_id}/pictures")
async def upload_pictures(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    storage: StorageDep,
    draft_id: UUID,
) -> Response:
    """Pictures and zips of pictures: of the class in the field `class_name`, or of the class that
    their folder names. A worker looks at them."""
    await run_in_threadpool(drafts.get, session, draft_id)  # before anything of it is read
    try:
        draft, _ = await uploads.receive_pictures(request, session, storage, settings, draft_id)
        if is_htmx(request):
            context = await run_in_threadpool(_pictures_context, session, draft, settings)
            return render(request, "drafts/_pictures.html", context)
    except InvalidInputError as error:
        if is_htmx(request):
            raise
        session.rollback()
        draft = await run_in_threadpool(drafts.get, session, draft_id)
        shown = await run_in_threadpool(_pictures_context, session, draft, settings, error.message)
        return render(request, "drafts/pictures.html", shown, status_code=error.status)
    return redirect(request, f"/drafts/{draft_id}/pictures")


@router.post("/{draft_id}/pictures/remove")
def remove_class(
    request: Request, session: SessionDep, draft_id: UUID, class_name: Annotated[str, Form()]
) -> Response:
    drafts.remove_class(session, drafts.get(session, draft_id, lock=True), class_name=class_name)
    return redirect(request, f"/drafts/{draft_id}/pictures")


@router.post("/{draft_id}/pictures/forget-refusals")
def forget_refusals(request: Request, session: SessionDep, draft_id: UUID) -> Response:
    drafts.forget_refusals(session, drafts.get(session, draft_id))
    return redirect(request, f"/drafts/{draft_id}/pictures")


@router.get("/{draft_id}/thumbnails/{file_id}.jpg")
def thumbnail(storage: StorageDep, draft_id: UUID, file_id: UUID) -> Response:
    return _picture(storage, drafts.thumbnail_key(draft_id, file_id))


def _picture(storage: Storage, key: str) -> Response:
    try:
        content = storage.get(key)
    except FileNotFoundError:
        raise NotFoundError("There is no such picture in this draft.") from None
    return Response(content, media_type="image/jpeg", headers=_PICTURE_HEADERS)


# --- the game


@router.get("/{draft_id}/game")
def show_game(request: Request, session: SessionDep, draft_id: UUID) -> Response:
    context = StepContext(**_common(session, drafts.get(session, draft_id), "game"))
    return render(request, "drafts/game.html", context)


@router.post("/{draft_id}/game")
def set_game(
    request: Request,
    session: SessionDep,
    draft_id: UUID,
    further_choices: Annotated[str, Form()] = "",
    n_wanted: Annotated[str, Form()] = "",
    visibility: Annotated[str, Form()] = "public",
    opens_itself: Annotated[bool, Form()] = False,
) -> Response:
    """further_choices: one a line. n_wanted: a number, or empty for no end."""
    draft = drafts.get(session, draft_id, lock=True)
    try:
        wanted = n_wanted.strip()
        if wanted and not (wanted.isascii() and wanted.isdecimal() and len(wanted) < 9):
            raise InvalidInputError("Rounds for each map is a whole number, or nothing.")
        drafts.set_game(
            session,
            draft,
            further_choices=further_choices.splitlines(),
            n_wanted=int(wanted) if wanted else None,
            visibility=visibility,
            opens_itself=opens_itself,
        )
    except InvalidInputError as error:
        context = StepContext(**_common(session, draft, "game"), message=error.message)
        return render(request, "drafts/game.html", context, status_code=error.status)
    return redirect(request, f"/drafts/{draft_id}/review")


# --- preview and start


@router.get("/{draft_id}/review")
def show_review(request: Request, session: SessionDep, draft_id: UUID) -> Response:
    context = StepContext(**_common(session, drafts.get(session, draft_id), "review"))
    return render_part(request, "drafts/review.html", "drafts/_preview.html", context)


@router.post("/{draft_id}/preview")
def preview(
    request: Request,
    session: SessionDep,
    draft_id: UUID,
    file_id: Annotated[UUID | None, Form()] = None,
) -> Response:
    draft = drafts.get(session, draft_id, lock=True)
    drafts.ask_preview(session, draft, file_id=file_id)
    if is_htmx(request):
        context = StepContext(**_common(session, draft, "review"))
        return render(request, "drafts/_preview.html", context)
    return redirect(request, f"/drafts/{draft_id}/review")


@router.get("/{draft_id}/preview/{preview_id}/{name}.jpg")
def preview_picture(storage: StorageDep, draft_id: UUID, preview_id: UUID, name: str) -> Response:
    """The picture as the network sees it (`view`), or under the heat map LAYER-RANK."""
    if not _PREVIEW_PICTURE.fullmatch(name):
        raise NotFoundError("There is no such picture in this draft.")
    return _picture(storage, drafts.preview_key(draft_id, preview_id, name))


@router.post("/{draft_id}/finish")
def finish(request: Request, session: SessionDep, draft_id: UUID) -> Response:
    study = drafts.finish(session, draft_id)
    return redirect(request, f"/studio/{study.slug}")
