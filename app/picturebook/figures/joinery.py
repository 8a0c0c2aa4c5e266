"""What buildings and engines are made of: bars, bolts, rounded outlines, windows, doors."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from app.picturebook.canvas import Canvas, Colour, mix, rgb, vary
from app.picturebook.shapes import Points, ellipse, polygon, rectangle

_DARK: Final = rgb("#1d1533")
_PALE: Final = rgb("#fff6e2")


def pick(rng: np.random.Generator, palette: Sequence[str], amount: float = 12.0) -> Colour:
    """A colour near one of the palette."""
    return vary(rng, rgb(str(rng.choice(palette))), amount)


def darker(colour: Colour, share: float) -> Colour:
    """In the shade."""
    return mix(colour, _DARK, share)


def paler(colour: Colour, share: float) -> Colour:
    """In warm light."""
    return mix(colour, _PALE, share)


def rounded(*corners: tuple[float, float, float]) -> Points:
    """A polygon with round corners; each corner is (x, y, radius)."""
    at = np.array([corner[:2] for corner in corners], dtype=np.float64)
    radii = np.array([corner[2] for corner in corners])
    to_next = np.roll(at, -1, axis=0) - at
    length = np.linalg.norm(to_next, axis=1)
    reach = np.minimum(radii, np.minimum(length, np.roll(length, 1)) / 2)[:, None]
    along = to_next / length[:, None]
    before, after = at - reach * np.roll(along, 1, axis=0), at + reach * along
    t = np.linspace(0, 1, 9)[None, :, None]
    curves: Points = (
        (1 - t) ** 2 * before[:, None] + 2 * t * (1 - t) * at[:, None] + t**2 * after[:, None]
    )
    return curves.reshape(-1, 2)


def bar(x0: float, y0: float, x1: float, y1: float, width: float) -> Points:
    """A straight line of a width, with square ends."""
    share = width / 2 / max(float(np.hypot(x1 - x0, y1 - y0)), 1e-9)
    dx, dy = (y0 - y1) * share, (x1 - x0) * share
    return polygon((x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy))


def dots(places: Sequence[tuple[float, float]], radius: float) -> list[Points]:
    """Small discs: rivets, bolts, peas."""
    return [ellipse(x, y, radius, n=14) for x, y in places]


def around(x: float, y: float, radius: float, n: int, start: float) -> list[tuple[float, float]]:
    """n places on a circle, from an angle in degrees on."""
    angles = np.radians(start) + 2 * np.pi * np.arange(n) / n
    return [(x + radius * float(np.cos(a)), y + radius * float(np.sin(a))) for a in angles]


def arched(x: float, y: float, width: float, height: float, *, round_top: bool) -> Points:
    """An upright opening around x that stands on y, with a round or a straight upper end."""
    top = width / 2 if round_top else width / 10
    left, right = x - width / 2, x + width / 2
    return rounded((left, y, 0), (left, y - height, top), (right, y - height, top), (right, y, 0))


def paint_casement(
    canvas: Canvas,
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    frame: Colour,
    glass: Colour,
    curtain: Colour | None,
    round_top: bool,
) -> None:
    """A window with bars around x whose sill is at y; with curtains when they have a colour."""
    edge = 0.13 * width
    inner = arched(x, y - edge, width - 2 * edge, height - 2 * edge, round_top=round_top)
    canvas.fill(arched(x, y, width, height, round_top=round_top), frame, part="window")
    canvas.fill(inner, paler(glass, 0.35), to=darker(glass, 0.3), part="window", relief=-0.2)
    left, right = x - width / 2 + edge, x + width / 2 - edge
    top, low = y - height + 1.3 * edge, y - edge
    if curtain is not None:
        halves = [
            rounded((side, top, 0), (side + reach, top, 0.02), (side, low, 0.01))
            for side, reach in ((left, 0.32 * width), (right, -0.32 * width))
        ]
        canvas.fill(halves, curtain, part="window", texture="cloth")
    middle = y - 0.52 * height
    cross = [bar(x, top, x, low, 0.5 * edge), bar(left, middle, right, middle, 0.5 * edge)]
    canvas.fill(cross, frame, part="window", relief=0.1)
    sill = rectangle(x - 0.58 * width, y - 0.6 * edge, x + 0.58 * width, y + 0.5 * edge)
    canvas.fill(sill, darker(frame, 0.12), part="window")


def paint_door(
    canvas: Canvas,
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    wood: Colour,
    frame: Colour,
    round_top: bool,
) -> None:
    """A door of planks around x that stands on y, with iron hinges and a brass knob."""
    edge = 0.12 * width
    canvas.fill(
        arched(x, y, width + 2 * edge, height + edge, round_top=round_top), frame, part="door"
    )
    leaf = arched(x, y, width, height, round_top=round_top)
    canvas.fill(leaf, wood, to=darker(wood, 0.35), part="door", texture="wood", relief=0.25)
    seams = [
        bar(x + i * width / 4, y - 0.02, x + i * width / 4, y - height + 0.35 * width, 0.07 * width)
        for i in (-1, 0, 1)
    ]
    canvas.fill(seams, darker(wood, 0.6), part="door", relief=0, opacity=0.8)
    hinges = [
        bar(x - 0.46 * width, y - share * height, x + 0.2 * width, y - share * height, 0.09 * width)
        for share in (0.22, 0.66)
    ]
    canvas.fill(hinges, darker(wood, 0.75), part="door", relief=0.2)
    canvas.fill(
        ellipse(x + 0.32 * width, y - 0.45 * height, 0.09 * width),
        rgb("#f4c84a"),
        part="door",
        relief=0.7,
    )
