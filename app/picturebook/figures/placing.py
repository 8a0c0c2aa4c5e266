"""Where in a scene a figure comes to stand."""

import numpy as np

from app.picturebook.shapes import Frame


def place(
    rng: np.random.Generator,
    horizon: float,
    *,
    far: bool,
    height: float,
    tilt: float = 0.0,
    above: float | None = None,
) -> Frame:
    """A place for a figure whose own foot is at (0, 0) and whose own height is 1.

    height: usual height in the picture, 0..1; it varies by a seventh, and is half when far.
    tilt: largest angle in degrees. above: for what flies or swims, the usual height of its middle
    in the picture (0..1 from above), about which it varies; else the foot is on the ground.
    """
    scale = height * rng.uniform(0.86, 1.12) * (0.5 if far else 1.0)
    x = rng.uniform(0.4, 0.6) if not far else rng.uniform(0.25, 0.75)
    if above is None:
        lowest = 0.93 if not far else max(horizon + 0.08, 0.8)
        y = rng.uniform(max(horizon + 0.06, lowest - 0.12), lowest)
    else:
        y = above + rng.uniform(-0.07, 0.07)
    angle = rng.uniform(-tilt, tilt) if tilt else 0.0
    return Frame(x, y, scale, angle, bool(rng.integers(2)))
