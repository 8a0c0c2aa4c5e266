"""RISE by its definition, and what it finds where the answer is known."""

import numpy as np
import pytest
import torch
from torch import nn

from app.explain.rise import rank_correlation, rise_map, rise_masks

from .toys import Residual, random_image, seeded


class TopLeft(nn.Module):
    """Class 1 when the top left quarter of the picture is bright."""

    def forward(self, x):
        height, width = x.shape[2] // 2, x.shape[3] // 2
        logit = 4 * x[:, :, :height, :width].mean(dim=(1, 2, 3)) - 2
        return torch.stack([-logit, logit], dim=1)


def test_it_is_its_definition():
    # S = sum over N masks M of f(I * M) M / (N p), Petsiuk et al. 2018, equation 6.
    network, image = seeded(Residual).eval(), random_image()

    found = rise_map(network, image, target=2, n_masks=50, n_cells=4, seed=3)

    masks = torch.stack(list(rise_masks(50, 12, 12, n_cells=4, seed=3)))
    with torch.no_grad():
        answers = torch.stack([network((image * mask)[None])[0].softmax(0)[2] for mask in masks])
    expected = (answers[:, None, None] * masks).sum(0) / (50 * 0.5)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_pixels_that_matter_stand_out():
    found = rise_map(TopLeft(), torch.ones(3, 16, 16), target=1, n_masks=500, n_cells=4)

    inside = found[:8, :8].mean()
    assert inside > 1.15 * np.r_[found[:8, 8:].ravel(), found[8:].ravel()].mean()


def test_pixels_that_do_not_matter_have_the_mean_probability():
    class Constant(nn.Module):
        def forward(self, x):
            return torch.tensor([[1.0, 0.0]]).expand(len(x), -1)

    found = rise_map(Constant(), torch.ones(3, 16, 16), target=0, n_masks=2000, n_cells=4)

    np.testing.assert_allclose(found, 1 / (1 + np.exp(-1)), atol=0.06)


def test_masks_show_half_in_smooth_cells():
    masks = np.stack(list(rise_masks(400, 20, 30, n_cells=5, seed=0)))

    assert masks.shape == (400, 20, 30)
    assert (masks.min() >= 0, masks.max() <= 1 + 1e-6) == (True, True)
    np.testing.assert_allclose(masks.mean(axis=0), 0.5, atol=0.1)
    # A cell is 4 x 6 px, so along a row a mask changes by at most a sixth from pixel to pixel.
    assert np.abs(np.diff(masks, axis=2)).max() <= 1 / 6 + 1e-6
    assert np.abs(np.diff(masks, axis=1)).max() <= 1 / 4 + 1e-6


def test_the_seed_decides_and_the_batch_does_not():
    network, image = seeded(Residual), random_image()

    one, same, other = (
        rise_map(network, image, target=0, n_masks=40, n_cells=4, seed=seed, batch_size=size)
        for seed, size in ((1, 32), (1, 7), (2, 32))
    )

    np.testing.assert_allclose(one, same, atol=1e-6)
    assert not np.allclose(one, other, atol=1e-3)


def test_the_network_is_left_as_it_was():
    network = seeded(Residual).train()

    rise_map(network, random_image(), n_masks=3, n_cells=2)

    assert all(part.training for part in network.modules())


def test_class_by_name_and_picture_need_a_network(small_network, drawn_picture):
    found = rise_map(small_network, drawn_picture, target="sun", n_masks=2)

    assert (found.shape, found.dtype) == ((224, 224), np.float32)


def test_rank_correlation_by_hand():
    coarse = np.array([[1.0, 2.0], [3.0, 4.0]])
    # Means over 2 x 2 px: 10, 20, 40, 30; ranks 1 2 4 3 against 1 2 3 4:
    # 1 - 6 * (0 + 0 + 1 + 1) / (4 * 15) = 0.8.
    fine = np.kron([[10.0, 20.0], [40.0, 30.0]], np.ones((2, 2)))
    fine[0, 0], fine[1, 1] = 5, 15

    assert rank_correlation(coarse, fine) == pytest.approx(0.8)
    assert rank_correlation(coarse, -coarse) == pytest.approx(-1)
    assert rank_correlation(coarse, np.ones((4, 4))) == 0


def test_it_tells_a_right_map_from_a_wrong_one():
    checked = rise_map(TopLeft(), torch.ones(3, 16, 16), target=1, n_masks=500, n_cells=4)
    right = np.zeros((4, 4))
    right[:2, :2] = 1

    assert rank_correlation(right, checked) > 0.6
    assert rank_correlation(right[::-1], checked) < 0
