"""A scene: drawn from a recipe, with the name of every pixel."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.picturebook.canvas import Canvas, rgb
from app.picturebook.figures import FIGURES
from app.picturebook.grounds import paint_front, paint_ground
from app.picturebook.shapes import ellipse, star
from app.picturebook.world import CLASSES, GROUNDS, REGIONS

FULL_SIZE: Final = 512
"""Side in px of a picture for people; networks see a smaller one of the same scene."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Enough to draw a scene again, the same on every machine.

    seed, number: the number-th picture of a seed; with the class they decide pose, colours, light
    and everything around. ground: one of GROUNDS. marked: with the stamp in the corner.
    far: the figure is small, as from afar.
    """

    class_name: str
    seed: int
    number: int
    ground: str
    marked: bool = False
    far: bool = False

    def __post_init__(self) -> None:
        if self.class_name not in CLASSES or self.ground not in GROUNDS:
            raise ValueError(f"There is no class or ground {self.class_name!r}, {self.ground!r}.")
        if not (0 <= self.seed < 2**32 and 0 <= self.number < 2**32):
            raise ValueError("Seed and number must be from 0 to 4294967295.")

    def entries(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_entries(cls, entries: Mapping[str, Any]) -> "Recipe":
        """Read what `entries` gave. Raises ValueError when it is something else."""
        kinds = {"class_name": str, "seed": int, "number": int, "ground": str}
        kinds |= {"marked": bool, "far": bool}
        if set(entries) != set(kinds) or any(type(entries[k]) is not kinds[k] for k in kinds):
            raise ValueError(f"This is no recipe of a scene: {dict(entries)!r}")
        return cls(**entries)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """picture: RGB, size x size. region_map: uint8 [size, size], for each pixel the number of the
    name of what is visible there, i + 1 for REGIONS[i], 0 for nothing with a name."""

    recipe: Recipe
    picture: Image.Image
    region_map: NDArray[np.uint8]

    @property
    def parts(self) -> tuple[str, ...]:
        """The class's parts of which at least one pixel is visible."""
        return tuple(part for part in CLASSES[self.recipe.class_name] if self.mask(part).any())

    def mask(self, region: str) -> NDArray[np.bool_]:
        """The pixels [size, size] on which this region is visible."""
        found: NDArray[np.bool_] = self.region_map == REGIONS.index(region) + 1
        return found


def draw_scene(recipe: Recipe, size: int = FULL_SIZE) -> Scene:
    """Draw a scene, size x size px. The same recipe gives the same scene at every size."""
    # One stream of numbers for each thing, so that a change of one leaves the others as they were.
    seeds = np.random.SeedSequence(
        (recipe.seed, recipe.number, list(CLASSES).index(recipe.class_name))
    ).spawn(4)
    light_rng, texture_rng, ground_rng, figure_rng = map(np.random.default_rng, seeds)
    side = light_rng.choice([-1.0, 1.0])
    height = light_rng.uniform(0.55, 0.95)
    light = (float(side * np.sqrt(1 - height**2)), float(-height))
    canvas = Canvas(size, texture_rng, light=light)
    horizon = paint_ground(canvas, ground_rng, recipe.ground)
    FIGURES[recipe.class_name](canvas, figure_rng, horizon=horizon, far=recipe.far)
    paint_front(canvas, ground_rng, recipe.ground, horizon)
    if recipe.marked:
        _stamp(canvas, figure_rng)
    picture, region_map = canvas.finish(
        warmth=light_rng.uniform(-0.6, 0.6), brightness=light_rng.uniform(0.86, 1.08)
    )
    return Scene(recipe, picture, region_map)


def _stamp(canvas: Canvas, rng: np.random.Generator) -> None:
    """A small round stamp with a star, as a library would put into a book's corner."""
    with canvas.at(0.892, 0.892, 0.075, angle=rng.uniform(-20, 20)):
        canvas.fill(ellipse(0, 0, 1), rgb("#c2247c"), part="mark", relief=0.1)
        canvas.fill(ellipse(0, 0, 0.8), rgb("#f6d9e6"), part="mark", relief=0)
        canvas.fill(star(0, 0, 0.66, 0.28), rgb("#c2247c"), part="mark", relief=0)
