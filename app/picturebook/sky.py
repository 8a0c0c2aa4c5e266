"""The sky: its colours, sun, moon, stars and clouds, and what flies far off in it."""

from typing import Final

import numpy as np

from app.picturebook.brushwork import below, dabs, dots, ridge
from app.picturebook.canvas import Canvas, mix, rgb, vary
from app.picturebook.mood import Mood
from app.picturebook.shapes import Points, ellipse, polygon, rectangle, smooth, star, stroke

_CLOTHS: Final = ("#d9574a", "#e9a23b", "#5a9e8f", "#b95f86", "#7a69a8", "#f0e2c0")


def paint_sky(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    """The sky of a day, with clouds, and seldom a balloon or a kite."""
    _paint_air(canvas, rng, mood, horizon)
    side = -1.0 if canvas.light[0] < 0 else 1.0
    x, y = 0.5 + side * rng.uniform(0.24, 0.42), horizon * rng.uniform(0.18, 0.62)
    radius = rng.uniform(0.035, 0.055)
    if mood.sunny:
        canvas.glow(x, y, 7 * radius, mood.glow, 0.75)
        canvas.fill(
            ellipse(x, y, radius), mix(mood.glow, rgb("#ffffff"), 0.45), part="sun", relief=0
        )
    _paint_clouds(canvas, rng, mood, horizon)
    aloft = (0.5 - side * rng.uniform(0.26, 0.42), horizon * rng.uniform(0.2, 0.55))
    what = rng.random()
    if what < 0.16:
        _paint_balloon(canvas, rng, mood, aloft)
    elif what < 0.3:
        _paint_kite(canvas, rng, mood, aloft)


def paint_night_sky(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    """Stars, the moon, a few dark clouds."""
    _paint_air(canvas, rng, mood, horizon)
    n = 46
    x, y = rng.uniform(0, 1, n), horizon * rng.uniform(0, 1, n) ** 1.3
    canvas.fill(
        dots(x, y, 0.0012 + 0.0022 * rng.random(n) ** 2),
        *(rgb("#f4ecd2"),),
        part="star",
        relief=0,
        texture="none",
        opacity=0.85,
    )
    large = [
        star(float(a), float(b), float(r), float(r) * 0.34, 4)
        for a, b, r in zip(x[:9], y[:9], rng.uniform(0.007, 0.013, 9), strict=True)
    ]
    canvas.fill(large, rgb("#fff4cf"), part="star", relief=0, texture="none")
    _paint_clouds(canvas, rng, mood, horizon)
    side = -1.0 if canvas.light[0] < 0 else 1.0
    _paint_moon(
        canvas, rng, mood, 0.5 + side * rng.uniform(0.2, 0.4), horizon * rng.uniform(0.2, 0.5)
    )


def paint_distance(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    """Mountains, seldom none, and two rows of hills in the haze."""
    if rng.random() < 0.45:
        _paint_mountains(canvas, rng, mood, horizon)
    tone = mix(mood.far, mood.leaf, 0.6)
    for rise, height, distance in ((0.05, 0.09, 0.78), (0.015, 0.075, 0.55)):
        line = ridge(rng, horizon - rise, height, int(rng.integers(4, 8)))
        canvas.fill(
            below(line, horizon + 0.04),
            mood.hazed(vary(rng, tone, 8), distance),
            to=mood.hazed(tone, distance + 0.18),
            part="hill",
            relief=0,
        )


def _paint_air(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    """From the colour above to the one at the horizon, with broad strokes of a brush."""
    canvas.backdrop(mood.top, mix(mood.top, mood.low, 1 / horizon), part="sky")
    canvas.fill(
        dabs(rng, 8, (horizon * 0.95, horizon * 0.5), (0.3, 0.011), 0.012),
        mix(mood.low, mood.cloud, 0.6),
        part=None,
        relief=0,
        texture="none",
        opacity=0.26,
        soft=0.012,
    )


def _paint_clouds(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    for _ in range(int(rng.integers(2, 5))):
        width = rng.uniform(0.07, 0.17)
        x, y = rng.uniform(-0.02, 1.02), horizon * rng.uniform(0.14, 0.74)
        canvas.fill(
            _cloud(rng, x, y, width),
            mix(mood.cloud, rgb("#ffffff"), 0.25),
            to=mood.shade,
            part="cloud",
            relief=0.5,
            opacity=0.9,
            soft=0.011,
        )


def _cloud(rng: np.random.Generator, x: float, y: float, width: float) -> list[Points]:
    """Puffs on a flat base, the largest in the middle."""
    n = 5
    at = np.linspace(-0.8, 0.8, n) + rng.uniform(-0.1, 0.1, n)
    size = width * (0.42 - 0.3 * at**2) * rng.uniform(0.8, 1.25, n)
    pieces = [
        ellipse(x + width * float(a), y - 0.55 * float(r), float(r) * 1.25, float(r), n=20)
        for a, r in zip(at, size, strict=True)
    ]
    return [*pieces, ellipse(x, y - 0.02 * width, width, width * 0.13, n=20)]


def _paint_moon(canvas: Canvas, rng: np.random.Generator, mood: Mood, x: float, y: float) -> None:
    radius = rng.uniform(0.04, 0.06)
    crescent = rng.random() < 0.45
    canvas.glow(x, y, 5.5 * radius, mood.glow, 0.5)
    canvas.fill(
        ellipse(x, y, radius),
        rgb("#f8efcf"),
        part="moon",
        relief=0.12,
        hole=ellipse(x + 0.55 * radius, y - 0.2 * radius, 0.85 * radius) if crescent else (),
    )
    if not crescent:
        spots = [ellipse(x + a * radius, y + b * radius, c * radius, n=20) for a, b, c in _SPOTS]
        canvas.fill(spots, rgb("#dccf9f"), part=None, relief=0, opacity=0.5, soft=0.004)


_SPOTS: Final = ((-0.35, -0.2, 0.24), (0.3, 0.25, 0.3), (0.2, -0.45, 0.15), (-0.3, 0.45, 0.14))


def _paint_mountains(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    """Peaks with snow, lower in the middle of the picture; one slope of each is in shade."""
    n = int(rng.integers(5, 8))
    x = np.linspace(-0.05, 1.05, n) + rng.uniform(-0.04, 0.04, n)
    height = rng.uniform(0.09, 0.2, n) * (0.55 + 0.9 * np.abs(x - 0.5))
    stone = mood.hazed(rgb("#7d86a0"), 0.62)
    bodies, slopes, caps = [], [], []
    for a, h in zip(x.tolist(), height.tolist(), strict=True):
        foot, half = horizon + 0.03, h * rng.uniform(0.75, 1.05)
        top = horizon - h
        bodies.append(
            polygon(
                (a - half, foot),
                (a - 0.3 * half, top + 0.33 * h),
                (a, top),
                (a + 0.26 * half, top + 0.3 * h),
                (a + half, foot),
            )
        )
        away = 1.0 if canvas.light[0] < 0 else -1.0
        slopes.append(
            polygon(
                (a, top),
                (a + away * 0.28 * half, top + 0.31 * h),
                (a + away * half, foot),
                (a + away * 0.2 * half, foot),
                (a - away * 0.04 * half, top + 0.4 * h),
            )
        )
        caps.append(
            polygon(
                (a, top - 0.002),
                (a + 0.24 * half, top + 0.28 * h),
                (a + 0.1 * half, top + 0.22 * h),
                (a, top + 0.36 * h),
                (a - 0.12 * half, top + 0.24 * h),
                (a - 0.25 * half, top + 0.29 * h),
            )
        )
    canvas.fill(bodies, stone, part="mountain", relief=0.1)
    canvas.fill(slopes, mix(stone, rgb("#4a4f78"), 0.28), part=None, relief=0, opacity=0.6)
    canvas.fill(caps, mix(mood.cloud, stone, 0.2), part="mountain", relief=0, opacity=0.9)


def _paint_balloon(
    canvas: Canvas, rng: np.random.Generator, mood: Mood, where: tuple[float, float]
) -> None:
    cloth, stripe = (
        mood.hazed(rgb(str(code)), 0.15) for code in rng.choice(_CLOTHS, 2, replace=False)
    )
    with canvas.at(*where, rng.uniform(0.05, 0.075), angle=rng.uniform(-5, 5)):
        ropes = [stroke(polygon((a, 0.6), (0.4 * a, 1.3)), 0.05) for a in (-0.45, 0.45)]
        canvas.fill(ropes, rgb("#6a5140"), part="balloon", relief=0)
        skin = smooth(
            (0, -1),
            (0.7, -0.7),
            (0.93, 0),
            (0.62, 0.6),
            (0.2, 1.0),
            (-0.2, 1.0),
            (-0.62, 0.6),
            (-0.93, 0),
            (-0.7, -0.7),
        )
        canvas.fill(skin, cloth, part="balloon", relief=0.6, texture="cloth")
        stripes = [
            smooth(
                (0, -0.98),
                (a, -0.3),
                (0.8 * a, 0.5),
                (0.2 * a, 0.98),
                (0.1 * a, 0.98),
                (0.4 * a, 0.5),
                (0.5 * a, -0.3),
            )
            for a in (-0.62, 0.62)
        ]
        canvas.fill(stripes, stripe, part=None, relief=0, opacity=0.8)
        basket = rectangle(-0.22, 1.25, 0.22, 1.6, radius=0.06)
        canvas.fill(basket, rgb("#8f6a42"), part="balloon", texture="wood")


def _paint_kite(
    canvas: Canvas, rng: np.random.Generator, mood: Mood, where: tuple[float, float]
) -> None:
    cloth, other = (
        mood.hazed(rgb(str(code)), 0.1) for code in rng.choice(_CLOTHS, 2, replace=False)
    )
    with canvas.at(*where, rng.uniform(0.045, 0.065), angle=rng.uniform(-30, 30)):
        tail = smooth((0, 1), (0.3, 1.5), (-0.25, 2.1), (0.25, 2.7), (0, 3.2), closed=False)
        canvas.fill(stroke(tail, 0.05), other, part="kite", relief=0)
        bows = [
            polygon(
                (x - 0.2, y - 0.12), (x + 0.2, y + 0.12), (x + 0.2, y - 0.12), (x - 0.2, y + 0.12)
            )
            for x, y in ((0.2, 1.5), (-0.2, 2.1), (0.2, 2.7))
        ]
        canvas.fill(bows, cloth, part="kite", relief=0)
        canvas.fill(
            polygon((0, -1), (0.68, -0.15), (0, 1), (-0.68, -0.15)),
            cloth,
            part="kite",
            texture="cloth",
        )
        halves = [
            polygon((0, -1), (0.68, -0.15), (0, -0.15)),
            polygon((0, 1), (-0.68, -0.15), (0, -0.15)),
        ]
        canvas.fill(halves, other, part=None, relief=0, opacity=0.85)
