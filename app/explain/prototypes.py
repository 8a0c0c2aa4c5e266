"""What drives a cluster most: the pictures, and the regions in them, where it answers highest."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

FloatArray = NDArray[np.floating]

REGION_LEVEL: Final = 0.5
"""A region are the cells around the peak with at least this share of its value."""


@dataclass(frozen=True, slots=True, eq=False)
class Prototype:
    """A picture that drives a cluster.

    index: of the picture, in the order given. peak: the cluster map's highest value, in the layer's
    unit, so that pictures can be compared. map: float32 [H, W] in that unit. box: left, top, right,
    bottom of the region around the peak, as shares 0..1 of what the network saw.
    """

    index: int
    peak: float
    map: NDArray[np.float32]
    box: tuple[float, float, float, float]


def find_prototypes(
    channels: Sequence[int],
    weights: FloatArray,
    activations: Iterable[FloatArray],
    *,
    n: int = 9,
) -> list[Prototype]:
    """The n pictures that drive a cluster most, the highest first, fewer where it stays silent.

    channels: of the cluster, indices in the layer. weights: [C], the layer's channel weights, by
    which the cluster's feature maps are averaged as in its cluster map, but not scaled picture by
    picture. activations: of the layer, [C, H, W] for one picture after the other, as from
    layer_responses; only the n best are held. Of equals the earlier comes first. Pictures are
    ordered by the peak, not by the mean: a part is small, and a mean would find textures.
    """
    chosen = list(channels)
    shares = np.asarray(weights, dtype=np.float64)[chosen]
    if not chosen or (shares < 0).any() or not shares.sum() > 0:
        raise ValueError("A cluster's channels and their weights, of a positive sum, are needed.")
    shares = shares / shares.sum()
    best: list[tuple[float, int, NDArray[np.float32]]] = []
    for index, maps in enumerate(activations):
        merged = np.tensordot(shares, np.asarray(maps)[chosen], axes=1).astype(np.float32)
        peak = float(merged.max())
        if peak > 0:
            # The index decides ties, and no two are the same, so maps are never compared.
            heapq.heappush(best, (peak, -index, merged))
            if len(best) > n:
                heapq.heappop(best)
    return [
        Prototype(-negative, peak, merged, _box_around_peak(merged))
        for peak, negative, merged in sorted(best, reverse=True)
    ]


def cluster_peaks(
    channel_weights: Sequence[tuple[Sequence[int], FloatArray]], activations: FloatArray
) -> NDArray[np.float64]:
    """How strongly a picture drives each of many clusters of a layer, [M]: the highest value of the
    cluster's feature maps, averaged by their weights as in find_prototypes.

    channel_weights: per cluster its channels and the layer's channel weights [C] in the cluster's
    own picture. activations: [C, H, W] of the picture that may drive them.
    """
    shares = np.zeros((len(channel_weights), len(activations)))
    for row, (channels, weights) in zip(shares, channel_weights, strict=True):
        row[list(channels)] = np.asarray(weights, dtype=np.float64)[list(channels)]
    shares /= shares.sum(axis=1, keepdims=True)
    peaks: NDArray[np.float64] = (shares @ activations.reshape(len(activations), -1)).max(axis=1)
    return peaks


def _box_around_peak(merged: NDArray[np.float32]) -> tuple[float, float, float, float]:
    components, _ = label(merged >= REGION_LEVEL * merged.max())
    peak = np.unravel_index(int(merged.argmax()), merged.shape)
    rows, columns = np.nonzero(components == components[peak])
    height, width = merged.shape
    return (
        float(columns.min() / width),
        float(rows.min() / height),
        float((columns.max() + 1) / width),
        float((rows.max() + 1) / height),
    )
