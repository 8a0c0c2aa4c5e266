"""The global explanations: a class, its concepts, the network, two classes side by side."""

import json
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.infra.errors import NotFoundError
from app.models import Study
from app.services import curation, global_explanations, studies
from app.services.global_explanations import MIN_BIAS_SHARE, ClassPage, ConceptPage, NetworkPage
from app.web.deps import (
    MaybeVisitorDep,
    ModeratedStudyDep,
    Number,
    RowNumber,
    SessionDep,
    Visitor,
)
from app.web.downloads import download, to_csv
from app.web.sharing import StudyReaderDep, readable
from app.web.templating import is_htmx, redirect, render

router = APIRouter(default_response_class=Response)

Players = Literal["people", "simulated"]

N_COMPARED = 20

N_NAMED = 6
"""Concepts with a colour of their own; more could not be told apart."""


@dataclass(frozen=True, slots=True)
class ClassContext:
    """page: the class. players: whose words were asked for, None when nobody's in particular;
    links keep it. colours: the number, from 1, of a concept's colour, by its id."""

    page: ClassPage
    players: Players | None
    colours: Mapping[int, int]
    min_bias_share: float


@dataclass(frozen=True, slots=True)
class ConceptContext:
    page: ConceptPage


@dataclass(frozen=True, slots=True)
class NetworkContext:
    page: NetworkPage


@dataclass(frozen=True, slots=True)
class CompareContext:
    """sides: the two classes, each as in ClassContext. words: each with its share of either side's
    evidence, None where it is missing. choices: every study with its classes."""

    sides: tuple[ClassContext, ClassContext] | None
    words: list[tuple[str, float | None, float | None]]
    choices: list[Study]
    left: int | None
    right: int | None


def _simulated(players: Players | None) -> bool | None:
    return None if players is None else players == "simulated"


def _context(page: ClassPage, players: Players | None) -> ClassContext:
    colours = {row.id: number for number, row in enumerate(page.concepts[:N_NAMED], start=1)}
    return ClassContext(page, players, colours, MIN_BIAS_SHARE)


def _page(session: Session, slug: str, class_id: int, players: Players | None) -> ClassPage:
    page = global_explanations.of_class(session, class_id, simulated=_simulated(players))
    if page.study.slug != slug:
        raise NotFoundError("There is no such class in this study.")
    return page


@router.get("/studio/{slug}/classes/{class_id}", dependencies=[StudyReaderDep])
def show_class(
    request: Request,
    session: SessionDep,
    slug: str,
    class_id: RowNumber,
    players: Players | None = None,
) -> Response:
    context = _context(_page(session, slug, class_id, players), players)
    return render(request, "global/class.html", context)


@router.get("/studio/{slug}/classes/{class_id}/data.json", dependencies=[StudyReaderDep])
def class_json(
    session: SessionDep, slug: str, class_id: RowNumber, players: Players | None = None
) -> Response:
    """All numbers of the page."""
    page = _page(session, slug, class_id, players)
    text = json.dumps(class_numbers(page), indent=1, ensure_ascii=False)
    return download(text, _file_name(page, "json"))


@router.get("/studio/{slug}/classes/{class_id}/data.csv", dependencies=[StudyReaderDep])
def class_csv(
    session: SessionDep, slug: str, class_id: RowNumber, players: Players | None = None
) -> Response:
    """A row for each concept in each layer."""
    page = _page(session, slug, class_id, players)
    rows: list[list[Any]] = [
        [
            *("concept", "layer", "layer_name", "mean_score", "evidence_percent", "pictures"),
            *("pictures_given", "tcav_score", "tcav_p_corrected", "tcav_examples"),
        ]
    ]
    for row in page.concepts:
        for point in row.course.points:
            test = row.tests.get(point.layer)
            rows.append(
                [
                    *(row.name, point.layer, page.layers[point.layer]),
                    *(point.score, point.share, point.n_pictures, point.n_given),
                    *((test.score, test.corrected_p_value, test.n_examples) if test else ()),
                ]
            )
    return download(to_csv(rows), _file_name(page, "csv"))


def class_numbers(page: ClassPage) -> dict[str, Any]:
    """All numbers of a class's explanation, by name."""
    return {
        "study": page.study.name,
        "network": page.study.network.name,
        "class": page.image_class.name,
        "players": "simulated" if page.simulated else "people",
        "pictures": page.n_pictures,
        "layers": page.layers,
        "nameless_percent": page.nameless,
        "agreement": page.agreement and asdict(page.agreement),
        "run": page.run and {"number": page.run.number, **page.run.made_by},
        "concepts": list(_values(page)),
    }


def _values(page: ClassPage) -> Any:
    for row in page.concepts:
        slope = row.course.slope
        hiding = row.hiding
        yield {
            "concept": row.name,
            "evidence_percent": row.course.share,
            "trend": row.course.trend,
            "slope_per_layer": slope
            and {"mean": slope.value, "low": slope.low, "high": slope.high},
            "layers": [
                {
                    "layer": point.layer,
                    "mean_score": point.score,
                    "evidence_percent": point.share,
                    "pictures": point.n_pictures,
                    "pictures_given": point.n_given,
                }
                for point in row.course.points
            ],
            "tcav": [
                {
                    "layer": number,
                    "score": test.score,
                    "p_corrected": test.corrected_p_value,
                    "accuracy": test.accuracy,
                    "examples": test.n_examples,
                }
                for number, test in sorted(row.tests.items())
            ],
            "hidden": hiding
            and {
                "pictures": hiding.n_pictures,
                "area": hiding.area,
                "probability": hiding.probability,
                "probability_hidden": hiding.hidden_probability,
                "probability_hidden_elsewhere": hiding.elsewhere_probability,
                "difference": hiding.difference,
                "difference_low": hiding.difference_low,
                "difference_high": hiding.difference_high,
                "answers_changed": hiding.n_changed,
            },
            "is_part_of_the_class": not row.is_foreign,
            "marked_by_a_researcher": row.marked is not None,
        }


def _file_name(page: ClassPage, kind: str) -> str:
    return f"{page.study.slug}-class-{page.image_class.id}.{kind}"


@router.post("/studio/{slug}/classes/{class_id}/measure")
def measure_class(
    request: Request,
    session: SessionDep,
    study: ModeratedStudyDep,
    class_id: RowNumber,
    players: Annotated[Players, Form()],
) -> Response:
    _page(session, study.slug, class_id, players)
    global_explanations.ask_to_measure(session, class_id=class_id, simulated=players == "simulated")
    return redirect(request, f"/studio/{study.slug}/classes/{class_id}?players={players}")


@router.get("/studio/{slug}/classes/{class_id}/measurement", dependencies=[StudyReaderDep])
def show_measurement(
    request: Request, session: SessionDep, slug: str, class_id: RowNumber, players: Players
) -> Response:
    """How far measuring is, for the page that asks every three seconds while it goes on."""
    if not is_htmx(request):
        return redirect(request, f"/studio/{slug}/classes/{class_id}?players={players}")
    context = _context(_page(session, slug, class_id, players), players)
    measurement = context.page.measurement
    is_over = measurement is None or measurement.status != "pending"
    headers = {"HX-Refresh": "true"} if is_over else None
    return render(request, "global/_measurement.html", context, headers=headers)


@router.get("/studio/{slug}/concepts/{concept_id}", dependencies=[StudyReaderDep])
def show_concept(
    request: Request,
    session: SessionDep,
    slug: str,
    concept_id: RowNumber,
    layer: Number | None = None,
) -> Response:
    """The pictures behind a concept's numbers."""
    page = global_explanations.sightings(session, concept_id, layer=layer)
    if page.study.slug != slug or (layer is not None and layer not in page.layers):
        raise NotFoundError("There is no such concept in this study.")
    return render(request, "global/concept.html", ConceptContext(page))


@router.post("/studio/{slug}/concepts/{concept_id}/mark")
def mark_concept(
    request: Request,
    session: SessionDep,
    study: ModeratedStudyDep,
    concept_id: RowNumber,
    part: Annotated[Literal["yes", "no", "unsaid"], Form()],
) -> Response:
    """Say whether the concept is part of its class."""
    page = global_explanations.sightings(session, concept_id)
    if page.study.id != study.id:
        raise NotFoundError("There is no such concept in this study.")
    said = {"yes": True, "no": False, "unsaid": None}[part]
    curation.mark_part(session, concept_id=concept_id, is_part=said)
    return redirect(request, f"/studio/{study.slug}/concepts/{concept_id}")


@router.get("/studio/{slug}/network", dependencies=[StudyReaderDep])
def show_network(
    request: Request, session: SessionDep, slug: str, players: Players | None = None
) -> Response:
    """What the classes of a network have in common, and what each rests on."""
    page = global_explanations.of_network(
        session, studies.get(session, slug), simulated=_simulated(players)
    )
    return render(request, "global/network.html", NetworkContext(page))


@router.get("/studio/{slug}/network/data.csv", dependencies=[StudyReaderDep])
def network_csv(session: SessionDep, slug: str, players: Players | None = None) -> Response:
    """A row for each word that classes share, a column for each class: percent of its evidence."""
    page = global_explanations.of_network(
        session, studies.get(session, slug), simulated=_simulated(players)
    )
    classes = [one.image_class for one in page.pages]
    rows = [["word", *(c.name for c in classes)]]
    rows += [
        [shared.name, *(str(shared.shares.get(c.id, "")) for c in classes)]
        for shared in page.shared
    ]
    return download(to_csv(rows), f"{slug}-shared-words.csv")


@router.get("/studio/{slug}/network/data.json", dependencies=[StudyReaderDep])
def network_json(session: SessionDep, slug: str, players: Players | None = None) -> Response:
    """All numbers of the page, and those of each class's."""
    page = global_explanations.of_network(
        session, studies.get(session, slug), simulated=_simulated(players)
    )
    names = {one.image_class.id: one.image_class.name for one in page.pages}
    content = {
        "study": page.study.name,
        "network": page.study.network.name,
        "players": "simulated" if page.simulated else "people",
        "shared_words": [
            {
                "word": shared.name,
                "evidence_percent": {names[key]: share for key, share in shared.shares.items()},
            }
            for shared in page.shared
        ],
        "classes": [class_numbers(one) for one in page.pages],
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    return download(text, f"{slug}-network.json")


@router.get("/compare")
def compare(
    request: Request,
    session: SessionDep,
    visitor: MaybeVisitorDep,
    left: RowNumber | None = None,
    right: RowNumber | None = None,
    players: Players | None = None,
) -> Response:
    """Two classes side by side, of one study or of two, and so of one network or two."""
    choices = _readable_studies(request, session, visitor, {left, right} - {None})
    sides, words = None, []
    if left is not None and right is not None:
        one, other = _two_classes(session, left, right, players)
        sides = _context(one, players), _context(other, players)
        words = _side_by_side(one, other)[:N_COMPARED]
    context = CompareContext(sides, words, choices, left, right)
    return render(request, "global/compare.html", context)


def get_compared(
    request: Request,
    session: SessionDep,
    visitor: MaybeVisitorDep,
    left: RowNumber,
    right: RowNumber,
    players: Players | None = None,
) -> tuple[ClassPage, ClassPage]:
    """The two classes in the address, for whoever may see both."""
    _readable_studies(request, session, visitor, {left, right})
    return _two_classes(session, left, right, players)


ComparedDep = Annotated[tuple[ClassPage, ClassPage], Depends(get_compared, scope="function")]


@router.get("/compare/data.csv")
def compare_csv(pages: ComparedDep) -> Response:
    """A row for each word of either class: percent of its evidence."""
    heads = (f"{page.image_class.name} ({page.study.name})" for page in pages)
    rows = [["word", *heads], *_side_by_side(*pages)]
    return download(to_csv(rows), _compared_file(pages, "csv"))


@router.get("/compare/data.json")
def compare_json(pages: ComparedDep) -> Response:
    """All numbers of both classes."""
    content = dict(zip(("left", "right"), map(class_numbers, pages), strict=True))
    text = json.dumps(content, indent=1, ensure_ascii=False)
    return download(text, _compared_file(pages, "json"))


def _compared_file(pages: tuple[ClassPage, ClassPage], extension: str) -> str:
    left, right = (page.image_class.id for page in pages)
    return f"classes-{left}-and-{right}.{extension}"


def _readable_studies(
    request: Request, session: Session, visitor: Visitor | None, class_ids: Set[int | None]
) -> list[Study]:
    """What the visitor may see, with its classes. NotFoundError when one of these is none of them:
    whether it exists is told to those alone who may see it."""
    choices = [studies.get(session, study.slug) for study in readable(request, session, visitor)]
    if class_ids - {c.id for study in choices for c in study.classes}:
        raise NotFoundError("There is no such class, or you may not see it.")
    return choices


def _two_classes(
    session: Session, left: int, right: int, players: Players | None
) -> tuple[ClassPage, ClassPage]:
    one, other = (
        global_explanations.of_class(session, class_id, simulated=_simulated(players))
        for class_id in (left, right)
    )
    return one, other


def _side_by_side(one: ClassPage, other: ClassPage) -> list[tuple[str, float | None, float | None]]:
    """The words of either side, by falling share of the two together."""
    left, right = ({row.name: row.course.share for row in page.concepts} for page in (one, other))
    together = sorted(
        left.keys() | right.keys(), key=lambda w: (-left.get(w, 0.0) - right.get(w, 0.0), w)
    )
    return [(word, left.get(word), right.get(word)) for word in together]
