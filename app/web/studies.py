"""The studio: studies, how far they have come, their pictures."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from uuid import UUID

from fastapi import APIRouter, Request
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.infra.errors import ForbiddenError, NotFoundError
from app.infra.security import same, studio_key
from app.models import Concept, Image, Label, Player, Round, Study, StudyClass
from app.services import labels, studies
from app.services.studies import Progress
from app.web.deps import (
    STUDIO_COOKIE,
    STUDIO_COOKIE_AGE,
    ResearcherDep,
    SessionDep,
    SettingsDep,
    StorageDep,
    studio_pass,
)
from app.web.templating import is_htmx, redirect, render

router = APIRouter(default_response_class=Response)


@dataclass(frozen=True, slots=True)
class ListContext:
    """studies: every study, newest first, with its number of pictures."""

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
    played. asked: whether concepts have just been asked for.
    """

    study: Study
    progress: Progress
    counts: Counts
    simulated_counts: Counts | None
    classes: list[tuple[StudyClass, list[Image]]]
    asked: bool


@dataclass(frozen=True, slots=True)
class ProgressContext:
    """How far a study has come: see StudyContext."""

    study: Study
    progress: Progress


@router.get("/studio/enter")
def enter(request: Request, settings: SettingsDep, key: str = "") -> Response:
    """Take the key of the printed link for a cookie that opens the studio."""
    if not same(key, studio_key(settings.secret())):
        raise ForbiddenError(
            "This studio link is not, or no longer, valid. "
            "Open the one that Layerplay printed when it last started."
        )
    response = redirect(request, "/studio")
    response.set_cookie(
        STUDIO_COOKIE,
        studio_pass(settings.secret(), now=datetime.now(UTC)),
        max_age=int(STUDIO_COOKIE_AGE.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=settings.secure_cookies,
    )
    return response


@router.get("/studio", dependencies=[ResearcherDep])
def list_studies(request: Request, session: SessionDep) -> Response:
    counted = select(Image.study_id, func.count()).group_by(Image.study_id)
    n_images = dict(session.execute(counted).all())
    listed = [(study, n_images.get(study.id, 0)) for study in studies.list_all(session)]
    return render(request, "studies/list.html", ListContext(listed))


@router.get("/studio/{slug}", dependencies=[ResearcherDep])
def show(request: Request, session: SessionDep, slug: str, asked: bool = False) -> Response:
    study = studies.get(session, slug)
    done = [image for image in studies.images(session, study) if image.status == "done"]
    by_simulated = _counts(session, study, simulated=True)
    context = StudyContext(
        study=study,
        progress=studies.progress(session, study),
        counts=_counts(session, study, simulated=False),
        simulated_counts=by_simulated if by_simulated.n_rounds + by_simulated.n_practice else None,
        classes=[(c, list(group)) for c, group in groupby(done, key=lambda i: i.image_class)],
        asked=asked,
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
        .where(
            StudyClass.study_id == study.id,
            Concept.simulated.is_(simulated),
            Concept.merged_into_id.is_(None),
            ~Concept.is_junk,
        )
    )
    return Counts(
        n_rounds=n_rounds,
        n_practice=n_practice,
        n_labels=n_labels or 0,
        n_concepts=n_concepts or 0,
    )


@router.get("/studio/{slug}/progress", dependencies=[ResearcherDep])
def show_progress(request: Request, session: SessionDep, slug: str) -> Response:
    """The progress alone, for the page that asks every two seconds while pictures compute."""
    if not is_htmx(request):
        return redirect(request, f"/studio/{slug}")
    study = studies.get(session, slug)
    context = ProgressContext(study, studies.progress(session, study))
    # Once all is computed the page is loaded anew: the game is open and all pictures are there.
    headers = {"HX-Refresh": "true"} if context.progress.is_finished else None
    return render(request, "studies/_progress.html", context, headers=headers)


@router.post("/studio/{slug}/concepts", dependencies=[ResearcherDep])
def make_concepts(request: Request, session: SessionDep, slug: str) -> Response:
    labels.ask_all(session, studies.get(session, slug))
    return redirect(request, f"/studio/{slug}?asked=true")


@router.get("/images/{image_id}/view.jpg", dependencies=[ResearcherDep])
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
