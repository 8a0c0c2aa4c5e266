"""What people decide about concepts: merge, split, rename, call junk, mark as bias. Every later run
of the concepts job keeps to it, and every act can be taken back.

Each act moves the labels at once and asks for the scores to be made anew.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.concepts import tidy_label
from app.infra.errors import ConflictError, InvalidInputError, NotFoundError
from app.infra.queue import enqueue
from app.models import (
    ClusterMap,
    Concept,
    ConceptPin,
    Image,
    Label,
    Player,
    Round,
    Study,
    StudyClass,
)
from app.services import audit
from app.services.audit import Subject

MAX_NAME_CHARACTERS = 60

_DECISIONS = ("is_fixed", "merged_into_id", "is_junk", "is_part")


@dataclass(frozen=True, slots=True)
class Before:
    """How things were before an act, as plain values: what `undo` needs, and an audit log keeps.

    concepts: what had been decided about those that the act touched, with their ids. pins: the
    decided place of each text that it touched, [id] or [None] for junk, [] for none. texts: the
    concept in which each of these texts was.
    """

    class_id: int
    simulated: bool
    concepts: list[dict[str, Any]]
    pins: dict[str, list[int | None]]
    texts: dict[str, int | None]


@dataclass(frozen=True, slots=True)
class ConceptWords:
    """A concept with the ways in which players say it, tidied, each with the number of labels."""

    concept: Concept
    texts: list[tuple[str, int]]

    @property
    def n_labels(self) -> int:
        return sum(n for _, n in self.texts)


def in_use(session: Session, *, class_id: int, simulated: bool) -> list[ConceptWords]:
    """A class's concepts that labels can be in, those with most labels first."""
    query = _in_use(class_id, simulated=simulated).order_by(Concept.name)
    return sorted(_with_words(session, query), key=lambda one: -one.n_labels)


def page_in_use(
    session: Session, *, class_id: int, simulated: bool, limit: int, after: int | None = None
) -> list[ConceptWords]:
    """At most `limit` of a class's concepts that labels can be in, by their ids. after: the id of
    the last one that was seen."""
    query = _in_use(class_id, simulated=simulated).order_by(Concept.id).limit(limit)
    return _with_words(session, query if after is None else query.where(Concept.id > after))


def _in_use(class_id: int, *, simulated: bool) -> Select[Concept]:
    return select(Concept).where(
        Concept.class_id == class_id,
        Concept.simulated.is_(simulated),
        Concept.merged_into_id.is_(None),
        ~Concept.is_junk,
    )


def _with_words(session: Session, query: Select[Concept]) -> list[ConceptWords]:
    found = session.scalars(query).all()
    typed: dict[int | None, Counter[str]] = {concept.id: Counter() for concept in found}
    for concept_id, text, n in session.execute(
        select(Label.concept_id, Label.text, func.count())
        .where(Label.concept_id.in_(typed))
        .group_by(Label.concept_id, Label.text)
    ):
        typed[concept_id][tidy_label(text) or text] += n
    return [ConceptWords(concept, typed[concept.id].most_common()) for concept in found]


def require_in_class(
    session: Session, image_class: StudyClass, concept_ids: Collection[int]
) -> None:
    """Refuse concepts of other classes, and none at all."""
    if not concept_ids:
        raise InvalidInputError("Tick the concepts that it is about.")
    theirs = select(func.count()).where(
        Concept.class_id == image_class.id, Concept.id.in_(concept_ids)
    )
    if session.scalar(theirs) != len(set(concept_ids)):
        raise NotFoundError("One of these concepts is gone. Load the page anew.")


def merge_all(session: Session, *, concept_ids: Collection[int], name: str = "") -> None:
    """Merge two or more concepts into the one with most labels, which gets the name, if there is
    one. It may be that of any of them."""
    if len(set(concept_ids)) < 2:
        raise InvalidInputError("Tick two concepts or more to merge them.")
    wanted = tidy_label(name) if name.strip() else None
    n_labels = dict(
        session.execute(
            select(Label.concept_id, func.count())
            .where(Label.concept_id.in_(concept_ids))
            .group_by(Label.concept_id)
        ).all()
    )
    ranked = sorted(set(concept_ids), key=lambda key: (-n_labels.get(key, 0), key))
    named = next((key for key in ranked if _get(session, key).name == wanted), None)
    into_id = named or ranked[0]
    for concept_id in ranked:
        if concept_id != into_id:
            merge(session, concept_id=concept_id, into_id=into_id)
    if name.strip() and named is None:
        rename(session, concept_id=into_id, name=name)


def merge(session: Session, *, concept_id: int, into_id: int) -> Before:
    """All labels of a concept, now and later, belong to another one of the class."""
    source, target = _lock(session, concept_id), _get(session, into_id)
    if source.id == target.id:
        raise InvalidInputError("A concept cannot be merged with itself.")
    if (source.class_id, source.simulated) != (target.class_id, target.simulated):
        raise InvalidInputError("Only concepts of one class and one kind of players can be merged.")
    before = _before(session, source, target)
    source.merged_into_id = target.id
    source.is_fixed = target.is_fixed = True
    _place(session, source, dict.fromkeys(before.texts, target.id))
    _record(session, "concept.merge", source, before, {"merged into": target.name})
    return before


def split(session: Session, *, concept_id: int, texts: Collection[str], name: str) -> Before:
    """Some of a concept's labels, by their texts, become a concept of their own."""
    source = _lock(session, concept_id)
    before = _before(session, source)
    wanted = {tidy for text in texts if (tidy := tidy_label(text))}
    if not wanted:
        raise InvalidInputError("Choose the labels that shall be a concept of their own.")
    if strange := wanted - before.texts.keys():
        raise InvalidInputError(f"“{source.name}” has no label “{min(strange)}”.")
    if wanted == before.texts.keys():
        raise InvalidInputError("These are all its labels: rename the concept instead.")
    new = Concept(
        class_id=source.class_id,
        simulated=source.simulated,
        name=_free_name(session, source, name),
        is_fixed=True,
    )
    session.add(new)
    source.is_fixed = True
    session.flush()
    # Taken back, the new one is what it was made from.
    before.concepts.append({**_decided(new), "merged_into_id": source.id})
    places = {text: new.id if text in wanted else source.id for text in before.texts}
    _place(session, source, places)
    _record(session, "concept.split", source, before, {"new": new.name, "labels": sorted(wanted)})
    return before


def rename(session: Session, *, concept_id: int, name: str) -> Before:
    """A concept has this name from now on."""
    concept = _lock(session, concept_id)
    before = _before(session, concept)
    concept.name = _free_name(session, concept, name)
    concept.is_fixed = True
    _place(session, concept, dict.fromkeys(before.texts, concept.id))
    _record(session, "concept.rename", concept, before, {"name": concept.name})
    return before


def mark_junk(session: Session, *, concept_id: int) -> Before:
    """A concept's labels say nothing, now and later."""
    concept = _lock(session, concept_id)
    before = _before(session, concept)
    concept.is_junk = concept.is_fixed = True
    _place(session, concept, dict.fromkeys(before.texts, None))
    _record(session, "concept.junk", concept, before, {"is junk": True})
    return before


def mark_part(session: Session, *, concept_id: int, is_part: bool | None) -> Before:
    """Say whether a concept is part of its class, or None to leave it to what words mean. What is
    said to be none of it is a bias: something that should not matter."""
    concept = _lock(session, concept_id)
    before = Before(concept.class_id, concept.simulated, [_decided(concept)], pins={}, texts={})
    concept.is_part = is_part
    # Or a run that finds nothing of it would take the mark away with it.
    concept.is_fixed = concept.is_fixed or is_part is not None
    session.flush()
    _record(session, "concept.part", concept, before, {"is part": is_part})
    return before


def undo(session: Session, before: Before) -> None:
    """Take an act back. ConflictError when a concept that it touched is gone since, or its name
    belongs to another one."""
    lock_class(session, before.class_id)
    for was in before.concepts:
        concept = session.get(Concept, was["id"], populate_existing=True)
        if concept is None:
            raise ConflictError("That cannot be taken back: a concept is gone since.")
        if concept.name != was["name"]:
            concept.name = _free_name(session, concept, was["name"])
        for column in _DECISIONS:
            setattr(concept, column, was[column])
    of_kind = _of_kind(before.class_id, simulated=before.simulated)
    session.execute(delete(ConceptPin).where(of_kind, ConceptPin.text.in_(list(before.pins))))
    _pin(session, before, {text: place[0] for text, place in before.pins.items() if place})
    _move(session, before, before.texts)


def _record(
    session: Session, act: str, concept: Concept, before: Before, after: Mapping[str, Any]
) -> None:
    study = session.scalars(
        select(Study).join(StudyClass).where(StudyClass.id == concept.class_id)
    ).one()
    was = next(one["name"] for one in before.concepts if one["id"] == concept.id)
    subject = Subject("concept", str(concept.id), was)
    kept = {"name": was, audit.UNDO: asdict(before)}
    audit.record(session, act, subject, study=study, before=kept, after=after)


def _get(session: Session, concept_id: int) -> Concept:
    """A concept that is in use. NotFoundError when there is none."""
    concept = session.get(Concept, concept_id, populate_existing=True)
    if concept is None or concept.merged_into_id is not None or concept.is_junk:
        raise NotFoundError("There is no such concept.")
    return concept


def _lock(session: Session, concept_id: int) -> Concept:
    """The concept, while neither the concepts job nor another moderator is at its class."""
    lock_class(session, _get(session, concept_id).class_id)
    return _get(session, concept_id)


def lock_class(session: Session, class_id: int) -> None:
    """Take turns with whoever else changes a class's concepts, until the transaction ends.

    Not by the class's row: guesses note in it that there are new labels, and wait for nobody.
    """
    key = func.hashtextextended(f"concepts of class {class_id}", 0)
    session.execute(select(func.pg_advisory_xact_lock(key)))


def _free_name(session: Session, concept: Concept, name: str) -> str:
    tidy = tidy_label(name)
    if not tidy or len(tidy) > MAX_NAME_CHARACTERS:
        raise InvalidInputError(f"A concept's name has 1 to {MAX_NAME_CHARACTERS} characters.")
    other = session.scalar(
        select(Concept.id).where(
            Concept.class_id == concept.class_id,
            Concept.simulated.is_(concept.simulated),
            Concept.name == tidy,
            Concept.id != concept.id,
        )
    )
    if other is not None:
        raise ConflictError(f"There is a concept “{tidy}” already: merge the two instead.")
    return tidy


def _decided(concept: Concept) -> dict[str, Any]:
    return {column: getattr(concept, column) for column in ("id", "name", *_DECISIONS)}


def _before(session: Session, source: Concept, *others: Concept) -> Before:
    """How the concepts are, with the texts of the first one's labels."""
    typed = session.scalars(select(Label.text).where(Label.concept_id == source.id))
    texts = sorted({tidy for text in typed if (tidy := tidy_label(text))})
    pins = session.execute(
        select(ConceptPin.text, ConceptPin.concept_id).where(
            _of_kind(source.class_id, simulated=source.simulated), ConceptPin.text.in_(texts)
        )
    )
    return Before(
        class_id=source.class_id,
        simulated=source.simulated,
        concepts=[_decided(one) for one in (source, *others)],
        pins={text: [] for text in texts} | {text: [place] for text, place in pins},
        texts=dict.fromkeys(texts, source.id),
    )


def _of_kind(class_id: int, *, simulated: bool) -> ColumnElement[bool]:
    return (ConceptPin.class_id == class_id) & ConceptPin.simulated.is_(simulated)


def _place(session: Session, of: Concept | Before, places: Mapping[str, int | None]) -> None:
    """Put the class's labels of these texts there, now and in every later run."""
    _pin(session, of, places)
    _move(session, of, places)


def _move(session: Session, of: Concept | Before, places: Mapping[str, int | None]) -> None:
    rows = session.execute(
        select(Label.id, Label.text)
        .join(Label.round)
        .join(Round.player)
        .join(Round.cluster_map)
        .join(ClusterMap.image)
        .where(
            Image.class_id == of.class_id,
            Player.is_simulated.is_(of.simulated),
            ~Round.practice,
            ~Round.is_excluded,
            Label.hidden_at.is_(None),
        )
    )
    moves = [
        {"id": row.id, "concept_id": places[tidy]}
        for row in rows
        if (tidy := tidy_label(row.text)) is not None and tidy in places
    ]
    if moves:
        session.execute(update(Label), moves)
    session.flush()
    enqueue(session, "labels.group_class", class_id=of.class_id, simulated=of.simulated)


def _pin(session: Session, of: Concept | Before, places: Mapping[str, int | None]) -> None:
    values = [
        {
            "class_id": of.class_id,
            "simulated": of.simulated,
            "text": text,
            "concept_id": place,
        }
        for text, place in sorted(places.items())
    ]
    if values:
        statement = insert(ConceptPin).values(values)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["class_id", "simulated", "text"],
                set_={"concept_id": statement.excluded.concept_id},
            )
        )
