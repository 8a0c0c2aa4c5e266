"""Outlines in the unit square: x to the right, y down, the picture 1 wide and 1 high.

Every outline is an array of points [n, 2]; functions that return several are for what is drawn in
one stroke of the same colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

_PER_CURVE: Final = 12  # points between two corners of a smooth outline


def polygon(*corners: tuple[float, float]) -> Points:
    """Straight lines from corner to corner."""
    return np.array(corners, dtype=np.float64)


def smooth(*corners: tuple[float, float], closed: bool = True) -> Points:
    """A Catmull-Rom curve through the corners (Catmull and Rom 1974)."""
    knots = np.array(corners, dtype=np.float64)
    n = len(knots)
    around = np.arange(-1, n + 2)
    knots = knots[around % n] if closed else knots[np.clip(around, 0, n - 1)]
    t = (np.arange(_PER_CURVE) / _PER_CURVE)[:, None]
    pieces = []
    for i in range(n if closed else n - 1):
        a, b, c, d = knots[i : i + 4]
        pieces.append(
            0.5
            * (
                2 * b
                + (c - a) * t
                + (2 * a - 5 * b + 4 * c - d) * t**2
                + (3 * b - a - 3 * c + d) * t**3
            )
        )
    if not closed:
        pieces.append(knots[-2][None])
    return np.concatenate(pieces)


def ellipse(x: float, y: float, rx: float, ry: float | None = None, *, n: int = 64) -> Points:
    """An ellipse around (x, y); a circle when only one radius is given."""
    angles = 2 * np.pi * np.arange(n) / n
    return np.stack(
        [x + rx * np.cos(angles), y + (rx if ry is None else ry) * np.sin(angles)], axis=1
    )


def arc(
    x: float, y: float, rx: float, ry: float, start: float, end: float, *, n: int = 32
) -> Points:
    """Part of an ellipse as an open line; angles in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, end, n))
    return np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)


def rectangle(x0: float, y0: float, x1: float, y1: float, *, radius: float = 0.0) -> Points:
    """A rectangle with rounded corners."""
    r = min(radius, abs(x1 - x0) / 2, abs(y1 - y0) / 2)
    if r <= 0:
        return polygon((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    return np.concatenate(
        [
            arc(x1 - r, y0 + r, r, r, -90, 0, n=8),
            arc(x1 - r, y1 - r, r, r, 0, 90, n=8),
            arc(x0 + r, y1 - r, r, r, 90, 180, n=8),
            arc(x0 + r, y0 + r, r, r, 180, 270, n=8),
        ]
    )


def stroke(line: Points, widths: float | Sequence[float]) -> Points:
    """The outline of a line drawn with a round brush; several widths are spread along the line."""
    line = np.asarray(line, dtype=np.float64)
    at = np.linspace(0, 1, len(line))
    given = np.atleast_1d(np.asarray(widths, dtype=np.float64))
    width = (
        np.interp(at, np.linspace(0, 1, len(given)), given)
        if len(given) > 1
        else given[0] * (np.ones(len(line)))
    )
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) * width[:, None] / 2

    def cap(i: int, towards: Points) -> Points:
        angles = np.linspace(-np.pi / 2, np.pi / 2, 7)[1:-1, None]
        side = np.stack([-towards[1], towards[0]])
        bow: Points = line[i] + (np.cos(angles) * towards - np.sin(angles) * side) * width[i] / 2
        return bow

    outline: Points = np.concatenate(
        [line + across, cap(-1, along[-1]), (line - across)[::-1], cap(0, -along[0])]
    )
    return outline


def star(x: float, y: float, outer: float, inner: float, n: int = 5) -> Points:
    """A star with n points, one of them upwards."""
    angles = np.pi * np.arange(2 * n) / n - np.pi / 2
    radii = np.where(np.arange(2 * n) % 2 == 0, outer, inner)
    return np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1)


def mirrored(points: Points, x: float = 0.0) -> Points:
    """The outline as seen in a mirror that stands upright at x."""
    return points * (-1.0, 1.0) + (2 * x, 0.0)


def turned(points: Points, degrees: float, about: tuple[float, float]) -> Points:
    """The outline turned clockwise about a point."""
    moved: Points = Frame(angle=degrees).apply(points - about) + about
    return moved


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a figure stands: its own (0, 0) comes to (x, y), enlarged by `scale`, turned clockwise
    by `angle` degrees, mirrored left to right before that when `flip`."""

    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    angle: float = 0.0
    flip: bool = False

    def apply(self, points: Points) -> Points:
        turn = np.radians(self.angle)
        rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        own = points * (-1.0, 1.0) if self.flip else points
        placed: Points = own @ rotation * self.scale + (self.x, self.y)
        return placed
