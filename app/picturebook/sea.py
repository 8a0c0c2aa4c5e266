"""Rough blue water: rows of curved waves with crests of foam."""

from typing import Final

import numpy as np

from app.picturebook.brushwork import Numbers, dabs
from app.picturebook.canvas import Canvas, Colour, mix, rgb, vary
from app.picturebook.mood import Mood
from app.picturebook.shapes import Points

_FOAM: Final = rgb("#f7fbff")


class Row:
    """A row of waves across the picture: sharp peaks at irregular distances, round troughs."""

    def __init__(self, rng: np.random.Generator, y: float, length: float, height: float) -> None:
        n = int(1.3 / length) + 3
        steps = length * rng.uniform(0.65, 1.35, n)
        peaks = np.cumsum(steps) - steps[0] - 0.1 - length * rng.uniform(0, 1)
        tall = height * rng.uniform(0.55, 1.15, n)
        points = 4 if length < 0.1 else 7  # from one peak to the next
        t = np.linspace(0, 1, points, endpoint=False)
        skew = t**0.8
        fall = np.abs(2 * skew - 1) ** 1.7
        share = (1 - t)[None] * tall[:-1, None] + t[None] * tall[1:, None]
        self.x: Numbers = (peaks[:-1, None] + t * np.diff(peaks)[:, None]).reshape(-1)
        self.y: Numbers = (y - share * fall).reshape(-1)
        self.peak: Numbers = np.tile(np.abs(2 * skew - 1) ** 2.5, n - 1)
        self.height = height

    def body(self, bottom: float) -> Points:
        return self._between(self.y, np.full_like(self.y, bottom))

    def foam(self, rng: np.random.Generator, thick: float = 0.5) -> Points:
        """White along the crest, thick at the peaks, ragged below."""
        ragged = rng.uniform(0.35, 1.3, len(self.x))
        width = self.height * thick * (0.14 + self.peak * ragged)
        return self._between(self.y - 0.1 * width, self.y + width)

    def streak(self, drop: float, thick: float) -> Points:
        """A line in the slope of the waves, `drop` below the crest, strongest in the troughs."""
        middle = self.y + self.height * (drop + 0.5 * self.peak)
        half = self.height * thick * (1 - self.peak)
        return self._between(middle - half, middle + half)

    def _between(self, upper: Numbers, lower: Numbers) -> Points:
        return np.concatenate(
            [np.stack([self.x, upper], axis=1), np.stack([self.x, lower], axis=1)[::-1]]
        )


def paint_sea(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    """Water from the horizon to the lower edge, rows larger and darker towards the front."""
    rough = rng.uniform(0.85, 1.25)
    rows, foams, lights, darks = [], [], [], []
    y = horizon + 0.012
    while y < 1.06:
        depth = (y - horizon) / (1 - horizon)
        row = Row(rng, y, 0.055 + 0.1 * depth, rough * (0.012 + 0.026 * depth))
        rows.append((row, depth, y))
        foams.append(row.foam(rng))
        if depth > 0.2:
            lights.append(row.streak(0.5, 0.16))
            darks.append(row.streak(1.15, 0.2))
        y += 0.02 + 0.034 * depth
    for i, (row, depth, y) in enumerate(rows):
        canvas.fill(
            row.body(y + 0.023 + 0.037 * depth),
            vary(rng, _blue(mood, depth, i), 9),
            part="water",
            relief=0,
            strength=2.2,
        )
    canvas.fill(darks, mix(mood.near, rgb("#0b2350"), 0.6), part=None, relief=0, opacity=0.5)
    canvas.fill(lights, mix(mood.far, rgb("#bfe6ee"), 0.6), part=None, relief=0, opacity=0.6)
    flecks = dabs(rng, 24, (horizon + 0.02, 1.0), (0.016, 0.0032), 0.003)
    canvas.fill([*foams, *flecks], mood.lit(_FOAM), part="water", relief=0, opacity=0.95)


def paint_crests(canvas: Canvas, rng: np.random.Generator, mood: Mood) -> None:
    """The nearest waves, in front of what lies in the water."""
    foams = []
    for y in (0.95, 0.992):
        row = Row(rng, y, 0.17, 0.032)
        blue = vary(rng, mix(mood.lit(mood.near), mood.far, 0.15), 9)
        canvas.fill(row.body(y + 0.075), blue, part="water", relief=0, strength=2.2)
        foams.append(row.foam(rng))
    canvas.fill(foams, mood.lit(_FOAM), part="water", relief=0)


def _blue(mood: Mood, depth: float, i: int) -> Colour:
    """From light to dark towards the front, every other row a little lighter."""
    base = mix(mix(mood.far, mood.haze, 0.15), mood.near, 0.25 + 0.75 * depth)
    return mood.lit(mix(base, (mood.far, rgb("#0f3f86"), mood.near)[i % 3], 0.35))
