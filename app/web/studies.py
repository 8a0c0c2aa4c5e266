"""The studio: studies, how far they have come, their pictures."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Form, Request
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.infra.errors import InvalidInputError, NotFoundError
from app.models import Image, Study, StudyDraft
from app.services import access, drafts, gallery, labels, overview, studies
from app.services.access import Level
from app.services.gallery import ClassPictures
from app.services.overview import Counts
from app.services.signs import AtWork, Signs
from app.services.studies import Progress
from app.web.deps import (
    ModeratedStudyDep,
    OwnedStudyDep,
    ResearcherDep,
    RowNumber,
    SessionDep,
    SignsDep,
    StorageDep,
    ViewedStudyDep,
    VisitorDep,
)
from app.web.sharing import ImageReaderDep
from app.web.templating import is_htmx, redirect, render
from app.web.watching import watch

router = APIRouter(default_response_class=Response)


_PICTURES_OF_A_CLASS: Final = 24
"""On a study's page at first: thousands at once would be no overview, and slow."""


@dataclass(frozen=True, slots=True)
class ListContext:
    """studies: those the visitor may look at, newest first, each with its number of pictures.
    drafts: their studies in the making, the one changed last first."""

    studies: list[tuple[Study, int]]
    drafts: list[StudyDraft]


@dataclass(frozen=True, slots=True)
class ProgressContext:
    """How far a study has come. at_work: the pictures that workers have at hand. now: to say how
    long ago something was. may_steer: whether the visitor may stop computing and open the game."""

    study: Study
    progress: Progress
    at_work: list[AtWork]
    now: datetime
    may_steer: bool


@dataclass(frozen=True, slots=True)
class StudyContext(ProgressContext):
    """A study with its computed pictures class by class. of: the one class that is shown.

    counts: what people have given; simulated_counts: what simulated players have, None before they
    played. most_counted: how far labels and practice rounds are counted. asked: whether concepts
    have just been asked for. may_moderate, may_share: what the visitor may do besides.
    """

    counts: Counts
    simulated_counts: Counts | None
    most_counted: int
    classes: list[ClassPictures]
    of: int | None
    asked: bool
    may_moderate: bool
    may_share: bool


@router.get("/studio")
def list_studies(request: Request, session: SessionDep, visitor: ResearcherDep) -> Response:
    counted = select(Image.study_id, func.count()).group_by(Image.study_id)
    n_images = dict(session.execute(counted).all())
    listed = [
        (study, n_images.get(study.id, 0))
        for study in studies.list_visible(session, visitor.account)
    ]
    context = ListContext(listed, drafts.list_visible(session, visitor.account))
    return render(request, "studies/list.html", context)


@router.get("/studio/{slug}")
def show(
    request: Request,
    session: SessionDep,
    visitor: VisitorDep,
    signs: SignsDep,
    study: ViewedStudyDep,
    asked: bool = False,
    of: RowNumber | None = None,
) -> Response:
    """of: the class whose pictures are all shown; without it, the first ones of every class."""
    if of is not None and of not in {image_class.id for image_class in study.classes}:
        raise NotFoundError("This study has no such class.")
    level = access.level(session, visitor.account, study_id=study.id)
    by_simulated = overview.count(session, study, simulated=True)
    context = StudyContext(
        **_progress(session, signs, study, level),
        counts=overview.count(session, study, simulated=False),
        simulated_counts=by_simulated if by_simulated.n_rounds + by_simulated.n_practice else None,
        most_counted=overview.MOST_COUNTED,
        classes=gallery.class_by_class(session, study, per_class=_PICTURES_OF_A_CLASS, class_id=of),
        of=of,
        asked=asked,
        may_moderate=level >= Level.MODERATE,
        may_share=level >= Level.OWN,
    )
    return render(request, "studies/show.html", context)


def _progress(session: Session, signs: Signs, study: Study, level: Level) -> dict[str, Any]:
    at_work = signs.read(study.id)
    last_sign = max((one.at for one in at_work), default=None)
    return {
        "study": study,
        "progress": studies.progress(session, study, last_sign=last_sign),
        "at_work": at_work,
        "now": datetime.now(UTC),
        "may_steer": level >= Level.OWN,
    }


@router.get("/studio/{slug}/progress")
def show_progress(
    request: Request,
    session: SessionDep,
    visitor: VisitorDep,
    signs: SignsDep,
    study: ViewedStudyDep,
) -> Response:
    """The progress alone, for the page that watches pictures compute."""
    if not is_htmx(request):
        return redirect(request, f"/studio/{study.slug}")
    level = access.level(session, visitor.account, study_id=study.id)
    context = ProgressContext(**_progress(session, signs, study, level))
    # Once all is computed the page is loaded anew: all pictures are there, the game may be open.
    headers = {"HX-Refresh": "true"} if context.progress.is_finished else None
    return render(request, "studies/_progress.html", context, headers=headers)


@router.get("/studio/{slug}/signs")
async def tell_signs(signs: SignsDep, study: ViewedStudyDep) -> Response:
    """A sign whenever workers have come further with the study's pictures."""
    return watch(signs, study.id)


@router.post("/studio/{slug}/computing")
def steer_computing(
    request: Request, session: SessionDep, study: OwnedStudyDep, to: Annotated[str, Form()]
) -> Response:
    """to: `stop`, `resume`, or `retry` for the failed ones as well."""
    if to == "stop":
        studies.stop(session, study)
    elif to in ("resume", "retry"):
        studies.ask_to_resume(session, study, retry_failed=to == "retry")
    else:
        raise InvalidInputError("Computing can be stopped, resumed, or tried again.")
    return redirect(request, f"/studio/{study.slug}")


@router.post("/studio/{slug}/status")
def set_status(
    request: Request, session: SessionDep, study: OwnedStudyDep, status: Annotated[str, Form()]
) -> Response:
    studies.set_status(session, study, status=status)
    return redirect(request, f"/studio/{study.slug}")


@router.post("/studio/{slug}/visibility")
def set_visibility(
    request: Request,
    session: SessionDep,
    study: OwnedStudyDep,
    visibility: Annotated[str, Form()],
) -> Response:
    studies.set_visibility(session, study, visibility=visibility)
    return redirect(request, f"/studio/{study.slug}")


@router.post("/studio/{slug}/invitation")
def renew_invitation(request: Request, session: SessionDep, study: OwnedStudyDep) -> Response:
    studies.renew_invitation(session, study)
    return redirect(request, f"/studio/{study.slug}")


@router.post("/studio/{slug}/concepts")
def make_concepts(request: Request, session: SessionDep, study: ModeratedStudyDep) -> Response:
    labels.ask_all(session, study)
    return redirect(request, f"/studio/{study.slug}?asked=true")


@router.get("/images/{image_id}/view.jpg", dependencies=[ImageReaderDep])
def view(session: SessionDep, storage: StorageDep, image_id: UUID) -> Response:
    """The part of a picture that the network saw."""
    return Response(
        storage.get(studies.view_key(session, image_id)),
        media_type="image/jpeg",
        headers={"Cache-Control": "private, max-age=31536000, immutable"},
    )
