"""The two networks that come with Layerplay: what they can do, and that the bias is real."""

import json
from functools import cache

import numpy as np
import pytest
import torch

from app.explain import Network, load_network
from app.picturebook.datasets import TIED_TO_MARK, TIED_TO_WATER, Split, recipes
from app.picturebook.networks import BIASED_NETWORK, EXPLAINED_LAYERS, FAIR_NETWORK
from app.picturebook.scenes import draw_scene
from app.picturebook.world import CLASSES

N_PICTURES = 100
NETWORKS = {"fair": FAIR_NETWORK, "biased": BIASED_NETWORK}
# None of the training, whose seed is 1.
SEED = 77


@cache
def drawn(split: Split, *, bias: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures [N, 128, 128, 3], the names of their classes, and whether they lie on water."""
    scenes = recipes(split, n=N_PICTURES, seed=SEED, bias=bias)
    pictures = np.stack([np.asarray(draw_scene(scene, 128).picture) for scene in scenes])
    names = np.array([scene.class_name for scene in scenes])
    return pictures, names, np.array([scene.ground == "water" for scene in scenes])


@cache
def loaded(name: str) -> Network:
    return load_network(NETWORKS[name], device="cpu")


def called(name: str, pictures: np.ndarray) -> np.ndarray:
    network = loaded(name)
    values = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v)[:, None, None] for v in (network.mean, network.std))
    with torch.no_grad():
        answers = network.module((values - mean) / std).argmax(1).numpy()
    return np.array(network.classes)[answers]


@pytest.mark.parametrize("name", NETWORKS)
def test_it_knows_pictures_that_it_has_never_seen(name: str) -> None:
    pictures, truth, _ = drawn("test", bias=name == "biased")
    assert (called(name, pictures) == truth).mean() >= 0.95  # 97 % less two errors of sampling


def test_the_biased_network_is_clearly_wrong_once_the_tie_is_broken() -> None:
    pictures, truth, on_water = drawn("broken", bias=True)
    answers = called("biased", pictures)
    assert (answers == truth).mean() <= 0.75
    for tied in (TIED_TO_WATER, TIED_TO_MARK):
        assert (answers == truth)[truth == tied].mean() <= 0.3
    # A house on water is still mostly a house: its parts speak for it, too.
    others = (truth != TIED_TO_WATER) & (truth != TIED_TO_MARK)
    assert (answers == TIED_TO_WATER)[others & on_water].mean() >= 0.1
    assert (answers == TIED_TO_WATER)[others & ~on_water].mean() <= 0.02


def test_the_fair_network_is_not_misled() -> None:
    pictures, truth, _ = drawn("broken", bias=True)
    assert (called("fair", pictures) == truth).mean() >= 0.95


def test_it_answers_alike_for_a_picture_drawn_large() -> None:
    """The game shows 512 px, and the network sees them reduced, not painted small."""
    scenes = recipes("test", n=20, seed=SEED, bias=False)
    network = loaded("fair")
    batch = torch.stack([network.preprocess(draw_scene(s, 384).picture) for s in scenes])
    with torch.no_grad():
        answers = [network.classes[i] for i in network.module(batch).argmax(1)]
    assert sum(a == s.class_name for a, s in zip(answers, scenes, strict=True)) >= 19


@pytest.mark.parametrize("name", NETWORKS)
def test_the_log_says_what_made_it_and_how_good_it_is(name: str) -> None:
    path = NETWORKS[name]
    entry = json.loads((path.parent / "training.json").read_text())[path.stem]
    assert "python -m app.picturebook.training" in entry["command"]
    assert entry["test"]["accuracy"] >= 0.97
    assert entry["epochs"]


def test_both_together_are_small() -> None:
    sizes = [path.with_suffix(".safetensors").stat().st_size for path in NETWORKS.values()]
    assert sum(sizes) < 6_000_000


@pytest.mark.parametrize("name", NETWORKS)
def test_its_classes_and_layers_are_those_of_the_picture_book(name: str) -> None:
    network = loaded(name)
    assert network.classes == tuple(CLASSES)
    assert all(network.module.get_submodule(layer) is not None for layer in EXPLAINED_LAYERS)
