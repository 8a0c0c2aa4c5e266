"""The local explanation of an image: its network's layers in words and maps."""

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import false, func, select
from sqlalchemy.orm import Session, defer, joinedload

from app import rules
from app.concepts import (
    FULL_MERGE_N_CONCEPTS,
    ConceptScore,
    best_concepts,
    connect_maps,
    game_record,
    merge_scores,
)
from app.concepts.agreement import Agreement, Agreements
from app.concepts.classwide import PlayedMap, evidence_shares
from app.concepts.stretches import Stretch, find_stretches
from app.explain.maps import merge_maps
from app.explain.render import heatmap_overlay, masked_picture
from app.infra.errors import NotFoundError
from app.infra.storage import Storage
from app.models import (
    ClusterMap,
    Concept,
    ConceptBelonging,
    ConceptRun,
    Contrast,
    Image,
    Label,
    Layer,
    LayerExplanation,
    LocalExplanation,
    MapPrototype,
    Player,
    Round,
    Study,
)
from app.models import ConceptScore as ScoreRow
from app.services import contrasts
from app.services.answers import Answers, count_answers
from app.services.drawing import read_map, read_view, to_jpeg

Merge = Literal["none", "labels", "all"]
"""How a layer's cluster maps are shown: one by one, joined where they share a best concept, or all
as one (Bianchi et al. 2024, label merging and full merge)."""


MIN_AGREED: Final = 2
"""Rounds in which a concept must have been given on a map for the summary to speak of it: what one
player said once is no finding."""


@dataclass(frozen=True, slots=True)
class MapGroup:
    """One cluster map, or several shown as one.

    effect: what the network's logit for the class loses without these maps, to first order; None
    where they were computed before it was kept, or are weighed against another class. given: in how
    many rounds each concept was given, by name; explanations stored before this was kept have none.
    answers: whether players find anything to name there. agreement: how far they say the same; None
    before a run of the concepts job.
    """

    map_ids: tuple[UUID, ...]
    weight: float
    effect: float | None
    n_feature_maps: int
    channels: tuple[int, ...]
    concepts: tuple[tuple[str, float], ...]
    given: Mapping[str, int]
    answers: Answers
    agreement: Agreement | None
    wins: int
    losses: int
    resignations: int
    shown_reveal_index: int | None

    @property
    def n_guesses(self) -> int:
        """Rounds in which words could be given."""
        return self.wins + self.losses

    @property
    def best(self) -> str | None:
        """The concept with the top score; None as well where most players say that there is nothing
        to name, for what the others named is then a guess."""
        return self.concepts[0][0] if self.concepts and not self.answers.is_nothing else None


@dataclass(frozen=True, slots=True)
class Driver:
    """Another picture that drives a cluster map's channels. peak: percent of the map's own."""

    image_id: UUID
    file_name: str
    peak: float


@dataclass(frozen=True, slots=True)
class LayerView:
    """A layer with its groups of cluster maps, heaviest first. `number` counts from 1 at the
    input side."""

    name: str
    number: int
    n_channels: int
    n_kept: int
    kept_weight: float
    groups: tuple[MapGroup, ...]


@dataclass(frozen=True, slots=True)
class LocalPage:
    """An image's local explanation, layers from input to output.

    simulated: whether its words and game records are those of simulated players rather than those
    of people. has_other: whether the other kind has typed words for the image's class too.
    stretches: which concept led the evidence in which layers, by their numbers. foreign: concepts
    that are no part of the image's class. drivers: by cluster map, the other pictures of the study
    that drive its channels most; none before the class was measured. agreement: how far players say
    the same of the picture's maps. run: that of the concepts job which made it; None before one.
    contrast: the other class against which the layers' maps are weighed, once that is computed; the
    maps are then shown one by one.
    """

    image: Image
    study: Study
    merge: Merge
    simulated: bool
    has_other: bool
    layers: tuple[LayerView, ...]
    stretches: tuple[Stretch[str], ...]
    foreign: frozenset[str]
    drivers: Mapping[UUID, Sequence[Driver]]
    agreement: Agreement | None
    run: ConceptRun | None
    contrast: Contrast | None


def get_image(session: Session, image_id: UUID) -> Image:
    """A computed image with its class and study. NotFoundError when there is none."""
    image = session.scalar(
        select(Image)
        .where(Image.id == image_id, Image.status == "done")
        .options(joinedload(Image.image_class), joinedload(Image.study).joinedload(Study.network))
    )
    if image is None:
        raise NotFoundError("There is no explanation of such a picture.")
    return image


def local(
    session: Session,
    image_id: UUID,
    *,
    merge: Merge = "none",
    simulated: bool | None = None,
    against: int | None = None,
) -> LocalPage:
    """The local explanation as the concepts job stored it; before its first run, the maps alone.

    simulated: whose words, those of simulated players or those of people. None: those of people,
    but where only simulated players have typed words for the image's class, theirs. against: the
    index of a class to set what the network said against, as far as that has been computed.
    """
    image = get_image(session, image_id)
    by_people = has_labels(session, image.class_id, simulated=False)
    by_simulated = has_labels(session, image.class_id, simulated=True)
    if simulated is None:
        simulated = by_simulated and not by_people
    stored = session.get(LocalExplanation, (image_id, simulated))
    if stored is None:
        content = build(session, image_id=image_id, simulated=simulated)[image_id]
    else:
        content = stored.content
    contrast = None if against is None else contrasts.find(session, image_id, other_index=against)
    if contrast is not None and contrast.weights is not None:
        merge = "none"
        layers = single = _reweigh(_read_layers(content, "none"), contrast.weights)
    else:
        layers, single = _read_layers(content, merge), _read_layers(content, "none")
    return LocalPage(
        image=image,
        study=image.study,
        merge=merge,
        simulated=simulated,
        has_other=by_people if simulated else by_simulated,
        layers=layers,
        stretches=find_stretches([_shares(layer) for layer in single]),
        foreign=_foreign(session, image.class_id, simulated=simulated),
        drivers=_drivers(session, image_id),
        agreement=_read_agreement(content),
        run=None if stored is None else _run(session, stored.run_id),
        contrast=contrast,
    )


def _reweigh(layers: Sequence[LayerView], weights: Mapping[str, float]) -> tuple[LayerView, ...]:
    """The same maps with other weights, heaviest first; kept_weight is what they have together."""
    found = []
    for layer in layers:
        groups = [
            replace(
                group, weight=sum(weights[str(map_id)] for map_id in group.map_ids), effect=None
            )
            for group in layer.groups
        ]
        groups.sort(key=lambda group: -group.weight)
        kept_weight = sum(group.weight for group in groups)
        found.append(replace(layer, groups=tuple(groups), kept_weight=kept_weight))
    return tuple(found)


def _run(session: Session, run_id: int | None) -> ConceptRun | None:
    return session.scalar(
        select(ConceptRun)
        .where(ConceptRun.id == run_id)
        .options(defer(ConceptRun.result, raiseload=True))
    )


def _read_layers(content: Mapping[str, Any], merge: Merge) -> tuple[LayerView, ...]:
    return tuple(
        LayerView(
            **{key: layer[key] for key in ("name", "number", "n_channels", "n_kept")},
            kept_weight=layer["kept_weight"],
            groups=tuple(_read_group(group) for group in layer["groups"][merge]),
        )
        for layer in content["layers"]
    )


def _shares(layer: LayerView) -> dict[str, float]:
    """How much of the layer's evidence the concepts have that players agree on, percent. What only
    one player said keeps its share, but has no name here."""
    maps = []
    for group in layer.groups:
        scores: dict[str | None, float] = defaultdict(float)
        for name, score in group.concepts:
            agreed = group.given.get(name, 0) >= MIN_AGREED and not group.answers.is_nothing
            scores[name if agreed else None] += score
        maps.append(PlayedMap(group.map_ids, layer.number, group.weight, scores))
    shares = evidence_shares(maps) if any(one.weight for one in maps) else {}
    return {name: share for name, share in shares.items() if name is not None}


def _foreign(session: Session, class_id: int, *, simulated: bool) -> frozenset[str]:
    """The names of concepts that are no part of the class, by a researcher's word or else by
    meaning."""
    found = session.scalars(
        select(Concept.name)
        .outerjoin(ConceptBelonging, ConceptBelonging.concept_id == Concept.id)
        .where(Concept.class_id == class_id, Concept.simulated.is_(simulated))
        .where(func.coalesce(~Concept.is_part, ConceptBelonging.is_foreign, false()))
    )
    return frozenset(found)


def _drivers(session: Session, image_id: UUID) -> dict[UUID, list[Driver]]:
    drivers: dict[UUID, list[Driver]] = defaultdict(list)
    for row in session.execute(
        select(
            MapPrototype.cluster_map_id, MapPrototype.image_id, Image.file_name, MapPrototype.peak
        )
        .join(ClusterMap, ClusterMap.id == MapPrototype.cluster_map_id)
        .join(Image, Image.id == MapPrototype.image_id)
        .where(ClusterMap.image_id == image_id)
        .order_by(MapPrototype.rank)
    ):
        drivers[row.cluster_map_id].append(Driver(row.image_id, row.file_name, row.peak))
    return drivers


def has_labels(session: Session, class_id: int, *, simulated: bool) -> bool:
    """Whether players of this kind have typed words for a class, in rounds that count."""
    found = (
        select(Label.id)
        .join(Label.round)
        .join(Round.player)
        .join(Round.cluster_map)
        .join(ClusterMap.image)
        .where(Image.class_id == class_id, Player.is_simulated.is_(simulated))
        .where(Round.counts, Label.hidden_at.is_(None))
    )
    return bool(session.scalar(select(found.exists())))


def _read_group(stored: Mapping[str, Any]) -> MapGroup:
    return MapGroup(
        map_ids=tuple(UUID(map_id) for map_id in stored["map_ids"]),
        weight=stored["weight"],
        effect=stored.get("effect"),
        n_feature_maps=stored["n_feature_maps"],
        channels=tuple(stored["channels"]),
        concepts=tuple((name, score) for name, score in stored["concepts"]),
        given=stored.get("given", {}),
        answers=Answers(stored.get("n_nothing", 0), stored.get("n_named", 0)),
        agreement=_read_agreement(stored),
        wins=stored["wins"],
        losses=stored["losses"],
        resignations=stored["resignations"],
        shown_reveal_index=stored["shown_reveal_index"],
    )


def _read_agreement(stored: Mapping[str, Any]) -> Agreement | None:
    found = stored.get("agreement")
    return None if found is None else Agreement(**found)


def build(
    session: Session,
    *,
    class_id: int | None = None,
    image_id: UUID | None = None,
    simulated: bool = False,
    agreed: Agreements[Hashable] | None = None,
) -> dict[UUID, dict[str, Any]]:
    """The content of the local explanations of one class's images, or of one image, from the
    cluster maps, and from the rounds and concept scores of people, or of simulated players, as they
    are now. Practice rounds do not count. agreed: how far the class's players agree, which none but
    the concepts job knows. Plain values, as JSON stores them."""
    wanted = Image.class_id == class_id if image_id is None else Image.id == image_id
    wanted &= Image.status == "done"
    maps: dict[tuple[UUID, int], list[_Map]] = defaultdict(list)
    for found in _maps(session, wanted, simulated=simulated):
        maps[found.image_id, found.layer_id].append(found)
    contents: dict[UUID, dict[str, Any]] = {}
    rows = session.execute(
        select(LayerExplanation, Layer)
        .join(Layer, Layer.id == LayerExplanation.layer_id)
        .join(Image, Image.id == LayerExplanation.image_id)
        .where(wanted)
        .order_by(LayerExplanation.image_id, Layer.position)
    )
    for found_layer, layer in rows:
        of_layer = maps[found_layer.image_id, layer.id]
        content = contents.setdefault(found_layer.image_id, {"layers": []})
        content["layers"].append(
            {
                "name": layer.name,
                "number": layer.position + 1,
                "n_channels": layer.n_channels,
                "n_kept": found_layer.n_kept,
                "kept_weight": found_layer.kept_weight,
                "groups": {
                    "none": [_group([one]) for one in of_layer],
                    "labels": _merged_by_label(of_layer),
                    "all": _merged_wholly(of_layer),
                },
            }
        )
    if agreed is not None:
        for content in contents.values():
            _add_agreement(content, agreed)
    return contents


def _add_agreement(content: dict[str, Any], agreed: Agreements[Hashable]) -> None:
    """State how far players agree on a whole picture, and on each group of its maps."""
    of_image: set[UUID] = set()
    for layer in content["layers"]:
        for group in (one for groups in layer["groups"].values() for one in groups):
            map_ids = {UUID(map_id) for map_id in group["map_ids"]}
            group["agreement"] = asdict(agreed.of(map_ids))
            of_image |= map_ids
    content["agreement"] = asdict(agreed.of(of_image))


@dataclass(frozen=True, slots=True)
class _Map:
    """A cluster map with all that was said of it."""

    id: UUID
    image_id: UUID
    layer_id: int
    weight: float
    effect: float | None
    channels: tuple[int, ...]
    scores: tuple[ConceptScore[str], ...] = ()
    outcomes: tuple[tuple[str, int], ...] = ()
    answers: Answers = field(default_factory=Answers)


def _maps(session: Session, wanted: Any, *, simulated: bool) -> list[_Map]:
    """The cluster maps of the wanted images, heaviest first within a layer, with what players of
    one kind said of them."""
    rows = session.execute(
        select(
            ClusterMap.id,
            ClusterMap.image_id,
            ClusterMap.layer_id,
            ClusterMap.weight,
            ClusterMap.effect,
            ClusterMap.channels,
        )
        .join(ClusterMap.image)
        .where(wanted)
        .order_by(ClusterMap.rank)
    )
    found = {
        row.id: _Map(
            row.id, row.image_id, row.layer_id, row.weight, row.effect, tuple(row.channels)
        )
        for row in rows
    }
    scores: dict[UUID, list[ConceptScore[str]]] = defaultdict(list)
    for score, name in session.execute(
        select(ScoreRow, Concept.name)
        .join(ScoreRow.concept)
        .join(ClusterMap, ClusterMap.id == ScoreRow.cluster_map_id)
        .join(ClusterMap.image)
        .where(wanted, Concept.simulated.is_(simulated))
        .order_by(ScoreRow.score.desc(), Concept.name)
    ):
        scores[score.cluster_map_id].append(
            ConceptScore(
                concept=name,
                n_given=score.n_given,
                mean_reveal_index=score.mean_reveal_index,
                any_right=score.any_right,
                score=score.score,
            )
        )
    outcomes: dict[UUID, list[tuple[str, int]]] = defaultdict(list)
    for row in session.execute(
        select(Round.cluster_map_id, Round.status, Round.reveal_index)
        .join(Round.player)
        .join(Round.cluster_map)
        .join(ClusterMap.image)
        .where(wanted, Round.status != "open")
        .where(Player.is_simulated.is_(simulated), Round.counts)
        .order_by(Round.finished_at, Round.id)
    ):
        outcomes[row.cluster_map_id].append((row.status, row.reveal_index))
    said = count_answers(session, wanted, simulated=simulated)
    return [
        replace(
            m,
            scores=tuple(scores[m.id]),
            outcomes=tuple(outcomes[m.id]),
            answers=said.get(m.id, Answers()),
        )
        for m in found.values()
    ]


def _merged_by_label(maps: Sequence[_Map]) -> list[dict[str, Any]]:
    best: dict[UUID, Collection[str]] = {
        m.id: () if m.answers.is_nothing else best_concepts(m.scores) for m in maps
    }
    by_id = {m.id: m for m in maps}
    groups = [_group([by_id[map_id] for map_id in ids]) for ids in connect_maps(best)]
    return sorted(groups, key=lambda group: (-group["weight"], group["map_ids"]))


def _merged_wholly(maps: Sequence[_Map]) -> list[dict[str, Any]]:
    if not maps:
        return []
    group = _group(maps)
    return [{**group, "concepts": group["concepts"][:FULL_MERGE_N_CONCEPTS]}]


def _group(maps: Sequence[_Map]) -> dict[str, Any]:
    record = game_record(outcome for m in maps for outcome in m.outcomes)
    channels = sorted({channel for m in maps for channel in m.channels})
    effects = [m.effect for m in maps if m.effect is not None]
    given: Counter[str] = Counter()
    for m in maps:
        given.update({score.concept: score.n_given for score in m.scores})
    return {
        "map_ids": [str(m.id) for m in maps],
        "weight": sum(m.weight for m in maps),
        "effect": sum(effects) if len(effects) == len(maps) else None,
        "n_feature_maps": sum(len(m.channels) for m in maps),
        "channels": channels,
        "concepts": [
            [name, score]
            for name, score in merge_scores(
                [(m.weight, {s.concept: s.score for s in m.scores}) for m in maps]
            )
        ],
        "given": dict(given),
        "n_nothing": sum(m.answers.n_nothing for m in maps),
        "n_named": sum(m.answers.n_named for m in maps),
        "wins": record.wins,
        "losses": record.losses,
        "resignations": record.resignations,
        "shown_reveal_index": record.shown_reveal_index,
    }


def overlay(session: Session, storage: Storage, *, image: Image, map_ids: Sequence[UUID]) -> bytes:
    """The picture under the heat map of one cluster map, or of several joined, as a JPEG."""
    array = _joined_map(session, storage, image, map_ids)
    return to_jpeg(heatmap_overlay(read_view(storage, image), array))


def region(
    session: Session,
    storage: Storage,
    *,
    image: Image,
    map_ids: Sequence[UUID],
    reveal_index: int,
) -> bytes:
    """What players saw of the picture at a reveal index, as a JPEG."""
    array = _joined_map(session, storage, image, map_ids)
    percent = rules.REVEAL_PERCENTS[reveal_index]
    return to_jpeg(masked_picture(read_view(storage, image), array, percent=percent))


def _joined_map(
    session: Session, storage: Storage, image: Image, map_ids: Sequence[UUID]
) -> NDArray[np.float32]:
    rows = session.execute(
        select(ClusterMap.array_name, ClusterMap.weight, ClusterMap.layer_id)
        .where(ClusterMap.image_id == image.id, ClusterMap.id.in_(map_ids))
        .order_by(ClusterMap.rank)
    ).all()
    if not rows or len({row.layer_id for row in rows}) != 1:
        raise NotFoundError("There is no such cluster map of this picture.")
    arrays = [read_map(storage, image, row.array_name) for row in rows]
    if len(arrays) == 1:
        return arrays[0]
    return merge_maps(arrays, [row.weight for row in rows])
