"""A study of picture-book pictures, computed as if a network looked at chosen parts."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from app.infra.storage import Storage
from app.models import Image, Study
from app.picturebook.files import png_of
from app.picturebook.scenes import Recipe, Scene, draw_scene
from app.picturebook.world import CLASSES
from tests import factories


def part_map(scene: Scene, region: str, *, n_cells: int = 32) -> NDArray[np.float32]:
    """A cluster map [n_cells, n_cells] that lies on one region: its share of each cell."""
    mask = scene.mask(region)
    k = len(mask) // n_cells
    shares = mask.reshape(n_cells, k, n_cells, k).mean(axis=(1, 3)).astype(np.float32)
    scaled: NDArray[np.float32] = shares / shares.max()
    return scaled


def make_scene_study(session: Session, *, name: str = "Picture book") -> Study:
    """An open study of the picture book's classes, one layer, without pictures."""
    return factories.make_study(session, name=name, classes=list(CLASSES), layers=[("layer4", 512)])


def add_scene(
    session: Session,
    storage: Storage,
    study: Study,
    recipe: Recipe,
    *,
    regions: Sequence[str],
    weight: float = 50.0,
) -> Image:
    """A computed picture with one cluster map for each of these regions, the first of this weight,
    each next one lighter."""
    scene = _drawn(recipe)
    image = factories.make_image(
        session,
        storage,
        study,
        class_name=recipe.class_name,
        view=scene.picture,
        maps={"layer4": [(weight / (i + 1), part_map(scene, r)) for i, r in enumerate(regions)]},
    )
    storage.put(image.original_key, png_of(scene))
    return image


@cache
def _drawn(recipe: Recipe) -> Scene:
    """Each scene once for all tests: drawing takes as long as many of them."""
    return draw_scene(recipe)
