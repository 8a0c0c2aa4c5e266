"""What people see: heat maps over pictures, and the masked pictures of Deep Reveal."""

from functools import cache
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

CANVAS_SIZE: Final = 256
"""Side in px on which shares of the picture and the widths of soft edges are meant."""

# Width of the soft edge (sigma, px of the canvas) by how many times the map is enlarged: the
# authors' table from 2 to 32; a map that is not enlarged at all needs none, hence the 0.
_ENLARGEMENTS: Final = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_EDGE_WIDTHS: Final = (0.0, 3.0, 6.0, 12.0, 16.0, 24.0)
_EDGE_CUT: Final = 1.5

# Dark violet to pale yellow; lightness rises evenly, so the order survives colour blindness and a
# black and white print.
HEAT_COLOURS: Final = ("#16123d", "#46288a", "#93309a", "#d8486f", "#f58b45", "#fbe183")

FloatArray = NDArray[np.floating]
_Cell = TypeVar("_Cell", np.float32, np.bool_)


def heatmap_overlay(
    picture: Image.Image,
    cluster_map: FloatArray,
    *,
    opacity: float = 0.8,
) -> Image.Image:
    """The picture in grey, RGB, with the map [H, W] in 0..1 over it, enlarged smoothly to its size.

    Where the map is 0 the grey picture shows untouched; where it is 1 the colour covers it by
    `opacity`. Grey, because the heat could not be told from a picture's own orange and violet.
    """
    heat = heatmap(cluster_map, picture.size, opacity=opacity)
    grey = picture.convert("L").convert("RGB")
    grey.paste(heat.convert("RGB"), mask=heat.getchannel("A"))
    return grey


def heatmap(cluster_map: FloatArray, size: tuple[int, int], *, opacity: float = 0.8) -> Image.Image:
    """The map alone as a transparent RGBA picture of `size` (width, height)."""
    values = np.asarray(
        Image.fromarray(_check_map(cluster_map)).resize(size, Image.Resampling.BICUBIC)
    )
    levels = np.rint(np.clip(values, 0.0, 1.0) * 255).astype(np.uint8)
    # One number of four bytes for each pixel: a third of the time that rows of four take.
    pixels = _heat_table(opacity).view(np.uint32)[levels, 0]
    return Image.frombuffer("RGBA", size, pixels.tobytes())


def reveal_mask(cluster_map: FloatArray, *, percent: float, size: int = CANVAS_SIZE) -> FloatArray:
    """How much of each pixel a player sees: float64 [size, size], 0 hidden, 1 shown.

    cluster_map: [H, W] in 0..1, enlarged by pixel repetition. The `percent` (0..100) of the pixels
    where it is highest are shown, with a soft edge; ties may show more. A pixel whose map value is
    0 is never shown, so a constant map shows nothing. A higher percent shows every pixel at least
    as much. Bianchi et al. 2024, the Deep Reveal game.
    """
    return _mask(_check_map(cluster_map), percent, size, size).astype(np.float64)


def masked_picture(picture: Image.Image, cluster_map: FloatArray, *, percent: float) -> Image.Image:
    """The picture in RGB, black but for what `reveal_mask` shows; hidden pixels are exactly 0."""
    values = _check_map(cluster_map)
    # In whole numbers up to 255, as the pixels are: a fifth of the time, and nobody sees the rest.
    light = Image.fromarray(np.rint(_light(values, percent) * 255).astype(np.uint8))
    light = light.resize(picture.size, Image.Resampling.BILINEAR)
    if not (values > 0).all():
        evidence = _repeat(values > 0, picture.height, picture.width)
        light = ImageChops.darker(light, Image.fromarray(evidence.astype(np.uint8) * 255))
    black = Image.new("RGB", picture.size)
    return Image.composite(picture.convert("RGB"), black, light)


# --- reveal masks


def _mask(
    cluster_map: NDArray[np.float32], percent: float, height: int, width: int
) -> NDArray[np.float32]:
    light = _light(cluster_map, percent)
    if light.shape != (height, width):
        enlarged = Image.fromarray(light).resize((width, height), Image.Resampling.BILINEAR)
        light = np.asarray(enlarged)
    mask: NDArray[np.float32] = np.clip(light, 0.0, 1.0)
    # The blur reaches over the edge; it must not light up what the map says is nothing.
    if not (cluster_map > 0).all():
        mask *= _repeat(cluster_map > 0, height, width)
    return mask


def _light(cluster_map: NDArray[np.float32], percent: float) -> NDArray[np.float32]:
    """The soft light at the canvas's size, before it is taken from where there is no evidence."""
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} is not a share in percent, 0..100.")
    canvas = _repeat(cluster_map, CANVAS_SIZE, CANVAS_SIZE)
    threshold = np.percentile(canvas, 100 - percent)
    # Chosen among the map's own cells, so that every size of picture shows the same ones.
    shown = (canvas >= threshold) & (canvas > 0)
    sigma = [
        np.interp(CANVAS_SIZE / n_cells, _ENLARGEMENTS, _EDGE_WIDTHS)
        for n_cells in cluster_map.shape
    ]
    # Blurred at the canvas's size: twice the side is eight times the arithmetic, and nobody sees
    # the difference in so soft an edge.
    # Here: whoever starts without drawing starts sooner.
    from scipy.ndimage import gaussian_filter

    light: NDArray[np.float32] = gaussian_filter(
        shown.astype(np.float32), sigma, truncate=_EDGE_CUT
    )
    return np.clip(light, 0.0, 1.0)


def _repeat(cells: NDArray[_Cell], height: int, width: int) -> NDArray[_Cell]:
    """Cells [H, W] enlarged to [height, width] by repetition, evenly where it does not divide."""
    rows = np.arange(height) * cells.shape[0] // height
    columns = np.arange(width) * cells.shape[1] // width
    enlarged: NDArray[_Cell] = cells.take(rows, axis=0).take(columns, axis=1)
    return enlarged


def _check_map(cluster_map: FloatArray) -> NDArray[np.float32]:
    values = np.asarray(cluster_map, dtype=np.float32)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"A map [H, W] of finite numbers is needed, not {list(values.shape)}.")
    return values


# --- colours


@cache
def _heat_table(opacity: float) -> NDArray[np.uint8]:
    """256 colours with their opacity [256, 4], for a map's values from 0 to 1."""
    # Steeper than the map, so that the picture stays clear where the layer looked little.
    alpha = np.round(255 * opacity * np.linspace(0, 1, 256) ** 1.3).astype(np.uint8)
    return np.ascontiguousarray(np.column_stack([_colour_table(), alpha]))


@cache
def _colour_table() -> NDArray[np.uint8]:
    """256 colours [256, 3]: the stops, joined by straight lines."""
    stops = np.array([[int(hex_[i : i + 2], 16) for i in (1, 3, 5)] for hex_ in HEAT_COLOURS])
    at = np.linspace(0, 255, len(stops))
    channels = [np.interp(np.arange(256), at, stops[:, i]) for i in range(3)]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)
