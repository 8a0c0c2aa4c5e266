"""Measuring a class's concepts with the network itself: TCAV, hiding, what else drives the maps.

Only workers come here: it needs torch. docs/algorithms/tcav.md and bias.md have the rules.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, joinedload, selectinload

from app.concepts import Embedder
from app.concepts.belonging import Belonging, find_belonging
from app.concepts.classwide import Mean, mean_with_interval
from app.concepts.tcav import (
    MIN_RUNS,
    N_FOLDS,
    TcavResult,
    check_concepts,
    correct_p_values,
    pool_regions,
)
from app.explain.faithfulness.hiding import Hidden, hide_region, join_regions
from app.explain.networks import Network as LoadedNetwork
from app.explain.pictures import open_picture
from app.explain.prototypes import cluster_peaks
from app.explain.responses import picture_responses
from app.infra.storage import Storage
from app.models import (
    ClassMeasurement,
    ClusterMap,
    Concept,
    ConceptBelonging,
    ConceptHiding,
    ConceptScore,
    ConceptTest,
    Image,
    Layer,
    MapPrototype,
    Study,
    StudyClass,
)
from app.services.answers import Answers, count_answers

MAX_PICTURES: Final = 200
"""Pictures of a study that are looked at, those of the class first. More would make the random
examples no more random, and a worker would be at one class for an hour."""

MAX_HIDINGS: Final = 20
"""Pictures in which a concept is hidden: enough for an interval that tells something."""

N_RANDOM_SETS: Final = 10
MIN_EXAMPLES: Final = MIN_RUNS * N_FOLDS
"""Of a concept at a layer, for TCAV."""

N_PROTOTYPES: Final = 6


@dataclass(frozen=True, slots=True)
class MapToMeasure:
    """best: the names of the concepts with the map's top score; none where it has no words, or most
    players found nothing to name."""

    id: UUID
    layer: str
    layer_position: int
    weight: float
    channels: tuple[int, ...]
    array_name: str
    best: frozenset[str]


@dataclass(frozen=True, slots=True)
class PictureToMeasure:
    """is_recognised: whether the network names the picture's own class."""

    image: Image
    is_of_class: bool
    is_recognised: bool
    maps: tuple[MapToMeasure, ...]


@dataclass(frozen=True, slots=True)
class ClassToMeasure:
    """All that measuring a class needs from the database."""

    class_id: int
    class_name: str
    simulated: bool
    study: Study
    concepts: Mapping[str, int]  # ids by name
    parts: tuple[str, ...]  # concepts that a researcher has called parts of the class
    pictures: tuple[PictureToMeasure, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found, by concept name; tests by concept and layer name, with the number of
    examples, and no result where they were too few. prototypes: by cluster map, the pictures that
    drive it most, each with its peak in percent of the map's own picture's."""

    belongings: Mapping[str, Belonging]
    tests: Mapping[tuple[str, str], tuple[int, TcavResult | None]]
    hidings: Mapping[str, Sequence[Hidden]]
    prototypes: Mapping[UUID, Sequence[tuple[UUID, float]]]


def pending_class(session: Session, *, class_id: int, simulated: bool) -> ClassToMeasure | None:
    """What to measure, or None when nobody waits for it (any more)."""
    asked = session.get(ClassMeasurement, (class_id, simulated))
    if asked is None or asked.status != "pending":
        return None
    image_class = session.scalar(
        select(StudyClass)
        .where(StudyClass.id == class_id)
        .options(
            joinedload(StudyClass.study).options(
                selectinload(Study.layers), joinedload(Study.network)
            )
        )
    )
    assert image_class is not None, "the measurement goes with its class"
    study = image_class.study
    of_kind = (Concept.class_id == class_id) & Concept.simulated.is_(simulated)
    concepts = dict(session.execute(select(Concept.name, Concept.id).where(of_kind)).all())
    parts = session.scalars(
        select(Concept.name).where(of_kind, Concept.is_part.is_(True)).order_by(Concept.name)
    )
    images = session.scalars(
        select(Image)
        .join(Image.image_class)
        .where(Image.study_id == study.id, Image.status == "done")
        .options(joinedload(Image.image_class))
        .order_by((Image.class_id == class_id).desc(), Image.file_name, Image.id)
    ).all()
    chosen = _spread(images, class_id)
    maps = _maps(session, [image.id for image in chosen], study.layers, simulated=simulated)
    return ClassToMeasure(
        class_id=class_id,
        class_name=image_class.name,
        simulated=simulated,
        study=study,
        concepts=concepts,
        parts=tuple(parts),
        pictures=tuple(
            PictureToMeasure(
                image=image,
                is_of_class=image.class_id == class_id,
                is_recognised=image.target_name == image.image_class.name,
                maps=tuple(maps[image.id]),
            )
            for image in chosen
        ),
    )


def _spread(images: Sequence[Image], class_id: int) -> list[Image]:
    """MAX_PICTURES at most: half of them the class's if it has so many, the others evenly."""
    own = [image for image in images if image.class_id == class_id]
    others = [image for image in images if image.class_id != class_id]
    own = own[: max(MAX_PICTURES // 2, MAX_PICTURES - len(others))]
    n_others = min(MAX_PICTURES - len(own), len(others))
    return own + [others[i * len(others) // n_others] for i in range(n_others)]


def _maps(
    session: Session, image_ids: Sequence[UUID], layers: Sequence[Layer], *, simulated: bool
) -> dict[UUID, list[MapToMeasure]]:
    scores: dict[UUID, list[tuple[float, str]]] = defaultdict(list)
    for map_id, score, name in session.execute(
        select(ConceptScore.cluster_map_id, ConceptScore.score, Concept.name)
        .join(ConceptScore.concept)
        .join(ClusterMap, ClusterMap.id == ConceptScore.cluster_map_id)
        .where(ClusterMap.image_id.in_(image_ids), Concept.simulated.is_(simulated))
    ):
        scores[map_id].append((score, name))
    said = count_answers(session, ClusterMap.image_id.in_(image_ids), simulated=simulated)
    by_id = {layer.id: layer for layer in layers}
    found: dict[UUID, list[MapToMeasure]] = defaultdict(list)
    for one in session.scalars(
        select(ClusterMap)
        .where(ClusterMap.image_id.in_(image_ids))
        .order_by(ClusterMap.layer_id, ClusterMap.rank)
    ):
        named = [] if said.get(one.id, Answers()).is_nothing else scores[one.id]
        top = max((score for score, _ in named), default=0.0)
        found[one.image_id].append(
            MapToMeasure(
                id=one.id,
                layer=by_id[one.layer_id].name,
                layer_position=by_id[one.layer_id].position,
                weight=one.weight,
                channels=tuple(one.channels),
                array_name=one.array_name,
                best=frozenset(name for score, name in named if score == top),
            )
        )
    return found


def measure(
    storage: Storage, work: ClassToMeasure, network: LoadedNetwork, embed: Embedder
) -> Measured:
    """Measure a class. Takes seconds to minutes and holds no transaction."""
    names = sorted(work.concepts)
    own = [work.class_name.replace("_", " "), *work.parts]
    belongings = dict(zip(names, find_belonging(names, own, embed=embed), strict=True))
    target = _target(work, network)
    layers = [layer.name for layer in work.study.layers]
    examples = _Examples({layer: [] for layer in layers}, {layer: [] for layer in layers})
    drivers = _Drivers(_driven_maps(storage, work))
    hidings: dict[str, list[Hidden]] = defaultdict(list)
    rng = np.random.default_rng(0)
    for picture in work.pictures:
        image = network.preprocess(open_picture(storage.get(picture.image.original_key)))
        responses = picture_responses(network, image, layers=layers, target=target)
        arrays = _arrays(storage, picture)
        examples.add(picture, responses, arrays)
        drivers.add(picture, responses)
        if not (picture.is_of_class and picture.is_recognised):
            continue
        for name in names:
            maps = [one for one in picture.maps if name in one.best]
            if maps and len(hidings[name]) < MAX_HIDINGS:
                region = join_regions(
                    [arrays[one.array_name] for one in maps],
                    [one.weight for one in maps],
                    size=network.input_size,
                )
                hidings[name].append(
                    hide_region(network.module, image, region, target=target, rng=rng)
                )
    return Measured(
        belongings=belongings,
        tests=examples.test(names),
        hidings={name: found for name, found in hidings.items() if found},
        prototypes=drivers.prototypes(),
    )


def _target(work: ClassToMeasure, network: LoadedNetwork) -> int:
    """The network's own number of the class; where it has no such class, the answer that it gave
    most often to the class's pictures."""
    said = [p.image.target_index for p in work.pictures if p.is_of_class]
    if not said:
        raise ValueError("None of the class's pictures is computed yet.")
    if work.class_name in network.classes:
        return network.classes.index(work.class_name)
    return max(sorted({index for index in said if index is not None}), key=said.count)


def _arrays(storage: Storage, picture: PictureToMeasure) -> dict[str, NDArray[Any]]:
    assert picture.image.maps_key is not None, "only explained pictures are measured"
    with np.load(storage.path(picture.image.maps_key), allow_pickle=False) as arrays:
        return dict(arrays)


_Responses = Mapping[str, tuple[NDArray[np.floating], NDArray[np.floating]]]
"""Activations and gradients [C, H, W] of one picture, by layer."""


@dataclass(frozen=True, slots=True)
class _Examples:
    """What TCAV compares, by layer. regions: of each cluster map, its best concepts, whether it is
    of the class, and the mean activation [C] in it. gradients: [C] of each picture of the class."""

    regions: dict[str, list[tuple[frozenset[str], bool, NDArray[np.float64]]]]
    gradients: dict[str, list[NDArray[np.float64]]]

    def add(
        self, picture: PictureToMeasure, responses: _Responses, arrays: Mapping[str, NDArray[Any]]
    ) -> None:
        for one in picture.maps:
            array = arrays[one.array_name]
            if array.any():
                (pooled,) = pool_regions(responses[one.layer][0][None], [array])
                self.regions[one.layer].append((one.best, picture.is_of_class, pooled))
        if picture.is_of_class:
            for layer, (_, gradient) in responses.items():
                self.gradients[layer].append(gradient.sum(axis=(1, 2)))

    def test(self, names: Sequence[str]) -> dict[tuple[str, str], tuple[int, TcavResult | None]]:
        """TCAV of each concept at each layer, by both names; p-values corrected for all of them."""
        found: dict[tuple[str, str], tuple[int, TcavResult | None]] = {}
        for layer, regions in self.regions.items():
            concepts = {
                name: np.array([pooled for best, _, pooled in regions if name in best])
                for name in names
            }
            others = [
                pooled
                for best, is_of_class, pooled in regions
                if not is_of_class and best.isdisjoint(names)
            ]
            enough = {n: values for n, values in concepts.items() if len(values) >= MIN_EXAMPLES}
            randoms = _random_sets(others, max(map(len, enough.values()), default=0))
            results = (
                check_concepts(enough, randoms, np.array(self.gradients[layer]))
                if enough and randoms
                else {}
            )
            for name, values in concepts.items():
                if len(values):
                    found[name, layer] = len(values), results.get(name)
        tested = [result for _, result in found.values() if result is not None]
        corrected = iter(correct_p_values([result.p_value for result in tested]))
        return {
            key: (n, result and replace(result, corrected_p_value=float(next(corrected))))
            for key, (n, result) in found.items()
        }


def _random_sets(
    others: Sequence[NDArray[np.float64]], n_examples: int
) -> list[NDArray[np.float64]]:
    """As many random sets as check_concepts can use for a concept of n examples, up to
    N_RANDOM_SETS; none when there are too few others."""
    order = np.random.default_rng(0).permutation(len(others))
    for n_sets in range(N_RANDOM_SETS, MIN_RUNS - 1, -1):
        n_runs = max(min(n_sets, n_examples // N_FOLDS), 1)
        if len(others) // n_sets >= -(-n_examples // n_runs) + N_FOLDS:
            return [np.array([others[i] for i in order[k::n_sets]]) for k in range(n_sets)]
    return []


@dataclass(frozen=True, slots=True)
class _DrivenMap:
    """A cluster map of the class with the channel weights [C] of its layer."""

    id: UUID
    image_id: UUID
    channels: tuple[int, ...]
    weights: NDArray[np.floating]


def _driven_maps(storage: Storage, work: ClassToMeasure) -> dict[str, list[_DrivenMap]]:
    driven: dict[str, list[_DrivenMap]] = defaultdict(list)
    for picture in work.pictures:
        if picture.is_of_class:
            arrays = _arrays(storage, picture)
            for one in picture.maps:
                weights = arrays[f"layer{one.layer_position}_weights"]
                driven[one.layer].append(
                    _DrivenMap(one.id, picture.image.id, one.channels, weights)
                )
    return driven


class _Drivers:
    """How strongly each picture drives the class's cluster maps."""

    def __init__(self, driven: Mapping[str, list[_DrivenMap]]) -> None:
        self._driven = driven
        self._peaks: dict[UUID, dict[UUID, float]] = defaultdict(dict)

    def add(self, picture: PictureToMeasure, responses: _Responses) -> None:
        for layer, maps in self._driven.items():
            channel_weights = [(one.channels, one.weights) for one in maps]
            peaks = cluster_peaks(channel_weights, responses[layer][0])
            for one, peak in zip(maps, peaks, strict=True):
                self._peaks[one.id][picture.image.id] = float(peak)

    def prototypes(self) -> dict[UUID, list[tuple[UUID, float]]]:
        """By cluster map, the other pictures that drive it most, in percent of its own one."""
        found = {}
        for maps in self._driven.values():
            for one in maps:
                peaks = self._peaks[one.id]
                own = peaks.pop(one.image_id)
                best = sorted(peaks.items(), key=lambda item: (-item[1], item[0]))[:N_PROTOTYPES]
                if own > 0:
                    found[one.id] = [(image, 100 * peak / own) for image, peak in best if peak > 0]
        return found


def store(session: Session, *, work: ClassToMeasure, found: Measured, embed_name: str) -> None:
    """Put what was found in the place of what was found before. Concepts that are gone meanwhile
    are left out; nothing happens when another worker was first."""
    asked = session.scalar(
        select(ClassMeasurement)
        .where(
            ClassMeasurement.class_id == work.class_id,
            ClassMeasurement.simulated.is_(work.simulated),
            ClassMeasurement.status == "pending",
        )
        .with_for_update()
    )
    if asked is None:
        return
    of_kind = (Concept.class_id == work.class_id) & Concept.simulated.is_(work.simulated)
    ids = set(session.scalars(select(Concept.id).where(of_kind).with_for_update(key_share=True)))
    concepts = {name: id_ for name, id_ in work.concepts.items() if id_ in ids}
    for table in (ConceptBelonging, ConceptHiding, ConceptTest):
        session.execute(delete(table).where(table.concept_id.in_(ids)))
    session.add_all(
        ConceptBelonging(
            concept_id=concepts[name],
            own=one.own,
            own_similarity=one.own_similarity,
            surrounding=one.surrounding,
            surrounding_similarity=one.surrounding_similarity,
            is_foreign=one.is_foreign,
        )
        for name, one in found.belongings.items()
        if name in concepts
    )
    session.add_all(
        _hiding(concepts[name], pictures)
        for name, pictures in found.hidings.items()
        if name in concepts
    )
    layer_ids = {layer.name: layer.id for layer in work.study.layers}
    session.add_all(
        ConceptTest(
            concept_id=concepts[name],
            layer_id=layer_ids[layer],
            n_examples=n_examples,
            accuracy=result and result.vector.accuracy,
            score=result and result.score,
            p_value=result and result.p_value,
            corrected_p_value=result and result.corrected_p_value,
        )
        for (name, layer), (n_examples, result) in found.tests.items()
        if name in concepts
    )
    _store_prototypes(session, found.prototypes)
    asked.status, asked.failure = "done", None
    asked.made_at = datetime.now(UTC)
    asked.made_by = {
        **{package: version(package) for package in ("layerplay", "torch", "scikit-learn")},
        "network": work.study.network.fingerprint,
        "sentence_model": embed_name,
    }


def _hiding(concept_id: int, pictures: Sequence[Hidden]) -> ConceptHiding:
    drop = _within_one(mean_with_interval([one.drop for one in pictures]))
    difference = _within_one(mean_with_interval([one.difference for one in pictures]))
    return ConceptHiding(
        concept_id=concept_id,
        n_pictures=len(pictures),
        area=_mean([one.area for one in pictures]),
        probability=_mean([one.probability for one in pictures]),
        hidden_probability=_mean([one.hidden for one in pictures]),
        elsewhere_probability=_mean([one.elsewhere for one in pictures]),
        drop=drop.value,
        drop_low=drop.low,
        drop_high=drop.high,
        difference=difference.value,
        difference_low=difference.low,
        difference_high=difference.high,
        n_changed=sum(one.changed for one in pictures),
    )


def _within_one(mean: Mean) -> Mean:
    """With so few pictures an interval may leave what differences of probabilities can be."""
    if mean.low is None or mean.high is None:
        return mean
    return replace(mean, low=max(mean.low, -1.0), high=min(mean.high, 1.0))


def _mean(values: Sequence[float]) -> float:
    return mean_with_interval(values).value


def _store_prototypes(
    session: Session, prototypes: Mapping[UUID, Sequence[tuple[UUID, float]]]
) -> None:
    session.execute(delete(MapPrototype).where(MapPrototype.cluster_map_id.in_(prototypes)))
    session.add_all(
        MapPrototype(cluster_map_id=map_id, image_id=image_id, rank=rank, peak=peak)
        for map_id, pictures in prototypes.items()
        for rank, (image_id, peak) in enumerate(pictures)
    )


def store_failure(session: Session, *, class_id: int, simulated: bool, reason: str) -> None:
    """Record that a class cannot be measured, and why. What was found before stays."""
    session.execute(
        update(ClassMeasurement)
        .where(
            ClassMeasurement.class_id == class_id,
            ClassMeasurement.simulated.is_(simulated),
            ClassMeasurement.status == "pending",
        )
        .values(status="failed", failure=reason)
    )
