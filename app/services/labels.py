"""From what players typed to concepts, one image class at a time."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Session

from app import rules
from app.concepts import ConceptScore as MapScore
from app.concepts import (
    Embedder,
    GivenConcept,
    PlayerRecord,
    TypedLabel,
    get_recipe,
    get_score,
    tidy_label,
)
from app.concepts.agreement import Agreements
from app.concepts.identity import KnownConcept, LabelNow, regroup
from app.infra.queue import enqueue
from app.models import (
    ClusterMap,
    Concept,
    ConceptPin,
    ConceptRun,
    ConceptScore,
    Image,
    Label,
    LocalExplanation,
    NewLabels,
    Player,
    Round,
    Study,
    StudyClass,
)
from app.services import audit, concept_runs, curation, explanations, ledger
from app.services.audit import Subject
from app.services.embeddings import KeptEmbedder


def ask_all(session: Session, study: Study) -> int:
    """Ask for the concepts of every class of a study, from people's words and, where simulated
    players have played, from theirs; the number of jobs asked for."""
    played = select(Round.id).join(Round.player)
    played = played.where(Round.study_id == study.id, Player.is_simulated)
    kinds = (False, True) if session.scalar(select(played.exists())) else (False,)
    for image_class in study.classes:
        for simulated in kinds:
            enqueue(session, "labels.group_class", class_id=image_class.id, simulated=simulated)
    audit.record(session, "study.ask_concepts", Subject.of_study(study), study=study)
    return len(study.classes) * len(kinds)


@dataclass(frozen=True, slots=True)
class _Typed:
    """A label's row, its concept so far, and the round in which it was typed."""

    id: int
    label: TypedLabel
    concept_id: int | None
    round_id: UUID
    player_id: UUID
    reveal_index: int
    right: bool


def ask_anew(session: Session, class_ids: Select[int]) -> None:
    """Have concepts made anew after people's labels or what counts of them have changed.

    The rows stay locked until the transaction ends, so that no job takes the change up before it is
    there.
    """
    flagged = session.scalars(
        update(StudyClass)
        .where(StudyClass.id.in_(class_ids))
        .values(has_new_labels=True)
        .returning(StudyClass.id)
    ).all()
    for class_id in sorted(flagged):
        enqueue(session, "labels.group_class", class_id=class_id, simulated=False)


def ask_after_guess(session: Session, *, class_id: int, simulated: bool, n_labels: int) -> None:
    """Note a finished round's labels as new, and have the concepts of its class made anew soon once
    enough are, unless that has been asked for already.

    Fewer wait for upkeep. So do those of rounds that end in the same moment, which do not see each
    other, until the next one comes.
    """
    new = {"class_id": class_id, "simulated": simulated, "n_labels": n_labels}
    session.execute(_NOTE, new)
    if not _are_enough_new(session, class_id, simulated=simulated):
        return
    changed = session.scalar(_RAISE[simulated], {"class_id": class_id})
    if changed is None:
        # A job waits already. Until this guess is stored it cannot take up the labels without it.
        waits = session.scalar(_LOCKED_FLAG[simulated], {"class_id": class_id})
        if waits:
            return
    enqueue(
        session,
        "labels.group_class",
        delay_s=rules.LABELS_GATHER_S,
        class_id=class_id,
        simulated=simulated,
    )


def _are_enough_new(session: Session, class_id: int, *, simulated: bool) -> bool:
    n_new = session.scalar(_N_NEW, {"class_id": class_id, "simulated": simulated})
    return n_new is not None and n_new >= rules.LABELS_FOR_JOB


# With no more rows than labels that are asked about, for rounds may pile up while no job comes.
_SOME_NEW = (
    select(NewLabels.n_labels)
    .where(
        NewLabels.class_id == bindparam("class_id"),
        NewLabels.simulated == bindparam("simulated"),
        NewLabels.n_labels > 0,
    )
    .limit(rules.LABELS_FOR_JOB)
    .subquery()
)
_N_NEW = select(func.sum(_SOME_NEW.c.n_labels))


def note_new_labels(session: Session, *, class_id: int, simulated: bool, are_there: bool) -> None:
    """Note that a class has labels that no job has taken up, or that one takes them up now.

    The latter is to be committed before `group_class` reads them: whoever types meanwhile is then
    counted anew.
    """
    flag = _flag(simulated=simulated)
    session.execute(update(StudyClass).where(StudyClass.id == class_id).values({flag: are_there}))
    if not are_there:
        of_class = (NewLabels.class_id == class_id) & NewLabels.simulated.is_(simulated)
        session.execute(delete(NewLabels).where(of_class))


def _flag(*, simulated: bool) -> InstrumentedAttribute[bool]:
    return StudyClass.has_new_simulated_labels if simulated else StudyClass.has_new_labels


# What every guess asks is built once: building it takes longer than the database does.
_NOTE = text(
    """
    insert into new_labels (class_id, simulated, n_labels)
    values (:class_id, :simulated, :n_labels)
    """
)
_OF_CLASS = StudyClass.id == bindparam("class_id")
_RAISE = {
    simulated: update(StudyClass)
    .where(_OF_CLASS, ~_flag(simulated=simulated))
    .values({_flag(simulated=simulated): True})
    .returning(StudyClass.id)
    .execution_options(synchronize_session=False)
    for simulated in (False, True)
}
_LOCKED_FLAG = {
    simulated: select(_flag(simulated=simulated)).where(_OF_CLASS).with_for_update(read=True)
    for simulated in (False, True)
}


def group_class(
    session: Session, *, class_id: int, embed: Embedder, recipe: str, simulated: bool = False
) -> bool:
    """Make the concepts of one image class anew from all labels that people gave: groups, names,
    scores, and the local explanations of its images. recipe: by its name, how labels become
    concepts and how these are scored. `simulated`: from those of simulated players instead. What
    the other kind's labels have made stays as it is.

    Practice rounds do not count, for their players may still be learning: they tell how far a
    player's words are to be trusted, nothing else. Spare rounds do not count either. Words that are
    confirmed by now earn their points. What it came to is kept as a run. False when the class is
    gone. What is found again keeps its row, so a second run on the same labels changes nothing. Two
    runs at once take turns.
    """
    curation.lock_class(session, class_id)
    image_class = session.get(StudyClass, class_id)
    if image_class is None:
        return False
    typed = _typed_labels(session, class_id, simulated=simulated)
    kept = KeptEmbedder(session, embed)
    found = get_recipe(recipe)([one.label for one in typed], embed=kept)
    concepts = _store_concepts(session, class_id, typed, found, simulated=simulated)
    _store_memberships(session, typed, concepts)
    players = _player_records(session, image_class.study_id, {one.player_id for one in typed})
    given = _given(typed, concepts)
    scores = get_score(recipe)(given, players=players)
    _store_scores(session, class_id, scores, simulated=simulated)
    agreed = Agreements([*given, *_given_nothing(session, class_id, simulated=simulated)])
    run = concept_runs.record(
        session,
        class_id=class_id,
        simulated=simulated,
        made_by=made_by(embed, recipe),
        members=[(one.id, concept) for one, concept in zip(typed, concepts, strict=True)],
        scores=scores,
        agreement=agreed.whole(),
    )
    _store_explanations(session, run, agreed)
    ledger.pay_confirmed(session, class_id=class_id, simulated=simulated)
    kept.keep()
    return True


def made_by(embed: Embedder, recipe: str) -> dict[str, Any]:
    """What the concepts come from, for whoever reads them later."""
    packages = ("layerplay", "sentence-transformers", "scikit-learn", "simplemma")
    return {**{p: version(p) for p in packages}, "method": recipe, "sentence_model": embed.name}


def _typed_labels(session: Session, class_id: int, *, simulated: bool) -> list[_Typed]:
    rows = session.execute(
        select(
            Label.id,
            Label.text,
            Label.cluster_map_id,
            Label.concept_id,
            Label.round_id,
            Round.player_id,
            Round.reveal_index,
            Round.status,
            StudyClass.name,
        )
        .join(Label.round)
        .join(Round.player)
        .join(Round.guessed_class)
        .join(Round.cluster_map)
        .join(ClusterMap.image)
        .where(Image.class_id == class_id, Player.is_simulated.is_(simulated))
        .where(Round.counts, Label.hidden_at.is_(None))
        .order_by(Label.id)
    )
    return [
        _Typed(
            id=row.id,
            label=TypedLabel(row.text, row.name, row.cluster_map_id),
            concept_id=row.concept_id,
            round_id=row.round_id,
            player_id=row.player_id,
            reveal_index=row.reveal_index,
            right=row.status == "won",
        )
        for row in rows
    ]


def _store_concepts(
    session: Session,
    class_id: int,
    typed: Sequence[_Typed],
    found: Sequence[str | None],
    *,
    simulated: bool,
) -> list[int | None]:
    """Rows for the concepts of this kind that these groups are, and for no others; each label's.

    `app.concepts.identity` says which group is which concept."""
    of_kind = (Concept.class_id == class_id) & Concept.simulated.is_(simulated)
    rows = {row.id: row for row in session.scalars(select(Concept).where(of_kind))}
    pins = select(ConceptPin.text, ConceptPin.concept_id).where(
        ConceptPin.class_id == class_id, ConceptPin.simulated.is_(simulated)
    )
    regrouped = regroup(
        [
            LabelNow(tidy_label(one.label.text) or "", one.concept_id, name)
            for one, name in zip(typed, found, strict=True)
        ],
        known={
            key: KnownConcept(row.name, row.is_fixed, row.merged_into_id, row.is_junk)
            for key, row in rows.items()
        },
        pins=dict(session.execute(pins).all()),
    )
    gone = rows.keys() - regrouped.names.keys()
    session.execute(delete(Concept).where(Concept.id.in_(gone)))
    ids = _name_concepts(session, class_id, rows, regrouped.names, simulated=simulated)
    return [None if key is None else ids[key] for key in regrouped.of_label]


def _name_concepts(
    session: Session,
    class_id: int,
    rows: Mapping[int, Concept],
    names: Mapping[int | str, str],
    *,
    simulated: bool,
) -> dict[int | str, int]:
    """Call the rows so, and add those that are new; the id of each key."""
    renamed = [row for key, row in rows.items() if row.name != names.get(key, row.name)]
    # Two concepts may change names with each other: out of the way first, under names that no
    # label comes down to.
    for row in renamed:
        row.name = f"#{row.id}"
    session.flush()
    for row in renamed:
        row.name = names[row.id]
    new = {
        key: Concept(class_id=class_id, simulated=simulated, name=name)
        for key, name in sorted(names.items(), key=lambda item: item[1])
        if isinstance(key, str)
    }
    session.add_all(new.values())
    session.flush()
    ids: dict[int | str, int] = {key: key for key in rows}
    return ids | {key: row.id for key, row in new.items()}


def _store_memberships(
    session: Session, typed: Sequence[_Typed], concepts: Sequence[int | None]
) -> None:
    changes = [
        {"id": label.id, "concept_id": concept}
        for label, concept in zip(typed, concepts, strict=True)
    ]
    if changes:
        session.execute(update(Label), changes)


def _player_records(
    session: Session, study_id: UUID, player_ids: Collection[UUID]
) -> dict[Hashable, PlayerRecord]:
    """How these players have guessed in a study, done in its practice rounds, and hit keys at
    random. A practice round given up is not named; a round that counts and was given up tells
    nothing of its player."""
    guessed = Round.status.in_(("won", "lost"))
    counts = (
        select(
            Round.player_id,
            func.count().filter(~Round.practice, guessed).label("n_guesses"),
            func.count().filter(~Round.practice, Round.status == "won").label("n_right"),
            func.count().filter(Round.practice).label("n_practice"),
            func.count().filter(Round.named_known.is_(True)).label("n_named"),
        )
        .where(Round.study_id == study_id, Round.status != "open")
        .group_by(Round.player_id)
    )
    mash = (
        select(Round.player_id, func.count())
        .join(Label, Label.round_id == Round.id)
        .where(Round.study_id == study_id, Round.counts, Label.remark == "mash")
        .group_by(Round.player_id)
    )
    n_mash = dict(session.execute(mash).all())
    return {
        row.player_id: PlayerRecord(
            n_guesses=row.n_guesses,
            n_right=row.n_right,
            n_practice=row.n_practice,
            n_named=row.n_named,
            n_mash=n_mash.get(row.player_id, 0),
        )
        for row in session.execute(counts)
        if row.player_id in player_ids
    }


def _given(
    typed: Sequence[_Typed], concepts: Sequence[int | None]
) -> list[GivenConcept[Hashable, int]]:
    return [
        GivenConcept(
            map_id=one.label.map_id,
            round_id=one.round_id,
            concept=concept,
            reveal_index=one.reveal_index,
            right=one.right,
            player_id=one.player_id,
        )
        for one, concept in zip(typed, concepts, strict=True)
        if concept is not None
    ]


def _given_nothing(
    session: Session, class_id: int, *, simulated: bool
) -> list[GivenConcept[Hashable, Any]]:
    """That there is nothing to name, as the concept None, for each round whose player said so."""
    rows = session.execute(
        select(Round.cluster_map_id, Round.id, Round.reveal_index, Round.status)
        .join(Round.player)
        .join(Round.cluster_map)
        .join(ClusterMap.image)
        .where(Image.class_id == class_id, Player.is_simulated.is_(simulated))
        .where(Round.nothing_nameable, Round.counts)
    )
    return [
        GivenConcept(row.cluster_map_id, row.id, None, row.reveal_index, row.status == "won")
        for row in rows
    ]


def _store_scores(
    session: Session,
    class_id: int,
    scores: Mapping[Hashable, Sequence[MapScore[int]]],
    *,
    simulated: bool,
) -> None:
    values = [
        {
            "cluster_map_id": map_id,
            "concept_id": score.concept,
            "n_given": score.n_given,
            "mean_reveal_index": score.mean_reveal_index,
            "any_right": score.any_right,
            "score": score.score,
        }
        for map_id, of_map in scores.items()
        for score in of_map
    ]
    kept = {(v["cluster_map_id"], v["concept_id"]) for v in values}
    _delete_other_scores(session, class_id, kept, simulated=simulated)
    if values:
        statement = insert(ConceptScore).values(values)
        measured = ("n_given", "mean_reveal_index", "any_right", "score")
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["cluster_map_id", "concept_id"],
                set_={column: statement.excluded[column] for column in measured},
            )
        )


def _delete_other_scores(
    session: Session, class_id: int, kept: set[tuple[Any, Any]], *, simulated: bool
) -> None:
    rows = session.execute(
        select(ConceptScore.id, ConceptScore.cluster_map_id, ConceptScore.concept_id)
        .join(ConceptScore.concept)
        .where(Concept.class_id == class_id, Concept.simulated.is_(simulated))
    )
    gone = [row.id for row in rows if (row.cluster_map_id, row.concept_id) not in kept]
    session.execute(delete(ConceptScore).where(ConceptScore.id.in_(gone)))


def _store_explanations(session: Session, run: ConceptRun, agreed: Agreements[Hashable]) -> None:
    """Store the local explanation of each image whose content is not the stored one already."""
    stored = {
        row.image_id: row
        for row in session.scalars(
            select(LocalExplanation)
            .join(Image, Image.id == LocalExplanation.image_id)
            .where(Image.class_id == run.class_id, LocalExplanation.simulated.is_(run.simulated))
        )
    }
    now = datetime.now(UTC)
    built = explanations.build(
        session, class_id=run.class_id, simulated=run.simulated, agreed=agreed
    )
    for image_id, content in built.items():
        row = stored.get(image_id)
        if row is None:
            row = LocalExplanation(image_id=image_id, simulated=run.simulated)
            session.add(row)
        if row.content != content or row.made_by != run.made_by:
            row.content, row.made_by, row.made_at = content, run.made_by, now
        row.run_id = run.id
    session.flush()


def classes_with_new_labels(
    session: Session, *, simulated: bool = False, now: datetime | None = None
) -> list[int]:
    """Classes whose labels, by people or by simulated players, wait for the concepts job, for the
    upkeep task to ask: a job was asked for and has not come, enough are new, or some have waited
    for long."""
    latest = (now or datetime.now(UTC)) - rules.LABELS_WAIT_AT_MOST
    due = (
        select(NewLabels.class_id)
        .where(NewLabels.simulated.is_(simulated))
        .group_by(NewLabels.class_id)
        .having(
            or_(
                func.sum(NewLabels.n_labels) >= rules.LABELS_FOR_JOB,
                func.min(NewLabels.created_at) <= latest,
            )
        )
    )
    wanted = or_(_flag(simulated=simulated), StudyClass.id.in_(due))
    return list(session.scalars(select(StudyClass.id).where(wanted).order_by(StudyClass.id)))
