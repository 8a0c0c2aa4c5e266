"""Where a map lies, in pictures of which every part is known.

The pictures of app.picturebook come with the exact mask of every part; here a map is compared with
such masks.
"""

import numpy as np
from numpy.typing import NDArray

from app.explain.maps import FloatArray, merge_maps


def energy_shares(cluster_map: FloatArray, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The share of a map's energy inside each mask, [P], 0..1; more is better located.

    cluster_map: [H, W], not negative; its energy is the sum of its values, and each cell spreads
    its value evenly over the pixels it stands for. masks: [P, h, w] of the same picture, at least
    as large. A map without energy has share 0 everywhere. Masks that do not overlap have shares
    that sum to 1 at most.
    """
    values = np.asarray(cluster_map, dtype=np.float64)
    if values.ndim != 2 or masks.ndim != 3 or (values < 0).any():
        raise ValueError(
            "A map [H, W] without negative values and masks [P, h, w] are needed, not "
            f"{values.shape} and {masks.shape}."
        )
    if masks.shape[1] < values.shape[0] or masks.shape[2] < values.shape[1]:
        raise ValueError(f"Masks {masks.shape[1:]} are smaller than the map {values.shape}.")
    total = values.sum()
    if total == 0:
        return np.zeros(len(masks))
    covered = _cover(masks, values.shape[0], values.shape[1])
    shares: NDArray[np.float64] = np.tensordot(covered, values, axes=2) / total
    return shares


def _cover(masks: NDArray[np.bool_], height: int, width: int) -> NDArray[np.float64]:
    """How much of each cell a mask covers, [P, height, width], 0..1: mean over its pixels."""
    rows = np.arange(masks.shape[1]) * height // masks.shape[1]
    columns = np.arange(masks.shape[2]) * width // masks.shape[2]
    row_starts = np.searchsorted(rows, np.arange(height))
    column_starts = np.searchsorted(columns, np.arange(width))
    sums = np.add.reduceat(masks.astype(np.float64), row_starts, axis=1)
    sums = np.add.reduceat(sums, column_starts, axis=2)
    n_pixels = np.outer(np.bincount(rows), np.bincount(columns))
    covered: NDArray[np.float64] = sums / n_pixels
    return covered


def random_group_maps(
    maps: FloatArray,
    weights: FloatArray,
    n_channels: int,
    *,
    n_groups: int,
    rng: np.random.Generator,
) -> list[NDArray[np.float32]]:
    """Maps of random groups of channels, to compare a cluster map of `n_channels` channels with.

    maps: [C, H, W], the channels to draw from, each group without repetition; weights: [C], > 0, by
    which a group is merged, as a cluster is by its channel weights.
    """
    groups = [rng.choice(len(maps), size=n_channels, replace=False) for _ in range(n_groups)]
    return [merge_maps(maps[group], weights[group]) for group in groups]
