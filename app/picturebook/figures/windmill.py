"""A windmill: tower, roof, door, windows, and sails of cloth on a lattice."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.picturebook.canvas import Canvas, Colour, rgb
from app.picturebook.figures.joinery import (
    bar,
    darker,
    paint_casement,
    paint_door,
    paler,
    pick,
    rounded,
)
from app.picturebook.figures.living import outside
from app.picturebook.figures.placing import place
from app.picturebook.shapes import Points, arc, ellipse, polygon, rectangle, smooth, stroke

_TOWERS: Final = ("#f2e4c8", "#d98f6a", "#c9b08a", "#b8c4c4", "#e8c98f", "#a8765a", "#eadfd8")
_ROOFS: Final = ("#a83c34", "#3f5f8a", "#5a6e3f", "#6b4a3a", "#7a4470", "#c2762f")
_CLOTHS: Final = ("#fbf1dc", "#f0c36a", "#e5dcd0", "#e58a72", "#bcd9dc", "#f3e3b0")
_SECOND: Final = ("#c8402f", "#2f6fa0", "#e0982a", "#4f8a4f", "#8f5590")
_TIMBER: Final = ("#6a4428", "#80532f", "#4a3a38", "#8f6a42")
_DOORS: Final = ("#8a4a26", "#2f6f73", "#a3312f", "#3f6a3a", "#34508a")

_HUB: Final = -0.6
_EAVES: Final = -0.65


def paint_windmill(canvas: Canvas, rng: np.random.Generator, *, horizon: float, far: bool) -> None:
    where = place(rng, horizon, far=far, height=0.67, tilt=2.5)
    foot, top = rng.uniform(0.25, 0.3), rng.uniform(0.16, 0.19)
    with canvas.at(where.x, where.y, where.scale, angle=where.angle, flip=where.flip):
        canvas.shadow(ellipse(0, 0.0, foot + 0.14, 0.045), opacity=0.35)
        _paint_tower(canvas, rng, foot, top)
        _paint_openings(canvas, rng)
        _paint_roof(canvas, rng, top + 0.05)
        _paint_sails(canvas, rng)


def _paint_tower(canvas: Canvas, rng: np.random.Generator, foot: float, top: float) -> None:
    colour, style = pick(rng, _TOWERS, 8), int(rng.integers(3))
    waist, odd = rng.uniform(0.92, 1.0), rng.random((14, 12)) < 0.3
    balcony, timber = bool(rng.random() < 0.4), pick(rng, _TIMBER, 8)
    y = np.linspace(_EAVES, 0, 20)
    down = (y - _EAVES) / -_EAVES
    half = (top + (foot - top) * down) * (1 - (1 - waist) * np.sin(np.pi * down))
    right = np.stack([half, y], axis=1)
    bottom = arc(0, 0, foot, 0.03, 0, 180)
    outline = np.concatenate([right, bottom, (right * (-1, 1))[::-1]])
    canvas.fill(
        outline,
        paler(colour, 0.2),
        to=darker(colour, 0.4),
        part="tower",
        relief=0.45,
        texture="grain",
    )
    around_it = outside(outline)
    row = stroke(arc(0, 0, 0.32, 0.03, 0, 180), 0.009)
    rows = [row + np.array([0, y]) for y in np.arange(-0.68, 0.02, 0.05)]
    if style == 0:
        bricks = _bricks(odd)
        canvas.fill(rows, darker(colour, 0.4), part=None, relief=0, opacity=0.6, hole=around_it)
        canvas.fill(bricks, darker(colour, 0.25), part=None, relief=0.3, hole=around_it)
    elif style == 1:
        canvas.fill(rows, darker(colour, 0.5), part=None, relief=0, opacity=0.75, hole=around_it)
        posts = [bar(sign * 0.5 * top, _EAVES, sign * 0.5 * foot, 0.02, 0.02) for sign in (-1, 1)]
        canvas.fill(posts, timber, part="tower", relief=0.3, texture="wood", hole=around_it)
    else:
        stones = [
            ellipse(-0.28 + 0.052 * j + 0.026 * (i % 2), -0.65 + 0.05 * i, 0.023, 0.018, n=12)
            for i in range(14)
            for j in range(12)
            if odd[i, j]
        ]
        canvas.fill(stones, darker(colour, 0.3), part=None, relief=0.5, hole=around_it)
    base = rectangle(-0.5, -0.055, 0.5, 0.05)
    canvas.fill(base, rgb("#8f8580"), part=None, relief=0.2, texture="grain", hole=around_it)
    if balcony:
        _paint_balcony(canvas, float(np.interp(-0.33, y, half)), timber)


def _bricks(odd: NDArray[np.bool_]) -> list[Points]:
    """Some bricks of a round wall."""
    bricks = []
    for i, j in np.argwhere(odd):
        x, y = -0.3 + 0.06 * j + 0.03 * (i % 2), -0.65 + 0.05 * i
        sag = 0.03 * float(np.sqrt(max(0.0, 1 - (x / 0.32) ** 2)))
        bricks.append(rectangle(x - 0.026, y + sag - 0.045, x + 0.026, y + sag - 0.006))
    return bricks


def _paint_balcony(canvas: Canvas, half: float, timber: Colour) -> None:
    """A gallery around the tower."""
    y, reach = -0.33, half + 0.07
    floor = rectangle(-reach, y - 0.012, reach, y + 0.02, radius=0.008)
    struts = [
        bar(sign * (reach - 0.01), y + 0.01, sign * (half - 0.01), y + 0.1, 0.016)
        for sign in (-1, 1)
    ]
    posts = [bar(float(x), y, float(x), y - 0.07, 0.012) for x in np.linspace(-reach, reach, 11)]
    rail = bar(-reach, y - 0.07, reach, y - 0.07, 0.018)
    canvas.fill([floor, *struts, *posts, rail], timber, part="tower", texture="wood")


def _paint_openings(canvas: Canvas, rng: np.random.Generator) -> None:
    wood, frame = pick(rng, _DOORS), pick(rng, ("#fbf4e4", "#e9dcc0", "#8a6a4c"), 6)
    glass = pick(rng, ("#8fc4dd", "#f7d774", "#5d86ab"), 8)
    round_door, round_window, curtained = rng.random(3) < (0.6, 0.6, 0.4)
    x, n = rng.uniform(-0.015, 0.015), int(rng.integers(2, 5))
    curtain = pick(rng, ("#e2707a", "#fbf3e4", "#f0b74e"), 8)
    paint_door(canvas, x, 0.025, 0.14, 0.22, wood=wood, frame=frame, round_top=bool(round_door))
    for at, low in ((-0.15, -0.085), (0.085, -0.33), (-0.08, -0.4), (0.15, -0.085))[:n]:
        paint_casement(
            canvas,
            at,
            low,
            0.092,
            0.125,
            frame=frame,
            glass=glass,
            curtain=curtain if curtained else None,
            round_top=bool(round_window),
        )


def _paint_roof(canvas: Canvas, rng: np.random.Generator, half: float) -> None:
    colour, style = pick(rng, _ROOFS), int(rng.integers(3))
    peak, low = -rng.uniform(0.9, 0.97), _EAVES + 0.03
    knob = rng.uniform(0.016, 0.024)
    right = ((half, low), (0.96 * half, low - 0.1), (0.6 * half, peak + 0.05))
    outlines = (
        smooth(*right, (0, peak), *((-x, y) for x, y in right[::-1]), (0, low + 0.035)),
        polygon((0, peak), (1.12 * half, low), (0, low + 0.03), (-1.12 * half, low)),
        rounded(
            (-1.05 * half, low, 0.02),
            (-0.9 * half, peak + 0.03, 0.08),
            (0.72 * half, peak, 0.06),
            (1.15 * half, low, 0.02),
        ),
    )
    roof = outlines[style]
    canvas.fill(roof, paler(colour, 0.08), to=darker(colour, 0.35), part="roof", relief=0.6)
    places = [
        (-0.3 + 0.055 * j + 0.0275 * (i % 2), low - 0.02 - 0.045 * i)
        for i in range(8)
        for j in range(12)
    ]
    bow = stroke(arc(0, 0, 0.0275, 0.026, 0, 180, n=9), 0.011)
    shingles = [bow + np.array(shift) for shift in places]
    canvas.fill(shingles, darker(colour, 0.5), part=None, relief=0, opacity=0.8, hole=outside(roof))
    rim = stroke(smooth((-half, low), (0, low + 0.035), (half, low), closed=False), 0.026)
    canvas.fill(rim, darker(colour, 0.35), part="roof", relief=0.4)
    canvas.fill(ellipse(0, peak - 0.012, knob), rgb("#e2b04a"), part="roof", relief=0.8)


@dataclass(frozen=True, slots=True)
class _Sail:
    """style: 0 plain on a lattice, 1 striped on a lattice, 2 striped and three-cornered. spread:
    how much of it carries cloth."""

    style: int
    reach: float
    wide: float
    spread: float
    cloth: Colour
    stripe: Colour
    wood: Colour


def _paint_sails(canvas: Canvas, rng: np.random.Generator) -> None:
    angle, n = rng.uniform(0, 360), int(rng.choice([4, 4, 4, 5]))
    sail = _Sail(
        style=int(rng.integers(3)),
        reach=rng.uniform(0.36, 0.41),
        wide=rng.uniform(0.115, 0.135),
        spread=rng.uniform(0.65, 1.0),
        cloth=pick(rng, _CLOTHS, 8),
        stripe=pick(rng, _SECOND),
        wood=pick(rng, _TIMBER, 8),
    )
    for i in range(n):
        with canvas.at(0, _HUB, angle=angle + 360 * i / n):
            _paint_sail(canvas, sail)
    wood = sail.wood
    canvas.fill(ellipse(0, _HUB, 0.052), wood, to=darker(wood, 0.5), part="sail", relief=0.7)
    canvas.fill(ellipse(0, _HUB, 0.026), rgb("#e2b04a"), part="sail", relief=0.8)


def _paint_sail(canvas: Canvas, sail: _Sail) -> None:
    """One sail that stands upright on the hub."""
    inner, end, wide = -0.09, -sail.reach, sail.wide
    if sail.style == 2:
        corner = (1.35 * wide, end + 0.07)
        sheet = polygon((0, inner), (0, end), corner)
        lattice = [bar(0, end, *corner, 0.012), bar(0, inner, *corner, 0.012)]
    else:
        sheet = rectangle(0, inner + (end - inner) * (1 - sail.spread), wide, end)
        lattice = [bar(0, float(y), wide, float(y), 0.011) for y in np.linspace(inner, end, 6)]
        lattice += [bar(x, inner, x, end, 0.011) for x in (0.52 * wide, wide)]
    canvas.fill(sheet, sail.cloth, to=darker(sail.cloth, 0.22), part="sail", texture="cloth")
    if sail.style:
        at = np.arange(end + 0.035, inner, 0.085)
        stripes = [rectangle(0, y, 1.4 * wide, y + 0.035) for y in at]
        canvas.fill(stripes, sail.stripe, part=None, relief=0, texture="cloth", hole=outside(sheet))
    canvas.fill(lattice, darker(sail.wood, 0.1), part="sail", relief=0.2)
    arm = stroke(polygon((0, 0.04), (0, end - 0.012)), [0.034, 0.02])
    canvas.fill(arm, sail.wood, part="sail", texture="wood", relief=0.4)
