"""A map sharpened to the edges of its picture, by a guided filter.

He, Sun and Tang 2010, "Guided Image Filtering", with a coloured guide. Around each pixel the map is
written as a linear function of the picture's colours, so that it changes where they do.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter1d

FloatArray = NDArray[np.floating]

EPSILON: Final = 1e-3
"""Colour variance, for values in 0..1, from which on an edge is kept: a spread of about 0.03."""


def sharpen_map(cluster_map: FloatArray, picture: Image.Image) -> NDArray[np.float32]:
    """The map [H, W] in 0..1 at the picture's size, float32 [h, w] in 0..1, along its edges.

    The window reaches one cell of the map to each side: so far a cell does not know where in it
    something lies. What is sharper to look at is not truer: the network saw the cells.
    """
    width, height = picture.size
    values = np.asarray(cluster_map, dtype=np.float32)
    smooth = np.asarray(
        Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC), dtype=np.float64
    )
    guide = np.asarray(picture.convert("RGB"), dtype=np.float64) / 255
    radius = max(1, round(max(height / values.shape[0], width / values.shape[1])))
    sharp = np.clip(guided_filter(np.clip(smooth, 0, 1), guide, radius=radius), 0, 1)
    highest = sharp.max()
    scaled: NDArray[np.float32] = (sharp / highest if highest > 0 else sharp).astype(np.float32)
    return scaled


def guided_filter(
    values: FloatArray, guide: FloatArray, *, radius: int, epsilon: float = EPSILON
) -> NDArray[np.float64]:
    """The values [H, W], filtered with the guide [H, W, 3].

    In each square window k of 2 radius + 1 px, cut at the borders, values = a_k . guide + b_k with
    the least squared error plus epsilon |a_k|^2; a pixel's result is the mean of all windows that
    hold it.
    """

    def mean(field: FloatArray) -> NDArray[np.float64]:
        return _window_mean(field, radius)

    p, colours = np.asarray(values, dtype=np.float64), np.asarray(guide, dtype=np.float64)
    mean_p, mean_colours = mean(p), mean(colours)
    covariance = mean(colours * p[..., None]) - mean_colours * mean_p[..., None]
    products = colours[..., :, None] * colours[..., None, :]
    variance = mean(products) - mean_colours[..., :, None] * mean_colours[..., None, :]
    a = np.linalg.solve(variance + epsilon * np.eye(3), covariance[..., None])[..., 0]
    b = mean_p - (a * mean_colours).sum(axis=-1)
    filtered: NDArray[np.float64] = (mean(a) * colours).sum(axis=-1) + mean(b)
    return filtered


def _window_mean(field: FloatArray, radius: int) -> NDArray[np.float64]:
    """Means over square windows of the first two axes, cut at the borders."""
    size = 2 * radius + 1
    summed, counted = field, np.ones(field.shape[:2])
    for axis in (0, 1):
        summed = uniform_filter1d(summed, size, axis=axis, mode="constant")
        counted = uniform_filter1d(counted, size, axis=axis, mode="constant")
    means: NDArray[np.float64] = summed / counted.reshape(*counted.shape, *[1] * (field.ndim - 2))
    return means
