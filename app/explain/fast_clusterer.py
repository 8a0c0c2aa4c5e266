"""The `fast` clusterer: groups of maps from one matrix of correlations, without chance.

Ours, in place of the paper's t-SNE and Ward (Bianchi et al. 2024, section 3.2). What each choice
brings was measured on planted groups by benchmarks/clusterers.py; docs/algorithms/explain.md says
it in words.
"""

from collections.abc import Sequence
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

MAX_ROUNDS: Final = 4
TINY: Final = 1e-12


def cluster_fast(maps: FloatArray, seed: int) -> NDArray[np.intp]:
    """Labels [n] of maps [n, H, W]: one to eight clusters of maps that light up together.

    The labels follow from the set of maps alone: neither the seed nor the order of the maps has a
    say. Maps that are equal share a cluster, and so do all constant ones. Fewer than four different
    maps are a cluster each. Where the maps have no more in common than by chance, and where no
    division pays, all are one cluster.
    """
    with use_one_thread():
        standardised = standardise(maps)
        rows = standardised.reshape(len(maps), -1)
        # In an order of their own, by their bytes, so that even rounding is the same for any order
        # of the channels.
        order = rows.view(np.dtype((np.void, rows.strides[0]))).ravel().argsort()
        rows = rows[order]
        is_new = np.concatenate([[True], (rows[1:] != rows[:-1]).any(axis=1)])
        number = is_new.cumsum() - 1
        n_distinct = int(number[-1]) + 1
        if n_distinct < MIN_MAPS_TO_CLUSTER:
            ordered = number
        else:
            # Maps that are equal may differ in the rounding of their likeness; the first decides.
            found = _cluster(rows.reshape(standardised.shape), n_distinct)
            ordered = found[is_new][number]
    labels = np.empty(len(maps), dtype=np.intp)
    labels[order] = ordered
    return labels


def standardise(maps: FloatArray) -> FloatArray:
    """Maps [n, H, W] pooled to [n, h, w], at most 28 a side, each of mean 0 and length 1.

    Before that each map is lowered to a minimum of 0, and the square root is taken of its cells,
    so that a single hot cell does not outweigh a region. A map that is constant becomes 0. In
    single precision, unless the maps are in double. To the last bit, what becomes of a map does
    not depend on the others.
    """
    n_maps, height, width = maps.shape
    precision = np.promote_types(maps.dtype, np.float32)
    lowest = maps.min(axis=(1, 2), keepdims=True)
    pooled = maps.astype(precision, copy=False)
    # Behind a ReLU there is most often nothing to lower.
    if lowest.any():
        pooled = pooled - lowest
    if max(height, width) > MAX_SIDE:
        down, across = (area_weights(side).astype(precision) for side in (height, width))
        # A product for each map, since its rounding would depend on its place in a larger one.
        pooled = (down @ pooled) @ across.T
    rows = np.sqrt(pooled).reshape(n_maps, -1)
    length_before = np.sqrt(np.vecdot(rows, rows))
    rows -= rows.mean(axis=1, keepdims=True)
    length = np.sqrt(np.vecdot(rows, rows))
    # What is left of a constant map is rounding, which must not be blown up.
    is_constant = length <= 1e-5 * length_before
    rows /= np.where(is_constant, 1.0, length).astype(precision)[:, None]
    rows[is_constant] = 0.0
    standardised: FloatArray = rows.reshape(pooled.shape)
    return standardised


def correlation_by_chance(standardised: FloatArray) -> float:
    """The mean squared correlation, 0..1, of maps [n, h, w] moved against each other at random.

    Over all circular shifts of two maps it is the sum of the products of their power spectra
    (Parseval). Smooth maps resemble each other by chance more than fine ones.
    """
    height, width = standardised.shape[1:]
    spectrum = rfft2(standardised)
    parts = spectrum.view(standardised.dtype).reshape(len(standardised), -1)
    squares = np.einsum("nk,nk->k", parts, parts).reshape(*spectrum.shape[1:], 2)
    power = squares.sum(axis=-1, dtype=np.float64) / len(standardised)
    # Of the columns of a real transform all but the first, and the last of an even width, stand
    # for two frequencies.
    times = np.full(power.shape[1], 2.0)
    times[0] = 1.0
    if width % 2 == 0:
        times[-1] = 1.0
    # Maps of length 1 have this total power (Parseval).
    return float(((power / (height * width)) ** 2 * times).sum())


def correlate(standardised: FloatArray) -> FloatArray:
    """The correlation of maps [n, h, w] with each other, [n, n]; constant ones are all alike."""
    rows = standardised.reshape(len(standardised), -1)
    gram: FloatArray = rows @ rows.T
    # The rest have length 1.
    is_constant = gram.diagonal() < 0.5
    if is_constant.any():
        gram[np.ix_(is_constant, is_constant)] = 1.0
    np.fill_diagonal(gram, 1.0)
    return gram


@cache
def area_weights(side: int) -> NDArray[np.float64]:
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
    for n_clusters, (labels, likeness) in enumerate(refine(gram, ward_cuts(gram, most)), start=1):
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


def ward_cuts(gram: FloatArray, most: int) -> list[NDArray[np.intp]]:
    """Labels [n] for 1, 2, ... `most` clusters, all from one Ward tree."""
    n_maps = len(gram)
    # The Euclidean distance of rows of length 1, which Ward asks for.
    distances = np.sqrt(np.maximum(2 - 2 * squareform(gram, checks=False), 0))
    tree = linkage(distances, method="ward")
    mergers = tree[:, :2].astype(int).tolist()
    # From the top of each branch of the finest cut down to its maps.
    branch_of = list(range(2 * n_maps - 1))
    for step in reversed(range(n_maps - most)):
        left, right = mergers[step]
        branch_of[left] = branch_of[right] = branch_of[n_maps + step]
    # Labels go by the first map, so that ties are broken the same way at every cut.
    label_of: dict[int, int] = {}
    for branch in branch_of[:n_maps]:
        label_of.setdefault(branch, len(label_of))
    cuts = [np.array([label_of[branch] for branch in branch_of[:n_maps]])]
    for step in range(n_maps - most, n_maps - 1):
        first, other = sorted(label_of.pop(branch) for branch in mergers[step])
        labels = np.where(cuts[-1] == other, first, cuts[-1])
        cuts.append(labels - (labels > other))
        label_of = {branch: label - (label > other) for branch, label in label_of.items()}
        label_of[n_maps + step] = first
    return cuts[::-1]


def refine(
    gram: FloatArray, cuts: Sequence[NDArray[np.intp]]
) -> list[tuple[NDArray[np.intp], float]]:
    """Spherical k-means from each cut on, and the mean likeness of a map to its cluster's rest.

    cuts: labels [n] each, 0 to k - 1. The likeness of a map to a cluster is its correlation with
    the mean of the cluster's other maps; a map that counted itself would hardly ever leave. 0 for a
    map that is alone, which stays so.
    """
    refined = [(labels, 0.0) for labels in cuts]
    # They stay as many: a cut that would lose a cluster stops.
    counts = np.array([labels.max() + 1 for labels in cuts])
    moving = list(range(len(cuts)))
    for n_rounds_left in reversed(range(MAX_ROUNDS)):
        ends = np.cumsum(counts[moving])
        starts = ends - counts[moving]
        labels = np.stack([refined[cut][0] for cut in moving])
        likeness, to_all = _likeness(gram, labels + starts[:, None], int(ends[-1]))
        still_moving = []
        for i, cut in enumerate(moving):
            refined[cut] = labels[i], float(likeness[i])
            if n_rounds_left == 0:
                continue
            moved = to_all[:, starts[i] : ends[i]].argmax(axis=1)
            is_settled = np.array_equal(moved, labels[i])
            if not is_settled and np.bincount(moved, minlength=counts[cut]).all():
                refined[cut] = moved, 0.0
                still_moving.append(cut)
        moving = still_moving
        if not moving:
            break
    return refined


def _likeness(
    gram: FloatArray, labels: NDArray[np.intp], n_clusters: int
) -> tuple[NDArray[np.float64], FloatArray]:
    """How alike maps are to the rest of their cluster, and to every cluster, for several cuts.

    labels: [cuts, n], each cut with clusters of its own. Returns the mean over the maps, [cuts],
    and each map's likeness, [n, clusters], infinite to a cluster in which it is alone.
    """
    everyone = np.arange(len(gram))
    belongs = np.zeros((len(gram), n_clusters), dtype=gram.dtype)
    belongs[everyone, labels] = 1.0
    # One product for all cuts.
    sums = gram @ belongs
    to_own = sums[everyone, labels]
    flat = labels.ravel()
    sizes = np.bincount(flat, minlength=n_clusters)
    squared_lengths = np.bincount(flat, to_own.ravel(), minlength=n_clusters)
    to_own -= 1
    without_self = squared_lengths[labels] - 2 * to_own - 1
    is_alone = sizes[labels] == 1
    to_rest = np.where(is_alone, 0.0, to_own / np.sqrt(np.maximum(without_self, TINY)))
    sums /= np.sqrt(np.maximum(squared_lengths, TINY)).astype(gram.dtype)
    sums[everyone, labels] = np.where(is_alone, np.inf, to_rest)
    return to_rest.mean(axis=1), sums
