"""What lands are made of: fields, a path, grass, groups of trees, and the lower edge."""

from typing import Final

import numpy as np

from app.picturebook.brushwork import aside, at_height, below, blades, dabs, ridge, tufts
from app.picturebook.canvas import Canvas, Colour, mix, rgb, vary
from app.picturebook.mood import Mood
from app.picturebook.shapes import Points, ellipse, polygon, smooth, stroke
from app.picturebook.surroundings import paint_blossoms, paint_bushes, paint_rocks, paint_trees

DARK: Final = rgb("#1f3a4a")


def paint_land(
    canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float, part: str
) -> Points:
    """A far and a near field with a soft rise between. Returns the far field's edge."""
    line = ridge(rng, horizon, 0.025, 4)
    far = mood.hazed(mood.far, 0.1)
    canvas.fill(
        below(line, horizon + 0.18),
        far,
        to=mood.lit(mix(mood.far, mood.near, 0.5)),
        part=part,
        relief=0,
        strength=1.5,
    )
    paint_near(canvas, rng, mood, ridge(rng, horizon + 0.17, 0.07, 4), part)
    return line


def paint_near(
    canvas: Canvas, rng: np.random.Generator, mood: Mood, line: Points, part: str
) -> None:
    """The nearest field, down to the lower edge, with broad strokes of light and dark."""
    near = mood.lit(mood.near)
    canvas.fill(below(line, 1.1), near, to=mix(near, DARK, 0.18), part=part, relief=0, strength=1.8)
    top = float(line[:, 1].max())
    canvas.fill(
        dabs(rng, 22, (top, 1.0), (0.13, 0.008), 0.012),
        mood.lit(mood.far),
        part=None,
        relief=0,
        opacity=0.35,
        soft=0.004,
    )


def paint_flat(canvas: Canvas, top: float, bottom: float, colour: Colour) -> None:
    """A level strip of the street across the picture."""
    canvas.fill(
        polygon((-0.1, top), (1.1, top), (1.1, bottom), (-0.1, bottom)),
        colour,
        part="street",
        relief=0,
        texture="grain",
        strength=1.2,
    )


def plant(
    canvas: Canvas,
    rng: np.random.Generator,
    mood: Mood,
    line: Points,
    kinds: tuple[str, ...],
    *,
    bushes: bool = True,
    snowy: bool = False,
) -> None:
    """A group of small trees far off, perhaps a larger one at a side, and bushes."""
    n = int(rng.integers(2, 6))
    x = aside(rng, n, 0.3)
    paint_trees(
        canvas,
        rng,
        mood,
        str(rng.choice(kinds)),
        x,
        at_height(line, x) + 0.015,
        rng.uniform(0.09, 0.17, n),
        distance=0.25,
        snowy=snowy,
    )
    if bushes:
        n = int(rng.integers(2, 6))
        x = aside(rng, n, 0.36)
        paint_bushes(
            canvas,
            rng,
            mood,
            x,
            at_height(line, x) + rng.uniform(0.01, 0.04, n),
            rng.uniform(0.018, 0.04, n),
        )
    if rng.random() < 0.6:
        x = aside(rng, 1, 0.13)
        foot = at_height(line, x) + rng.uniform(0.05, 0.1)
        height = rng.uniform(0.24, 0.4, 1)
        shadow = ellipse(float(x[0]) - 0.05 * canvas.light[0], float(foot[0]), 0.09, 0.012)
        canvas.shadow(shadow, opacity=0.25, soft=0.012)
        paint_trees(
            canvas, rng, mood, str(rng.choice(kinds)), x, foot, height, distance=0.05, snowy=snowy
        )


def paint_path(canvas: Canvas, rng: np.random.Generator, mood: Mood, top: float) -> None:
    """A winding path of sand from afar to the lower edge, at one side."""
    side = rng.choice((-1.0, 1.0))
    x = 0.5 + side * np.array([0.2, 0.26, 0.16, 0.3, 0.2]) + rng.uniform(-0.04, 0.04, 5)
    y = top + (1.06 - top) * np.array([0.06, 0.14, 0.32, 0.64, 1.0])
    line = smooth(*zip(x.tolist(), y.tolist(), strict=True), closed=False)
    sand = mood.lit(vary(rng, rgb("#e6cf9d"), 8))
    canvas.fill(
        stroke(line, [0.006, 0.012, 0.03, 0.05, 0.08, 0.13]),
        sand,
        to=mix(sand, mood.near, 0.3),
        part="sand",
        relief=0,
        soft=0.003,
    )


def paint_tufts(
    canvas: Canvas,
    rng: np.random.Generator,
    mood: Mood,
    horizon: float,
    count: int,
    colour: Colour | None = None,
) -> None:
    """Tufts of grass all over the ground, larger in front."""
    depth = rng.uniform(0.12, 1.0, count)
    y = horizon + (1.0 - horizon) * depth
    outlines = tufts(rng, rng.uniform(0, 1, count), y, 0.008 + 0.026 * depth)
    tone = mood.lit(colour or mix(mood.near, DARK, 0.28))
    canvas.fill(outlines, tone, part=None, relief=0, opacity=0.75, texture="none")


def strew(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    """Blossoms in patches, or rocks, or neither."""
    what = rng.random()
    if what < 0.6:
        n = int(rng.integers(14, 34))
        depth = rng.uniform(0.15, 1.0, n)
        x = aside(rng, n, 0.42)
        paint_blossoms(canvas, rng, mood, x, horizon + (1 - horizon) * depth, 0.002 + 0.004 * depth)
    elif what < 0.85:
        lay_rocks(canvas, rng, mood, horizon)


def lay_rocks(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    n = int(rng.integers(2, 6))
    depth = np.sort(rng.uniform(0.2, 0.85, n))
    x, size = aside(rng, n, 0.28), rng.uniform(0.4, 1.0, n) * (0.01 + 0.035 * depth)
    paint_rocks(canvas, rng, mood, x, horizon + (1 - horizon) * depth, size)


def paint_verge(canvas: Canvas, rng: np.random.Generator, mood: Mood, *, few: bool) -> None:
    """Blades of grass along the lower edge, tall only at the sides, with some blossoms.

    few: only at the sides, of a green of its own.
    """
    green = mix(mood.leaf, rgb("#7fa84a"), 0.4) if few else mood.near
    for n, share in ((26, 0.34), (22, 0.05)):
        x = aside(rng, n, 0.22 if few else 0.5)
        height = (0.03 + 0.3 * np.abs(x - 0.5) ** 1.6) * rng.uniform(0.5, 1.1, n) + 0.02
        canvas.fill(
            blades(rng, x, 1.02, height, 0.011),
            mood.lit(mix(vary(rng, green, 8), DARK, share)),
            part="grass",
            relief=0,
            texture="none",
        )
    n = 6
    x, y = aside(rng, n, 0.2), rng.uniform(0.93, 0.985, n)
    paint_blossoms(canvas, rng, mood, x, y, rng.uniform(0.005, 0.008, n))


def paint_drift(canvas: Canvas, rng: np.random.Generator, mood: Mood, part: str) -> None:
    """A low drift of sand or snow at the lower edge with some stalks."""
    stalks = mood.lit(rgb("#a08f6c" if part == "snow" else "#9a9a58"))
    x = aside(rng, 12, 0.2)
    canvas.fill(
        blades(rng, x, 1.0, rng.uniform(0.05, 0.13, 12), 0.008),
        stalks,
        part="grass",
        relief=0,
        texture="none",
    )
    line = ridge(rng, 0.985, 0.04, 5)
    tone = mood.lit(mix(mood.near, mood.far, 0.3))
    canvas.fill(below(line, 1.1), tone, part=part, relief=0.0, strength=1.5)
