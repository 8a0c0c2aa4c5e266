"""Maps sharpened to the edges of their picture, by a guided filter.

He, Sun and Tang 2010, "Guided Image Filtering", with a coloured guide. Around each pixel a map is
written as a linear function of the picture's colours, so that it changes where they do. He and Sun
2015, "Fast Guided Filter": these functions vary slowly and are found on a smaller picture.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter1d

FloatArray = NDArray[np.floating]

EPSILON: Final = 1e-3
"""Colour variance, for values in 0..1, from which on an edge is kept: a spread of about 0.03."""

_MAX_STEP: Final = 4
"""So many times smaller at most is the picture on which the filter is found, which changes a map by
0.003 on average; and so that a window still reaches 2 px to each side."""


def sharpen_map(cluster_map: FloatArray, picture: Image.Image) -> NDArray[np.float32]:
    """The map [H, W] in 0..1 at the picture's size, float32 [h, w] in 0..1, along its edges.

    The window reaches one cell of the map to each side: so far a cell does not know where in it
    something lies. What is sharper to look at is not truer: the network saw the cells.
    """
    sharpened: NDArray[np.float32] = sharpen_maps(np.asarray(cluster_map)[None], picture)[0]
    return sharpened


def sharpen_maps(cluster_maps: FloatArray, picture: Image.Image) -> NDArray[np.float32]:
    """Several maps [n, H, W] of one picture, as `sharpen_map` does each: float32 [n, h, w]."""
    width, height = picture.size
    values = np.asarray(cluster_maps, dtype=np.float32)
    smooth = np.clip(_resized(values, (height, width), Image.Resampling.BICUBIC), 0, 1)
    guide = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255
    radius = max(1, round(max(height / values.shape[1], width / values.shape[2])))
    step = max(1, min(_MAX_STEP, radius // 2))
    sharp = np.clip(guided_filter(smooth, guide, radius=radius, step=step), 0, 1)
    highest = sharp.max(axis=(1, 2), keepdims=True)
    scaled = sharp / np.where(highest > 0, highest, 1)
    return scaled.astype(np.float32, copy=False)


def guided_filter(
    values: FloatArray, guide: FloatArray, *, radius: int, epsilon: float = EPSILON, step: int = 1
) -> FloatArray:
    """The values [n, H, W], each filtered with the guide [H, W, 3], in the precision of the two.

    In each square window k of 2 radius + 1 px, cut at the borders, values = a_k . guide + b_k with
    the least squared error plus epsilon |a_k|^2; a pixel's result is the mean of all windows that
    hold it. step: a and b are found on values and guide made smaller by this, in single precision.
    """
    colours = np.moveaxis(guide, -1, 0)
    size = colours.shape[1:]
    small = (-(-size[0] // step), -(-size[1] // step))
    reach = max(1, round(radius / step))

    def means(planes: FloatArray) -> FloatArray:
        return _window_means(_resized(planes, small, Image.Resampling.BOX), reach)

    mean_p, mean_c = means(values), means(colours)
    covariance = means(colours * values[:, None]) - mean_c * mean_p[:, None]
    variance = means(colours[:, None] * colours) - mean_c[:, None] * mean_c
    for i in range(3):
        variance[i, i] += epsilon
    a = np.einsum("ijhw,njhw->nihw", _inverse(variance), covariance)
    b = mean_p - (a * mean_c).sum(axis=1)
    a, b = (
        _resized(_window_means(planes, reach), size, Image.Resampling.BILINEAR) for planes in (a, b)
    )
    filtered: FloatArray = (a * colours).sum(axis=1) + b
    return filtered


def _window_means(planes: FloatArray, radius: int) -> FloatArray:
    """Means over square windows of the last two axes, cut at the borders."""
    summed, counted = planes, np.ones(planes.shape[-2:], dtype=planes.dtype)
    for axis in (-2, -1):
        summed = uniform_filter1d(summed, 2 * radius + 1, axis=axis, mode="constant")
        counted = uniform_filter1d(counted, 2 * radius + 1, axis=axis, mode="constant")
    means: FloatArray = summed / counted
    return means


def _inverse(matrices: FloatArray) -> FloatArray:
    """Of symmetric matrices [3, 3, ...], by Cramer's rule."""
    one, two, three = matrices
    rows = [np.cross(*pair, axis=0) for pair in ((two, three), (three, one), (one, two))]
    inverse: FloatArray = np.stack(rows) / (one * rows[0]).sum(axis=0)
    return inverse


def _resized(planes: FloatArray, size: tuple[int, int], resampling: Image.Resampling) -> FloatArray:
    """Planes [..., H, W] at another height and width; as they are where that is their own."""
    if planes.shape[-2:] == size:
        return planes
    flat = planes.astype(np.float32, copy=False).reshape(-1, *planes.shape[-2:])
    resized = [Image.fromarray(one).resize(size[::-1], resampling) for one in flat]
    return np.stack([np.asarray(one) for one in resized]).reshape(*planes.shape[:-2], *size)
