"""What a map of a picture-book picture really shows."""

import numpy as np
from numpy.typing import NDArray

from app.explain.faithfulness import energy_shares
from app.explain.networks import Network
from app.picturebook.world import REGIONS


def region_shares(
    cluster_map: NDArray[np.floating], region_map: NDArray[np.uint8]
) -> dict[str, float]:
    """The share of a map's energy in each visible region, 0..1, the largest first.

    cluster_map: [H, W], not negative. region_map: [S, S] of a scene, as large or larger.
    """
    numbers = [int(number) for number in np.unique(region_map) if number > 0]
    masks = np.stack([region_map == number for number in numbers])
    shares = energy_shares(cluster_map, masks)
    named = {REGIONS[n - 1]: float(s) for n, s in zip(numbers, shares, strict=True)}
    return dict(sorted(named.items(), key=lambda item: (-item[1], item[0])))


def seen_by(network: Network, region_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The regions [s, s] that the network sees of a square scene, which it may crop."""
    side = len(region_map)
    seen = round(side * network.input_size / network.resize)
    start = (side - seen) // 2
    return region_map[start : start + seen, start : start + seen]
