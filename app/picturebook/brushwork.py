"""Outlines that surroundings are made of, many at once: they go to the canvas as one list."""

import numpy as np
from numpy.typing import NDArray

from app.picturebook.shapes import Points, smooth

Numbers = NDArray[np.float64]


def ridge(rng: np.random.Generator, y: float, height: float, knots: int) -> Points:
    """A soft line across the picture that rises from y by up to `height`."""
    across = np.linspace(-0.1, 1.1, knots) + rng.uniform(-0.25, 0.25, knots) * 1.2 / knots
    across[0], across[-1] = -0.1, 1.1
    up = rng.uniform(0, height, knots)
    return smooth(*zip(across.tolist(), (y - up).tolist(), strict=True), closed=False)


def below(line: Points, bottom: float) -> Points:
    """Everything from a line across the picture down to `bottom`."""
    return np.concatenate([line, [(line[-1, 0], bottom), (line[0, 0], bottom)]])


def at_height(line: Points, x: Numbers) -> Numbers:
    """How high a line across the picture is at x."""
    return np.interp(x, line[:, 0], line[:, 1])


def aside(rng: np.random.Generator, count: int, reach: float = 0.3) -> Numbers:
    """Places towards the sides: within `reach` of the left or the right edge."""
    x = rng.uniform(-0.02, reach, count)
    return np.where(rng.random(count) < 0.5, x, 1 - x)


def dabs(
    rng: np.random.Generator,
    count: int,
    rows: tuple[float, float],
    size: tuple[float, float],
    bend: float = 0.0,
) -> list[Points]:
    """Strokes of a flat brush between two rows, smaller above.

    size: half length and half width of the nearest. bend: how far their ends hang down.
    """
    depth = rng.uniform(0, 1, count)
    scale = ((0.25 + 0.75 * depth) * rng.uniform(0.5, 1.2, count))[:, None]
    x, y = (
        rng.uniform(-0.05, 1.05, count)[:, None],
        (rows[0] + (rows[1] - rows[0]) * depth)[:, None],
    )
    t = np.linspace(-1, 1, 7)
    width = size[1] * np.sqrt(np.clip(1 - t**2, 0, 1))
    middle = bend * t**2 + 0.25 * size[1] * np.sin(3 * t)
    there = np.stack([x + size[0] * scale * t, y + scale * (middle - width)], axis=2)
    back = np.stack([x + size[0] * scale * t, y + scale * (middle + width)], axis=2)
    return list(np.concatenate([there, back[:, ::-1]], axis=1))


def tufts(rng: np.random.Generator, x: Numbers, y: Numbers, height: Numbers) -> list[Points]:
    """A tuft of four pointed blades at every place."""
    n, blades = len(x), 4
    fan = np.linspace(-0.5, 0.5, blades)
    tip_x = x[:, None] + height[:, None] * (0.95 * fan + rng.uniform(-0.18, 0.18, (n, blades)))
    tip_y = y[:, None] - height[:, None] * rng.uniform(0.6, 1.0, (n, blades))
    notch_x = x[:, None] + height[:, None] * np.linspace(-0.2, 0.2, blades + 1)
    notch_y = y[:, None] - height[:, None] * np.array([0.0, 0.25, 0.3, 0.25, 0.0])
    outline = np.empty((n, 2 * blades + 1, 2))
    outline[:, 0::2] = np.stack([notch_x, notch_y], axis=2)
    outline[:, 1::2] = np.stack([tip_x, tip_y], axis=2)
    return list(outline)


def blades(
    rng: np.random.Generator, x: Numbers, y: float, height: Numbers, width: float
) -> list[Points]:
    """Single long blades that bend over."""
    n = len(x)
    lean = height * rng.normal(0, 0.35, n)
    t = np.array([0.0, 0.3, 0.6, 0.85, 1.0])
    middle = x[:, None] + lean[:, None] * t**2
    up = y - height[:, None] * t
    half = width * (1 - t**1.5) * rng.uniform(0.6, 1.2, n)[:, None] / 2
    there = np.stack([middle - half, up], axis=2)
    back = np.stack([middle + half, up], axis=2)
    return list(np.concatenate([there, back[:, -2::-1]], axis=1))


def puff(x: float, y: float, rx: float, ry: float, *, lobes: int = 9, turn: float = 0.0) -> Points:
    """A round thing with a lobed edge: a crown of leaves, a bush, a piece of cloud."""
    angle = np.linspace(0, 2 * np.pi, 5 * lobes, endpoint=False)
    radius = 0.86 + 0.14 * np.abs(np.sin(lobes * (angle + turn) / 2))
    return np.stack([x + rx * radius * np.cos(angle), y + ry * radius * np.sin(angle)], axis=1)


def dots(x: Numbers, y: Numbers, radius: Numbers) -> list[Points]:
    """Small round dots."""
    angle = np.linspace(0, 2 * np.pi, 9, endpoint=False)
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return list(np.stack([x, y], axis=1)[:, None] + radius[:, None, None] * around)
