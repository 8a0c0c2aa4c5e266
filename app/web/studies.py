"""The studio: studies, how far they have come, their pictures."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Form, Request
from redis import RedisError
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from app.infra.db import transaction
from app.infra.errors import ForbiddenError, InvalidInputError, NotFoundError
from app.infra.security import same, studio_key
from app.models import Concept, Image, Label, Player, Round, Study, StudyClass, StudyDraft
from app.services import drafts, labels, studies
from app.services.signs import AtWork, Signs
from app.services.studies import Progress
from app.web.deps import (
    STUDIO_COOKIE,
    STUDIO_COOKIE_AGE,
    ResearcherDep,
    SessionDep,
    SettingsDep,
    SignsDep,
    StorageDep,
    studio_pass,
)
from app.web.templating import is_htmx, redirect, render

router = APIRouter(default_response_class=Response)

_HEARTBEAT_S: Final = 15.0
"""Seconds of silence after which a watcher hears that we are still here; where that cannot be sent
any more, the line is gone and the watching ends."""


@dataclass(frozen=True, slots=True)
class ListContext:
    """studies: every study, newest first, with its number of pictures. drafts: those in the
    making, the one changed last first."""

    studies: list[tuple[Study, int]]
    drafts: list[StudyDraft]


@dataclass(frozen=True, slots=True)
class Counts:
    """What players of one kind have given to a study so far. Practice rounds give nothing, so they
    and their labels are counted apart from the rest."""

    n_rounds: int
    n_practice: int
    n_labels: int
    n_concepts: int


@dataclass(frozen=True, slots=True)
class ProgressContext:
    """How far a study has come. at_work: the pictures that workers have at hand. now: to say how
    long ago something was."""

    study: Study
    progress: Progress
    at_work: list[AtWork]
    now: datetime


@dataclass(frozen=True, slots=True)
class StudyContext(ProgressContext):
    """A study with its computed pictures class by class.

    counts: what people have given; simulated_counts: what simulated players have, None before they
    played. asked: whether concepts have just been asked for.
    """

    counts: Counts
    simulated_counts: Counts | None
    classes: list[tuple[StudyClass, list[Image]]]
    asked: bool


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
    return render(request, "studies/list.html", ListContext(listed, drafts.list_all(session)))


@router.get("/studio/{slug}", dependencies=[ResearcherDep])
def show(
    request: Request, session: SessionDep, signs: SignsDep, slug: str, asked: bool = False
) -> Response:
    study = studies.get(session, slug)
    done = [image for image in studies.images(session, study) if image.status == "done"]
    by_simulated = _counts(session, study, simulated=True)
    context = StudyContext(
        **_progress(session, signs, study),
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
        .where(StudyClass.study_id == study.id, Concept.simulated.is_(simulated))
    )
    return Counts(
        n_rounds=n_rounds,
        n_practice=n_practice,
        n_labels=n_labels or 0,
        n_concepts=n_concepts or 0,
    )


def _progress(session: Session, signs: Signs, study: Study) -> dict[str, Any]:
    at_work = signs.read(study.id)
    last_sign = max((one.at for one in at_work), default=None)
    return {
        "study": study,
        "progress": studies.progress(session, study, last_sign=last_sign),
        "at_work": at_work,
        "now": datetime.now(UTC),
    }


@router.get("/studio/{slug}/progress", dependencies=[ResearcherDep])
def show_progress(request: Request, session: SessionDep, signs: SignsDep, slug: str) -> Response:
    """The progress alone, for the page that watches pictures compute."""
    if not is_htmx(request):
        return redirect(request, f"/studio/{slug}")
    context = ProgressContext(**_progress(session, signs, studies.get(session, slug)))
    # Once all is computed the page is loaded anew: all pictures are there, the game may be open.
    headers = {"HX-Refresh": "true"} if context.progress.is_finished else None
    return render(request, "studies/_progress.html", context, headers=headers)


@router.get("/studio/{slug}/signs", dependencies=[ResearcherDep])
async def tell_signs(request: Request, signs: SignsDep, slug: str) -> Response:
    """Server-sent events: `sign` whenever workers have come further with the study's pictures.

    What is new the page asks for itself. One that gets no events asks every few seconds all the
    same, so a Redis that does not answer, or a proxy that holds events back, hides nothing.
    """
    study_id = await run_in_threadpool(_find_id, request, slug)

    async def events() -> AsyncIterator[str]:
        with suppress(RedisError):
            async for is_sign in signs.changes(study_id, every_s=_HEARTBEAT_S):
                yield "event: sign\ndata:\n\n" if is_sign else ": still here\n\n"

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


def _find_id(request: Request, slug: str) -> UUID:
    """In a transaction of its own: one of the request's would be open as long as somebody looks."""
    with transaction(request.app.state.factory, request.app.state.sender) as session:
        return studies.get(session, slug).id


@router.post("/studio/{slug}/computing", dependencies=[ResearcherDep])
def steer_computing(
    request: Request, session: SessionDep, slug: str, to: Annotated[str, Form()]
) -> Response:
    """to: `stop`, `resume`, or `retry` for the failed ones as well."""
    study = studies.get(session, slug)
    if to == "stop":
        studies.stop(study)
    elif to in ("resume", "retry"):
        studies.ask_to_resume(session, study, retry_failed=to == "retry")
    else:
        raise InvalidInputError("Computing can be stopped, resumed, or tried again.")
    return redirect(request, f"/studio/{slug}")


@router.post("/studio/{slug}/status", dependencies=[ResearcherDep])
def set_status(
    request: Request, session: SessionDep, slug: str, status: Annotated[str, Form()]
) -> Response:
    studies.set_status(session, studies.get(session, slug), status=status)
    return redirect(request, f"/studio/{slug}")


@router.post("/studio/{slug}/visibility", dependencies=[ResearcherDep])
def set_visibility(
    request: Request, session: SessionDep, slug: str, visibility: Annotated[str, Form()]
) -> Response:
    studies.set_visibility(studies.get(session, slug), visibility=visibility)
    return redirect(request, f"/studio/{slug}")


@router.post("/studio/{slug}/invitation", dependencies=[ResearcherDep])
def renew_invitation(request: Request, session: SessionDep, slug: str) -> Response:
    studies.renew_invitation(session, studies.get(session, slug))
    return redirect(request, f"/studio/{slug}")


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
