"""The `fast` clusterer: groups of maps from one matrix of correlations, without chance.

Ours, in place of the paper's t-SNE and Ward (Bianchi et al. 2024, section 3.2). What each choice
brings was measured on planted groups by benchmarks/clusterers.py; docs/algorithms/explain.md says
it in words.
"""

from collections.abc import Iterable
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.fft import rfft2
from scipy.spatial.distance import squareform

from app.explain.maps import FloatArray, use_one_thread

MAX_SIDE: Final = 28
"""Maps are pooled to this many cells a side; at 14 fine textures are lost."""

MAX_CLUSTERS: Final = 8
MIN_MAPS_TO_CLUSTER: Final = 4

PRICE_OF_DOUBLING: Final = 0.03
"""What twice as many clusters must add to the mean likeness of a map to the rest of its cluster."""

LEAST_STRUCTURE: Final = 1.2
"""Maps have something in common when their squared correlation is this many times that by chance.
More than 1, since maps fade or heap at the picture's edge, which shifting does not know."""

TIGHT: Final = 1 - 1e-5
"""Likeness from which on maps are one and the same but for rounding."""

_MAX_ROUNDS: Final = 4
_TINY: Final = 1e-12


def cluster_fast(maps: FloatArray, seed: int) -> NDArray[np.intp]:
    """Labels [n] of maps [n, H, W]: one to eight clusters of maps that light up together.

    The labels follow from the set of maps alone: neither the seed nor the order of the maps has a
    say. Maps that are equal share a cluster, and so do all constant ones. Fewer than four different
    maps are a cluster each. Where the maps have no more in common than by chance, and where no
    division pays, all are one cluster.
    """
    # Without a minus before 0, which would make equal maps differ in their bytes.
    maps = maps + 0.0
    is_constant = maps.min(axis=(1, 2)) == maps.max(axis=(1, 2))
    keys = [b"" if skip else one.tobytes() for one, skip in zip(maps, is_constant, strict=True)]
    distinct = sorted(set(keys))
    if len(distinct) < MIN_MAPS_TO_CLUSTER:
        return np.array([distinct.index(key) for key in keys])
    # In an order of their own, so that even rounding is the same for any order of the channels.
    order = sorted(range(len(keys)), key=keys.__getitem__)
    with use_one_thread():
        labels = _cluster(standardise(maps[order]), len(distinct))
    label_of: dict[bytes, int] = {}
    for position, label in zip(order, labels, strict=True):
        label_of.setdefault(keys[position], label)
    return np.array([label_of[key] for key in keys])


def standardise(maps: FloatArray) -> FloatArray:
    """Maps [n, H, W] pooled to [n, h, w], at most 28 a side, each of mean 0 and length 1.

    Before that each map is lowered to a minimum of 0, and the square root is taken of its cells,
    so that a single hot cell does not outweigh a region. A map that is constant becomes 0. In
    single precision, unless the maps are in double.
    """
    n_maps, height, width = maps.shape
    precision = np.promote_types(maps.dtype, np.float32)
    pooled = maps.astype(precision) - maps.min(axis=(1, 2), keepdims=True)
    if max(height, width) > MAX_SIDE:
        down, across = (_area_weights(side).astype(precision) for side in (height, width))
        pooled = down @ pooled @ across.T
    rows = np.sqrt(pooled).reshape(n_maps, -1)
    centred = rows - rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    # What is left of a constant map is rounding, which must not be blown up.
    is_constant = lengths <= 1e-5 * np.linalg.norm(rows, axis=1, keepdims=True)
    lengths[is_constant] = np.inf
    standardised: FloatArray = (centred / lengths).reshape(pooled.shape)
    return standardised


def correlation_by_chance(standardised: FloatArray) -> float:
    """The mean squared correlation, 0..1, of maps [n, h, w] moved against each other at random.

    Over all circular shifts of two maps it is the sum of the products of their power spectra
    (Parseval). Smooth maps resemble each other by chance more than fine ones.
    """
    width = standardised.shape[2]
    power = np.abs(rfft2(standardised)) ** 2
    # Of the columns of a real transform all but the first, and the last of an even width, stand
    # for two frequencies.
    times = np.full(power.shape[2], 2.0)
    times[0] = 1.0
    if width % 2 == 0:
        times[-1] = 1.0
    total = (power * times).sum(axis=(1, 2), keepdims=True)
    mean_power = (power / np.where(total > 0, total, 1.0)).mean(axis=0)
    return float((mean_power**2 * times).sum())


def correlate(standardised: FloatArray) -> NDArray[np.float64]:
    """The correlation of maps [n, h, w] with each other, [n, n]; constant ones are all alike."""
    rows = standardised.reshape(len(standardised), -1)
    gram = (rows @ rows.T).astype(np.float64)
    is_constant = ~rows.any(axis=1)
    gram[np.ix_(is_constant, is_constant)] = 1.0
    np.fill_diagonal(gram, 1.0)
    return gram


@cache
def _area_weights(side: int) -> NDArray[np.float64]:
    """What each of `side` cells gives to each of at most 28: [pooled, side], rows of sum 1."""
    n_pooled = min(side, MAX_SIDE)
    edges = np.arange(n_pooled + 1) * (side / n_pooled)
    cells = np.arange(side)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    covered: NDArray[np.float64] = np.maximum(overlap, 0) * (n_pooled / side)
    return covered


def _cluster(standardised: FloatArray, n_distinct: int) -> NDArray[np.intp]:
    n_maps = len(standardised)
    gram = correlate(standardised)
    # Not a cluster for each map, unless that leaves equal ones together.
    most = min(MAX_CLUSTERS, n_distinct, n_maps - 1)
    best_score, best = -np.inf, np.zeros(n_maps, dtype=np.intp)
    for n_clusters, start in enumerate(ward_cuts(gram, most), start=1):
        labels, likeness = refine(gram, start)
        if likeness >= TIGHT:
            return labels
        score = likeness - PRICE_OF_DOUBLING * np.log2(n_clusters)
        if score > best_score:
            best_score, best = score, labels
    in_common = (np.vdot(gram, gram) - n_maps) / (n_maps * (n_maps - 1))
    # The mean over so many pairs of unrelated maps strays by 2 / n of itself (standard deviation).
    by_chance = correlation_by_chance(standardised) * (1 + 2 / n_maps)
    if in_common < LEAST_STRUCTURE * by_chance:
        return np.zeros(n_maps, dtype=np.intp)
    return best


def ward_cuts(gram: NDArray[np.float64], most: int) -> list[NDArray[np.intp]]:
    """Labels [n] for 1, 2, ... `most` clusters, all from one Ward tree."""
    n_maps = len(gram)
    # The Euclidean distance of rows of length 1, which Ward asks for.
    distances = np.sqrt(np.maximum(2 - 2 * squareform(gram, checks=False), 0))
    tree = linkage(distances, method="ward")
    members = {i: [i] for i in range(n_maps)}
    cuts = []
    for step, (left, right) in enumerate(tree[:, :2].astype(int)):
        if len(members) <= most:
            cuts.append(_as_labels(members.values(), n_maps))
        members[n_maps + step] = members.pop(left) + members.pop(right)
    cuts.append(_as_labels(members.values(), n_maps))
    return cuts[::-1]


def _as_labels(groups: Iterable[list[int]], n_maps: int) -> NDArray[np.intp]:
    labels = np.empty(n_maps, dtype=np.intp)
    # By their first map, so that ties are broken the same way at every cut.
    for label, group in enumerate(sorted(groups, key=min)):
        labels[group] = label
    return labels


def refine(gram: NDArray[np.float64], labels: NDArray[np.intp]) -> tuple[NDArray[np.intp], float]:
    """Spherical k-means from `labels` on, and the mean likeness of a map to its cluster's rest.

    The likeness of a map to a cluster is its correlation with the mean of the cluster's other maps;
    a map that counted itself would hardly ever leave. 0 for a map that is alone, which stays so.
    """
    everyone, n_clusters = np.arange(len(gram)), labels.max() + 1
    likeness = 0.0
    for n_rounds_left in reversed(range(_MAX_ROUNDS)):
        belongs = np.equal.outer(labels, np.arange(n_clusters)).astype(np.float64)
        sizes = belongs.sum(axis=0)
        sums = gram @ belongs
        squared_lengths = (belongs * sums).sum(axis=0)
        to_own = sums[everyone, labels] - 1
        without_self = squared_lengths[labels] - 2 * to_own - 1
        is_alone = sizes[labels] == 1
        to_rest = np.where(is_alone, 0.0, to_own / np.sqrt(np.maximum(without_self, _TINY)))
        likeness = float(to_rest.mean())
        to_all = sums / np.sqrt(np.maximum(squared_lengths, _TINY))
        to_all[everyone, labels] = np.where(is_alone, np.inf, to_rest)
        moved = to_all.argmax(axis=1)
        is_settled = (moved == labels).all()
        if is_settled or n_rounds_left == 0 or len(np.unique(moved)) < n_clusters:
            break
        labels = moved
    return labels, likeness
