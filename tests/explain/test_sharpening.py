"""The guided filter by its definition, and what it does to a map."""

import numpy as np
import pytest
from PIL import Image

from app.explain import sharpen_map
from app.explain.sharpening import guided_filter


def by_definition(values, guide, radius, epsilon):
    """He et al. 2010, equations 4 to 8 and 19 to 21, window by window."""
    height, width = values.shape

    def window(row, column):
        rows = slice(max(0, row - radius), row + radius + 1)
        columns = slice(max(0, column - radius), column + radius + 1)
        return rows, columns

    a, b = np.zeros((height, width, 3)), np.zeros((height, width))
    for row, column in np.ndindex(height, width):
        colours = guide[window(row, column)].reshape(-1, 3)
        inside = values[window(row, column)].ravel()
        variance = np.cov(colours.T, bias=True)
        covariance = (colours * inside[:, None]).mean(0) - colours.mean(0) * inside.mean()
        a[row, column] = np.linalg.inv(variance + epsilon * np.eye(3)) @ covariance
        b[row, column] = inside.mean() - a[row, column] @ colours.mean(0)
    filtered = np.zeros_like(values)
    for row, column in np.ndindex(height, width):
        mean_a = a[window(row, column)].reshape(-1, 3).mean(0)
        filtered[row, column] = mean_a @ guide[row, column] + b[window(row, column)].mean()
    return filtered


@pytest.mark.parametrize(("radius", "epsilon"), [(1, 1e-3), (2, 1e-1), (3, 1e-4)])
def test_filter_is_its_definition(radius, epsilon):
    rng = np.random.default_rng(0)
    values, guide = rng.random((7, 9)), rng.random((7, 9, 3))

    found = guided_filter(values, guide, radius=radius, epsilon=epsilon)

    np.testing.assert_allclose(found, by_definition(values, guide, radius, epsilon), atol=1e-9)


def test_a_guide_of_one_colour_leaves_means_of_means():
    values = np.random.default_rng(0).random((6, 6))

    found = guided_filter(values, np.full((6, 6, 3), 0.4), radius=1)

    means = np.array(
        [[values[max(0, r - 1) : r + 2, max(0, c - 1) : c + 2].mean() for c in range(6)]
         for r in range(6)]
    )  # fmt: skip
    assert found[3, 3] == pytest.approx(means[2:5, 2:5].mean())


def test_a_map_ends_at_the_edge_of_the_thing():
    # The left 40 of 96 px are red. A map of 6 x 6 cells lights the two left columns, 32 px, and
    # half of the third, so that it ends in a slope over the edge.
    picture = Image.new("RGB", (96, 96), (40, 60, 200))
    picture.paste((220, 40, 30), (0, 0, 40, 96))
    cluster_map = np.tile([1, 1, 0.5, 0, 0, 0], (6, 1)).astype(np.float32)

    sharp = sharpen_map(cluster_map, picture)

    smooth = np.asarray(Image.fromarray(cluster_map).resize((96, 96), Image.Resampling.BICUBIC))
    assert smooth[48, 39] - smooth[48, 40] < 0.1
    assert sharp[48, 39] - sharp[48, 40] > 0.4
    assert (sharp.dtype, sharp.shape) == (np.float32, (96, 96))
    assert (sharp.min() >= 0, sharp.max()) == (True, 1)


@pytest.mark.parametrize("size", [(50, 50), (3, 5), (120, 40)])
def test_a_map_of_nothing_stays_nothing(size):
    assert not sharpen_map(np.zeros((4, 4)), Image.new("RGB", size)).any()
