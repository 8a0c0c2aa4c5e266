"""Taking the data of a study out: which rows. `export_files` makes files of them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, get_args
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, literal, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from app import rules
from app.formats.tables import CONCEPTS, LABELS, Table
from app.infra.errors import InvalidInputError
from app.infra.security import keyed_digest
from app.infra.storage import Storage
from app.models import (
    ClusterMap,
    Concept,
    ConceptScore,
    Image,
    Label,
    Layer,
    Network,
    Player,
    Round,
    Study,
    StudyClass,
)
from app.services.answers import Answers, count_answers
from app.services.drawing import read_map, view_file

_BATCH = 1000

FileFormat = Literal["jsonl", "csv", "parquet", "coco", "huggingface"]
Content = Literal["labels", "concepts", "both"]
Players = Literal["people", "simulated", "all"]
"""Whose labels: of people, of simulated players, or of both, each row marked."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows. Empty tuples and None leave nothing out.

    classes, layers: by name. given_from, given_until: days (UTC) on which labels came, both
    included; a concept stays when one of its labels on the map came then. min_agreement: players
    who gave a label's concept on its map; from 1, labels without a concept are left out. practice:
    with the labels of practice rounds, which belong to no result, so their concept is None.
    """

    classes: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    given_from: date | None = None
    given_until: date | None = None
    min_agreement: int = 0
    players: Players = "people"
    practice: bool = False

    def __post_init__(self) -> None:
        _check_known("kind of players", [self.players], get_args(Players))
        if self.given_from and self.given_until and self.given_from > self.given_until:
            raise InvalidInputError("The first day is after the last one.")
        if self.min_agreement < 0:
            raise InvalidInputError("The least number of players who agree is 0 or more.")


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """What is asked for. content counts for all formats but COCO, which holds concepts.

    reveal_index: the step 0 to 5 whose lit pixels are a COCO region; None takes for each concept
    the mean step at which players named it, rounded up. licence: of the data, as its owner says.
    InvalidInputError for what no export can have.
    """

    file_format: FileFormat = "jsonl"
    content: Content = "labels"
    selection: Selection = field(default_factory=Selection)
    reveal_index: int | None = None
    licence: str = "unknown"

    def __post_init__(self) -> None:
        _check_known("format", [self.file_format], get_args(FileFormat))
        _check_known("content", [self.content], get_args(Content))
        last = rules.LAST_REVEAL_INDEX
        if self.reveal_index is not None and not 0 <= self.reveal_index <= last:
            raise InvalidInputError(f"The step is a number from 0 to {last}.")
        if not 0 < len(self.licence) <= 100 or not self.licence.isprintable():
            raise InvalidInputError("A licence is a name or short identifier, such as cc-by-4.0.")

    def as_json(self) -> dict[str, Any]:
        """Plain values, for a row of the database; `from_json` reads them."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "ExportSpec":
        chosen = values["selection"]
        days = {
            name: date.fromisoformat(chosen[name]) if chosen[name] else None
            for name in ("given_from", "given_until")
        }
        selection = Selection(
            **{
                **chosen,
                **days,
                "classes": tuple(chosen["classes"]),
                "layers": tuple(chosen["layers"]),
            }
        )
        return cls(**{**values, "selection": selection})

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables of text and Parquet exports."""
        return {"labels": (LABELS,), "concepts": (CONCEPTS,), "both": (LABELS, CONCEPTS)}[
            self.content
        ]


def check(study: Study, selection: Selection) -> None:
    """InvalidInputError, in a sentence, for classes or layers that this study has not."""
    _check_known("class", selection.classes, [c.name for c in study.classes])
    _check_known("layer", selection.layers, [layer.name for layer in study.layers])


def _check_known(what: str, names: Iterable[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise InvalidInputError(
                f"There is no {what} “{name}”. Choose one of {', '.join(known)}."
            )


# --- rows


def label_rows(
    session: Session,
    *,
    study: Study,
    secret: bytes,
    players: Players = "people",
    practice: bool = False,
    selection: Selection | None = None,
    limit: int | None = None,
) -> Iterator[dict[str, Any]]:
    """One row per label of a study, in the order in which they were given; columns: `LABELS`.

    selection: which; without one, all labels of these players, with those of practice rounds or
    without. Every row says whether its player is simulated and whether its round was practice.

    Players appear under a pseudonym: a keyed hash of their id, the same in every export of this
    installation, which nobody can undo without its key. Rows are fetched in batches, so that a
    large study does not have to fit into memory.
    """
    selection = selection or Selection(players=players, practice=practice)
    guessed = aliased(StudyClass)
    query = (
        _labels(
            study,
            selection,
            Label.id,
            Label.text,
            Label.created_at,
            Concept.name.label("concept"),
            ConceptScore.n_given,
            Round.id.label("round"),
            Round.reveal_index,
            Round.status,
            Round.practice,
            Round.player_id,
            Player.kind,
            guessed.name.label("guess"),
            *_MAP_COLUMNS,
        )
        .join(guessed, Round.guessed_class_id == guessed.id)
        .order_by(Label.id)
        .limit(limit)
        .execution_options(yield_per=_BATCH)
    )
    about = _about(session, study)
    # Left half-way, the cursor on the server is closed all the same.
    with session.execute(query) as rows:
        for row in rows:
            yield {
                "label_id": row.id,
                **about,
                **_map_values(row),
                "label": row.text,
                "concept": row.concept,
                "agreement": row.n_given,
                "reveal_index": row.reveal_index,
                "guess": row.guess,
                "right": row.status == "won",
                "round": str(row.round),
                "player": keyed_digest(secret, "player", str(row.player_id))[:16],
                "simulated": row.kind == "simulated",
                "practice": row.practice,
                "given_at": row.created_at.astimezone(UTC),
            }


def concept_rows(
    session: Session, *, study: Study, selection: Selection, limit: int | None = None
) -> Iterator[dict[str, Any]]:
    """One row per cluster map and concept, picture by picture, strongest first; columns:
    `CONCEPTS`."""
    about = _about(session, study)
    said = {kind: _answers(session, study, selection, simulated=kind) for kind in (False, True)}
    query = scored_concepts(study, selection)
    with session.execute(query.limit(limit).execution_options(yield_per=_BATCH)) as rows:
        for row in rows:
            yield {
                **about,
                **_map_values(row),
                "concept": row.concept,
                "agreement": row.n_given,
                "mean_reveal_index": row.mean_reveal_index,
                "any_right": row.any_right,
                "score": row.score,
                **_answer_values(said[row.simulated].get(row.cluster_map, Answers())),
                "simulated": row.simulated,
            }


def scored_concepts(study: Study, selection: Selection) -> Select[Any]:
    """The rows behind `concept_rows`, each with its cluster map, in their order."""
    return _scores(
        study,
        selection,
        Concept.name.label("concept"),
        Concept.simulated,
        ConceptScore.n_given,
        ConceptScore.mean_reveal_index,
        ConceptScore.any_right,
        ConceptScore.score,
        ClusterMap.array_name,
        *_MAP_COLUMNS,
    ).order_by(*_MAP_ORDER, ConceptScore.score.desc(), Concept.name, Concept.simulated)


def concept_names(session: Session, *, study: Study, selection: Selection) -> list[str]:
    """The names of the concepts in `concept_rows`, sorted."""
    return sorted(session.scalars(_scores(study, selection, Concept.name).distinct()))


def cluster_map_rows(
    session: Session, storage: Storage, *, study: Study, selection: Selection
) -> Iterator[dict[str, Any]]:
    """One row per cluster map of the chosen classes and layers; columns: `CLUSTER_MAPS`."""
    about = _about(session, study)
    kinds = {"people": (False,), "simulated": (True,), "all": (False, True)}[selection.players]
    said = [_answers(session, study, selection, simulated=kind) for kind in kinds]
    query = _maps(study, selection, ClusterMap.rank, ClusterMap.array_name, *_MAP_COLUMNS)
    by_id = {image.id: image for image, _ in images(session, study=study)}
    query = query.order_by(*_MAP_ORDER).execution_options(yield_per=_BATCH)
    with session.execute(query) as rows:
        for row in rows:
            array = read_map(storage, by_id[row.image_id], row.array_name)
            yield {
                **about,
                **_map_values(row),
                "rank": row.rank,
                **_answer_values(*(one.get(row.cluster_map, Answers()) for one in said)),
                "height": array.shape[0],
                "width": array.shape[1],
                "values": array.ravel(),
            }


def image_rows(
    session: Session, storage: Storage, *, study: Study, selection: Selection
) -> Iterator[dict[str, Any]]:
    """One row per picture of the chosen classes, with its view; columns: `IMAGES`."""
    for image, class_name in images(session, study=study, selection=selection):
        yield {
            "image": image.file_name,
            "image_sha256": image.sha256,
            "image_class": class_name,
            "network_said": image.target_name,
            "probability": image.probability,
            "picture": {"bytes": view_file(storage, image), "path": f"{image.id}.jpg"},
        }


def images(
    session: Session, *, study: Study, selection: Selection | None = None
) -> list[tuple[Image, str]]:
    """The computed pictures of the chosen classes, each with its class's name. Thousands at most,
    so they are held."""
    query = _image_query(study, selection or Selection(), Image, StudyClass.name)
    query = query.order_by(StudyClass.position, Image.file_name, Image.id)
    return [(image, class_name) for image, class_name in session.execute(query)]


_MAP_COLUMNS = (
    ClusterMap.id.label("cluster_map"),
    ClusterMap.weight,
    ClusterMap.effect,
    ClusterMap.channels,
    Layer.name.label("layer"),
    Image.id.label("image_id"),
    Image.file_name,
    Image.sha256,
    Image.target_name,
    StudyClass.name.label("image_class"),
)
_MAP_ORDER = (StudyClass.position, Image.file_name, Image.id, Layer.position, ClusterMap.rank)


def _map_values(row: Any) -> dict[str, Any]:
    """Where a row belongs: the picture, the layer, the cluster map."""
    return {
        "image": row.file_name,
        "image_sha256": row.sha256,
        "image_class": row.image_class,
        "network_said": row.target_name,
        "layer": row.layer,
        "cluster_map": str(row.cluster_map),
        "channels": row.channels,
        "weight": row.weight,
        "effect": row.effect,
    }


def _answers(
    session: Session, study: Study, chosen: Selection, *, simulated: bool
) -> dict[UUID, Answers]:
    given = and_(ClusterMap.study_id == study.id, *_of_days(chosen, Round.finished_at))
    return count_answers(session, given, simulated=simulated)


def _answer_values(*said: Answers) -> dict[str, int]:
    """What the players of these kinds say of a map together."""
    return {
        "n_nothing_nameable": sum(answers.n_nothing for answers in said),
        "n_named": sum(answers.n_named for answers in said),
    }


def _about(session: Session, study: Study) -> dict[str, Any]:
    network = session.get_one(Network, study.network_id)
    return {
        "study": study.name,
        "network": network.name,
        "network_sha256": network.weights_sha256,
    }


def _labels(study: Study, chosen: Selection, *columns: Any) -> Select[Any]:
    score = and_(
        ConceptScore.cluster_map_id == Label.cluster_map_id,
        ConceptScore.concept_id == Label.concept_id,
    )
    query = (
        select(*columns)
        .select_from(Label)
        .join(Label.round)
        .join(Round.player)
        .join(Round.cluster_map)
        .join(ClusterMap.layer)
        .join(ClusterMap.image)
        .join(Image.image_class)
        .outerjoin(Label.concept)
        .outerjoin(ConceptScore, score)
        .where(Round.study_id == study.id, *_of_maps(chosen), *_of_days(chosen, Label.created_at))
        .where(Label.hidden_at.is_(None), ~Round.is_excluded)
    )
    if chosen.players != "all":
        query = query.where(Player.is_simulated.is_(chosen.players == "simulated"))
    if not chosen.practice:
        query = query.where(Round.counts)
    if chosen.min_agreement:
        query = query.where(ConceptScore.n_given >= chosen.min_agreement)
    return query


def _scores(study: Study, chosen: Selection, *columns: Any) -> Select[Any]:
    query = (
        select(*columns)
        .select_from(ConceptScore)
        .join(ConceptScore.concept)
        .join(ClusterMap, ClusterMap.id == ConceptScore.cluster_map_id)
        .join(ClusterMap.layer)
        .join(ClusterMap.image)
        .join(Image.image_class)
        .where(ClusterMap.study_id == study.id, *_of_maps(chosen))
        .where(ConceptScore.n_given >= chosen.min_agreement)
    )
    if chosen.players != "all":
        query = query.where(Concept.simulated.is_(chosen.players == "simulated"))
    if days := _of_days(chosen, Label.created_at):
        given = select(Label.id).where(
            Label.cluster_map_id == ConceptScore.cluster_map_id,
            Label.concept_id == ConceptScore.concept_id,
            *days,
        )
        query = query.where(given.exists())
    return query


def _maps(study: Study, chosen: Selection, *columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .select_from(ClusterMap)
        .join(ClusterMap.layer)
        .join(ClusterMap.image)
        .join(Image.image_class)
        .where(ClusterMap.study_id == study.id, *_of_maps(chosen))
    )


def _of_maps(chosen: Selection) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if chosen.classes:
        wanted.append(StudyClass.name.in_(chosen.classes))
    if chosen.layers:
        wanted.append(Layer.name.in_(chosen.layers))
    return wanted


def _of_days(chosen: Selection, moment: InstrumentedAttribute[Any]) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if chosen.given_from:
        wanted.append(moment >= _midnight(chosen.given_from))
    # No midnight follows the last day there is, and no label comes after it.
    if chosen.given_until and chosen.given_until < date.max:
        wanted.append(moment < _midnight(chosen.given_until + timedelta(days=1)))
    return wanted


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _image_query(study: Study, chosen: Selection, *columns: Any) -> Select[Any]:
    query = select(*columns).select_from(Image).join(Image.image_class)
    query = query.where(Image.study_id == study.id, Image.status == "done")
    return query.where(StudyClass.name.in_(chosen.classes)) if chosen.classes else query


def count_rows(
    session: Session, *, study: Study, spec: ExportSpec, at_most: int | None = None
) -> dict[str, int]:
    """Rows of each table that the export holds, by the table's name. at_most: how far to count."""
    chosen = spec.selection
    queries = {
        "labels": _labels(study, chosen, literal(1)),
        "concepts": _scores(study, chosen, literal(1)),
        "cluster_maps": _maps(study, chosen, literal(1)),
        "images": _image_query(study, chosen, literal(1)),
    }
    names = [table.name for table in spec.tables]
    if spec.file_format == "coco":
        names = ["concepts", "images"]
    elif spec.file_format == "huggingface":
        names += ["cluster_maps", "images"]

    def count(rows: Select[Any]) -> int:
        counted = select(func.count()).select_from(rows.limit(at_most).subquery())
        return session.scalar(counted) or 0

    return {name: count(queries[name]) for name in names}
