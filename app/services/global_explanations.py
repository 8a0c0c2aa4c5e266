"""The global explanation of a class: its concepts over the layers, with what was measured."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload, selectinload

from app.concepts.agreement import Agreement
from app.concepts.classwide import ClassSummary, Course, PlayedMap, summarise_class
from app.infra.errors import NotFoundError
from app.infra.queue import enqueue
from app.models import (
    ClassMeasurement,
    ClusterMap,
    Concept,
    ConceptBelonging,
    ConceptHiding,
    ConceptRun,
    ConceptScore,
    ConceptTest,
    Image,
    Layer,
    LocalExplanation,
    Study,
    StudyClass,
)
from app.services import concept_runs
from app.services.answers import Answers, count_answers
from app.services.explanations import has_labels

MIN_BIAS_SHARE: Final = 5.0
"""Percent of the evidence from which on a concept that is no part of the class is worth a warning:
less is what single players see now and then."""

Verdict = Literal["used", "unclear", "not measured"]


@dataclass(frozen=True, slots=True)
class ConceptRow:
    """A concept of the class with its course over the layers, and what is known of it.

    tests: TCAV by layer number. marked: what a researcher said, whether it is part of the class.
    """

    id: int
    name: str
    course: Course[int]
    tests: Mapping[int, ConceptTest]
    hiding: ConceptHiding | None
    belonging: ConceptBelonging | None
    marked: bool | None

    @property
    def is_foreign(self) -> bool:
        """Whether it is no part of the class; what a researcher says counts before meaning."""
        if self.marked is not None:
            return not self.marked
        return self.belonging is not None and self.belonging.is_foreign

    @property
    def verdict(self) -> Verdict:
        """Whether the network was seen to use it: hiding it costs more than hiding as much
        elsewhere, by the whole interval."""
        if self.hiding is None or self.hiding.difference_low is None:
            return "not measured"
        return "used" if self.hiding.difference_low > 0 else "unclear"

    @property
    def last_test(self) -> ConceptTest | None:
        """TCAV at the deepest layer at which it could be computed."""
        known = [number for number, test in self.tests.items() if test.score is not None]
        return self.tests[max(known)] if known else None


@dataclass(frozen=True, slots=True)
class ClassPage:
    """A class's global explanation.

    simulated, has_other: as in LocalPage. n_mistaken: of the n_pictures, those that the network
    takes for something else. n_played: of the n_maps cluster maps, those with finished rounds.
    layers: the study's layer names by number. concepts: by falling share of the evidence.
    nameless: by layer number, the evidence without words, percent. measurement: None before
    anybody asked. is_outdated: whether concepts were made anew since it was measured. run: the last
    one of the concepts job, with the agreement of its labels; None before one.
    """

    study: Study
    image_class: StudyClass
    simulated: bool
    has_other: bool
    n_pictures: int
    n_mistaken: int
    n_maps: int
    n_played: int
    layers: Mapping[int, str]
    concepts: tuple[ConceptRow, ...]
    nameless: Mapping[int, float]
    measurement: ClassMeasurement | None
    is_outdated: bool
    run: ConceptRun | None
    agreement: Agreement | None

    @property
    def played_layers(self) -> list[int]:
        return sorted(self.nameless)

    @property
    def suspects(self) -> list[ConceptRow]:
        """The bias report: concepts that carry weight but are no part of the class."""
        return [c for c in self.concepts if c.is_foreign and c.course.share >= MIN_BIAS_SHARE]

    @property
    def top_score(self) -> float:
        """The highest mean score of any concept in any layer, the end of the bars."""
        return max((p.score for c in self.concepts for p in c.course.points), default=0.0)


def get_class(session: Session, class_id: int) -> StudyClass:
    """A class with its study, the study's classes, layers and network. NotFoundError."""
    image_class = session.scalar(
        select(StudyClass)
        .where(StudyClass.id == class_id)
        .options(
            joinedload(StudyClass.study).options(
                selectinload(Study.layers), selectinload(Study.classes), joinedload(Study.network)
            )
        )
    )
    if image_class is None:
        raise NotFoundError("There is no such class.")
    return image_class


def choose_players(session: Session, class_id: int, simulated: bool | None) -> tuple[bool, bool]:
    """Whose words to show, and whether the other kind has some too. None: those of people, but
    where only simulated players have typed words, theirs."""
    by_people = has_labels(session, class_id, simulated=False)
    by_simulated = has_labels(session, class_id, simulated=True)
    if simulated is None:
        simulated = by_simulated and not by_people
    return simulated, by_people if simulated else by_simulated


def of_class(session: Session, class_id: int, *, simulated: bool | None = None) -> ClassPage:
    """A class's global explanation from the concept scores as they are now."""
    image_class = get_class(session, class_id)
    simulated, has_other = choose_players(session, class_id, simulated)
    counts = session.execute(
        select(
            func.count(),
            func.count().filter(Image.target_name != image_class.name),
        ).where(Image.class_id == class_id, Image.status == "done")
    ).one()
    n_maps = session.scalar(
        select(func.count())
        .select_from(ClusterMap)
        .join(ClusterMap.image)
        .where(Image.class_id == class_id)
    )
    maps = _played_maps(session, [class_id], simulated=simulated)[class_id]
    summary = summarise_class(maps)
    measurement = session.get(ClassMeasurement, (class_id, simulated))
    run = concept_runs.latest(session, [class_id], simulated=simulated).get(class_id)
    made_at = session.scalar(
        select(func.max(LocalExplanation.made_at))
        .join(Image, Image.id == LocalExplanation.image_id)
        .where(Image.class_id == class_id, LocalExplanation.simulated.is_(simulated))
    )
    return ClassPage(
        study=image_class.study,
        image_class=image_class,
        simulated=simulated,
        has_other=has_other,
        n_pictures=counts[0],
        n_mistaken=counts[1],
        n_maps=n_maps or 0,
        n_played=len(maps),
        layers={layer.position + 1: layer.name for layer in image_class.study.layers},
        concepts=_rows(session, image_class, summary),
        nameless=summary.nameless,
        measurement=measurement,
        is_outdated=bool(
            measurement and measurement.made_at and made_at and measurement.made_at < made_at
        ),
        run=run,
        agreement=concept_runs.agreement_of(run) if run else None,
    )


def _played_maps(
    session: Session, class_ids: Sequence[int], *, simulated: bool
) -> dict[int, list[PlayedMap[int]]]:
    """By class, the cluster maps that players of one kind finished rounds on, with the scores of
    their concepts by id; none of those that most players found nothing to name in."""
    n_finished = ClusterMap.simulated_n_finished if simulated else ClusterMap.n_finished
    scores: dict[UUID, dict[int, float]] = defaultdict(dict)
    for map_id, concept_id, score in session.execute(
        select(ConceptScore.cluster_map_id, ConceptScore.concept_id, ConceptScore.score)
        .join(ConceptScore.concept)
        .where(Concept.class_id.in_(class_ids), Concept.simulated.is_(simulated))
    ):
        scores[map_id][concept_id] = score
    said = count_answers(session, Image.class_id.in_(class_ids), simulated=simulated)
    found: dict[int, list[PlayedMap[int]]] = defaultdict(list)
    for row in session.execute(
        select(
            ClusterMap.id,
            ClusterMap.image_id,
            ClusterMap.weight,
            Image.class_id,
            Layer.position,
        )
        .join(ClusterMap.image)
        .join(ClusterMap.layer)
        .where(Image.class_id.in_(class_ids), Image.status == "done", n_finished > 0)
        .order_by(ClusterMap.image_id, Layer.position, ClusterMap.rank)
    ):
        is_nothing = said.get(row.id, Answers()).is_nothing
        found[row.class_id].append(
            PlayedMap(
                row.image_id, row.position + 1, row.weight, {} if is_nothing else scores[row.id]
            )
        )
    return found


def _rows(
    session: Session, image_class: StudyClass, summary: ClassSummary[int]
) -> tuple[ConceptRow, ...]:
    ids = [course.concept for course in summary.courses]
    found = {one.id: one for one in session.scalars(select(Concept).where(Concept.id.in_(ids)))}
    numbers = {layer.id: layer.position + 1 for layer in image_class.study.layers}
    tests: dict[int, dict[int, ConceptTest]] = defaultdict(dict)
    for test in session.scalars(select(ConceptTest).where(ConceptTest.concept_id.in_(ids))):
        tests[test.concept_id][numbers[test.layer_id]] = test
    hidings = {
        row.concept_id: row
        for row in session.scalars(select(ConceptHiding).where(ConceptHiding.concept_id.in_(ids)))
    }
    belongings = {
        row.concept_id: row
        for row in session.scalars(
            select(ConceptBelonging).where(ConceptBelonging.concept_id.in_(ids))
        )
    }
    rows = [
        ConceptRow(
            id=course.concept,
            name=found[course.concept].name,
            course=course,
            tests=tests[course.concept],
            hiding=hidings.get(course.concept),
            belonging=belongings.get(course.concept),
            marked=found[course.concept].is_part,
        )
        for course in summary.courses
    ]
    return tuple(sorted(rows, key=lambda row: (-row.course.share, row.name)))


# --- the pictures behind a number


@dataclass(frozen=True, slots=True)
class Sighting:
    """A cluster map on which a concept was given."""

    map_id: UUID
    image_id: UUID
    file_name: str
    layer: int
    weight: float
    score: float
    n_given: int


@dataclass(frozen=True, slots=True)
class ConceptPage:
    """The cluster maps behind a concept's numbers, in one layer or in all, strongest first."""

    study: Study
    image_class: StudyClass
    concept: Concept
    layer: int | None
    layers: Mapping[int, str]
    sightings: tuple[Sighting, ...]
    marked: bool | None


def get_concept(session: Session, concept_id: int) -> Concept:
    concept = session.get(Concept, concept_id)
    if concept is None:
        raise NotFoundError(
            "There is no such concept any more: its labels may have got another name since."
        )
    return concept


def sightings(session: Session, concept_id: int, *, layer: int | None = None) -> ConceptPage:
    """The pictures behind a concept: where it was given, and how strongly. layer: its number."""
    concept = get_concept(session, concept_id)
    image_class = get_class(session, concept.class_id)
    query = (
        select(
            ClusterMap.id,
            ClusterMap.image_id,
            Image.file_name,
            Layer.position,
            ClusterMap.weight,
            ConceptScore.score,
            ConceptScore.n_given,
        )
        .select_from(ConceptScore)
        .join(ClusterMap, ClusterMap.id == ConceptScore.cluster_map_id)
        .join(ClusterMap.image)
        .join(ClusterMap.layer)
        .where(ConceptScore.concept_id == concept_id)
        .order_by(ConceptScore.score.desc(), ClusterMap.weight.desc(), ClusterMap.id)
    )
    if layer is not None:
        query = query.where(Layer.position == layer - 1)
    return ConceptPage(
        study=image_class.study,
        image_class=image_class,
        concept=concept,
        layer=layer,
        layers={one.position + 1: one.name for one in image_class.study.layers},
        sightings=tuple(
            Sighting(
                map_id=row.id,
                image_id=row.image_id,
                file_name=row.file_name,
                layer=row.position + 1,
                weight=row.weight,
                score=row.score,
                n_given=row.n_given,
            )
            for row in session.execute(query)
        ),
        marked=concept.is_part,
    )


# --- the network as a whole


@dataclass(frozen=True, slots=True)
class SharedConcept:
    """A word that concepts of several classes go by. shares: by class id, its share of that
    class's evidence, percent. concept_ids: by class id."""

    name: str
    shares: Mapping[int, float]
    concept_ids: Mapping[int, int]

    @property
    def mean_share(self) -> float:
        return sum(self.shares.values()) / len(self.shares)


@dataclass(frozen=True, slots=True)
class NetworkPage:
    """What a network's classes have in common.

    shared: words of two or more classes, those of most classes first. pages: each class's own
    explanation, as far as players have put it into words.
    """

    study: Study
    simulated: bool
    shared: tuple[SharedConcept, ...]
    pages: tuple[ClassPage, ...]


def of_network(session: Session, study: Study, *, simulated: bool | None = None) -> NetworkPage:
    """The concepts of all classes of a study, side by side. simulated: as for of_class, but never
    of both kinds: None is people where they have put any class into words."""
    if simulated is None:
        simulated = not any(has_labels(session, c.id, simulated=False) for c in study.classes)
        simulated = simulated and any(
            has_labels(session, c.id, simulated=True) for c in study.classes
        )
    pages = [of_class(session, c.id, simulated=simulated) for c in study.classes]
    by_name: dict[str, dict[int, ConceptRow]] = defaultdict(dict)
    for page in pages:
        for row in page.concepts:
            by_name[row.name][page.image_class.id] = row
    shared = [
        SharedConcept(
            name=name,
            shares={class_id: row.course.share for class_id, row in rows.items()},
            concept_ids={class_id: row.id for class_id, row in rows.items()},
        )
        for name, rows in by_name.items()
        if len(rows) > 1
    ]
    return NetworkPage(
        study=study,
        simulated=simulated,
        shared=tuple(sorted(shared, key=lambda s: (-len(s.shares), -s.mean_share, s.name))),
        pages=tuple(page for page in pages if page.concepts),
    )


# --- what researchers ask for and say


def ask_to_measure(session: Session, *, class_id: int, simulated: bool) -> None:
    """Ask a worker to measure a class's concepts with the network, again if it was done before."""
    get_class(session, class_id)
    statement = insert(ClassMeasurement).values(
        class_id=class_id, simulated=simulated, status="pending", asked_at=datetime.now(UTC)
    )
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["class_id", "simulated"],
            set_={
                "status": "pending",
                "failure": None,
                "asked_at": statement.excluded.asked_at,
            },
        )
    )
    enqueue(session, "explanations.measure_class", class_id=class_id, simulated=simulated)


def pending_measurements(session: Session) -> list[tuple[int, bool]]:
    """Classes, each with whose words, that wait to be measured."""
    rows = session.execute(
        select(ClassMeasurement.class_id, ClassMeasurement.simulated)
        .where(ClassMeasurement.status == "pending")
        .order_by(ClassMeasurement.asked_at)
    )
    return [(row.class_id, row.simulated) for row in rows]
