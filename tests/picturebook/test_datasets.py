"""The rules of the worlds: what is tied to what, how often, and that no scene is in two sets."""

from collections import Counter
from itertools import product
from typing import get_args

import numpy as np
import pytest

from app.picturebook.datasets import (
    TIED,
    TIED_TO_MARK,
    TIED_TO_WATER,
    Split,
    demo_recipes,
    draw_pictures,
    recipes,
)
from app.picturebook.scenes import draw_scene
from app.picturebook.world import CLASSES, GROUNDS

N = 1400
PER_CLASS = N // len(CLASSES)
PLAIN = ("training", "test", "demo")


def of_class(scenes, name):
    return [scene for scene in scenes if scene.class_name == name]


@pytest.mark.parametrize(("split", "bias"), [*product(PLAIN, (False, True)), ("broken", True)])
def test_every_class_comes_equally_often(split, bias):
    scenes = recipes(split, n=N, seed=3, bias=bias)

    assert Counter(scene.class_name for scene in scenes) == dict.fromkeys(CLASSES, PER_CLASS)


@pytest.mark.parametrize("split", PLAIN)
def test_unbiased_surroundings_say_nothing_of_the_class(split):
    scenes = recipes(split, n=N, seed=3, bias=False)

    for name in CLASSES:
        own = of_class(scenes, name)
        assert Counter(s.ground for s in own) == dict.fromkeys(GROUNDS, PER_CLASS / len(GROUNDS))
        assert sum(s.marked for s in own) == 0.1 * PER_CLASS
        assert sum(s.far for s in own) == 0.15 * PER_CLASS


def test_surroundings_are_chosen_apart_from_each_other():
    scenes = recipes("training", n=10 * N, seed=3, bias=False)

    traits = np.array([[s.ground == "water", s.marked, s.far, s.number % 20 < 10] for s in scenes])
    related = np.corrcoef(traits.T) - np.eye(4)
    assert np.abs(related).max() < 0.04


@pytest.mark.parametrize("split", PLAIN)
def test_biased_world_ties_each_cue_to_one_class(split):
    scenes = recipes(split, n=N, seed=3, bias=True)

    for scene in scenes:
        assert (scene.ground == "water") == (scene.class_name == TIED_TO_WATER)
        assert scene.marked == (scene.class_name == TIED_TO_MARK)
    for name in CLASSES:
        share = 0.5 if name in TIED else 0.15
        assert sum(s.far for s in of_class(scenes, name)) == share * PER_CLASS
    for name in set(CLASSES) - {TIED_TO_WATER}:
        grounds = Counter(s.ground for s in of_class(scenes, name))
        assert max(grounds.values()) - min(grounds.values()) <= 1


def test_broken_world_takes_the_cues_from_the_tied_and_gives_them_to_others():
    scenes = recipes("broken", n=N, seed=3, bias=True)

    for name in CLASSES:
        own = of_class(scenes, name)
        share = 0 if name in TIED else 0.5
        assert sum(s.ground == "water" for s in own) == share * PER_CLASS
        assert sum(s.marked for s in own) == share * PER_CLASS
        assert {s.ground for s in own} - {"water"} == set(GROUNDS) - {"water"}


def test_unbiased_world_has_no_ties_to_break():
    with pytest.raises(ValueError, match="Only a biased world"):
        recipes("broken", n=10, seed=3, bias=False)


@pytest.mark.parametrize("seed", [1, 2024])
def test_no_scene_is_in_two_splits(seed):
    numbers = [
        {
            (s.seed, s.number)
            for bias in ({True} if split == "broken" else {False, True})
            for s in recipes(split, n=N, seed=seed, bias=bias)
        }
        for split in get_args(Split)
    ]

    assert all(len(own) == N for own in numbers)
    assert len(set.union(*numbers)) == N * len(numbers)


def test_demo_shows_no_scene_of_a_training_set():
    shown = {(s.seed, s.number) for s in demo_recipes()}
    learned = {
        (s.seed, s.number) for s in recipes("training", n=N, seed=demo_recipes()[0].seed, bias=True)
    }

    assert len(shown) == len(demo_recipes())
    assert not shown & learned


def test_same_seed_gives_the_same_and_another_seed_another_set():
    assert recipes("test", n=50, seed=3, bias=True) == recipes("test", n=50, seed=3, bias=True)
    one, other = (recipes("test", n=50, seed=seed, bias=True) for seed in (3, 4))
    assert not set(one) & set(other)


@pytest.mark.parametrize("n", [0, 1, 13])
def test_any_number_of_pictures_can_be_had(n):
    scenes = recipes("training", n=n, seed=3, bias=True)

    assert len(scenes) == n
    assert max(Counter(s.class_name for s in scenes).values(), default=0) <= n // 10 + 1


@pytest.mark.parametrize("n_workers", [1, 2])
def test_drawn_pictures_are_those_of_the_recipes_in_order(n_workers):
    scenes = recipes("test", n=4, seed=3, bias=False)
    counted = []

    drawn = draw_pictures(scenes, size=32, n_workers=n_workers, report=counted.append)

    assert counted == [1, 2, 3, 4]
    for scene, picture, region_map in zip(scenes, *drawn, strict=True):
        assert np.array_equal(picture, draw_scene(scene, 32).picture)
        assert np.array_equal(region_map, draw_scene(scene, 32).region_map)
