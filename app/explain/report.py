"""One explanation in HTML: a page that stands alone, and what a notebook shows."""

import base64
import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from app.explain.render import HEAT_COLOURS, heatmap, heatmap_overlay
from app.explain.sharpening import sharpen_maps

if TYPE_CHECKING:
    from app.explain.explanation import Explanation, LayerExplanation

_N_TOP_CLASSES: Final = 5
_REPORT_PICTURE_SIZE: Final = 448
_REPORT_MAP_SIZE: Final = 288
_NOTEBOOK_MAP_SIZE: Final = 88
_FOLDER: Final = Path(__file__).parent


def report_html(explanation: "Explanation", picture: Image.Image, *, title: str) -> str:
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
            heat_colours=", ".join(HEAT_COLOURS),
            **_class_labels(explanation),
        )
    )


def notebook_html(explanation: "Explanation") -> str:
    """What a notebook shows of an explanation: a table of its layers with their maps.

    An explanation does not hold its picture, so the maps are shown alone, at their own resolution
    and enlarged by the browser, which keeps the whole some tens of kB. No scripts, no style sheet.
    """
    layers = [
        {
            "name": layer.name,
            "n_kept": layer.n_kept,
            "n_channels": layer.n_channels,
            "has_evidence": layer.has_evidence,
            "cards": _notebook_cards(layer),
        }
        for layer in explanation.layers
    ]
    template = _environment().get_template("notebook.html.jinja")
    return template.render(explanation=explanation, layers=layers, **_class_labels(explanation))


def _notebook_cards(layer: "LayerExplanation") -> list[dict[str, object]]:
    height = round(_NOTEBOOK_MAP_SIZE * layer.height / layer.width)
    side = min(1.0, _NOTEBOOK_MAP_SIZE / layer.width)
    size = (max(1, round(layer.width * side)), max(1, round(layer.height * side)))
    ground = Image.new("RGBA", size, HEAT_COLOURS[0])
    cards: list[dict[str, object]] = []
    for cluster in layer.clusters:
        heat = Image.alpha_composite(ground, heatmap(cluster.map, size, opacity=1.0))
        cards.append(
            {
                "picture": _data_uri(heat.convert("RGB"), "PNG"),
                "height_px": height,
                "weight": cluster.weight,
                "channels": cluster.channels,
            }
        )
    return cards


@dataclass(frozen=True, slots=True)
class _Answer:
    label: str
    percent: float
    is_target: bool
    is_contrast: bool


@dataclass(frozen=True, slots=True)
class _ClusterCard:
    overlay: str
    sharpened: str
    weight: float
    effect: float | None
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


def _layer_sections(explanation: "Explanation", picture: Image.Image) -> list[_LayerSection]:
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
            cards=_cluster_cards(layer, picture),
        )
        for layer in explanation.layers
    ]


def _cluster_cards(layer: "LayerExplanation", picture: Image.Image) -> tuple[_ClusterCard, ...]:
    if not layer.clusters:
        return ()
    sharpened = sharpen_maps(np.stack([cluster.map for cluster in layer.clusters]), picture)
    return tuple(
        _ClusterCard(
            overlay=_data_uri(heatmap_overlay(picture, cluster.map)),
            sharpened=_data_uri(heatmap_overlay(picture, sharp)),
            weight=cluster.weight,
            effect=layer.effect_of(cluster),
            channels=cluster.channels,
        )
        for cluster, sharp in zip(layer.clusters, sharpened, strict=True)
    )


def _top_answers(explanation: "Explanation") -> list[_Answer]:
    best = [int(i) for i in np.argsort(-explanation.probabilities, kind="stable")]
    shown = best[:_N_TOP_CLASSES]
    for index in (explanation.target, explanation.contrast):
        if index is not None and index not in shown:
            shown.append(index)
    return [
        _Answer(
            label=_class_label(explanation, index),
            percent=100 * float(explanation.probabilities[index]),
            is_target=index == explanation.target,
            is_contrast=index == explanation.contrast,
        )
        for index in shown
    ]


def _class_labels(explanation: "Explanation") -> dict[str, str | None]:
    indices = {
        "target": explanation.target,
        "contrast": explanation.contrast,
        "predicted": explanation.predicted,
    }
    return {
        role: None if index is None else _class_label(explanation, index)
        for role, index in indices.items()
    }


def _class_label(explanation: "Explanation", index: int) -> str:
    name = explanation.name_of(index)
    return f"class {index}" if name is None else name.replace("_", " ")


def _fitted(picture: Image.Image, side: int) -> Image.Image:
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def _data_uri(picture: Image.Image, kind: str = "JPEG") -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=86)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(buffer.getvalue()).decode(
        "ascii"
    )


def _percent(value: float) -> str:
    """ "12 %", and more exactly where rounding would say nothing or everything."""
    if value <= 0 or value >= 100 or 1 <= value <= 99:
        return f"{value:.0f} %"
    return "under 1 %" if value < 1 else "over 99 %"


def signed(value: float) -> str:
    """Two digits that count, with a sign: "+1.8", "−0.031", "+123"."""
    n_decimals = max(0, 1 - int(np.floor(np.log10(abs(value))))) if value else 0
    return f"{value:+.{n_decimals}f}".replace("-", "−")


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
    environment.globals["signed"] = signed
    return environment
