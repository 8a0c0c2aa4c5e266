"""A rocket, flying or about to: nose, body, portholes, fins, and a flame."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from app.picturebook.canvas import Canvas, Colour, rgb
from app.picturebook.figures.joinery import around, bar, darker, dots, paler, pick
from app.picturebook.figures.living import outside
from app.picturebook.figures.placing import place
from app.picturebook.shapes import Points, arc, ellipse, mirrored, polygon, smooth, star, stroke

_BODIES: Final = ("#f3ead6", "#dfe6ea", "#f2cf7a", "#a8cfd6", "#e9b7a4", "#c9c2dc", "#e8e2d8")
_NOSES: Final = ("#d23b34", "#2f6fa8", "#e58a2b", "#3a8f6e", "#8a4a98", "#d84a80")
_FINS: Final = ("#c8342f", "#28598f", "#e2a02a", "#2f7f78", "#6f4290", "#3f9a58")
_METALS: Final = ("#e2b04a", "#c5ccd4", "#d98a5a", "#8f98a8")
_GLASS: Final = ("#7fc4e8", "#4f86c0", "#9fe0d8", "#ffd978")

# Half widths at heights from the tip (-1) to the tail (-0.26).
_SHAPES: Final = (
    ((0.0, -1.0), (0.075, -0.9), (0.14, -0.77), (0.18, -0.58), (0.172, -0.42), (0.12, -0.26)),
    ((0.0, -1.0), (0.06, -0.93), (0.125, -0.8), (0.15, -0.66), (0.15, -0.45), (0.14, -0.26)),
    ((0.0, -1.0), (0.05, -0.88), (0.11, -0.72), (0.165, -0.52), (0.19, -0.36), (0.16, -0.26)),
)


def paint_rocket(canvas: Canvas, rng: np.random.Generator, *, horizon: float, far: bool) -> None:
    flies = bool(rng.random() < 0.65)
    where = place(
        rng,
        horizon,
        far=far,
        height=0.66 if flies else 0.7,
        tilt=24.0 if flies else 2.0,
        above=0.48 if flies else None,
    )
    side = smooth(*_SHAPES[int(rng.integers(len(_SHAPES)))], closed=False)
    side = side * (rng.uniform(0.95, 1.15), 1.0)
    with (
        canvas.at(where.x, where.y, where.scale, angle=where.angle, flip=where.flip),
        canvas.at(0, 0.5 if flies else 0.0),
    ):
        if not flies:
            canvas.shadow(ellipse(0, 0.0, 0.36, 0.05), opacity=0.4)
        _paint_flame(canvas, rng)
        metal = pick(rng, _METALS, 8)
        colour = pick(rng, _FINS)
        _paint_fins(canvas, rng, colour)
        _paint_body(canvas, rng, side, metal)
        _paint_nose(canvas, rng, side, metal)
        _paint_windows(canvas, rng, metal)
        _paint_middle_fin(canvas, colour)


def _between(side: Points, top: float, low: float) -> Points:
    """The right side between two heights."""
    y = np.linspace(top, low, 24)
    return np.stack([np.interp(y, side[:, 1], side[:, 0]), y], axis=1)


def _paint_flame(canvas: Canvas, rng: np.random.Generator) -> None:
    tongues = rng.uniform(-0.03, 0.03, (3, 5))
    wide, hue = rng.uniform(0.16, 0.19), rng.uniform(0, 1)
    canvas.glow(0, -0.12, 0.34, rgb("#ffb347"), 0.55)
    for share, colour, to, shifts in zip(
        (1.0, 0.72, 0.42),
        (rgb("#e8452a"), rgb("#f9992a"), rgb("#fff2a0")),
        (rgb("#c92a3f"), rgb("#f2b92f"), rgb("#ffffff")),
        tongues,
        strict=True,
    ):
        w, long = wide * share, 0.27 * share
        low = -0.27 + long
        points = smooth(
            (0.6 * w, -0.29),
            (w, -0.27 + 0.3 * long),
            (0.75 * w, low - 0.35 * long + shifts[0]),
            (0.62 * w, low - 0.12 * long + shifts[1] * share),
            (0.3 * w, low - 0.34 * long),
            (shifts[2] * share, low),
            (-0.3 * w, low - 0.3 * long),
            (-0.58 * w, low - 0.1 * long + shifts[3] * share),
            (-0.75 * w, low - 0.4 * long + shifts[4]),
            (-w, -0.27 + 0.3 * long),
            (-0.6 * w, -0.29),
        )
        tint = paler(colour, 0.25 * hue)
        canvas.fill(points, tint, to=to, part="flame", relief=0.15, texture="fur", strength=1.6)


def _paint_fins(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    style, reach = int(rng.integers(3)), rng.uniform(0.3, 0.36)
    top, low = -rng.uniform(0.52, 0.58), -rng.uniform(0.1, 0.15)
    outlines = (
        smooth(
            (0.1, top),
            (0.2, top + 0.12),
            (reach - 0.03, -0.33),
            (reach, low),
            (reach - 0.04, low),
            (0.24, -0.22),
            (0.1, -0.27),
        ),
        polygon((0.1, top), (reach, -0.36), (reach, low), (0.12, -0.27)),
        smooth(
            (0.1, top + 0.04),
            (0.24, top + 0.05),
            (reach, -0.36),
            (reach - 0.02, low - 0.03),
            (0.23, low - 0.06),
            (0.1, -0.26),
        ),
    )
    pair = [outlines[style], mirrored(outlines[style])]
    for sign, outline in zip((1, -1), pair, strict=True):
        canvas.fill(outline, paler(colour, 0.1), to=darker(colour, 0.35), part="fin", relief=0.5)
        ribs = [
            bar(0, -0.4 + 0.085 * i, sign * 0.4, -0.26 + 0.085 * i, 0.022) for i in range(-1, 3)
        ]
        canvas.fill(ribs, paler(colour, 0.65), part=None, relief=0, hole=outside(outline))
    rim = [stroke(np.concatenate([outline, outline[:1]]), 0.016) for outline in pair]
    canvas.fill(rim, darker(colour, 0.45), part="fin", relief=0.2)


def _paint_middle_fin(canvas: Canvas, colour: Colour) -> None:
    fin = smooth(
        (0, -0.4), (0.034, -0.33), (0.03, -0.14), (0, -0.1), (-0.03, -0.14), (-0.034, -0.33)
    )
    canvas.fill(fin, paler(colour, 0.15), to=darker(colour, 0.4), part="fin", relief=0.7)
    canvas.fill(bar(0, -0.34, 0, -0.17, 0.012), paler(colour, 0.65), part="fin", relief=0)


def _paint_body(canvas: Canvas, rng: np.random.Generator, side: Points, metal: Colour) -> None:
    colour, band = pick(rng, _BODIES, 8), pick(rng, _NOSES)
    style, y = int(rng.integers(3)), rng.uniform(-0.42, -0.38)
    nozzle = polygon((-0.09, -0.28), (0.09, -0.28), (0.125, -0.225), (-0.125, -0.225))
    canvas.fill(nozzle, darker(metal, 0.35), to=darker(metal, 0.7), part="body", relief=0.5)
    right = _between(side, -0.78, -0.26)
    body = np.concatenate([right, mirrored(right)[::-1]])
    canvas.fill(body, paler(colour, 0.25), to=darker(colour, 0.3), part="body", relief=0.6)
    around_it = outside(body)
    seams = [_across(side, at, 0.011) for at in (-0.57, -0.47, -0.31)]
    canvas.fill(seams, darker(colour, 0.45), part=None, relief=0, hole=around_it)
    if style == 0:
        canvas.fill(_across(side, y, 0.07), band, part=None, relief=0, hole=around_it)
    elif style == 1:
        squares = [
            polygon(
                (x, y + dy), (x + 0.045, y + dy), (x + 0.045, y + dy + 0.04), (x, y + dy + 0.04)
            )
            for row, dy in enumerate((-0.04, 0.0))
            for x in np.arange(-0.27 + 0.045 * row, 0.25, 0.09)
        ]
        canvas.fill(squares, band, part=None, relief=0, hole=around_it)
    else:
        lines = [
            stroke(_between(side * (share, 1.0), -0.78, -0.26), 0.02) for share in (0.62, -0.62)
        ]
        canvas.fill(lines, band, part=None, relief=0, hole=around_it)
    rivets = [
        (sign * (float(np.interp(at, side[:, 1], side[:, 0])) - 0.028), at)
        for at in (-0.66, -0.61, -0.53, -0.5, -0.35)
        for sign in (-1.0, 1.0)
    ]
    canvas.fill(dots(rivets, 0.009), darker(colour, 0.55), part=None, relief=0)
    ring = _across(side, -0.265, 0.035)
    canvas.fill(ring, metal, to=darker(metal, 0.4), part="body", relief=0.5)


def _across(side: Points, y: float, width: float) -> Points:
    """A band around the round body, seen a little from below."""
    half = float(np.interp(y, side[:, 1], side[:, 0]))
    return stroke(arc(0, y, half, 0.2 * half, 180, 0), width)


def _paint_nose(canvas: Canvas, rng: np.random.Generator, side: Points, metal: Colour) -> None:
    colour, low = pick(rng, _NOSES), -rng.uniform(0.66, 0.7)
    style, ball = int(rng.integers(3)), rng.uniform(0.026, 0.036)
    half = float(np.interp(low, side[:, 1], side[:, 0]))
    right = _between(side, -1.0, low)
    seam = arc(0, low, half, 0.2 * half, 0, 180)
    cone = np.concatenate([right, seam, mirrored(right)[::-1]])
    canvas.fill(cone, paler(colour, 0.15), to=darker(colour, 0.35), part="nose", relief=0.6)
    marks: Sequence[Points]
    if style == 0:
        marks = [_across(side, at, 0.024) for at in (-0.87, -0.8)]
    elif style == 1:
        marks = [
            star(x, y, 0.036, 0.015)
            for x, y in ((0.0, -0.78), (0.075, -0.72), (-0.075, -0.72), (0.0, -0.87))
        ]
    else:
        marks = [
            ellipse(0.42 * half * i, low + 0.15 * half, 0.19 * half, 0.07) for i in range(-2, 3)
        ]
    canvas.fill(marks, paler(colour, 0.75), part=None, relief=0, hole=outside(cone))
    canvas.fill(_across(side, low, 0.028), metal, part="nose", relief=0.5)
    canvas.fill(ellipse(0, -0.995, ball), metal, to=darker(metal, 0.3), part="nose", relief=0.8)


def _paint_windows(canvas: Canvas, rng: np.random.Generator, metal: Colour) -> None:
    glass, n = pick(rng, _GLASS, 8), int(rng.integers(1, 3))
    radius, bolts = rng.uniform(0.088, 0.1), int(rng.integers(6, 10))
    places = ((-0.575, radius),) if n == 1 else ((-0.6, 0.8 * radius), (-0.445, 0.62 * radius))
    for y, r in places:
        canvas.fill(ellipse(0, y, r), metal, to=darker(metal, 0.4), part="window", relief=0.6)
        bolt_places = around(0, y, 0.86 * r, bolts, 10)
        canvas.fill(dots(bolt_places, 0.08 * r), darker(metal, 0.6), part="window", relief=0)
        canvas.fill(ellipse(0, y, 0.72 * r), darker(metal, 0.6), part="window", relief=0)
        pane = ellipse(0, y, 0.65 * r)
        canvas.fill(pane, paler(glass, 0.25), to=darker(glass, 0.4), part="window", relief=-0.2)
        shine = arc(0, y, 0.45 * r, 0.45 * r, 190, 260)
        canvas.fill(stroke(shine, 0.14 * r), rgb("#ffffff"), part=None, relief=0, opacity=0.8)
