"""Cluster maps of many layers at once, on the device where the feature maps are.

What app.explain.clusters does layer by layer in NumPy, which is quickest on a CPU. A GPU would
spend most of its time waiting there: for the maps to leave it, and for one core to cluster them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.explain.clusters import ClusterMap, as_cluster_maps, share_out
from app.explain.fast_clusterer_torch import alike, cluster_fast_together, fill_up
from app.explain.maps import ROUNDING, FloatArray
from app.explain.running import exact_products

LayerMaps = tuple[Tensor, FloatArray, NDArray[np.intp]]
"""Of a layer: the maps that pruning left, [n, H, W]; the weights of all channels, [C], percent; and
which channels were kept, [n]. As make_cluster_maps takes them."""


def works_together(maps: Tensor) -> bool:
    """Whether the layers of these maps are better clustered together, where they are."""
    return maps.is_cuda


@exact_products()
def make_cluster_maps_together(layers: Sequence[LayerMaps]) -> list[tuple[ClusterMap, ...]]:
    """The cluster maps of several layers, as make_cluster_maps gives them with the fast clusterer.

    The maps are all on one device.
    """
    found: list[tuple[ClusterMap, ...]] = [()] * len(layers)
    some = [number for number, (maps, _, _) in enumerate(layers) if len(maps)]
    with_maps = [layers[number] for number in some]
    labels = cluster_fast_together([maps for maps, _, _ in with_maps])
    for number, clusters in zip(some, merge_together(with_maps, labels), strict=True):
        found[number] = clusters
    return found


def merge_together(
    layers: Sequence[LayerMaps], labels: Sequence[NDArray[np.intp]]
) -> list[tuple[ClusterMap, ...]]:
    """As make_cluster_maps_together, with the labels [n] of the maps of each layer, n >= 1."""
    shares = [
        share_out(of_maps, percent[kept])
        for of_maps, (_, percent, kept) in zip(labels, layers, strict=True)
    ]
    blends = blend_together(
        [maps for maps, _, _ in layers],
        [share / share.sum(axis=1, keepdims=True) for share in shares],
    )
    return [
        as_cluster_maps(kept, share, blend)
        for (_, _, kept), share, blend in zip(layers, shares, blends, strict=True)
    ]


def blend_together(
    stacks: Sequence[Tensor], shares: Sequence[NDArray[np.float64]]
) -> list[NDArray[np.float32]]:
    """As blend_maps, for several stacks [n, H, W] and shares [m, n]: float32 [m, H, W] each."""
    found: dict[int, NDArray[np.float32]] = {}
    for numbers in alike(stacks):
        maps = torch.cat([stacks[number] for number in numbers])
        lengths = [len(stacks[number]) for number in numbers]
        precision = torch.promote_types(maps.dtype, torch.float32)
        filled = fill_up(maps.to(precision), lengths, max(lengths))
        most = max(len(shares[number]) for number in numbers)
        by_stack = np.zeros((len(numbers), most, filled.shape[1]))
        for row, number in zip(by_stack, numbers, strict=True):
            m, n = shares[number].shape
            row[:m, :n] = shares[number]
        blends = torch.from_numpy(by_stack).to(filled) @ filled.flatten(2)
        scaled = _scale(blends).view(len(numbers), most, *maps.shape[1:]).cpu().numpy()
        for number, one in zip(numbers, scaled, strict=True):
            # A copy, or each would keep all of them in memory.
            found[number] = one[: len(shares[number])].copy()
    return [found[number] for number in range(len(stacks))]


def _scale(blends: Tensor) -> Tensor:
    """As scale_maps: [..., cells] to float32 0..1."""
    cells = blends.double()
    lowest, highest = cells.aminmax(dim=-1, keepdim=True)
    span = highest - lowest
    varies = span > ROUNDING * torch.maximum(lowest.abs(), highest.abs())
    return torch.where(varies, (cells - lowest) / span, 0.0).float()
