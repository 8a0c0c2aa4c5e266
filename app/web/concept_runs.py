"""The runs of the concepts job for a class: what each came to, also the older ones."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.concepts.agreement import Agreement
from app.infra.errors import NotFoundError
from app.models import ConceptRun, StudyClass
from app.services import concept_runs, global_explanations
from app.services.concept_runs import RunPage
from app.web.deps import Number, RowNumber, SessionDep
from app.web.downloads import download
from app.web.sharing import StudyReaderDep
from app.web.templating import render

router = APIRouter(
    prefix="/studio/{slug}/classes/{class_id}/runs",
    dependencies=[StudyReaderDep],
    default_response_class=Response,
)

Players = Literal["people", "simulated"]


@dataclass(frozen=True, slots=True)
class RunsContext:
    """runs: newest first. agreements: of each, by its number."""

    image_class: StudyClass
    players: Players
    runs: list[ConceptRun]
    agreements: Mapping[int, Agreement]


@dataclass(frozen=True, slots=True)
class RunContext:
    image_class: StudyClass
    players: Players
    page: RunPage


@router.get("")
def list_runs(
    request: Request,
    session: SessionDep,
    slug: str,
    class_id: RowNumber,
    players: Players = "people",
) -> Response:
    image_class = _get_class(session, slug, class_id)
    runs = concept_runs.list_of_class(session, class_id, simulated=players == "simulated")
    agreements = {run.number: concept_runs.agreement_of(run) for run in runs}
    context = RunsContext(image_class, players, runs, agreements)
    return render(request, "concepts/runs.html", context)


@router.get("/{number}")
def show_run(
    request: Request,
    session: SessionDep,
    slug: str,
    class_id: RowNumber,
    number: Number,
    players: Players = "people",
) -> Response:
    image_class = _get_class(session, slug, class_id)
    page = concept_runs.read(session, class_id, simulated=players == "simulated", number=number)
    return render(request, "concepts/run.html", RunContext(image_class, players, page))


@router.get("/{number}/data.json")
def run_json(
    session: SessionDep,
    slug: str,
    class_id: RowNumber,
    number: Number,
    players: Players = "people",
) -> Response:
    """All that the run came to, and from what."""
    image_class = _get_class(session, slug, class_id)
    page = concept_runs.read(session, class_id, simulated=players == "simulated", number=number)
    content = {
        "study": image_class.study.name,
        "class": image_class.name,
        "players": players,
        "run": number,
        "made_at": page.run.made_at.isoformat(),
        "made_by": page.run.made_by,
        "labels": page.run.n_labels,
        "agreement": asdict(page.agreement),
        "concepts": [asdict(one) for one in page.concepts],
        "maps": [asdict(one) for one in page.maps],
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, default=str)
    return download(text, f"{slug}-class-{class_id}-run-{number}.json")


def _get_class(session: Session, slug: str, class_id: int) -> StudyClass:
    image_class = global_explanations.get_class(session, class_id)
    if image_class.study.slug != slug:
        raise NotFoundError("There is no such class in this study.")
    return image_class
