"""What people see: heat maps over pictures, the masked pictures of Deep Reveal, the HTML report."""

import base64
import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from app.explain.explanation import Explanation

CANVAS_SIZE: Final = 256
"""Side in px on which shares of the picture and the widths of soft edges are meant."""

# Width of the soft edge (sigma, px of the canvas) by how many times the map is enlarged: the
# authors' table from 2 to 32; a map that is not enlarged at all needs none, hence the 0.
_ENLARGEMENTS: Final = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_EDGE_WIDTHS: Final = (0.0, 3.0, 6.0, 12.0, 16.0, 24.0)
_EDGE_CUT: Final = 1.5

# Dark violet to pale yellow; lightness rises evenly, so the order survives colour blindness and a
# black and white print.
_HEAT_COLOURS: Final = ("#16123d", "#46288a", "#93309a", "#d8486f", "#f58b45", "#fbe183")

_N_TOP_CLASSES: Final = 5
_REPORT_PICTURE_SIZE: Final = 448
_REPORT_MAP_SIZE: Final = 288
_FOLDER: Final = Path(__file__).parent

FloatArray = NDArray[np.floating]
_Cell = TypeVar("_Cell", np.float32, np.bool_)


def heatmap_overlay(
    picture: Image.Image,
    cluster_map: FloatArray,
    *,
    opacity: float = 0.8,
) -> Image.Image:
    """The picture in RGB with the map [H, W] in 0..1 over it, enlarged smoothly to its size.

    Where the map is 0 the picture shows untouched; where it is 1 the colour covers it by `opacity`.
    """
    heat = heatmap(cluster_map, picture.size, opacity=opacity)
    return Image.alpha_composite(picture.convert("RGBA"), heat).convert("RGB")


def heatmap(cluster_map: FloatArray, size: tuple[int, int], *, opacity: float = 0.8) -> Image.Image:
    """The map alone as a transparent RGBA picture of `size` (width, height)."""
    values = np.asarray(
        Image.fromarray(_check_map(cluster_map)).resize(size, Image.Resampling.BICUBIC)
    )
    values = np.clip(values, 0.0, 1.0)
    colours = _colour_table()[np.round(values * 255).astype(np.uint8)]
    # Steeper than the map, so that the picture stays clear where the layer looked little.
    alpha = np.round(255 * opacity * values**1.3).astype(np.uint8)
    return Image.fromarray(np.dstack([colours, alpha]))


def reveal_mask(cluster_map: FloatArray, *, percent: float, size: int = CANVAS_SIZE) -> FloatArray:
    """How much of each pixel a player sees: float64 [size, size], 0 hidden, 1 shown.

    cluster_map: [H, W] in 0..1, enlarged by pixel repetition. The `percent` (0..100) of the pixels
    where it is highest are shown, with a soft edge; ties may show more. A pixel whose map value is
    0 is never shown, so a constant map shows nothing. A higher percent shows every pixel at least
    as much. Bianchi et al. 2024, the Deep Reveal game.
    """
    return _mask(_check_map(cluster_map), percent, size, size)


def masked_picture(picture: Image.Image, cluster_map: FloatArray, *, percent: float) -> Image.Image:
    """The picture in RGB, black but for what `reveal_mask` shows; hidden pixels are exactly 0."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float64)
    mask = _mask(_check_map(cluster_map), percent, picture.height, picture.width)
    return Image.fromarray(np.round(pixels * mask[..., None]).astype(np.uint8))


def report_html(explanation: Explanation, picture: Image.Image, *, title: str) -> str:
    """One explanation as a page that opens offline: all styles and pictures are in it.

    picture: what the network saw, as Network.view gives it. title: what the picture is called.
    """
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            title=title,
            explanation=explanation,
            style=Markup((_FOLDER / "report.css").read_text(encoding="utf-8")),
            picture=_data_uri(_fitted(picture, _REPORT_PICTURE_SIZE)),
            answers=_top_answers(explanation),
            layers=_layer_sections(explanation, _fitted(picture, _REPORT_MAP_SIZE)),
            heat_colours=", ".join(_HEAT_COLOURS),
            target=_class_label(explanation, explanation.target),
            predicted=_class_label(explanation, explanation.predicted),
        )
    )


# --- reveal masks


def _mask(cluster_map: NDArray[np.float32], percent: float, height: int, width: int) -> FloatArray:
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} is not a share in percent, 0..100.")
    canvas = _repeat(cluster_map, CANVAS_SIZE, CANVAS_SIZE)
    threshold = np.percentile(canvas, 100 - percent)
    # Chosen among the map's own cells, so that every size of picture shows the same ones.
    has_evidence = cluster_map > 0
    shown = _repeat((cluster_map >= threshold) & has_evidence, height, width).astype(np.float64)
    sigma = [
        np.interp(CANVAS_SIZE / n_cells, _ENLARGEMENTS, _EDGE_WIDTHS) * n_px / CANVAS_SIZE
        for n_cells, n_px in zip(cluster_map.shape, (height, width), strict=True)
    ]
    softened = gaussian_filter(shown, sigma, truncate=_EDGE_CUT)
    # The blur reaches over the edge; it must not light up what the map says is nothing.
    mask: FloatArray = np.clip(softened, 0, 1) * _repeat(has_evidence, height, width)
    return mask


def _repeat(cells: NDArray[_Cell], height: int, width: int) -> NDArray[_Cell]:
    """Cells [H, W] enlarged to [height, width] by repetition, evenly where it does not divide."""
    rows = np.arange(height) * cells.shape[0] // height
    columns = np.arange(width) * cells.shape[1] // width
    return cells[np.ix_(rows, columns)]


def _check_map(cluster_map: FloatArray) -> NDArray[np.float32]:
    values = np.asarray(cluster_map, dtype=np.float32)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"A map [H, W] of finite numbers is needed, not {list(values.shape)}.")
    return values


# --- colours


@cache
def _colour_table() -> NDArray[np.uint8]:
    """256 colours [256, 3]: the stops, joined by straight lines."""
    stops = np.array([[int(hex_[i : i + 2], 16) for i in (1, 3, 5)] for hex_ in _HEAT_COLOURS])
    at = np.linspace(0, 255, len(stops))
    channels = [np.interp(np.arange(256), at, stops[:, i]) for i in range(3)]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)


# --- the report


@dataclass(frozen=True, slots=True)
class _Answer:
    label: str
    percent: float
    is_target: bool


@dataclass(frozen=True, slots=True)
class _ClusterCard:
    overlay: str
    weight: float
    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _LayerSection:
    name: str
    side: str
    n_channels: int
    n_kept: int
    kept_weight: float
    has_evidence: bool
    shown_weight: float
    n_left_out: int
    cards: tuple[_ClusterCard, ...]


def _layer_sections(explanation: Explanation, picture: Image.Image) -> list[_LayerSection]:
    return [
        _LayerSection(
            name=layer.name,
            side=f"{layer.width} × {layer.height}",
            n_channels=layer.n_channels,
            n_kept=layer.n_kept,
            kept_weight=layer.kept_weight,
            has_evidence=layer.has_evidence,
            shown_weight=sum(cluster.weight for cluster in layer.clusters),
            n_left_out=layer.n_kept - sum(len(cluster.channels) for cluster in layer.clusters),
            cards=tuple(
                _ClusterCard(
                    overlay=_data_uri(heatmap_overlay(picture, cluster.map)),
                    weight=cluster.weight,
                    channels=cluster.channels,
                )
                for cluster in layer.clusters
            ),
        )
        for layer in explanation.layers
    ]


def _top_answers(explanation: Explanation) -> list[_Answer]:
    best = [int(i) for i in np.argsort(-explanation.probabilities, kind="stable")]
    shown = best[:_N_TOP_CLASSES]
    if explanation.target not in shown:
        shown.append(explanation.target)
    return [
        _Answer(
            label=_class_label(explanation, index),
            percent=100 * float(explanation.probabilities[index]),
            is_target=index == explanation.target,
        )
        for index in shown
    ]


def _class_label(explanation: Explanation, index: int) -> str:
    name = explanation.name_of(index)
    return f"class {index}" if name is None else name.replace("_", " ")


def _fitted(picture: Image.Image, side: int) -> Image.Image:
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def _data_uri(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=86)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _percent(value: float) -> str:
    """ "12 %", and more exactly where rounding would say nothing or everything."""
    if value <= 0 or value >= 100 or 1 <= value <= 99:
        return f"{value:.0f} %"
    return "under 1 %" if value < 1 else "over 99 %"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["percent"] = _percent
    return environment
