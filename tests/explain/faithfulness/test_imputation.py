"""ROAD and its noisy linear imputation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pytorch_grad_cam.metrics.perturbation_confidence import (
    PerturbationConfidenceMetric,
    RemoveMostRelevantFirst,
)
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

from app.explain.faithfulness import imputation
from app.explain.faithfulness.curves import class_probability, rank_pixels
from app.explain.faithfulness.imputation import impute, remove_and_impute
from tests.explain.toys import Residual, random_image, seeded


def fill(pixels: np.ndarray, missing: np.ndarray, *, noise: float = 0) -> np.ndarray:
    return impute(pixels, missing, rng=np.random.default_rng(0), noise=noise)


def only(*places: tuple[int, int]) -> np.ndarray:
    missing = np.zeros((3, 3), bool)
    for place in places:
        missing[place] = True
    return missing


PIXELS = np.arange(1.0, 10.0).reshape(1, 3, 3)
"""1 2 3 / 4 5 6 / 7 8 9"""


class TestImputing:
    def test_by_hand(self) -> None:
        pixels = PIXELS.copy()
        pixels[0, 0, 1] = 8
        # Direct neighbours 8, 4, 6, 8 by 1/6 each, diagonal ones 1, 3, 7, 9 by 1/12 each.
        assert fill(pixels, only((1, 1)))[0, 1, 1] == pytest.approx(26 / 6 + 20 / 12)
        # In the corner, 2 and 4 by 1/6 and 5 by 1/12, which sum to 5/12.
        assert fill(PIXELS, only((0, 0)))[0, 0, 0] == pytest.approx((1 + 5 / 12) / (5 / 12))

    def test_two_holes_side_by_side_are_solved_together(self) -> None:
        # a = (2 b + 2 * 4 + 5) / 5 for the corner, where b is the pixel right of it, and
        # b = (2 a + 2 * 3 + 2 * 5 + 4 + 6) / 8.
        filled = fill(PIXELS, only((0, 0), (0, 1)))
        a, b = filled[0, 0, :2]
        assert a == pytest.approx((2 * b + 13) / 5)
        assert b == pytest.approx((2 * a + 26) / 8)

    def test_noise_is_added_to_the_missing_pixels_alone(self) -> None:
        pixels = np.zeros((3, 40, 40))
        missing = np.zeros((40, 40), bool)
        missing[10:30, 10:30] = True
        filled = fill(pixels, missing, noise=0.01)
        assert (filled[:, ~missing] == 0).all()
        assert filled[:, missing].std() == pytest.approx(0.01, rel=0.1)

    @given(
        arrays.arrays(np.float64, (2, 5, 6), elements=st.floats(-1, 1, width=32)),
        arrays.arrays(np.bool_, (5, 6)).filter(lambda missing: not missing.all()),
    )
    def test_known_pixels_stay_and_the_rest_lies_between_them(
        self, pixels: np.ndarray, missing: np.ndarray
    ) -> None:
        filled = fill(pixels, missing)
        assert (filled[:, ~missing] == pixels[:, ~missing]).all()
        for channel, known in zip(filled, pixels[:, ~missing], strict=True):
            assert known.min() - 1e-9 <= channel.min()
            assert channel.max() <= known.max() + 1e-9

    @pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # theirs
    @given(arrays.arrays(np.bool_, (7, 9)).filter(lambda missing: 0 < missing.sum() < 63))
    def test_as_the_authors(self, missing: np.ndarray) -> None:
        pixels = np.random.default_rng(0).random((3, 7, 9))
        theirs = NoisyLinearImputer(noise=0)(
            torch.from_numpy(pixels).float(), torch.from_numpy(~missing).float()
        )
        assert fill(pixels, missing) == pytest.approx(theirs.numpy(), abs=1e-4)

    def test_a_picture_without_any_pixel_is_refused(self) -> None:
        with pytest.raises(ValueError, match="nothing to impute"):
            fill(PIXELS, np.ones((3, 3), bool))


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # theirs
def test_probabilities_are_those_of_pytorch_grad_cam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imputation, "NOISE", 0)
    network, image = seeded(Residual).eval(), random_image(20)
    cam = np.random.default_rng(1).permutation(400).reshape(20, 20) / 400
    order = rank_pixels(cam, height=20, width=20, ties=np.arange(400))
    found = remove_and_impute(
        class_probability(network, 1), image, order, rng=np.random.default_rng(0), percents=(25, 75)
    )
    for probability, percent in zip(found, (25, 75), strict=True):
        metric = PerturbationConfidenceMetric(
            RemoveMostRelevantFirst(100 - percent, NoisyLinearImputer(noise=0))
        )
        target = ClassifierOutputSoftmaxTarget(1)
        (expected,) = metric(
            image[None], cam[None].astype(np.float32), [target], network, return_diff=False
        )
        assert probability == pytest.approx(float(expected), abs=1e-5)
