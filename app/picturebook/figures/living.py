"""What several figures are drawn with: eyes, patterns kept within an outline, rays, fur."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.picturebook.canvas import Canvas, Colour, mix, rgb
from app.picturebook.shapes import Points, arc, ellipse, polygon, stroke


def outside(outline: Points) -> Points:
    """All around an outline: as the hole of a pattern, it keeps the pattern within the outline."""
    ring = np.roll(outline, -int(outline[:, 0].argmin()), axis=0)
    y = float(ring[0, 1])
    frame = polygon((-9, y), (-9, -9), (9, -9), (9, 9), (-9, 9), (-9, y))
    return np.concatenate([ring, ring[:1], frame])


def spaced(line: Points, n: int) -> Points:
    """n points on an open line, equally far from each other."""
    along = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    at = np.linspace(0, along[-1], n)
    return np.stack([np.interp(at, along, line[:, i]) for i in (0, 1)], axis=1)


def shifted(outlines: Sequence[Points], x: float, y: float) -> list[Points]:
    """The same outlines further to the right and down."""
    way = np.array([x, y])
    return [outline + way for outline in outlines]


def rays(base: Points, edge: Points, widths: tuple[float, float]) -> list[Points]:
    """Straight lines from each point of a base to the point of the edge with the same number;
    widths: at the base and at the edge."""
    along = edge - base
    along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    side = np.stack([-along[:, 1], along[:, 0]], axis=1) / 2
    a, b = side * widths[0], side * widths[1]
    return list(np.stack([base - a, edge - b, edge + b, base + a], axis=1))


def scales(
    box: tuple[float, float, float, float], step: float, width: float, turn: float = 0.0
) -> list[Points]:
    """Rows of small bows over a box (x0, y0, x1, y1), each row shifted by half a bow; they bulge
    to the right, turned clockwise by `turn` degrees."""
    x0, y0, x1, y1 = box
    bow = stroke(arc(0, 0, 0.62 * step, 0.52 * step, turn - 80, turn + 80, n=8), width)
    return [
        bow + np.array([x, y])
        for i, x in enumerate(np.arange(x0, x1, 0.62 * step))
        for y in np.arange(y0 + (i % 2) * step / 2, y1, step)
    ]


def furry(outline: Points, n: int, depth: float) -> Points:
    """A closed outline with n tufts of unequal length, which stand out by up to `depth`."""
    closed = spaced(np.concatenate([outline, outline[:1]]), 4 * n + 1)[:-1]
    along = np.roll(closed, -1, axis=0) - np.roll(closed, 1, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    out = np.stack([along[:, 1], -along[:, 0]], axis=1)
    length = np.repeat(0.35 + 0.65 * _scatter(n), 4)
    height = np.tile([0.0, 0.4, 1.0, 0.25], n) * length * depth
    return closed + (out + 0.6 * along) * height[:, None]


def hairs(
    box: tuple[float, float, float, float], n: int, length: float, width: float, lean: float = 0.0
) -> list[Points]:
    """n short hairs scattered over a box (x0, y0, x1, y1); they hang down, outwards from the
    middle, and all of them to the right by `lean` of their length."""
    x0, y0, x1, y1 = box
    x, y = x0 + (x1 - x0) * _scatter(n), y0 + (y1 - y0) * (np.arange(n) + 0.5) / n
    root = np.stack([x, y], axis=1)
    tip = root + np.stack([lean + x - (x0 + x1) / 2, np.ones(n)], axis=1) * length
    return rays(root, tip, (width, 0.25 * width))


def _scatter(n: int) -> NDArray[np.float64]:
    """n numbers from 0 to 1, evenly scattered (multiples of the golden ratio)."""
    return np.asarray(np.arange(1, n + 1) * 0.6180339887 % 1)


def paint_eye(
    canvas: Canvas, x: float, y: float, radius: float, *, iris: Colour, ring: Colour
) -> None:
    """A large round eye with a ring around it and a light in it."""
    canvas.fill(ellipse(x, y, radius), ring, part="eye", relief=0.3, texture="none")
    canvas.fill(
        ellipse(x, y, 0.76 * radius),
        iris,
        to=mix(iris, rgb("#fff6d8"), 0.45),
        part="eye",
        relief=0,
        texture="none",
    )
    canvas.fill(ellipse(x, y, 0.5 * radius), rgb("#1c1520"), part="eye", relief=0, texture="none")
    lights = [
        ellipse(x - 0.2 * radius, y - 0.24 * radius, 0.2 * radius, n=16),
        ellipse(x + 0.22 * radius, y + 0.24 * radius, 0.1 * radius, n=12),
    ]
    canvas.fill(lights, rgb("#ffffff"), part="eye", relief=0, texture="none")
