"""How much of a map lies in the true part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from app.explain.faithfulness import energy_shares, random_group_maps


def test_shares_by_hand() -> None:
    # A 2 x 2 map over 4 x 4 pixels: each cell stands for 2 x 2 of them.
    cluster_map = np.array([[4.0, 0.0], [1.0, 3.0]])
    left = np.zeros((4, 4), bool)
    left[:, :2] = True
    corner = np.zeros((4, 4), bool)
    corner[3, 3] = True  # a quarter of the cell with energy 3
    shares = energy_shares(cluster_map, np.stack([left, corner]))
    assert shares.tolist() == [5 / 8, 3 / 4 / 8]


def test_cells_that_do_not_divide_the_picture_stand_for_the_pixels_nearest_to_them() -> None:
    # Three columns over four pixels: as by repetition, the first stands for two.
    cluster_map = np.array([[1.0, 1.0, 2.0]])
    mask = np.array([[True, False, False, True]])
    assert energy_shares(cluster_map, mask[None]).tolist() == [(0.5 + 2) / 4]


def test_a_map_without_energy_lies_nowhere() -> None:
    assert energy_shares(np.zeros((2, 2)), np.ones((1, 4, 4), bool)).tolist() == [0.0]


@pytest.mark.parametrize(
    ("cluster_map", "masks"),
    [
        (np.ones(4), np.ones((1, 4, 4), bool)),
        (np.ones((2, 2)), np.ones((4, 4), bool)),
        (-np.ones((2, 2)), np.ones((1, 4, 4), bool)),
        (np.ones((8, 8)), np.ones((1, 4, 4), bool)),
    ],
)
def test_what_does_not_fit_is_refused(cluster_map: np.ndarray, masks: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"[Mm]asks"):
        energy_shares(cluster_map, masks)


@given(
    arrays.arrays(np.float64, (3, 5), elements=st.floats(0, 1)),
    arrays.arrays(np.uint8, (16, 16), elements=st.integers(0, 3)),
)
def test_masks_that_divide_the_picture_divide_the_energy(
    cluster_map: np.ndarray, region_map: np.ndarray
) -> None:
    shares = energy_shares(cluster_map, np.stack([region_map == i for i in range(4)]))
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1 if cluster_map.sum() > 0 else 0)


class TestRandomGroups:
    def test_groups_have_the_size_and_are_merged_by_weight(self) -> None:
        maps = np.zeros((4, 1, 2))
        maps[:, 0, 0] = [1, 2, 3, 4]
        percent = np.array([10.0, 20.0, 30.0, 40.0])
        (whole,) = random_group_maps(maps, percent, 4, n_groups=1, rng=np.random.default_rng(0))
        assert whole.tolist() == [[1.0, 0.0]]

    def test_the_same_generator_gives_the_same_groups(self) -> None:
        maps = np.random.default_rng(1).random((8, 3, 3))
        percent = np.full(8, 12.5)
        one, other = (
            random_group_maps(maps, percent, 3, n_groups=5, rng=np.random.default_rng(2))
            for _ in range(2)
        )
        assert np.array_equal(one, other)
