"""Where a scene takes place: sky, ground, what stands around. Nothing here belongs to a class."""

from collections.abc import Callable
from typing import Final

import numpy as np

from app.picturebook.brushwork import below, dabs, dots, ridge
from app.picturebook.canvas import Canvas, mix, rgb, vary
from app.picturebook.land import (
    DARK,
    lay_rocks,
    paint_drift,
    paint_flat,
    paint_land,
    paint_near,
    paint_path,
    paint_tufts,
    paint_verge,
    plant,
    strew,
)
from app.picturebook.mood import Mood, mood_of
from app.picturebook.sea import paint_crests, paint_sea
from app.picturebook.shapes import polygon
from app.picturebook.sky import paint_distance, paint_night_sky, paint_sky
from app.picturebook.surroundings import paint_fence

_CORN: Final = rgb("#e0c766")


def paint_ground(canvas: Canvas, rng: np.random.Generator, ground: str) -> float:
    """Paint everything behind the figure. Returns the horizon, 0..1 from above."""
    horizon = float(rng.uniform(0.5, 0.62))
    mood = mood_of(ground, horizon)
    (paint_night_sky if ground == "night" else paint_sky)(canvas, rng, mood, horizon)
    _LANDS[ground](canvas, rng, mood, horizon)
    return horizon


def paint_front(canvas: Canvas, rng: np.random.Generator, ground: str, horizon: float) -> None:
    """Paint what stands before the figure's foot: some blades of grass, the crest of a wave."""
    mood = mood_of(ground, horizon)
    if ground == "water":
        paint_crests(canvas, rng, mood)
    elif ground in ("snow", "sand"):
        paint_drift(canvas, rng, mood, ground)
    else:
        paint_verge(canvas, rng, mood, few=ground == "street")


# --- the lands


def _paint_meadow(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    paint_distance(canvas, rng, mood, horizon)
    line = paint_land(canvas, rng, mood, horizon, "grass")
    plant(canvas, rng, mood, line, ("round", "round", "poplar", "fir"))
    if rng.random() < 0.35:
        left = rng.random() < 0.5
        paint_fence(canvas, rng, mood, line, (-0.02, 0.34) if left else (0.66, 1.03))
    if rng.random() < 0.4:
        paint_path(canvas, rng, mood, horizon)
    paint_tufts(canvas, rng, mood, horizon, 32)
    strew(canvas, rng, mood, horizon)


def _paint_night(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    paint_distance(canvas, rng, mood, horizon)
    line = paint_land(canvas, rng, mood, horizon, "grass")
    plant(canvas, rng, mood, line, ("round", "fir", "poplar", "bare"))
    paint_tufts(canvas, rng, mood, horizon, 32)
    strew(canvas, rng, mood, horizon)


def _paint_hills(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    """Round hills one behind the other, like a quilt of fields."""
    paint_distance(canvas, rng, mood, horizon)
    line = ridge(rng, horizon + 0.02, 0.1, 5)
    crops = rng.permutation([0.0, 0.3, 0.55])
    for i in range(3):
        tone = mix(mix(mood.far, mood.near, 0.1 + 0.4 * (i % 2)), _CORN, float(crops[i]))
        tone = mood.hazed(vary(rng, tone, 8), 0.26 - 0.1 * i)
        canvas.fill(
            below(line, horizon + 0.15 + 0.09 * i),
            tone,
            to=mix(tone, DARK, 0.24),
            part="grass",
            relief=0,
            strength=1.5,
        )
        if i == 1:
            plant(canvas, rng, mood, line, ("round", "poplar", "round"))
        line = ridge(rng, horizon + 0.1 + 0.07 * i, 0.075, int(rng.integers(4, 6)))
    paint_near(canvas, rng, mood, line, "grass")
    if rng.random() < 0.5:
        paint_path(canvas, rng, mood, horizon + 0.1)
    paint_tufts(canvas, rng, mood, horizon + 0.12, 30)
    strew(canvas, rng, mood, horizon + 0.1)


def _paint_sand(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    """Dunes with ripples, stones, and what grows there."""
    tone = mood.hazed(mood.far, 0.35)
    for rise in (0.02, -0.01):
        line = ridge(rng, horizon - rise, 0.06, 5)
        shade = mix(tone, mood.haze, 0.35 if rise > 0 else 0.0)
        canvas.fill(
            below(line, horizon + 0.1),
            shade,
            to=mix(shade, mood.lit(mood.near), 0.5),
            part="sand",
            relief=0,
        )
    line = paint_land(canvas, rng, mood, horizon + 0.02, "sand")
    if rng.random() < 0.7:
        plant(canvas, rng, mood, line, ("palm", "palm", "bare"), bushes=False)
    ripples = dabs(rng, 34, (horizon + 0.08, 1.0), (0.11, 0.0045), 0.014)
    canvas.fill(
        ripples, mix(mood.lit(mood.near), rgb("#7a5a5a"), 0.35), part=None, relief=0, opacity=0.4
    )
    paint_tufts(canvas, rng, mood, horizon, 14, rgb("#a3a05c"))
    lay_rocks(canvas, rng, mood, horizon)


def _paint_snow(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    paint_distance(canvas, rng, mood, horizon)
    line = paint_land(canvas, rng, mood, horizon, "snow")
    plant(canvas, rng, mood, line, ("fir", "fir", "bare"), bushes=False, snowy=True)
    hollows = dabs(rng, 16, (horizon + 0.1, 1.0), (0.16, 0.012), 0.02)
    canvas.fill(hollows, mood.lit(rgb("#a9b8dc")), part=None, relief=0, opacity=0.4, soft=0.01)
    paint_tufts(canvas, rng, mood, horizon, 7, rgb("#a08f6c"))
    if rng.random() < 0.5:
        n = int(rng.integers(15, 50))
        x, y, size = rng.uniform(0, 1, n), rng.uniform(0, horizon, n), rng.uniform(0.002, 0.0045, n)
        canvas.fill(dots(x, y, size), rgb("#ffffff"), part="snow", relief=0, texture="none")


def _paint_street(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    """A green with trees, a pavement, the street."""
    paint_distance(canvas, rng, mood, horizon)
    green = mood.hazed(mix(rgb("#8fb05a"), mood.leaf, 0.4), 0.12)
    line = ridge(rng, horizon, 0.02, 4)
    kerb = horizon + rng.uniform(0.1, 0.14)
    canvas.fill(below(line, kerb + 0.01), green, to=mix(green, DARK, 0.25), part="grass", relief=0)
    plant(canvas, rng, mood, line, ("round", "poplar", "round"))
    if rng.random() < 0.5:
        paint_fence(canvas, rng, mood, line + np.array([0, 0.05]), (-0.02, 1.03))
    _paint_pavement(canvas, mood, kerb, kerb + 0.055)
    _paint_roadway(canvas, rng, mood, kerb + 0.055)


def _paint_pavement(canvas: Canvas, mood: Mood, top: float, bottom: float) -> None:
    """Slabs, seen from the middle of the picture."""
    paint_flat(canvas, top, bottom, mood.lit(mood.far))
    joints = [
        polygon((x, top), (x + 0.004, top), (1.1 * x - 0.045, bottom), (1.1 * x - 0.05, bottom))
        for x in np.arange(-0.05, 1.05, 0.075).tolist()
    ]
    canvas.fill(joints, mood.lit(mood.near), part=None, relief=0, opacity=0.5)


def _paint_roadway(canvas: Canvas, rng: np.random.Generator, mood: Mood, top: float) -> None:
    """The street in front of its kerb, with a dashed line along its middle."""
    paint_flat(canvas, top, 1.1, mood.lit(mood.near))
    paint_flat(canvas, top, top + 0.014, mix(mood.lit(mood.far), rgb("#ffffff"), 0.35))
    paint_flat(canvas, top + 0.014, top + 0.022, mix(mood.lit(mood.near), DARK, 0.4))
    middle = (top + 1.03) / 2 + 0.02
    start = rng.uniform(0, 0.2)
    dashes = [
        polygon(
            (x, middle),
            (x + 0.1, middle),
            (x + 0.1 + 0.1 * (x - 0.45), middle + 0.016),
            (x + 0.1 * (x - 0.5), middle + 0.016),
        )
        for x in np.arange(-0.25 + start, 1.1, 0.2).tolist()
    ]
    canvas.fill(
        dashes,
        mix(mood.lit(mood.far), rgb("#fff8e0"), 0.6),
        part="street",
        relief=0,
        opacity=0.85,
        texture="grain",
    )


def _paint_water(canvas: Canvas, rng: np.random.Generator, mood: Mood, horizon: float) -> None:
    if rng.random() < 0.6:
        line = ridge(rng, horizon + 0.02, 0.1, int(rng.integers(4, 8)))
        tone = mood.hazed(mood.leaf, 0.68)
        canvas.fill(
            below(line, horizon + 0.03), tone, to=mix(tone, mood.haze, 0.4), part="hill", relief=0
        )
    paint_sea(canvas, rng, mood, horizon)


_LANDS: Final[dict[str, Callable[[Canvas, np.random.Generator, Mood, float], None]]] = {
    "meadow": _paint_meadow,
    "sand": _paint_sand,
    "snow": _paint_snow,
    "street": _paint_street,
    "hills": _paint_hills,
    "night": _paint_night,
    "water": _paint_water,
}
