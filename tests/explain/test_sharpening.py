"""The guided filter by its definition, and what it does to a map."""

import numpy as np
import pytest
from PIL import Image

from app.explain import sharpen_map
from app.explain.sharpening import guided_filter, sharpen_maps


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

    found = guided_filter(values[None], guide, radius=radius, epsilon=epsilon)[0]

    np.testing.assert_allclose(found, by_definition(values, guide, radius, epsilon), atol=1e-9)


def test_a_guide_of_one_colour_leaves_means_of_means():
    values = np.random.default_rng(0).random((6, 6))

    found = guided_filter(values[None], np.full((6, 6, 3), 0.4), radius=1)[0]

    means = np.array(
        [[values[max(0, r - 1) : r + 2, max(0, c - 1) : c + 2].mean() for c in range(6)]
         for r in range(6)]
    )  # fmt: skip
    assert found[3, 3] == pytest.approx(means[2:5, 2:5].mean())


@pytest.mark.parametrize("step", [2, 4])
def test_a_filter_found_on_a_smaller_picture_is_nearly_the_same(step):
    rng = np.random.default_rng(0)
    # Things with edges, as in a picture, and a little noise.
    colours = np.repeat(np.repeat(rng.random((8, 10, 3)), 16, axis=0), 16, axis=1)
    guide = np.clip(colours + 0.02 * rng.normal(size=colours.shape), 0, 1)
    smooth = np.stack([np.add.outer(np.arange(128), np.arange(160)) / 287, rng.random((128, 160))])

    small, whole = (guided_filter(smooth, guide, radius=18, step=one) for one in (step, 1))

    assert np.abs(small - whole).mean() < 0.005
    assert np.abs(small - whole).max() < 0.05


def test_several_maps_are_sharpened_as_each_alone():
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (90, 70, 3), dtype=np.uint8))
    maps = rng.random((3, 7, 7)).astype(np.float32)

    together = sharpen_maps(maps, picture)

    for one, sharp in zip(maps, together, strict=True):
        np.testing.assert_array_equal(sharpen_map(one, picture), sharp)


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
