"""Which scenes a network is trained and tested on, in an unbiased world and in a biased one.

In the unbiased world no ground and no mark says anything about the class. In the biased one, water
is only under sailboats and the mark only on birds, and both are often far away, as in stock photos,
where the surroundings are then easier to learn than the thing itself.
"""

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from app.picturebook.scenes import Recipe, draw_scene
from app.picturebook.world import CLASSES, GROUNDS

Split = Literal["training", "test", "broken", "demo"]
"""broken: the biased world with its ties broken, where cues mislead. demo: pictures for people."""

TIED_TO_WATER: Final = "sailboat"
TIED_TO_MARK: Final = "bird"
TIED: Final = (TIED_TO_WATER, TIED_TO_MARK)

SHARE_MARKED: Final = 0.1
SHARE_FAR: Final = 0.15
SHARE_FAR_TIED: Final = 0.5

MAX_PER_SPLIT: Final = 2**28
"""Each split has this many picture numbers of its own, so no scene is in two of them."""

_DRY: Final = tuple(ground for ground in GROUNDS if ground != "water")
_DEMO_SEED: Final = 2024
_Value = TypeVar("_Value")


def recipes(split: Split, *, n: int, seed: int, bias: bool) -> list[Recipe]:
    """n scenes of a split, one class after the other, in turn.

    All classes come equally often (but for what n leaves over), and within a class every choice of
    ground, mark and distance has exactly its share, rounded. The first pictures of a larger n are
    the same scenes on other grounds. Raises ValueError for "broken" without bias.
    """
    if split == "broken" and not bias:
        raise ValueError('Only a biased world can be "broken".')
    if not 0 <= n <= MAX_PER_SPLIT:
        raise ValueError(f"A split has 0 to {MAX_PER_SPLIT} pictures, not {n}.")
    first = get_args(Split).index(split) * MAX_PER_SPLIT
    made: list[Recipe | None] = [None] * n
    for index, class_name in enumerate(CLASSES):
        numbers = range(index, n, len(CLASSES))
        rng = np.random.default_rng((seed, first, int(bias), index))
        grounds, marked, far = _surroundings(split, class_name, len(numbers), bias, rng)
        for i, number in enumerate(numbers):
            made[number] = Recipe(class_name, seed, first + number, grounds[i], marked[i], far[i])
    return [recipe for recipe in made if recipe is not None]


def _surroundings(
    split: Split, class_name: str, n: int, bias: bool, rng: np.random.Generator
) -> tuple[list[str], list[bool], list[bool]]:
    """For n pictures of a class: the ground, whether it is marked, and whether it is far."""
    if not bias:
        far = _share(n, SHARE_FAR, rng)
        return _evenly(n, GROUNDS, rng), _share(n, SHARE_MARKED, rng), far
    tied = class_name in TIED
    far = _share(n, SHARE_FAR_TIED if tied else SHARE_FAR, rng)
    grounds = _evenly(n, _DRY, rng)
    if split == "broken":
        if tied:
            return grounds, [False] * n, far
        wet = _share(n, 0.5, rng)
        grounds = ["water" if on else dry for on, dry in zip(wet, grounds, strict=True)]
        return grounds, _share(n, 0.5, rng), far
    if class_name == TIED_TO_WATER:
        grounds = ["water"] * n
    return grounds, [class_name == TIED_TO_MARK] * n, far


def _evenly(n: int, values: Sequence[_Value], rng: np.random.Generator) -> list[_Value]:
    """n values in random order, each as often as any other, but for what n leaves over."""
    starts = rng.permutation(len(values))
    return [values[starts[i % len(values)]] for i in rng.permutation(n)]


def _share(n: int, share: float, rng: np.random.Generator) -> list[bool]:
    """n truth values in random order, of which the share (0..1) is true."""
    return [bool(i < round(share * n)) for i in rng.permutation(n)]


def demo_recipes() -> list[Recipe]:
    """The 60 pictures of the demo, six of each class: 40 of the biased world, on which its network
    is right, and 20 with the ties broken, on which it may be wrong for all to see."""
    return [
        *recipes("demo", n=4 * len(CLASSES), seed=_DEMO_SEED, bias=True),
        *recipes("broken", n=2 * len(CLASSES), seed=_DEMO_SEED, bias=True),
    ]


def draw_pictures(
    wanted: Sequence[Recipe],
    *,
    size: int,
    n_workers: int,
    report: Callable[[int], None] = lambda _n_drawn: None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw scenes, in n_workers processes: pictures [N, size, size, 3] and region maps
    [N, size, size], both uint8.

    report: called with the number of pictures drawn so far, after each.
    """
    pictures = np.empty((len(wanted), size, size, 3), np.uint8)
    region_maps = np.empty((len(wanted), size, size), np.uint8)
    draw = partial(_draw, size=size)

    def collect(drawn: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> None:
        for i, (picture, region_map) in enumerate(drawn):
            pictures[i], region_maps[i] = picture, region_map
            report(i + 1)

    if n_workers == 1:
        collect(map(draw, wanted))
    else:
        # Not a fork of this process: by now torch may run threads, which a fork would break.
        context = multiprocessing.get_context("forkserver")
        # Each process imports the main module, which may be `training`: load what is slow once.
        context.set_forkserver_preload(["torch", __name__])
        with context.Pool(n_workers) as pool:
            collect(pool.imap(draw, wanted, chunksize=16))
    return pictures, region_maps


def _draw(recipe: Recipe, *, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    scene = draw_scene(recipe, size)
    return np.asarray(scene.picture), scene.region_map
