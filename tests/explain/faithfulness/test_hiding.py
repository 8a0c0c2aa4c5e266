"""Hiding a region, on a network that looks at one corner only."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from app.explain.faithfulness.hiding import (
    MAX_AREA,
    hide_region,
    join_regions,
    region_elsewhere,
)


class UpperLeft(nn.Module):
    """Says class 1 by how bright the upper left quarter is, and nothing else."""

    def forward(self, pictures: Tensor) -> Tensor:
        bright = 8 * pictures[:, :, :8, :8].mean(dim=(1, 2, 3)) - 4
        return torch.stack([-bright, bright], dim=1)


def picture() -> Tensor:
    """A bright square in the upper left corner of a dark picture."""
    image = torch.zeros(3, 16, 16)
    image[:, :8, :8] = 1
    return image


def square(top: int, left: int) -> np.ndarray:
    region = np.zeros((16, 16), dtype=bool)
    region[top : top + 8, left : left + 8] = True
    return region


def test_hiding_what_the_network_uses_costs_more_than_hiding_as_much_elsewhere() -> None:
    found = hide_region(
        UpperLeft(), picture(), square(0, 0), target=1, rng=np.random.default_rng(0)
    )
    assert found.area == 0.25
    assert found.probability > 0.99
    assert found.hidden < 0.01
    assert found.elsewhere > 0.9
    assert found.changed
    assert found.difference == pytest.approx(found.elsewhere - found.hidden)


def test_hiding_what_it_does_not_use_changes_nothing() -> None:
    found = hide_region(
        UpperLeft(), picture(), square(8, 8), target=1, rng=np.random.default_rng(0)
    )
    assert found.drop == pytest.approx(0, abs=1e-6)
    assert found.difference < 0
    assert not found.changed


@given(st.integers(0, 2**32 - 1), st.integers(1, 128))
def test_a_region_elsewhere_is_as_large_and_touches_none_of_it(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    region = np.zeros(256, dtype=bool)
    region[rng.choice(256, size=n, replace=False)] = True
    other = region_elsewhere(region.reshape(16, 16), rng=rng)
    assert other.sum() == n
    assert not (other & region.reshape(16, 16)).any()


def test_there_is_no_elsewhere_beside_more_than_half() -> None:
    with pytest.raises(ValueError, match="no room"):
        region_elsewhere(np.ones((4, 4), dtype=bool), rng=np.random.default_rng(0))


def test_maps_of_layers_of_different_sizes_show_one_region() -> None:
    """Both show the left half: what either shows alone is what they show together."""
    small, large = np.zeros((2, 2)), np.zeros((8, 8))
    small[:, 0] = large[:, :4] = 1
    region = join_regions([small, large], [1.0, 3.0], size=16)
    assert region[:, :7].all()
    assert not region[:, 9:].any()


def test_a_region_is_never_more_than_half() -> None:
    region = join_regions([np.ones((4, 4))], [1.0], size=16)
    assert region.mean() == MAX_AREA


@pytest.mark.parametrize(
    ("maps", "weights"), [([], []), ([np.ones((2, 2))], [0.0]), ([np.zeros((2, 2))], [1.0])]
)
def test_no_map_no_weight_and_no_peak_show_no_region(
    maps: list[np.ndarray], weights: list[float]
) -> None:
    with pytest.raises(ValueError, match=r"weights|above 0"):
        join_regions(maps, weights, size=4)
