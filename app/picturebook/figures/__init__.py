"""What each class looks like: one function per class, which paints a figure with its parts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np

from app.picturebook.canvas import Canvas
from app.picturebook.figures.sailboat import paint_sailboat


class Figure(Protocol):
    """Paints one figure of a class onto a canvas.

    horizon: height (0..1, from above) at which the ground meets the sky; figures that stand have
    their foot below it. far: paint it small, about half the usual size.
    """

    def __call__(
        self, canvas: Canvas, rng: np.random.Generator, *, horizon: float, far: bool
    ) -> None: ...


FIGURES: Final[Mapping[str, Figure]] = MappingProxyType({"sailboat": paint_sailboat})
