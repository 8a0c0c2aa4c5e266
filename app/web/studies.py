"""The studio: studies, how far they have come, their pictures."""

from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

from fastapi import APIRouter, Request
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.infra.errors import NotFoundError
from app.models import Concept, Image, Label, Player, Round, Study, StudyClass
from app.services import access, labels, studies
from app.services.access import Level
from app.services.studies import Progress
from app.web.deps import (
    ImageViewerDep,
    ModeratedStudyDep,
    ResearcherDep,
    SessionDep,
    StorageDep,
    ViewedStudyDep,
    VisitorDep,
)
from app.web.templating import is_htmx, redirect, render

router = APIRouter(default_response_class=Response)


@dataclass(frozen=True, slots=True)
class ListContext:
    """studies: those the visitor may look at, newest first, each with its number of pictures."""

    studies: list[tuple[Study, int]]


@dataclass(frozen=True, slots=True)
class Counts:
    """What players of one kind have given to a study so far. Practice rounds give nothing, so they
    and their labels are counted apart from the rest."""

    n_rounds: int
    n_practice: int
    n_labels: int
    n_concepts: int


@dataclass(frozen=True, slots=True)
class StudyContext:
    """A study with how far it has come, and its computed pictures class by class.

    counts: what people have given; simulated_counts: what simulated players have, None before they
    played. asked: whether concepts have just been asked for. may_moderate, may_share: what the
    visitor may do besides looking.
    """

    study: Study
    progress: Progress
    counts: Counts
    simulated_counts: Counts | None
    classes: list[tuple[StudyClass, list[Image]]]
    asked: bool
    may_moderate: bool
    may_share: bool


@dataclass(frozen=True, slots=True)
class ProgressContext:
    """How far a study has come: see StudyContext."""

    study: Study
    progress: Progress


@router.get("/studio")
def list_studies(request: Request, session: SessionDep, visitor: ResearcherDep) -> Response:
    counted = select(Image.study_id, func.count()).group_by(Image.study_id)
    n_images = dict(session.execute(counted).all())
    listed = [
        (study, n_images.get(study.id, 0))
        for study in studies.list_visible(session, visitor.account)
    ]
    return render(request, "studies/list.html", ListContext(listed))


@router.get("/studio/{slug}")
def show(
    request: Request,
    session: SessionDep,
    visitor: VisitorDep,
    study: ViewedStudyDep,
    asked: bool = False,
) -> Response:
    level = access.level(session, visitor.account, study_id=study.id)
    done = [image for image in studies.images(session, study) if image.status == "done"]
    by_simulated = _counts(session, study, simulated=True)
    context = StudyContext(
        study=study,
        progress=studies.progress(session, study),
        counts=_counts(session, study, simulated=False),
        simulated_counts=by_simulated if by_simulated.n_rounds + by_simulated.n_practice else None,
        classes=[(c, list(group)) for c, group in groupby(done, key=lambda i: i.image_class)],
        asked=asked,
        may_moderate=level >= Level.MODERATE,
        may_share=level >= Level.OWN,
    )
    return render(request, "studies/show.html", context)


def _counts(session: Session, study: Study, *, simulated: bool) -> Counts:
    of_kind = (Round.study_id == study.id) & Player.is_simulated.is_(simulated)
    n_rounds, n_practice = session.execute(
        select(func.count().filter(~Round.practice), func.count().filter(Round.practice))
        .select_from(Round)
        .join(Round.player)
        .where(of_kind, Round.status != "open")
    ).one()
    n_labels = session.scalar(
        select(func.count())
        .select_from(Label)
        .join(Label.round)
        .join(Round.player)
        .where(of_kind, ~Round.practice)
    )
    n_concepts = session.scalar(
        select(func.count())
        .select_from(Concept)
        .join(Concept.image_class)
        .where(StudyClass.study_id == study.id, Concept.simulated.is_(simulated))
    )
    return Counts(
        n_rounds=n_rounds,
        n_practice=n_practice,
        n_labels=n_labels or 0,
        n_concepts=n_concepts or 0,
    )


@router.get("/studio/{slug}/progress")
def show_progress(request: Request, session: SessionDep, study: ViewedStudyDep) -> Response:
    """The progress alone, for the page that asks every two seconds while pictures compute."""
    if not is_htmx(request):
        return redirect(request, f"/studio/{study.slug}")
    context = ProgressContext(study, studies.progress(session, study))
    # Once all is computed the page is loaded anew: the game is open and all pictures are there.
    headers = {"HX-Refresh": "true"} if context.progress.is_finished else None
    return render(request, "studies/_progress.html", context, headers=headers)


@router.post("/studio/{slug}/concepts")
def make_concepts(request: Request, session: SessionDep, study: ModeratedStudyDep) -> Response:
    labels.ask_all(session, study)
    return redirect(request, f"/studio/{study.slug}?asked=true")


@router.get("/images/{image_id}/view.jpg", dependencies=[ImageViewerDep])
def view(session: SessionDep, storage: StorageDep, image_id: UUID) -> Response:
    """The part of a picture that the network saw."""
    key = session.scalar(select(Image.view_key).where(Image.id == image_id))
    if key is None:
        raise NotFoundError("There is no such picture, or it is not computed yet.")
    return Response(
        storage.get(key),
        media_type="image/jpeg",
        headers={"Cache-Control": "private, max-age=31536000, immutable"},
    )
