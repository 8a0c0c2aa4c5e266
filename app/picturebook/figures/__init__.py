"""What each class looks like: one function per class, which paints a figure with its parts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np

from app.picturebook.canvas import Canvas
from app.picturebook.figures.bird import paint_bird
from app.picturebook.figures.car import paint_car
from app.picturebook.figures.cat import paint_cat
from app.picturebook.figures.fish import paint_fish
from app.picturebook.figures.flower import paint_flower
from app.picturebook.figures.house import paint_house
from app.picturebook.figures.rocket import paint_rocket
from app.picturebook.figures.sailboat import paint_sailboat
from app.picturebook.figures.train import paint_train
from app.picturebook.figures.windmill import paint_windmill


class Figure(Protocol):
    """Paints one figure of a class onto a canvas.

    horizon: height (0..1, from above) at which the ground meets the sky; figures that stand have
    their foot below it. far: paint it small, about half the usual size.
    """

    def __call__(
        self, canvas: Canvas, rng: np.random.Generator, *, horizon: float, far: bool
    ) -> None: ...


FIGURES: Final[Mapping[str, Figure]] = MappingProxyType(
    {
        "bird": paint_bird,
        "car": paint_car,
        "cat": paint_cat,
        "fish": paint_fish,
        "flower": paint_flower,
        "house": paint_house,
        "rocket": paint_rocket,
        "sailboat": paint_sailboat,
        "train": paint_train,
        "windmill": paint_windmill,
    }
)
