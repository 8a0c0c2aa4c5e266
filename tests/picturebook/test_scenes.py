"""What a scene promises, whichever class and ground."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL.Image import Resampling

from app.picturebook.files import png_of, read_recipe, true_scene
from app.picturebook.scenes import Recipe, draw_scene
from app.picturebook.world import CLASSES, GROUNDS, REGIONS, SURROUNDINGS

recipes = st.builds(
    Recipe,
    class_name=st.sampled_from(list(CLASSES)),
    seed=st.integers(0, 2**32 - 1),
    number=st.integers(0, 2**32 - 1),
    ground=st.sampled_from(GROUNDS),
    marked=st.booleans(),
    far=st.booleans(),
)
SMALL = 64
scenes_are_slow = settings(max_examples=20, deadline=None)


@given(recipes)
@scenes_are_slow
def test_a_recipe_always_gives_the_same_scene(recipe: Recipe) -> None:
    one, other = draw_scene(recipe, SMALL), draw_scene(recipe, SMALL)
    assert np.array_equal(one.picture, other.picture)
    assert np.array_equal(one.region_map, other.region_map)


DRAW = """
import hashlib
from app.picturebook.datasets import recipes
from app.picturebook.scenes import draw_scene
digest = hashlib.sha256()
for recipe in recipes("demo", n=10, seed=7, bias=False):
    scene = draw_scene(recipe, 96)
    digest.update(scene.picture.tobytes() + scene.region_map.tobytes())
print(digest.hexdigest())
"""
DRAWN = "553b10ca2dcae65a153797fc5347a563e3c9b983246c2d42282038ee7a6f6a79"


@pytest.mark.parametrize("without", ["", "X86_V3"])
def test_scenes_are_the_same_on_a_processor_with_and_without_wide_registers(without: str) -> None:
    # NumPy adds and multiplies in other ways where a processor can do more at once.
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": without}
    drawn = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DRAW],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert drawn.stdout.strip() == DRAWN


@given(recipes)
@scenes_are_slow
def test_a_small_scene_is_the_large_one_reduced(recipe: Recipe) -> None:
    small, large = draw_scene(recipe, 128), draw_scene(recipe, 256)
    reduced = np.asarray(large.picture.resize((128, 128), Resampling.BOX), dtype=float)
    assert np.abs(reduced - np.asarray(small.picture)).mean() < 0.03 * 255
    assert (large.region_map[1::2, 1::2] == small.region_map).mean() > 0.95


@given(recipes)
@scenes_are_slow
def test_every_pixel_is_named_and_only_with_what_the_recipe_has(recipe: Recipe) -> None:
    numbers = np.unique(draw_scene(recipe, SMALL).region_map)
    names = {REGIONS[number - 1] for number in numbers}
    assert 0 not in numbers
    allowed = {*CLASSES[recipe.class_name], *SURROUNDINGS}
    allowed |= {"water"} if recipe.ground == "water" else set()
    allowed |= {"mark"} if recipe.marked else set()
    assert names <= allowed


@given(recipes)
@scenes_are_slow
def test_the_cues_are_there_when_asked_for(recipe: Recipe) -> None:
    scene = draw_scene(recipe, SMALL)
    assert scene.mask("mark").any() == recipe.marked
    assert scene.mask("water").any() == (recipe.ground == "water")


@pytest.mark.parametrize("class_name", CLASSES)
def test_all_parts_of_a_class_can_be_seen(class_name: str) -> None:
    """In at least nine of ten pictures, each part has pixels at the size that networks see."""
    scenes = [draw_scene(Recipe(class_name, 5, i, "meadow"), 128) for i in range(20)]
    for part in CLASSES[class_name]:
        assert sum(scene.mask(part).any() for scene in scenes) >= 18, part


@pytest.mark.parametrize("class_name", CLASSES)
def test_the_figure_stays_within_the_picture(class_name: str) -> None:
    for i in range(20):
        scene = draw_scene(Recipe(class_name, 6, i, "hills"), 128)
        figure = np.isin(
            scene.region_map, [REGIONS.index(part) + 1 for part in CLASSES[class_name]]
        )
        edge = np.concatenate([figure[0], figure[-1], figure[:, 0], figure[:, -1]])
        assert edge.sum() <= 6, i


class TestFiles:
    def test_a_file_gives_back_its_scene(self) -> None:
        recipe = Recipe("sailboat", 3, 4, "water", marked=True)
        scene = draw_scene(recipe, SMALL)
        content = png_of(scene)
        found = true_scene(content)
        assert read_recipe(content) == recipe
        assert found is not None
        assert np.array_equal(found.region_map, scene.region_map)

    def test_a_recipe_of_another_picture_is_not_believed(self) -> None:
        scene = draw_scene(Recipe("sailboat", 3, 4, "water"), SMALL)
        other = draw_scene(Recipe("sailboat", 3, 5, "water"), SMALL)
        forged = png_of(type(scene)(other.recipe, scene.picture, scene.region_map))
        assert true_scene(forged) is None

    @pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n cut short"])
    def test_what_is_no_picture_has_no_recipe(self, content: bytes) -> None:
        assert read_recipe(content) is None
        assert true_scene(content) is None

    @pytest.mark.parametrize(
        "change", [{"seed": -1}, {"class_name": "submarine"}, {"number": "1"}, {"more": 1}]
    )
    def test_a_recipe_that_cannot_be_drawn_is_none(self, change: dict[str, object]) -> None:
        entries = {**Recipe("sailboat", 3, 4, "water").entries(), **change}
        with pytest.raises(ValueError, match=r"recipe|class|from 0"):
            Recipe.from_entries(entries)
