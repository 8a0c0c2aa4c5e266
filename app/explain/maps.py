"""Arithmetic on stacks of maps, shared by the clustering and by whoever shows its results."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

FloatArray = NDArray[np.floating]

_limiting: Final = RLock()
ROUNDING: Final = 1e-5


def merge_maps(
    maps: Sequence[FloatArray] | FloatArray, weights: Sequence[float] | FloatArray
) -> NDArray[np.float32]:
    """The weighted mean of maps [n, H, W], min-max scaled to float32 [H, W] in 0..1.

    A mean that is the same everywhere becomes all 0. Raises ValueError when there are no maps or
    their weights do not sum to something positive.
    """
    shares = np.asarray(weights, dtype=np.float64)
    stacked = np.asarray(maps)
    if stacked.ndim != 3 or shares.shape != stacked.shape[:1] or not shares.sum() > 0:
        raise ValueError(
            "Maps [n, H, W] and n weights of a positive sum are needed, not "
            f"{stacked.shape} and {shares.tolist()}."
        )
    merged: NDArray[np.float32] = blend_maps(stacked, (shares / shares.sum())[None])[0]
    return merged


def blend_maps(maps: FloatArray, shares: FloatArray) -> NDArray[np.float32]:
    """Weighted sums of maps [n, H, W] by shares [m, n], each min-max scaled: float32 [m, H, W]."""
    # In the maps' own precision, since in double most of the time would go into copies.
    precision = np.promote_types(maps.dtype, np.float32)
    blends = np.tensordot(shares.astype(precision), maps, axes=1)
    scaled: NDArray[np.float32] = scale_maps(blends).reshape(blends.shape).astype(np.float32)
    return scaled


def scale_maps(maps: FloatArray) -> NDArray[np.float64]:
    """Maps [n, H, W], each min-max scaled to 0..1 and flattened: [n, H*W]; constant ones are 0.

    So are those that differ by less than float32 adds up exactly, a hundred-thousandth of their
    largest value: the mean of constant maps must not become a map of its rounding.
    """
    rows = np.asarray(maps, dtype=np.float64).reshape(len(maps), -1)
    lowest, highest = rows.min(axis=1, keepdims=True), rows.max(axis=1, keepdims=True)
    span = highest - lowest
    varies = span > ROUNDING * np.maximum(np.abs(lowest), np.abs(highest))
    scaled: NDArray[np.float64] = np.where(varies, rows - lowest, 0) / np.where(varies, span, 1)
    return scaled


@contextmanager
def use_one_thread() -> Iterator[None]:
    """Linear algebra of NumPy and SciPy on one thread: sums then have one order, always.

    For matrices of a few hundred rows it is faster too; two threads on a busy machine of two cores
    were up to 30 times slower.
    """
    # One caller at a time: BLAS has one number of threads for the process, which only the caller
    # that set it can set back. Two at once would leave it at 1 for good.
    with _limiting, _linear_algebra().limit(limits=1):
        yield


@cache
def _linear_algebra() -> ThreadpoolController:
    # Kept, since looking for the libraries takes longer than clustering a layer.
    return ThreadpoolController()
