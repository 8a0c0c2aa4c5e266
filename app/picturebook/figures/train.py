"""A steam locomotive: boiler with bands of brass, cab, spoked wheels, chimney, headlight."""

from typing import Final

import numpy as np

from app.picturebook.canvas import Canvas, Colour, rgb
from app.picturebook.figures.joinery import around, bar, darker, dots, paler, pick, rounded
from app.picturebook.figures.placing import place
from app.picturebook.shapes import Points, ellipse, polygon, rectangle, smooth, stroke

_BOILERS: Final = ("#2f6f5a", "#2f5b8c", "#3f4450", "#a8352f", "#5b4a86", "#3f8a96", "#c9792b")
_CABS: Final = ("#b8402f", "#e0a830", "#356a9c", "#5e8f4a", "#8a4f7a", "#e8d9b8", "#c9703a")
_WHEELS: Final = ("#c8362f", "#e2a52e", "#d9d2c4", "#3f7f8f", "#b5543a")
_BRASS: Final = ("#e6b94c", "#d99a4a", "#d8d4c8")
_IRON: Final = ("#3a3540", "#4a4446", "#2f3a48")
_CHIMNEYS: Final = ("#b8643a", "#9c3038", "#33507a", "#3a3540", "#4f7a4a", "#6b4a34")
_WOOD: Final = ("#7a4a2c", "#4a3f4c", "#8f3f36")

_FLOOR: Final = -0.34
_SPOKES: Final = 10


def paint_train(canvas: Canvas, rng: np.random.Generator, *, horizon: float, far: bool) -> None:
    where = place(rng, horizon, far=far, height=0.44, tilt=2.5)
    brass, iron = pick(rng, _BRASS, 8), pick(rng, _IRON, 6)
    girth, border = rng.uniform(0.3, 0.36), rng.uniform(-0.3, -0.2)
    with canvas.at(where.x, where.y, where.scale, angle=where.angle, flip=where.flip):
        canvas.shadow(ellipse(0, 0.0, 0.84, 0.06), opacity=0.4)
        _paint_chimney(canvas, rng, _FLOOR - girth, brass)
        _paint_boiler(canvas, rng, girth, border, brass, iron)
        _paint_cab(canvas, rng, border, brass)
        _paint_headlight(canvas, rng, _FLOOR - girth, brass, iron)
        _paint_wheels(canvas, rng, brass)


def _paint_chimney(canvas: Canvas, rng: np.random.Generator, foot: float, brass: Colour) -> None:
    colour = pick(rng, _CHIMNEYS)
    style, x, wide = int(rng.integers(3)), rng.uniform(0.33, 0.4), rng.uniform(0.08, 0.1)
    top = rng.uniform(0.98, 1.04)
    low = foot + 0.05
    widths = (
        ((0.0, 1.3), (0.15, 0.85), (0.8, 0.85), (1.0, 1.15)),
        ((0.0, 1.1), (0.2, 0.6), (0.9, 1.6), (1.0, 1.6)),
        ((0.0, 1.1), (0.35, 0.65), (0.75, 1.6), (1.0, 1.0)),
    )[style]
    right = [(x + wide * share, low + (-top - low) * at) for at, share in widths]
    left = [(2 * x - edge, y) for edge, y in right[::-1]]
    canvas.fill(
        polygon(*right, *left),
        paler(colour, 0.1),
        to=darker(colour, 0.45),
        part="chimney",
        relief=0.7,
    )
    rim = wide * widths[-1][1] + 0.02
    middle = low + (-top - low) * 0.45
    rings = [
        rectangle(x - rim, -top - 0.02, x + rim, -top + 0.04, radius=0.02),
        bar(x - 0.75 * wide, middle, x + 0.75 * wide, middle, 0.035),
    ]
    canvas.fill(rings, brass, to=darker(brass, 0.3), part="chimney", relief=0.5)


def _paint_boiler(
    canvas: Canvas,
    rng: np.random.Generator,
    girth: float,
    left: float,
    brass: Colour,
    iron: Colour,
) -> None:
    colour, n, x = pick(rng, _BOILERS), int(rng.integers(2, 5)), rng.uniform(-0.04, 0.1)
    front, top = 0.3, _FLOOR - girth
    dome = smooth(
        (x - 0.1, top + 0.04),
        (x - 0.09, top - 0.07),
        (x, top - 0.14),
        (x + 0.09, top - 0.07),
        (x + 0.1, top + 0.04),
    )
    canvas.fill(dome, brass, to=darker(brass, 0.4), part="boiler", relief=0.8)
    barrel = rectangle(left - 0.05, top, front + 0.05, _FLOOR)
    canvas.fill(barrel, colour, part="boiler", relief=0.3)
    smokebox = rounded(
        (front, top - 0.015, 0), (0.6, top - 0.015, 0.1), (0.6, _FLOOR, 0.1), (front, _FLOOR, 0)
    )
    canvas.fill(smokebox, iron, to=darker(iron, 0.3), part="boiler", relief=0.5)
    for share, tall, tint, opacity in (
        (0.24, 0.2, paler(colour, 0.8), 0.5),
        (0.86, 0.34, darker(colour, 0.8), 0.55),
    ):
        y = top + share * girth
        gleam = rectangle(left, y - tall * girth / 2, 0.57, y + tall * girth / 2, radius=0.03)
        canvas.fill(gleam, tint, part=None, relief=0, opacity=opacity, soft=0.05)
    at = np.linspace(left + 0.06, front, n + 1)
    bands = [bar(float(v), top + 0.005, float(v), _FLOOR, 0.032) for v in at]
    canvas.fill(bands, brass, part="boiler", relief=0.5)
    rows = [(0.36 + 0.06 * i, top + girth * share) for i in range(4) for share in (0.14, 0.9)]
    canvas.fill(dots(rows, 0.014), paler(iron, 0.55), part="boiler", relief=0.5)
    beam = rectangle(-0.8, _FLOOR - 0.015, 0.72, _FLOOR + 0.055, radius=0.01)
    canvas.fill(beam, darker(colour, 0.45), part="boiler", relief=0.3)
    buffer = [rectangle(0.72, -0.34, 0.77, -0.27), rectangle(0.76, -0.38, 0.81, -0.23, radius=0.02)]
    canvas.fill(buffer, brass, to=darker(brass, 0.4), part="boiler", relief=0.5)


def _paint_cab(canvas: Canvas, rng: np.random.Generator, right: float, brass: Colour) -> None:
    colour, wood = pick(rng, _CABS), pick(rng, _WOOD)
    top, panes = rng.uniform(0.88, 0.95), int(rng.integers(1, 3))
    glass, arch = pick(rng, ("#ffe08a", "#a9d6e8", "#c3e3dc", "#7fa8c8"), 8), bool(rng.integers(2))
    bulge, planks = rng.uniform(0.02, 0.07), int(rng.integers(2))
    left = -0.73
    wall = rectangle(left, -top, right, _FLOOR + 0.03)
    canvas.fill(wall, paler(colour, 0.1), to=darker(colour, 0.3), part="cab", relief=0.25)
    if planks:
        seams = [
            bar(float(x), -top, float(x), _FLOOR, 0.013)
            for x in np.arange(left + 0.06, right, 0.065)
        ]
        canvas.fill(seams, darker(colour, 0.5), part="cab", relief=0, opacity=0.7)
    else:
        inside = rectangle(left + 0.045, -0.52, right - 0.045, _FLOOR - 0.02, radius=0.03)
        line = np.concatenate([inside, inside[:1]])
        canvas.fill(stroke(line, 0.02), paler(brass, 0.2), part="cab", relief=0)
        heights = [float(y) for y in np.linspace(-top + 0.06, -0.4, 7)]
        rivets = [(x, y) for x in (left + 0.03, right - 0.03) for y in heights]
        canvas.fill(dots(rivets, 0.011), darker(colour, 0.5), part="cab", relief=0)
    middle = (left + right) / 2
    roof = smooth(
        (left - 0.08, -top + 0.02),
        (middle, -top - bulge - 0.05),
        (right + 0.08, -top + 0.02),
        (right + 0.06, -top + 0.06),
        (middle, -top + 0.03),
        (left - 0.06, -top + 0.06),
    )
    canvas.fill(roof, wood, to=darker(wood, 0.4), part="cab", relief=0.5, texture="wood")
    span = (right - left - 0.13) / panes
    for i in range(panes):
        x = left + 0.065 + span * (i + 0.5)
        _paint_window(canvas, x, span - 0.04 * (panes - 1), top, brass, glass, arch=arch)


def _paint_window(
    canvas: Canvas,
    x: float,
    wide: float,
    top: float,
    brass: Colour,
    glass: Colour,
    *,
    arch: bool,
) -> None:
    high, low = -top + 0.09, -0.555
    r = wide / 2 if arch else 0.035

    def pane(edge: float) -> Points:
        a, b, upper, lower = x - wide / 2 + edge, x + wide / 2 - edge, high + edge, low - edge
        return rounded((a, lower, 0.02), (a, upper, r), (b, upper, r), (b, lower, 0.02))

    canvas.fill(pane(0), brass, part="window", relief=0.5)
    canvas.fill(pane(0.028), paler(glass, 0.3), to=darker(glass, 0.35), part="window", relief=-0.2)
    streak = bar(x - 0.22 * wide, low - 0.07, x + 0.18 * wide, high + 0.09, 0.022)
    canvas.fill(streak, rgb("#ffffff"), part=None, relief=0, opacity=0.6)


def _paint_headlight(
    canvas: Canvas, rng: np.random.Generator, top: float, brass: Colour, iron: Colour
) -> None:
    radius, y = rng.uniform(0.088, 0.105), top + rng.uniform(0.02, 0.08)
    glow, shine = pick(rng, ("#ffe27a", "#fff0a8", "#ffcf5a"), 6), rng.uniform(0.15, 0.5)
    x = 0.62
    box = rounded(
        (x - 0.16, y - 0.055, 0.03),
        (x, y - radius, 0),
        (x, y + radius, 0),
        (x - 0.16, y + 0.055, 0.03),
    )
    canvas.fill(box, brass, to=darker(brass, 0.5), part="headlight", relief=0.6)
    canvas.fill(ellipse(x, y, 0.75 * radius, radius), darker(iron, 0.3), part="headlight")
    canvas.fill(ellipse(x, y, 0.56 * radius, 0.78 * radius), glow, part="headlight", relief=0.2)
    canvas.fill(
        [ellipse(x, y, 0.2 * radius, 0.3 * radius)], rgb("#ffffff"), part="headlight", relief=0
    )
    canvas.glow(x + 0.06, y, 3.4 * radius, glow, shine)


def _paint_wheels(canvas: Canvas, rng: np.random.Generator, brass: Colour) -> None:
    colour, pair = pick(rng, _WHEELS), bool(rng.integers(2))
    turn = rng.uniform(0, 360)
    large, small = rng.uniform(0.2, 0.225), rng.uniform(0.138, 0.152)
    driven = (-0.52, -0.07) if pair else (-0.48,)
    free = (0.27, 0.57) if pair else (-0.1, 0.22, 0.54)
    wheels = [(x, large) for x in driven] + [(x, small) for x in free]
    rims, spokes, weights = [], [], []
    for x, r in wheels:
        rims.append(stroke(ellipse(x, -r, 0.84 * r, n=48), 0.26 * r))
        spokes += [bar(x, -r, *end, 0.09 * r) for end in around(x, -r, 0.8 * r, _SPOKES, turn)]
        weights.append(ellipse(x, -r, 0.24 * r))
    discs = [ellipse(x, -r, 0.95 * r) for x, r in wheels]
    canvas.fill(discs, darker(colour, 0.8), part="wheel", relief=0)
    canvas.fill(spokes, colour, part="wheel", relief=0.2)
    canvas.fill(rims, colour, to=darker(colour, 0.3), part="wheel", relief=0.4)
    tyres = [stroke(ellipse(x, -r, 0.95 * r, n=48), 0.1 * r) for x, r in wheels]
    canvas.fill(tyres, rgb("#3b3642"), part="wheel", relief=0.2)
    canvas.fill(weights, paler(colour, 0.4), part="wheel", relief=0.7)
    pins = [around(x, -large, 0.42 * large, 1, turn)[0] for x in driven]
    start, end = (pins[0], pins[-1]) if pair else (pins[0], (0.22, -small))
    canvas.fill(stroke(polygon(start, end), 0.05), rgb("#c9ced6"), part="wheel", relief=0.6)
    canvas.fill(dots([*pins, end], 0.036), brass, part="wheel", relief=0.6)
