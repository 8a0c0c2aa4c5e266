"""Computing an image's explanation and storing it. Only workers come here: it needs torch."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from app import rules
from app.explain import Explanation, explain_image
from app.explain.features import compute_features
from app.explain.networks import Network as LoadedNetwork
from app.explain.pictures import open_picture
from app.explain.render import reveal_mask
from app.infra.storage import Storage
from app.models import ClusterMap, Image, LayerExplanation, Study
from app.picturebook.files import true_scene
from app.picturebook.truth import region_shares, seen_by
from app.picturebook.words import accepted
from app.picturebook.world import REGIONS
from app.services import practice, studies
from app.services.contrasts import ContrastWork
from app.services.drawing import VIEW_PX, to_jpeg


@dataclass(frozen=True, slots=True)
class KnownRegion:
    """What a cluster map shows beyond doubt: a region, the words for it, and the share of the
    map's energy in it, 0..1."""

    region: str
    words: frozenset[str]
    energy_share: float


@dataclass(frozen=True, slots=True)
class Result:
    """An explanation with the picture as the network saw it, ready to store.

    known: by number of the layer and rank of the map, where the picture's truth is known.
    """

    explanation: Explanation
    view: bytes
    compute_s: float
    known: Mapping[tuple[int, int], KnownRegion] = field(default_factory=dict)


def pending_image(session: Session, image_id: UUID) -> Image | None:
    """The image with its study, or None when it is gone, has been dealt with already, or when
    somebody has stopped the study's computing."""
    return session.scalar(
        select(Image)
        .join(Image.study)
        .where(Image.id == image_id, Image.status == "pending", Study.computing_since.is_not(None))
        .options(
            joinedload(Image.study).options(
                selectinload(Study.layers), joinedload(Study.network), selectinload(Study.classes)
            ),
            joinedload(Image.image_class),
        )
    )


def compute(
    storage: Storage,
    image: Image,
    network: LoadedNetwork,
    *,
    on_layer: Callable[[str], None] = lambda _: None,
) -> Result:
    """Explain a picture. Takes seconds and holds no transaction. on_layer: called with a layer's
    name once that is done."""
    started = time.perf_counter()
    content = storage.get(image.original_key)
    picture = open_picture(content)
    explanation = explain_image(
        network,
        picture,
        layers=[layer.name for layer in image.study.layers],
        clusterer=image.study.clusterer,
        seed=image.study.seed,
        on_layer=on_layer,
    )
    view = to_jpeg(network.view(picture, VIEW_PX))
    known = find_known_regions(content, network, explanation)
    return Result(explanation, view, time.perf_counter() - started, known)


def compute_contrast(
    storage: Storage, work: ContrastWork, network: LoadedNetwork
) -> tuple[dict[UUID, float], float]:
    """How much of what speaks for what the network said, rather than for the other class, lies in
    each cluster map's channels, percent of its layer's weight; and the difference of the logits."""
    contrast = work.contrast
    image = contrast.image
    assert image.target_index is not None, "only explained images are contrasted"
    target, other = image.target_index, contrast.other_index
    features = compute_features(
        network.module,
        network.preprocess(open_picture(storage.get(image.original_key))),
        choose_target=lambda _: target,
        choose_contrast=lambda _: other,
        layers=list(work.channels),
    )
    weights = {
        map_id: float(layer.percent[list(channels)].sum())
        for layer in features.layers
        for map_id, channels in work.channels[layer.name].items()
    }
    return weights, float(features.logits[target] - features.logits[other])


def find_known_regions(
    content: bytes, network: LoadedNetwork, explanation: Explanation
) -> dict[tuple[int, int], KnownRegion]:
    """The maps of a picture-book picture whose region is beyond doubt, by layer and rank. Any
    other picture has none."""
    scene = true_scene(content)
    if scene is None:
        return {}
    region_map = seen_by(network, scene.region_map)
    found = {}
    for number, layer in enumerate(explanation.layers):
        for rank, cluster in enumerate(layer.clusters):
            region, share = next(iter(region_shares(cluster.map, region_map).items()))
            if share > rules.KNOWN_ANSWER_MIN_ENERGY_SHARE and _is_what_is_lit(
                region, cluster.map, region_map
            ):
                words = accepted(scene.recipe.class_name, region)
                # Rounding may leave a share a hair above 1.
                found[number, rank] = KnownRegion(region, words, min(share, 1.0))
    return found


def _is_what_is_lit(
    region: str, cluster_map: NDArray[np.floating[Any]], region_map: NDArray[np.uint8]
) -> bool:
    """Whether most of what players see is this region, at every step of the reveal ladder. A map
    may have most of its energy spread over the sea and yet its brightest spot on the boat."""
    of_region = region_map == REGIONS.index(region) + 1
    for percent in rules.REVEAL_PERCENTS:
        lit = reveal_mask(cluster_map, percent=percent, size=len(region_map))
        if lit[of_region].sum() <= rules.KNOWN_ANSWER_MIN_LIT_SHARE * lit.sum():
            return False
    return True


def store(session: Session, storage: Storage, *, image_id: UUID, result: Result) -> None:
    """Store a result and open the game when it was the last. A result that another worker has
    stored meanwhile stays as it is."""
    image = session.scalar(
        select(Image)
        .where(Image.id == image_id, Image.status == "pending")
        .options(
            joinedload(Image.study).options(selectinload(Study.layers), joinedload(Study.network))
        )
        .with_for_update(of=Image)
        .execution_options(populate_existing=True)
    )
    if image is None:
        return
    arrays: dict[str, NDArray[Any]] = {}
    known_maps: list[tuple[ClusterMap, KnownRegion]] = []
    for number, (layer, found) in enumerate(
        zip(image.study.layers, result.explanation.layers, strict=True)
    ):
        arrays[f"layer{layer.position}_weights"] = found.channel_weights
        session.add(
            LayerExplanation(
                image_id=image.id,
                layer_id=layer.id,
                n_kept=found.n_kept,
                kept_weight=found.kept_weight,
            )
        )
        for rank, cluster in enumerate(found.clusters):
            name = f"layer{layer.position}_map{rank}"
            arrays[name] = cluster.map
            cluster_map = ClusterMap(
                study_id=image.study_id,
                image_id=image.id,
                layer_id=layer.id,
                rank=rank,
                weight=cluster.weight,
                effect=found.effect_of(cluster),
                channels=list(cluster.channels),
                array_name=name,
                is_playable=bool(np.ptp(cluster.map) > 0),
                n_wanted=image.study.n_wanted,
            )
            session.add(cluster_map)
            if (number, rank) in result.known:
                known_maps.append((cluster_map, result.known[number, rank]))
    image.view_key = f"views/{image.id}.jpg"
    image.maps_key = f"maps/{image.id}.npz"
    storage.put(image.view_key, result.view)
    storage.put_with(
        image.maps_key, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays)
    )
    image.status = "done"
    image.target_index = result.explanation.target
    target = result.explanation.target
    image.target_name = result.explanation.target_name or f"class {target}"
    image.probability = result.explanation.probability
    image.computed_at = datetime.now(UTC)
    image.compute_s = result.compute_s
    image.made_by = made_by(image.study)
    session.flush()
    for cluster_map, known in known_maps:
        practice.store_known_answer(
            session,
            cluster_map_id=cluster_map.id,
            region=known.region,
            words=sorted(known.words),
            energy_share=known.energy_share,
        )
    studies.open_when_ready(session, image.study_id)


def made_by(study: Study) -> dict[str, Any]:
    """What an explanation comes from, for whoever reads it later."""
    return {
        **{package: version(package) for package in ("layerplay", "torch", "torchvision")},
        "network": study.network.fingerprint,
        "clusterer": study.clusterer,
        "seed": study.seed,
    }


def store_failure(session: Session, *, image_id: UUID, reason: str) -> None:
    """Record that a picture cannot be explained, and why; the others go on."""
    image = session.scalar(
        select(Image).where(Image.id == image_id, Image.status == "pending").with_for_update()
    )
    if image is None:
        return
    image.status = "failed"
    image.failure = reason
    session.flush()
    studies.open_when_ready(session, image.study_id)
