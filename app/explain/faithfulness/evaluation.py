"""All measures of faithfulness for a picture, and for the pictures of a list of files.

Whatever is random is the same for all methods of a picture, so that they can be compared in pairs.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from app.explain.explaining import explain_image
from app.explain.explanation import Explanation, LayerExplanation
from app.explain.faithfulness.ablation import AblationScores, rank_correlation, score_ablation
from app.explain.faithfulness.cams import CAMS, LayerGradients, compute_gradients
from app.explain.faithfulness.cascade import randomise_cascade
from app.explain.faithfulness.curves import (
    Probability,
    blur,
    class_probability,
    deletion,
    insertion,
    rank_pixels,
)
from app.explain.faithfulness.imputation import remove_and_impute
from app.explain.maps import FloatArray, merge_maps
from app.explain.networks import Network
from app.explain.pictures import PictureError, open_picture
from app.explain.requests import photo_sha256

RANDOM: Final = "random order"


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a map of one layer can be made of.

    signals: maps and gradients. explained: the layer's explanation by each clusterer.
    """

    signals: LayerGradients
    explained: Mapping[str, LayerExplanation]


MapMaker = Callable[[Evidence], FloatArray]
"""From a layer's evidence to one map [h, w]; only its order matters."""


@dataclass(frozen=True, slots=True)
class MapScores:
    """How well one map tells which pixels matter: areas and means of probabilities, 0..1.

    insertion: more is better. deletion, road: less is better.
    """

    insertion: float
    deletion: float
    road: float


@dataclass(frozen=True, slots=True, eq=False)
class LayerScores:
    """One layer of one picture. ablation: by clusterer. maps: by method, the random order included.
    cascade: by method, the rank correlation with the original map in each state of the cascade."""

    ablation: Mapping[str, AblationScores]
    maps: Mapping[str, MapScores]
    cascade: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class PictureScores:
    """One picture. target: the explained class, which is the predicted one.

    probability, of_grey, of_blurred: of that class in the picture, in grey and in the blurred
    picture, where the curves begin and end. randomised: share of the weights' stages randomised in
    each state of the cascade. layers: by name, those where every clusterer found a cluster.
    """

    target: int
    probability: float
    of_grey: float
    of_blurred: float
    randomised: tuple[float, ...]
    layers: Mapping[str, LayerScores]


@dataclass(frozen=True, slots=True)
class EvaluatedFile:
    """One photo's scores, or the reason why there are none.

    photo_sha256: of the file's bytes, which tells whether it is still the same photo.
    """

    path: Path
    photo_sha256: str
    scores: PictureScores | None
    error: str | None


def merged_map(layer: LayerExplanation) -> NDArray[np.float32]:
    """All cluster maps of a layer joined by weight, [H, W] in 0..1, as the "full merge" shows it.

    All 0 where there is no cluster.
    """
    if not layer.clusters:
        return np.zeros((layer.height, layer.width), dtype=np.float32)
    return merge_maps(
        [cluster.map for cluster in layer.clusters], [cluster.weight for cluster in layer.clusters]
    )


def cluster_method(clusterer: str) -> str:
    """What the merged cluster maps of a clusterer are called among the methods."""
    return f"cluster maps ({clusterer})"


def peer_methods() -> dict[str, MapMaker]:
    """Grad-CAM and its relatives, by name."""

    def maker(name: str) -> MapMaker:
        return lambda evidence: CAMS[name](evidence.signals.maps, evidence.signals.gradients)

    return {name: maker(name) for name in CAMS}


def evaluate_files(
    network: Network,
    paths: Iterable[str | Path],
    *,
    layers: Sequence[str] | None = None,
    clusterers: Sequence[str] = ("fast",),
    seed: int = 0,
    on_layer: Callable[[], None] = lambda: None,
    old: Collection[EvaluatedFile] = (),
) -> Iterator[EvaluatedFile]:
    """Evaluate photos one by one. A photo that cannot be used is yielded with its reason.

    What would go wrong for every photo is raised, as by explain_files. on_layer: called after each
    layer of each photo, for whoever shows progress. old: what an earlier run with the same network
    and arguments has yielded, which is not measured again.
    """
    known = {(one.path, one.photo_sha256): one for one in old}
    for path in map(Path, paths):
        digest = photo_sha256(path)
        if (path, digest) in known:
            yield known[path, digest]
            continue
        try:
            picture = open_picture(path)
        except PictureError as error:
            yield EvaluatedFile(path, digest, None, str(error))
            continue
        scores = evaluate_image(
            network, picture, layers=layers, clusterers=clusterers, seed=seed, on_layer=on_layer
        )
        yield EvaluatedFile(path, digest, scores, None)


def evaluate_image(
    network: Network,
    picture: Image.Image,
    *,
    layers: Sequence[str] | None = None,
    clusterers: Sequence[str] = ("fast",),
    peers: Mapping[str, MapMaker] = MappingProxyType(peer_methods()),
    seed: int = 0,
    on_layer: Callable[[], None] = lambda: None,
) -> PictureScores:
    """Score the explanations of a picture, by each clusterer, and the maps of peers.

    layers: names; None takes the default layers. seed: the only source of randomness. Raises
    LayerError and ValueError as explain_image does.
    """
    image = network.preprocess(picture)
    evidence, target = _gather(network, image, layers, clusterers, target=None, seed=seed)
    methods: dict[str, MapMaker] = {
        **{cluster_method(name): merger(name) for name in clusterers},
        **peers,
    }
    usable = {
        layer: found
        for layer, found in evidence.items()
        if all(explained.clusters for explained in found.explained.values())
    }
    maps = {
        layer: {method: make(found) for method, make in methods.items()}
        for layer, found in usable.items()
    }
    randomised, cascade = _run_cascade(network, image, maps, methods, clusterers, target, seed)
    probability = class_probability(network.module, target)
    ends = probability(torch.stack([image, torch.zeros_like(image), blur(image)])).tolist()
    score = _scorer(probability, image, seed)
    # Where all values are the same, the order is that of the ties, which is random.
    of_random = score(np.zeros((1, 1)))
    scored = {}
    for layer in evidence:
        if layer in usable:
            scored[layer] = LayerScores(
                ablation={
                    name: _ablate(network, image, explained, target, seed)
                    for name, explained in usable[layer].explained.items()
                },
                maps={
                    **{method: score(one) for method, one in maps[layer].items()},
                    RANDOM: of_random,
                },
                cascade=cascade[layer],
            )
        on_layer()
    return PictureScores(
        target=target,
        probability=ends[0],
        of_grey=ends[1],
        of_blurred=ends[2],
        randomised=randomised,
        layers=scored,
    )


def _ablate(
    network: Network, image: Tensor, layer: LayerExplanation, target: int, seed: int
) -> AblationScores:
    assert layer.channel_effects is not None
    return score_ablation(
        network.module,
        image,
        layer.name,
        layer.clusters,
        layer.channel_weights,
        layer.channel_effects,
        target=target,
        rng=np.random.default_rng(seed),
    )


def merger(clusterer: str) -> MapMaker:
    return lambda evidence: merged_map(evidence.explained[clusterer])


def _gather(
    network: Network,
    image: Tensor,
    layers: Sequence[str] | None,
    clusterers: Sequence[str],
    target: int | None,
    seed: int,
) -> tuple[dict[str, Evidence], int]:
    """The evidence of every layer, from input to output, and the class that is explained."""
    explanations: dict[str, Explanation] = {
        name: explain_image(network, image, target=target, layers=layers, clusterer=name, seed=seed)
        for name in clusterers
    }
    first = explanations[clusterers[0]]
    names = [layer.name for layer in first.layers]
    signals = compute_gradients(network.module, image, names, target=first.target)
    evidence = {
        name: Evidence(signals[name], {key: one.layers[i] for key, one in explanations.items()})
        for i, name in enumerate(names)
    }
    return evidence, first.target


def _run_cascade(
    network: Network,
    image: Tensor,
    maps: Mapping[str, Mapping[str, FloatArray]],
    methods: Mapping[str, MapMaker],
    clusterers: Sequence[str],
    target: int,
    seed: int,
) -> tuple[tuple[float, ...], dict[str, dict[str, tuple[float, ...]]]]:
    """Shares of the stages randomised and, by layer and method, the correlations at each."""
    if not maps:
        return (), {}
    shares: list[float] = []
    found: dict[str, dict[str, list[float]]] = {
        layer: {method: [] for method in methods} for layer in maps
    }
    for share, changed in randomise_cascade(network.module, image, seed=seed):
        shares.append(share)
        evidence, _ = _gather(
            replace(network, module=changed), image, list(maps), clusterers, target, seed
        )
        for layer, originals in maps.items():
            for method, make in methods.items():
                found[layer][method].append(_likeness(originals[method], make(evidence[layer])))
    return tuple(shares), {
        layer: {method: tuple(values) for method, values in by_method.items()}
        for layer, by_method in found.items()
    }


def _likeness(original: FloatArray, changed: FloatArray) -> float:
    """Rank correlation. A map that has become empty has nothing of the original, which is 0; an
    original that is the same everywhere cannot be compared, which is NaN."""
    if np.ptp(original) > 0 and np.ptp(changed) == 0:
        return 0.0
    return rank_correlation(original, changed)


def _scorer(
    probability: Probability, image: Tensor, seed: int
) -> Callable[[FloatArray], MapScores]:
    height, width = image.shape[1:]
    ties = np.random.default_rng(seed).permutation(height * width)

    def score(values: FloatArray) -> MapScores:
        order = rank_pixels(values, height=height, width=width, ties=ties)
        removed = remove_and_impute(probability, image, order, rng=np.random.default_rng(seed))
        return MapScores(
            insertion=insertion(probability, image, order).area,
            deletion=deletion(probability, image, order).area,
            road=float(removed.mean()),
        )

    return score
