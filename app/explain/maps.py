"""Arithmetic on stacks of maps, shared by the clustering and by whoever shows its results."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]


def merge_maps(
    maps: Sequence[FloatArray] | FloatArray, weights: Sequence[float] | FloatArray
) -> NDArray[np.float32]:
    """The weighted mean of maps [n, H, W], min-max scaled to float32 [H, W] in 0..1.

    A mean that is the same everywhere becomes all 0. Raises ValueError when there are no maps or
    their weights do not sum to something positive.
    """
    shares = np.asarray(weights, dtype=np.float64)
    stacked = np.asarray(maps, dtype=np.float64)
    if stacked.ndim != 3 or shares.shape != stacked.shape[:1] or not shares.sum() > 0:
        raise ValueError(
            "Maps [n, H, W] and n weights of a positive sum are needed, not "
            f"{stacked.shape} and {shares.tolist()}."
        )
    mean = np.tensordot(shares / shares.sum(), stacked, axes=1)
    scaled: NDArray[np.float32] = scale_maps(mean[None]).reshape(mean.shape).astype(np.float32)
    return scaled


def scale_maps(maps: FloatArray) -> NDArray[np.float64]:
    """Maps [n, H, W], each min-max scaled to 0..1 and flattened: [n, H*W]; constant ones are 0."""
    rows = np.asarray(maps, dtype=np.float64).reshape(len(maps), -1)
    lowest = rows.min(axis=1, keepdims=True)
    span = rows.max(axis=1, keepdims=True) - lowest
    scaled: NDArray[np.float64] = (rows - lowest) / np.where(span > 0, span, 1.0)
    return scaled
