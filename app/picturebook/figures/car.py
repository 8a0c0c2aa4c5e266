"""A car from the side: body, wheels, windows, headlight, and bumpers of chrome."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.picturebook.canvas import Canvas, Colour, mix, rgb
from app.picturebook.figures.joinery import around, bar, darker, dots, paler, pick, rounded
from app.picturebook.figures.living import outside
from app.picturebook.figures.placing import place
from app.picturebook.shapes import Points, ellipse, polygon, rectangle, stroke

_PAINTS: Final = (
    *("#d8412f", "#f0b429", "#3a86b8", "#5a9e5f", "#e67a3c", "#8e5aa0", "#e79aa6", "#37a39b"),
    *("#c23b5e", "#f1e3c4"),
)
_SECOND: Final = ("#fbf1dc", "#f6c453", "#2f4a6d", "#a33a35", "#7cc0c4", "#4a3a4e")
_GLASS: Final = ("#a9d6e8", "#c3e3dc", "#86b4d4", "#b9cfe6")
_METALS: Final = ("#d4d9df", "#c9ced6", "#e3cf98", "#b9c6d2")

Corners = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class _Shape:
    """body: its outline. windows: their outlines, of a car that drives to the right. front: where
    the headlight sits. belt: height of the line below the windows, from and to which x."""

    body: Corners
    windows: tuple[Corners, ...]
    front: tuple[float, float]
    belt: tuple[float, float, float]


_BEETLE: Final = _Shape(
    (
        *((-0.75, -0.17, 0.05), (-0.79, -0.52, 0.2), (-0.52, -0.72, 0.2), (-0.42, -1.02, 0.34)),
        *((0.2, -1.02, 0.34), (0.4, -0.6, 0.16), (0.76, -0.6, 0.26), (0.76, -0.17, 0.05)),
    ),
    (
        ((-0.42, -0.58, 0.05), (-0.31, -0.92, 0.16), (-0.1, -0.92, 0.02), (-0.1, -0.58, 0.03)),
        ((-0.04, -0.58, 0.03), (-0.04, -0.92, 0.02), (0.15, -0.92, 0.14), (0.3, -0.58, 0.05)),
    ),
    (0.66, -0.44),
    (-0.56, -0.53, 0.48),
)
_SALOON: Final = _Shape(
    (
        *((-0.76, -0.17, 0.05), (-0.78, -0.6, 0.08), (-0.6, -0.63, 0.06), (-0.46, -1.0, 0.1)),
        *((0.12, -1.0, 0.1), (0.34, -0.61, 0.08), (0.74, -0.57, 0.12), (0.78, -0.17, 0.06)),
    ),
    (
        ((-0.48, -0.58, 0.03), (-0.39, -0.92, 0.06), (-0.16, -0.92, 0.02), (-0.16, -0.58, 0.02)),
        ((-0.1, -0.58, 0.02), (-0.1, -0.92, 0.02), (0.08, -0.92, 0.06), (0.25, -0.58, 0.04)),
    ),
    (0.67, -0.44),
    (-0.75, -0.53, 0.72),
)
_VAN: Final = _Shape(
    (
        *((-0.77, -0.17, 0.06), (-0.77, -1.0, 0.16), (0.4, -1.0, 0.18), (0.6, -0.58, 0.1)),
        *((0.77, -0.54, 0.14), (0.78, -0.17, 0.06)),
    ),
    (
        ((-0.68, -0.58, 0.04), (-0.68, -0.9, 0.06), (-0.38, -0.9, 0.04), (-0.38, -0.58, 0.04)),
        ((-0.31, -0.58, 0.04), (-0.31, -0.9, 0.04), (-0.01, -0.9, 0.04), (-0.01, -0.58, 0.04)),
        ((0.06, -0.58, 0.04), (0.06, -0.9, 0.04), (0.33, -0.9, 0.1), (0.47, -0.58, 0.04)),
    ),
    (0.66, -0.42),
    (-0.75, -0.53, 0.7),
)
_OLDTIMER: Final = _Shape(
    (
        *((-0.72, -0.17, 0.05), (-0.77, -0.42, 0.1), (-0.62, -0.6, 0.06), (-0.58, -1.0, 0.12)),
        *((0.06, -1.0, 0.08), (0.1, -0.64, 0.04), (0.62, -0.64, 0.08), (0.7, -0.44, 0.1)),
        (0.74, -0.17, 0.06),
    ),
    (
        ((-0.52, -0.57, 0.03), (-0.5, -0.92, 0.07), (-0.27, -0.92, 0.03), (-0.27, -0.57, 0.03)),
        ((-0.21, -0.57, 0.03), (-0.21, -0.92, 0.03), (0.0, -0.92, 0.03), (0.03, -0.57, 0.03)),
    ),
    (0.66, -0.5),
    (-0.6, -0.53, 0.62),
)
_SHAPES: Final = (_BEETLE, _SALOON, _VAN, _OLDTIMER)


def paint_car(canvas: Canvas, rng: np.random.Generator, *, horizon: float, far: bool) -> None:
    where = place(rng, horizon, far=far, height=0.43, tilt=3.0)
    shape = _SHAPES[int(rng.integers(len(_SHAPES)))]
    radius, gap = rng.uniform(0.2, 0.235), rng.uniform(0.42, 0.46)
    metal = pick(rng, _METALS, 8)
    with canvas.at(where.x, where.y, where.scale, angle=where.angle, flip=where.flip):
        canvas.shadow(ellipse(0, 0.0, 0.84, 0.06), opacity=0.4)
        _paint_body(canvas, rng, shape, radius, gap, metal)
        _paint_windows(canvas, rng, shape, metal)
        _paint_bumpers(canvas, rng, metal)
        _paint_headlight(canvas, rng, shape.front, metal)
        _paint_wheels(canvas, rng, radius, gap, metal)


def _paint_body(
    canvas: Canvas,
    rng: np.random.Generator,
    shape: _Shape,
    radius: float,
    gap: float,
    metal: Colour,
) -> None:
    paint, second = pick(rng, _PAINTS), pick(rng, _SECOND)
    style, rack = int(rng.integers(3)), bool(rng.random() < 0.4)
    outline = rounded(*shape.body)
    left, belt, right = shape.belt
    if rack:
        feet = [bar(x, -1.05, x, -0.96, 0.03) for x in (-0.34, 0.02)]
        canvas.fill(
            [rectangle(-0.42, -1.068, 0.1, -1.033, radius=0.017), *feet],
            darker(metal, 0.2),
            part="body",
        )
    canvas.fill(outline, paler(paint, 0.1), to=darker(paint, 0.3), part="body", relief=0.55)
    if style == 0:
        band = rectangle(left, -0.42, right, -0.15)
        canvas.fill(band, second, to=darker(second, 0.3), part="body", relief=0.2)
    elif style == 1:
        stripes = [bar(left + 0.02, y, right, y, 0.035) for y in (-0.47, -0.405)]
        canvas.fill(stripes, second, part="body", relief=0)
    canvas.fill(bar(left, belt, right, belt, 0.026), metal, part="body", relief=0.5)
    seams = [bar(x, belt + 0.02, x, -0.18, 0.014) for x in (-0.13, 0.31)]
    canvas.fill([*seams, bar(-0.3, -0.18, 0.3, -0.18, 0.02)], darker(paint, 0.6), part="body")
    handle = rectangle(-0.11, belt + 0.055, 0.01, belt + 0.085, radius=0.015)
    canvas.fill(handle, paler(metal, 0.3), part="body", relief=0.5)
    lamp = rectangle(-0.76, -0.46, -0.67, -0.34, radius=0.03)
    canvas.fill(lamp, rgb("#c8242c"), part="body", relief=0.5)
    fenders = [ellipse(x, -radius - 0.01, 1.32 * radius, 1.34 * radius) for x in (-gap, gap)]
    below = rectangle(-1, -0.14, 1, 0.5)
    fender = paint if style else second
    canvas.fill(fenders, paler(fender, 0.15), to=darker(fender, 0.35), part="body", hole=below)
    arches = [ellipse(x, -radius, 1.1 * radius) for x in (-gap, gap)]
    canvas.fill(arches, rgb("#231d2b"), part="body", relief=0, hole=below)


def _paint_windows(canvas: Canvas, rng: np.random.Generator, shape: _Shape, metal: Colour) -> None:
    glass = pick(rng, _GLASS, 8)
    gleam = rng.uniform(0.03, 0.09)
    panes = [rounded(*window) for window in shape.windows]
    canvas.fill([_grown(pane, 0.022) for pane in panes], metal, part="window", relief=0.4)
    for pane in panes:
        canvas.fill(pane, paler(glass, 0.3), to=darker(glass, 0.35), part="window", relief=-0.25)
        x, y = pane.mean(axis=0)
        streaks = [
            bar(x + shift - 0.08, y + 0.2, x + shift + 0.08, y - 0.2, wide)
            for shift, wide in ((-gleam, 0.045), (0.5 * gleam, 0.02))
        ]
        canvas.fill(streaks, rgb("#ffffff"), part=None, relief=0, opacity=0.6, hole=outside(pane))


def _grown(outline: Points, by: float) -> Points:
    """The outline, larger by about `by` on all sides."""
    middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
    half = (outline.max(axis=0) - outline.min(axis=0)) / 2
    larger: Points = middle + (outline - middle) * (1 + by / half)
    return larger


def _paint_bumpers(canvas: Canvas, rng: np.random.Generator, metal: Colour) -> None:
    y, thick = -rng.uniform(0.21, 0.24), rng.uniform(0.1, 0.12)
    for side in (-1.0, 1.0):
        ends = (side * 0.82, side * 0.57)
        box = rectangle(min(ends), y - thick / 2, max(ends), y + thick / 2, radius=0.05)
        canvas.fill(box, darker(metal, 0.12), part="bumper", relief=0.4)
        light = bar(ends[0] * 0.97, y - 0.2 * thick, ends[1], y - 0.2 * thick, 0.028)
        canvas.fill(light, rgb("#ffffff"), part="bumper", relief=0)
        shade = bar(ends[0] * 0.97, y + 0.22 * thick, ends[1], y + 0.22 * thick, 0.022)
        canvas.fill(shade, darker(metal, 0.65), part="bumper", relief=0)
        horn = rectangle(side * 0.76 - 0.025, y - 0.09, side * 0.76 + 0.025, y + 0.07, radius=0.03)
        canvas.fill(horn, paler(metal, 0.2), to=darker(metal, 0.5), part="bumper", relief=0.6)


def _paint_headlight(
    canvas: Canvas, rng: np.random.Generator, at: tuple[float, float], metal: Colour
) -> None:
    (x, y), radius = at, rng.uniform(0.088, 0.105)
    glow, shine = pick(rng, ("#ffe27a", "#fff0a8", "#ffcf5a"), 6), rng.uniform(0.15, 0.5)
    canvas.fill(ellipse(x, y, radius), metal, to=darker(metal, 0.4), part="headlight", relief=0.7)
    canvas.fill(ellipse(x, y, 0.78 * radius), glow, part="headlight", relief=0.2)
    grid = [
        bar(x + shift, y - reach, x + shift, y + reach, 0.013)
        for shift, reach in zip(
            (-0.4 * radius, 0.0, 0.4 * radius), 3 * (0.6 * radius,), strict=True
        )
    ]
    canvas.fill(grid, darker(glow, 0.35), part="headlight", relief=0, opacity=0.6)
    spot = ellipse(x - 0.25 * radius, y - 0.3 * radius, 0.24 * radius)
    canvas.fill(spot, rgb("#ffffff"), part="headlight", relief=0)
    canvas.glow(x + 0.04, y, 3.2 * radius, glow, shine)


def _paint_wheels(
    canvas: Canvas, rng: np.random.Generator, radius: float, gap: float, metal: Colour
) -> None:
    band = pick(rng, ("#fbf3e0", "#3a3440", "#f1e9d8", "#d8493a"), 6)
    hub = mix(metal, pick(rng, _PAINTS), float(rng.choice([0.0, 0.7])))
    style, n, start = int(rng.integers(3)), int(rng.integers(5, 9)), rng.uniform(0, 72)
    middles = [(x, -radius) for x in (-gap, gap)]

    def discs(share: float) -> list[Points]:
        return [ellipse(x, y, share * radius) for x, y in middles]

    canvas.fill(discs(1.0), rgb("#2c2833"), part="wheel", relief=0.3, texture="grain")
    canvas.fill(discs(0.76), band, part="wheel", relief=0.2)
    canvas.fill(discs(0.62), darker(hub, 0.55), part="wheel", relief=-0.3)
    rim = [stroke(ellipse(x, y, 0.57 * radius, n=40), 0.1 * radius) for x, y in middles]
    canvas.fill(rim, hub, part="wheel", relief=0.3)
    ends = [(m, end) for m in middles for end in around(*m, 0.55 * radius, n, start)]
    if style == 0:
        spokes = [bar(*m, *end, 0.13 * radius) for m, end in ends]
        canvas.fill(spokes, paler(hub, 0.2), part="wheel", relief=0.3)
    elif style == 1:
        canvas.fill(discs(0.56), hub, to=darker(hub, 0.4), part="wheel", relief=0.6)
        holes = [place for m in middles for place in around(*m, 0.36 * radius, n, start)]
        canvas.fill(dots(holes, 0.09 * radius), darker(hub, 0.7), part="wheel", relief=0)
    else:
        blades = [stroke(polygon(m, end), [0.12 * radius, 0.3 * radius]) for m, end in ends]
        canvas.fill(blades, hub, to=darker(hub, 0.25), part="wheel", relief=0.3)
    canvas.fill(discs(0.2), paler(metal, 0.3), part="wheel", relief=0.8)
