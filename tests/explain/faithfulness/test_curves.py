"""Insertion and deletion."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor, nn
from torchcam.methods import LayerCAM
from torchcam.metrics import DeletionInsertionMetric

from app.explain.faithfulness.curves import (
    blur,
    class_probability,
    deletion,
    insertion,
    rank_pixels,
    replace_pixels,
)
from tests.explain.toys import Residual, random_image, seeded


def first_pixel(pictures: Tensor) -> np.ndarray:
    return pictures[:, 0, 0, 0].double().numpy()


def brightness(pictures: Tensor) -> np.ndarray:
    return pictures.double().mean(dim=(1, 2, 3)).numpy()


class TestReplacing:
    @pytest.mark.parametrize(
        ("order", "probabilities", "area"),
        [
            ([0, 1, 2, 3], [1, 0, 0, 0, 0], 1 / 8),
            ([1, 0, 2, 3], [1, 1, 0, 0, 0], 3 / 8),
            ([3, 2, 1, 0], [1, 1, 1, 1, 0], 7 / 8),
        ],
    )
    def test_by_hand(self, order: list[int], probabilities: list[float], area: float) -> None:
        # A network that knows its class by the first of four pixels.
        curve = replace_pixels(
            first_pixel, torch.ones(3, 2, 2), torch.zeros(3, 2, 2), np.array(order), n_steps=4
        )
        assert curve.fractions.tolist() == [0, 0.25, 0.5, 0.75, 1]
        assert curve.probabilities.tolist() == probabilities
        assert curve.area == pytest.approx(area)

    def test_fractions_are_those_of_the_pixels_really_replaced(self) -> None:
        picture = torch.ones(3, 1, 5)
        curve = replace_pixels(brightness, picture, 0 * picture, np.arange(5), n_steps=2)
        assert curve.fractions.tolist() == [0, 0.4, 1]
        assert curve.probabilities == pytest.approx([1, 0.6, 0])
        assert curve.area == pytest.approx(0.5)
        finest = replace_pixels(brightness, picture, 0 * picture, np.arange(5), n_steps=99)
        assert finest.fractions == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])

    def test_deletion_ends_in_grey_and_insertion_starts_blurred(self) -> None:
        image = torch.zeros(3, 9, 9)
        image[:, 4, 4] = 1
        order = np.arange(81)
        deleted = deletion(brightness, image, order)
        inserted = insertion(brightness, image, order)
        assert deleted.probabilities[[0, -1]] == pytest.approx([1 / 81, 0])
        assert inserted.probabilities[[0, -1]] == pytest.approx([1 / 81, 1 / 81])
        assert 0 < blur(image).max() < 0.5

    @given(
        arrays.arrays(np.float64, (6, 5), elements=st.floats(0, 1)),
        st.integers(1, 40),
        st.integers(0, 9),
    )
    def test_areas_lie_between_0_and_1_and_a_constant_network_is_flat(
        self, values: np.ndarray, n_steps: int, seed: int
    ) -> None:
        image = random_image(6, seed=seed)[:, :, :5]
        order = rank_pixels(values, height=6, width=5, ties=np.arange(30))
        for curve_of in (deletion, insertion):
            curve = curve_of(brightness, image, order, n_steps=n_steps)
            assert curve.fractions[[0, -1]].tolist() == [0, 1]
            assert 0 <= curve.area <= 1
            flat = curve_of(lambda pictures: np.full(len(pictures), 0.3), image, order)
            assert flat.area == pytest.approx(0.3)

    def test_both_directions_of_the_same_order_add_up(self) -> None:
        # What the first pixels lose, the last have; so for a network that adds pixels up the areas
        # of an order and of its reverse sum to that of both ends.
        image, order = random_image(6), np.random.default_rng(0).permutation(36)
        areas = [deletion(brightness, image, one, n_steps=36).area for one in (order, order[::-1])]
        assert sum(areas) == pytest.approx(float(brightness(image[None])[0]))


class TestRanking:
    def test_by_hand(self) -> None:
        order = rank_pixels(
            np.array([[0.1, 0.9], [0.5, 0.3]]), height=2, width=2, ties=np.arange(4)
        )
        assert order.tolist() == [1, 2, 3, 0]

    def test_enlarged_between_the_centres(self) -> None:
        # Two cells over four pixels: 0, 0.25, 0.75, 1.
        order = rank_pixels(np.array([[0.0, 1.0]]), height=1, width=4, ties=np.arange(4))
        assert order.tolist() == [3, 2, 1, 0]

    def test_among_equals_the_given_order_decides(self) -> None:
        order = rank_pixels(
            np.array([[1.0, 1.0, 2.0]]), height=1, width=3, ties=np.array([2, 0, 1])
        )
        assert order.tolist() == [2, 1, 0]

    @given(
        arrays.arrays(np.float64, (4, 3), elements=st.integers(-5, 5)),
        st.permutations(range(12)),
    )
    def test_a_monotone_change_of_the_map_changes_nothing(
        self, values: np.ndarray, ties: list[int]
    ) -> None:
        rank = partial(rank_pixels, height=4, width=3, ties=np.array(ties))
        order = rank(values)
        assert sorted(order) == list(range(12))
        assert order.tolist() == rank(np.exp(values)).tolist() == rank(7 * values - 3).tolist()

    def test_what_does_not_fit_is_refused(self) -> None:
        with pytest.raises(ValueError, match="permutation of 4 pixels"):
            rank_pixels(np.ones((2, 2)), height=2, width=2, ties=np.zeros(4, int))
        with pytest.raises(ValueError, match="A map"):
            rank_pixels(np.ones(4), height=2, width=2, ties=np.arange(4))


def test_probabilities_are_the_softmax_whatever_the_batch() -> None:
    network = seeded(Residual).eval()
    pictures = torch.stack([random_image(seed=seed) for seed in range(5)])
    with torch.no_grad():
        expected = network(pictures).double().softmax(dim=1)[:, 2].numpy()
    for batch_size in (1, 2, 32):
        found = class_probability(network, 2, batch_size=batch_size)(pictures)
        assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("baseline", [None, lambda batch: blur(batch[0])[None]])
def test_areas_are_those_of_torchcam(baseline: object) -> None:
    # Its one baseline serves both curves: grey for our deletion, the blur for our insertion.
    network, image = seeded(Residual).eval(), random_image(16)
    with LayerCAM(network, "block") as extractor:
        metric = DeletionInsertionMetric(
            extractor, partial(torch.softmax, dim=-1), steps=16, baseline=baseline
        )
        metric.update(image[None], class_idx=1)
        # The metric ranks by the map of the probability, not of the logit.
        (cam,) = extractor(1, network(image[None]).softmax(dim=1))
    order = rank_pixels(cam[0].numpy(), height=16, width=16, ties=np.arange(256))
    probability = class_probability(network, 1)
    summary = metric.summary()
    if baseline is None:
        assert deletion(probability, image, order, n_steps=16).area == pytest.approx(
            summary["deletion_auc"], abs=1e-6
        )
    else:
        assert insertion(probability, image, order, n_steps=16).area == pytest.approx(
            summary["insertion_auc"], abs=1e-6
        )


def test_a_network_without_parameters_can_be_measured() -> None:
    class Sum(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            total = x.sum(dim=(1, 2, 3))
            return torch.stack([total, -total], dim=1)

    curve = deletion(class_probability(Sum(), 0), torch.ones(3, 4, 4), np.arange(16))
    assert curve.probabilities[[0, -1]] == pytest.approx([1, 0.5])
