"""Studies and their pictures."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.models import Image, Study
from app.services import studies
from app.web.api.callers import ImageReaderDep, ManagedStudyDep, ReaderDep, ReadStudyDep
from app.web.api.paging import Cursor, Limit, moment, page, read_cursor, sha256
from app.web.api.shapes import JPEG, Page, Shape, example
from app.web.deps import SessionDep, StorageDep

router = APIRouter(tags=["studies"])

_STUDY = "3b8f1f0e-4a57-4e0a-8c22-0c6cf52b9d01"
_IMAGE = "a2c9c1d4-7c1f-4ad0-9a52-9c6f2f4f1e77"

Status = Literal["computing", "ready", "open", "paused", "closed"]
Visibility = Literal["public", "unlisted", "private"]
ImageStatus = Literal["pending", "done", "failed"]


class StudyOut(Shape):
    """A study that one may look at."""

    model_config = example(
        id=_STUDY,
        slug="picture-book",
        name="Picture book",
        network="picturebook",
        status="open",
        visibility="public",
        created_at="2026-11-24T09:00:00Z",
    )

    id: UUID
    slug: str
    name: str
    network: str
    status: Status
    visibility: Visibility
    created_at: datetime


class ClassOut(Shape):
    """A class of pictures, which is also an answer in the game."""

    model_config = example(id=3, name="sailboat")

    id: int
    name: str


class ProgressOut(Shape):
    """How far computing is. seconds_left: null where nobody can honestly say."""

    model_config = example(
        n_images=60, n_done=42, n_failed=1, is_stopped=False, is_stalled=False, seconds_left=31.5
    )

    n_images: int
    n_done: int
    n_failed: int
    is_stopped: bool
    is_stalled: bool
    seconds_left: float | None


class StudyDetailOut(StudyOut):
    """A study with its classes, its layers from input to output, and how far computing is."""

    model_config = example(
        id=_STUDY,
        slug="picture-book",
        name="Picture book",
        network="picturebook",
        status="open",
        visibility="public",
        created_at="2026-11-24T09:00:00Z",
        classes=[{"id": 3, "name": "sailboat"}, {"id": 4, "name": "windmill"}],
        layers=["layer1", "layer2"],
        n_wanted=20,
        progress={
            "n_images": 60,
            "n_done": 60,
            "n_failed": 0,
            "is_stopped": False,
            "is_stalled": False,
            "seconds_left": 0,
        },
    )

    classes: list[ClassOut]
    layers: list[str]
    n_wanted: int | None
    progress: ProgressOut


class NewStatus(Shape):
    """What the game is to be."""

    model_config = example(status="paused")

    status: Literal["open", "paused", "closed"]


class NewVisibility(Shape):
    """Who may play: everybody, those with the link, or nobody but researchers."""

    model_config = example(visibility="unlisted")

    visibility: Visibility


class Computing(Shape):
    """What to do about pictures that are not computed: stop, resume, or retry failed ones too."""

    model_config = example(to="resume")

    to: Literal["stop", "resume", "retry"]


class ImageOut(Shape):
    """A picture. said, probability: the network's answer (0..1), null until it is computed.
    failure: why it could not be."""

    model_config = example(
        id=_IMAGE,
        study="picture-book",
        file_name="sailboat-07.png",
        sha256="9f" * 32,
        class_id=3,
        class_name="sailboat",
        status="done",
        said="sailboat",
        probability=0.97,
        failure=None,
    )

    id: UUID
    study: str
    file_name: str
    sha256: str
    class_id: int
    class_name: str
    status: ImageStatus
    said: str | None
    probability: float | None
    failure: str | None


def study_out(study: Study) -> StudyOut:
    return StudyOut.model_validate(_values(study))


def _values(study: Study) -> dict[str, object]:
    return {
        "id": study.id,
        "slug": study.slug,
        "name": study.name,
        "network": study.network.name,
        "status": study.status,
        "visibility": study.visibility,
        "created_at": study.created_at,
    }


def _detail(session: Session, study: Study) -> StudyDetailOut:
    progress = studies.progress(session, study)
    return StudyDetailOut.model_validate(
        {
            **_values(study),
            "classes": [{"id": one.id, "name": one.name} for one in study.classes],
            "layers": [layer.name for layer in study.layers],
            "n_wanted": study.n_wanted,
            "progress": {
                "n_images": progress.n_images,
                "n_done": progress.n_done,
                "n_failed": progress.n_failed,
                "is_stopped": progress.is_stopped,
                "is_stalled": progress.is_stalled,
                "seconds_left": progress.seconds_left,
            },
        }
    )


def _image_out(image: Image, slug: str) -> ImageOut:
    return ImageOut.model_validate(
        {
            "id": image.id,
            "study": slug,
            "file_name": image.file_name,
            "sha256": image.sha256,
            "class_id": image.class_id,
            "class_name": image.image_class.name,
            "status": image.status,
            "said": image.target_name,
            "probability": image.probability,
            "failure": image.failure,
        }
    )


@router.get("/studies", summary="My studies")
def list_studies(
    session: SessionDep, account: ReaderDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[StudyOut]:
    """The studies that the account may look at, newest first."""
    after = read_cursor(cursor, moment, UUID)
    found = studies.page_visible(session, account, limit=limit + 1, after=after)
    return page(found, limit, key=lambda study: (study.created_at, study.id), shape=study_out)


@router.get("/studies/{slug}", summary="A study")
def show_study(session: SessionDep, study: ReadStudyDep) -> StudyDetailOut:
    """A study with its classes and layers, and how far its computing is."""
    return _detail(session, study)


@router.put("/studies/{slug}/status", summary="Open, pause or close a game")
def set_status(session: SessionDep, study: ManagedStudyDep, asked: NewStatus) -> StudyDetailOut:
    """Rounds that players have at hand may be finished all the same."""
    studies.set_status(session, study, status=asked.status)
    return _detail(session, study)


@router.put("/studies/{slug}/visibility", summary="Say who may play")
def set_visibility(
    session: SessionDep, study: ManagedStudyDep, asked: NewVisibility
) -> StudyDetailOut:
    """Whoever came in by a link stays in."""
    studies.set_visibility(session, study, visibility=asked.visibility)
    return _detail(session, study)


@router.put("/studies/{slug}/computing", summary="Stop or resume computing")
def steer_computing(
    session: SessionDep, study: ManagedStudyDep, asked: Computing
) -> StudyDetailOut:
    """Nothing that is done is lost or done again."""
    if asked.to == "stop":
        studies.stop(session, study)
    else:
        studies.ask_to_resume(session, study, retry_failed=asked.to == "retry")
    session.flush()
    return _detail(session, study)


@router.get("/studies/{slug}/images", summary="A study’s pictures")
def list_images(
    session: SessionDep,
    study: ReadStudyDep,
    status: Annotated[ImageStatus | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ImageOut]:
    """Pictures by their SHA-256; with `status`, those that are pending, done or failed."""
    after = read_cursor(cursor, sha256)
    found = studies.page_images(session, study, limit=limit + 1, status=status, after=after)
    return page(
        found,
        limit,
        key=lambda image: (image.sha256,),
        shape=lambda image: _image_out(image, study.slug),
    )


@router.get("/images/{image_id}", summary="A picture", dependencies=[ImageReaderDep])
def show_image(session: SessionDep, image_id: UUID) -> ImageOut:
    """Whether a picture is computed, and what the network said."""
    image = studies.get_image(session, image_id)
    return _image_out(image, image.study.slug)


@router.get(
    "/images/{image_id}/view.jpg",
    summary="A picture’s view",
    dependencies=[ImageReaderDep],
    responses=JPEG,
    response_class=Response,
)
def view(session: SessionDep, storage: StorageDep, image_id: UUID) -> Response:
    """The part of a picture that the network saw."""
    content = storage.get(studies.view_key(session, image_id))
    return Response(content, media_type="image/jpeg")
