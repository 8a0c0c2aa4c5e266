"""Runs of the concepts job, each with what it came to, from what, and by which version.

A run's result stays readable when later ones have come to something else. It is kept compactly:
`concepts` has [id, name, number of labels] of each, `maps` by cluster map its [concept id, score,
rounds that gave it], strongest first, and `nothing` by cluster map how many players said that there
is nothing nameable, and how many named something.
"""

import json
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, defer

from app.concepts import ConceptScore
from app.concepts.agreement import Agreement
from app.infra.errors import NotFoundError
from app.models import ClusterMap, Concept, ConceptRun, Image, Layer
from app.services.answers import Answers, count_answers

N_BEST: Final = 3


def record(
    session: Session,
    *,
    class_id: int,
    simulated: bool,
    made_by: Mapping[str, Any],
    members: Sequence[tuple[int, int | None]],
    scores: Mapping[Hashable, Sequence[ConceptScore[int]]],
    agreement: Agreement,
) -> ConceptRun:
    """Keep what a run has come to; where that is what the last one came to, from the same labels
    and by the same version, that one. The class must be locked.

    members: each label's id with that of its concept. scores: by cluster map, strongest first.
    """
    result = _result(session, class_id, simulated, members, scores)
    values = {"made_by": dict(made_by), "agreement": asdict(agreement), "result": result}
    text = json.dumps([values, sorted(members)], sort_keys=True, default=str)
    digest = sha256(text.encode()).hexdigest()
    last = latest(session, [class_id], simulated=simulated).get(class_id)
    if last is not None and last.digest == digest:
        return last
    run = ConceptRun(
        class_id=class_id,
        simulated=simulated,
        number=1 if last is None else last.number + 1,
        made_at=datetime.now(UTC),
        n_labels=len(members),
        digest=digest,
        **values,
    )
    session.add(run)
    session.flush()
    return run


def _result(
    session: Session,
    class_id: int,
    simulated: bool,
    members: Sequence[tuple[int, int | None]],
    scores: Mapping[Hashable, Sequence[ConceptScore[int]]],
) -> dict[str, Any]:
    n_labels = Counter(concept for _, concept in members if concept is not None)
    rows = session.execute(
        select(Concept.id, Concept.name).where(Concept.id.in_(n_labels)).order_by(Concept.id)
    )
    said = count_answers(session, Image.class_id == class_id, simulated=simulated)
    return {
        "concepts": [[row.id, row.name, n_labels[row.id]] for row in rows],
        "maps": {
            str(map_id): [[one.concept, one.score, one.n_given] for one in of_map]
            for map_id, of_map in scores.items()
        },
        "nothing": {
            str(map_id): [answers.n_nothing, answers.n_named]
            for map_id, answers in said.items()
            if answers.n_nothing
        },
    }


def latest(session: Session, class_ids: Sequence[int], *, simulated: bool) -> dict[int, ConceptRun]:
    """The last run of each class that has one, without its result."""
    rows = session.scalars(
        select(ConceptRun)
        .where(ConceptRun.class_id.in_(class_ids), ConceptRun.simulated.is_(simulated))
        .ext(distinct_on(ConceptRun.class_id))
        .order_by(ConceptRun.class_id, ConceptRun.number.desc())
        .options(defer(ConceptRun.result, raiseload=True))
    )
    return {run.class_id: run for run in rows}


def list_of_class(session: Session, class_id: int, *, simulated: bool) -> list[ConceptRun]:
    """A class's runs, newest first, without their results."""
    return list(
        session.scalars(
            select(ConceptRun)
            .where(ConceptRun.class_id == class_id, ConceptRun.simulated.is_(simulated))
            .order_by(ConceptRun.number.desc())
            .options(defer(ConceptRun.result, raiseload=True))
        )
    )


def agreement_of(run: ConceptRun) -> Agreement:
    return Agreement(**run.agreement)


@dataclass(frozen=True, slots=True)
class RunConcept:
    """A concept as a run found it, with the number of its labels, of maps on which it was given,
    and of those on which it came first."""

    name: str
    n_labels: int
    n_maps: int
    n_first: int


@dataclass(frozen=True, slots=True)
class RunMap:
    """A cluster map as a run saw it: its first concepts, by score. It may be gone since."""

    map_id: UUID
    image_id: UUID
    file_name: str
    layer: int
    best: tuple[tuple[str, float], ...]
    answers: Answers


@dataclass(frozen=True, slots=True)
class RunPage:
    """A run's result. concepts: those with most labels first. maps: those that are still there,
    picture by picture."""

    run: ConceptRun
    agreement: Agreement
    concepts: tuple[RunConcept, ...]
    maps: tuple[RunMap, ...]


def read(session: Session, class_id: int, *, simulated: bool, number: int) -> RunPage:
    """What a run came to. NotFoundError where there is none of this number."""
    run = session.scalar(
        select(ConceptRun)
        .where(ConceptRun.class_id == class_id, ConceptRun.simulated.is_(simulated))
        .where(ConceptRun.number == number)
        .execution_options(populate_existing=True)
    )
    if run is None:
        raise NotFoundError("There is no such run of the concepts job.")
    return RunPage(run, agreement_of(run), _concepts(run.result), _maps(session, class_id, run))


def _concepts(result: Mapping[str, Any]) -> tuple[RunConcept, ...]:
    n_maps: Counter[int] = Counter()
    n_first: Counter[int] = Counter()
    for scores in result["maps"].values():
        n_maps.update(concept for concept, _, _ in scores)
        n_first.update(concept for concept, score, _ in scores if score == scores[0][1])
    found = [
        RunConcept(name, n_labels, n_maps[key], n_first[key])
        for key, name, n_labels in result["concepts"]
    ]
    return tuple(sorted(found, key=lambda one: (-one.n_labels, one.name)))


def _maps(session: Session, class_id: int, run: ConceptRun) -> tuple[RunMap, ...]:
    scores, nothing = run.result["maps"], run.result["nothing"]
    names = {key: name for key, name, _ in run.result["concepts"]}
    rows = session.execute(
        select(ClusterMap.id, ClusterMap.image_id, Image.file_name, Layer.position)
        .join(ClusterMap.image)
        .join(ClusterMap.layer)
        .where(Image.class_id == class_id)
        .order_by(Image.file_name, Image.id, Layer.position, ClusterMap.rank)
    )
    return tuple(
        RunMap(
            map_id=row.id,
            image_id=row.image_id,
            file_name=row.file_name,
            layer=row.position + 1,
            best=tuple((names[key], score) for key, score, _ in of_map[:N_BEST]),
            answers=Answers(*nothing.get(str(row.id), (0, len(of_map)))),
        )
        for row in rows
        if (of_map := scores.get(str(row.id), [])) or str(row.id) in nothing
    )
