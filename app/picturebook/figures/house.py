"""A house: tiled roof, wall, door, windows, and a chimney of bricks."""

from typing import Final

import numpy as np

from app.picturebook.canvas import Canvas, Colour, mix, rgb
from app.picturebook.figures.joinery import (
    bar,
    darker,
    dots,
    paint_casement,
    paint_door,
    paler,
    pick,
    rounded,
)
from app.picturebook.figures.placing import place
from app.picturebook.shapes import Points, ellipse, polygon, rectangle

_ROOFS: Final = ("#b8432f", "#c9622c", "#8c3b3f", "#46607f", "#5a6b4a", "#6d4a6e", "#a8793f")
_WALLS: Final = ("#f6e7c8", "#f3cf9a", "#e8b9a0", "#cfdccb", "#c4d7e2", "#f4f0e6", "#eac766")
_WOODS: Final = ("#7a4a26", "#2f6f73", "#a3312f", "#3f6a3a", "#34508a", "#d08a2c")
_BRICKS: Final = ("#b5573f", "#a4482f", "#8f5a4c")
_GLASS: Final = ("#8fc4dd", "#f7d774", "#a9d3d0", "#5d86ab")
_CURTAINS: Final = ("#e2707a", "#fbf3e4", "#f0b74e", "#88b48c")

# Half widths of the roof at shares of its height, of the half width at the eaves.
_SHAPES: Final = (
    ((0.0, 1.0), (1.0, 0.03)),
    ((0.0, 1.0), (1.0, 0.64)),
    ((0.0, 1.0), (0.2, 0.8), (0.55, 0.42), (1.0, 0.05)),
    ((0.0, 1.0), (0.5, 0.78), (1.0, 0.24)),
)
_ROWS: Final = 7


def paint_house(canvas: Canvas, rng: np.random.Generator, *, horizon: float, far: bool) -> None:
    where = place(rng, horizon, far=far, height=0.67, tilt=2.5)
    half, high = rng.uniform(0.36, 0.44), rng.uniform(0.44, 0.52)
    shape = int(rng.integers(len(_SHAPES)))
    with canvas.at(where.x, where.y, where.scale, angle=where.angle, flip=where.flip):
        canvas.shadow(ellipse(0, 0.01, half + 0.14, 0.05), opacity=0.35)
        _paint_chimney(canvas, rng, half)
        _paint_wall(canvas, rng, half, high)
        _paint_openings(canvas, rng, half, high)
        _paint_roof(canvas, rng, half + rng.uniform(0.06, 0.1), high - 0.03, shape)


def _paint_chimney(canvas: Canvas, rng: np.random.Generator, half: float) -> None:
    brick = pick(rng, _BRICKS)
    x, wide, top = half * rng.uniform(0.42, 0.56), rng.uniform(0.12, 0.16), rng.uniform(0.94, 1.0)
    left, right = x - wide / 2, x + wide / 2
    canvas.fill(
        rectangle(left, -top + 0.02, right, -0.5),
        brick,
        to=darker(brick, 0.4),
        part="chimney",
        texture="grain",
    )
    joints = []
    for row in range(10):
        y = -top + 0.05 + 0.044 * row
        joints.append(bar(left, y, right, y, 0.01))
        joints += [
            bar(left + share * wide, y, left + share * wide, y + 0.044, 0.01)
            for share in ((0.25, 0.75) if row % 2 else (0.5,))
        ]
    canvas.fill(joints, paler(brick, 0.6), part="chimney", relief=0)
    canvas.fill(
        rectangle(left - 0.025, -top, right + 0.025, -top + 0.045, radius=0.01),
        darker(brick, 0.45),
        part="chimney",
    )


def _paint_wall(canvas: Canvas, rng: np.random.Generator, half: float, high: float) -> None:
    colour = pick(rng, _WALLS, 8)
    style, beam = int(rng.integers(3)), pick(rng, ("#6b452b", "#8a5a36", "#4f3a34"))
    spots = rng.uniform(-1, 1, (26, 2))
    canvas.fill(
        rectangle(-half, -high - 0.02, half, 0),
        paler(colour, 0.25),
        to=darker(colour, 0.25),
        part="wall",
        relief=0.25,
        texture="grain",
    )
    if style == 0:
        boards = [bar(-half, -y, half, -y, 0.012) for y in np.arange(0.1, high, 0.052)]
        canvas.fill(boards, darker(colour, 0.35), part="wall", relief=0, opacity=0.8)
    elif style == 1:
        canvas.fill(_timber(half, high), beam, part="wall", texture="wood")
    else:
        stones = [
            ellipse(half * 0.95 * x, -0.54 * high + 0.38 * high * y, 0.026, 0.017, n=10)
            for x, y in spots
        ]
        canvas.fill(stones, mix(colour, rgb("#8d7360"), 0.5), part="wall", relief=0.4)
    feet = [
        rectangle(x, -0.07, x + half / 4 - 0.012, 0, radius=0.02)
        for x in np.linspace(-half, half, 9)[:-1]
    ]
    stone = rgb("#9a8f88")
    base = rectangle(-half - 0.015, -0.075, half + 0.015, 0.012)
    canvas.fill(base, darker(stone, 0.4), part="wall")
    canvas.fill(feet, stone, part="wall", relief=0.5, texture="grain")


def _timber(half: float, high: float) -> list[Points]:
    """The beams of a half-timbered wall."""
    posts = [bar(x, -high, x, 0, 0.032) for x in (-half + 0.016, half - 0.016)]
    rails = [bar(-half, -y, half, -y, 0.028) for y in (0.085, high - 0.05)]
    middle = high * 0.55
    braces = [
        bar(side * half, -middle, side * (half - 0.16), -high + 0.05, 0.026) for side in (-1, 1)
    ]
    struts = [bar(side * half, -middle, side * (half - 0.14), -0.09, 0.026) for side in (-1, 1)]
    return [*posts, *rails, *braces, *struts]


def _paint_openings(canvas: Canvas, rng: np.random.Generator, half: float, high: float) -> None:
    wood, frame = pick(rng, _WOODS), pick(rng, ("#fbf4e4", "#e9dcc0", "#f2e6d8"), 6)
    shutter = pick(rng, _WOODS)
    glass, curtain = pick(rng, _GLASS, 8), pick(rng, _CURTAINS, 8)
    drawn, round_door, round_window, shut = rng.random(4) < (0.6, 0.5, 0.35, 0.55)
    layout = int(rng.integers(3))
    tall = high * rng.uniform(0.64, 0.72)
    blossom = pick(rng, ("#e4485f", "#f2a33c", "#f6e36a", "#c65fb0"))
    doors = (0.0, -0.58 * half, -0.58 * half)
    windows = (
        ((-0.63 * half, 0.3 * half), (0.63 * half, 0.3 * half)),
        ((0.0, 0.3 * half), (0.62 * half, 0.3 * half)),
        ((0.36 * half, 0.56 * half),),
    )
    paint_door(
        canvas,
        doors[layout],
        0.0,
        0.4 * half,
        tall,
        wood=wood,
        frame=frame,
        round_top=bool(round_door),
    )
    y, height = -0.38 * high, 0.4 * high
    for x, width in windows[layout]:
        if shut:
            _paint_shutters(canvas, x, y, width, height, shutter)
        paint_casement(
            canvas,
            x,
            y,
            width,
            height,
            frame=frame,
            glass=glass,
            curtain=curtain if drawn else None,
            round_top=bool(round_window),
        )
        _paint_box(canvas, x, y, width, wood, blossom)


def _paint_shutters(
    canvas: Canvas, x: float, y: float, width: float, height: float, colour: Colour
) -> None:
    leaf = 0.22 * width
    edges = (x - width / 2 - leaf, x + width / 2)
    leaves = [rectangle(left, y - height, left + leaf, y, radius=0.008) for left in edges]
    canvas.fill(leaves, colour, part="window", texture="wood")
    slats = [
        bar(left + 0.2 * leaf, y - height * share, left + 0.8 * leaf, y - height * share, 0.01)
        for left in edges
        for share in (0.15, 0.32, 0.49, 0.66, 0.83)
    ]
    canvas.fill(slats, darker(colour, 0.5), part="window", relief=0)


def _paint_box(
    canvas: Canvas, x: float, y: float, width: float, wood: Colour, blossom: Colour
) -> None:
    """A box of flowers below a window."""
    box = rounded(
        (x - 0.56 * width, y, 0),
        (x + 0.56 * width, y, 0),
        (x + 0.48 * width, y + 0.05, 0.01),
        (x - 0.48 * width, y + 0.05, 0.01),
    )
    canvas.fill(box, wood, part="window", texture="wood")
    at = np.linspace(-0.46, 0.46, 6) * width + x
    leaves = [ellipse(float(v), y - 0.004, 0.024, 0.018, n=12) for v in at]
    canvas.fill(leaves, rgb("#4f8a3d"), part="window", relief=0.5)
    heads = [(float(v), y - 0.012 - 0.012 * (i % 2)) for i, v in enumerate(at)]
    canvas.fill(dots(heads, 0.013), blossom, part="window", relief=0.4)


def _paint_roof(
    canvas: Canvas, rng: np.random.Generator, half: float, low: float, shape: int
) -> None:
    colour = pick(rng, _ROOFS)
    pitch, style = rng.uniform(0.085, 0.12), int(rng.integers(2))
    top = rng.uniform(0.88, 0.95) - (0.1 if shape == 1 else 0.03 if shape == 3 else 0.0)
    shades, attic = rng.uniform(-1, 1, _ROWS), bool(rng.random() < 0.6)
    frame, glass = pick(rng, ("#fbf4e4", "#e9dcc0"), 6), pick(rng, _GLASS, 8)
    odd = rng.random((_ROWS, 16)) < 0.16
    at, widths = zip(*_SHAPES[shape], strict=True)

    def edge(share: float) -> float:
        return half * float(np.interp(share, at, widths))

    tiles: list[Points] = []
    seams: list[Points] = []
    step = (top - low) / _ROWS
    for row in range(_ROWS):
        y, t = -low - row * step, row / _ROWS
        lower, upper = edge(t), edge(min(1.0, t + 1.2 / _ROWS))
        x = np.linspace(-lower, lower, 97)
        phase = x / pitch + 0.5 * (row % 2)
        bump = np.abs(np.sin(np.pi * phase)) if style else (phase % 1 > 0.14).astype(np.float64)
        bottom = np.stack([x, y + 0.026 * bump], axis=1)
        upto = polygon((upper, y - 1.2 * step), (-upper, y - 1.2 * step))
        shade = paler(colour, 0.12 * shades[row]) if shades[row] > 0 else colour
        canvas.fill(
            np.concatenate([bottom, upto]),
            darker(shade, 0.06 * (row % 2)),
            to=darker(shade, 0.3),
            part="roof",
            relief=0.55,
        )
        centres = (np.arange(-8, 8) + 0.5 - 0.5 * (row % 2)) * pitch
        seams += [
            bar(float(c), y + 0.004, float(c), y - 0.55 * step, 0.009)
            for c in centres + 0.5 * pitch
            if abs(c) + 0.02 < edge(t + 0.6 / _ROWS)
        ]
        tiles += [
            ellipse(float(c), y - 0.3 * step, 0.32 * pitch, 0.3 * step, n=16)
            for c in centres[odd[row]]
            if abs(c) + 0.5 * pitch < edge(t + 0.8 / _ROWS)
        ]
    canvas.fill(seams, darker(colour, 0.6), part="roof", relief=0, opacity=0.6)
    if tiles:
        canvas.fill(tiles, paler(colour, 0.35), part="roof", relief=0.2, opacity=0.7)
    ridge = edge(1.0) + 0.02
    canvas.fill(
        rectangle(-ridge - 0.02, -top - 0.02, ridge + 0.02, -top + 0.02, radius=0.02),
        darker(colour, 0.3),
        part="roof",
    )
    if attic:
        _paint_attic(canvas, -low - 0.38 * (top - low), frame, glass)


def _paint_attic(canvas: Canvas, y: float, frame: Colour, glass: Colour) -> None:
    """A round window in the roof."""
    canvas.fill(ellipse(0, y, 0.088), frame, part="window", relief=0.5)
    canvas.fill(ellipse(0, y, 0.066), paler(glass, 0.2), to=darker(glass, 0.3), part="window")
    cross = [bar(-0.066, y, 0.066, y, 0.014), bar(0, y - 0.066, 0, y + 0.066, 0.014)]
    canvas.fill(cross, frame, part="window", relief=0)
