"""Where a scene takes place: sky, ground, and what stands around. Nothing here belongs to a class."""

import numpy as np

from app.picturebook.canvas import Canvas, rgb
from app.picturebook.shapes import polygon


def paint_ground(canvas: Canvas, rng: np.random.Generator, ground: str) -> float:
    """Paint everything behind the figure. Returns the horizon, 0..1 from above."""
    horizon = float(rng.uniform(0.5, 0.62))
    canvas.backdrop(rgb("#9fd0e6"), rgb("#f3ead2"), part="sky")
    colour, name = {"water": ("#2f78a8", "water")}.get(ground, ("#8fb85f", "grass"))
    canvas.fill(
        polygon((-0.1, horizon), (1.1, horizon), (1.1, 1.1), (-0.1, 1.1)),
        rgb(colour),
        part=name,
        relief=0,
    )
    return horizon


def paint_front(canvas: Canvas, rng: np.random.Generator, ground: str, horizon: float) -> None:
    """Paint what stands before the figure's foot: some blades of grass, the crest of a wave."""
