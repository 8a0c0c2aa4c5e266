"""All measures for a picture, on networks of which the answer is known."""

import math
from collections.abc import Mapping
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from app.explain import LayerExplanation, Network
from app.explain.faithfulness.evaluation import (
    RANDOM,
    Evidence,
    MapMaker,
    PictureScores,
    cluster_method,
    evaluate_files,
    evaluate_image,
    merged_map,
)
from tests.explain.faithfulness.test_ablation import clusters_of

SIDE = 32
OURS = cluster_method("paper")


class Corner(nn.Module):
    """Sees eight copies of the picture, of which the class reads the upper left quarter alone."""

    def __init__(self) -> None:
        super().__init__()
        self.copies = nn.Conv2d(3, 8, 1)
        nn.init.constant_(self.copies.weight, 1 / 3)
        nn.init.zeros_(self.copies.bias)
        self.relu = nn.ReLU()
        self.head = nn.Linear(8, 2, bias=False)
        self.head.weight.data = torch.stack([torch.arange(1.0, 9.0), -torch.arange(1.0, 9.0)])

    def forward(self, x: Tensor) -> Tensor:
        maps = self.relu(self.copies(x))
        return self.head(maps[:, :, : SIDE // 2, : SIDE // 2].mean(dim=(2, 3)) / 8)


@pytest.fixture(scope="module")
def corner(small_network: Network) -> Network:
    return replace(
        small_network,
        module=Corner().eval(),
        classes=("bright", "dark"),
        resize=SIDE,
        input_size=SIDE,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )


@pytest.fixture(scope="module")
def noise() -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(100, 256, (SIDE, SIDE, 3), dtype=np.uint8))


def quarter(evidence: Evidence) -> np.ndarray:
    values = np.zeros((SIDE, SIDE))
    values[: SIDE // 2, : SIDE // 2] = 1
    return values


PEERS: Mapping[str, MapMaker] = {
    "the quarter": quarter,
    "all but the quarter": lambda evidence: 1 - quarter(evidence),
    "the picture itself": lambda evidence: evidence.signals.maps[0],
    "its gradients": lambda evidence: evidence.signals.gradients.sum(axis=0),
}


@pytest.fixture(scope="module")
def scores(corner: Network, noise: Image.Image) -> PictureScores:
    return evaluate_image(corner, noise, layers=["relu"], clusterers=["paper"], peers=PEERS)


class TestScores:
    def test_the_true_place_scores_better_than_chance_and_the_wrong_one_worse(
        self, scores: PictureScores
    ) -> None:
        maps = scores.layers["relu"].maps
        assert list(maps) == [OURS, *PEERS, RANDOM]
        right, wrong, chance = maps["the quarter"], maps["all but the quarter"], maps[RANDOM]
        assert right.deletion < chance.deletion < wrong.deletion
        assert right.road < chance.road < wrong.road
        assert maps["its gradients"] == right

    def test_the_ends_are_those_of_the_network(
        self, scores: PictureScores, corner: Network, noise: Image.Image
    ) -> None:
        with torch.no_grad():
            probabilities = corner.module(corner.preprocess(noise)[None]).softmax(dim=1)[0]
        assert scores.target == 0
        assert scores.probability == pytest.approx(float(probabilities[0]), abs=1e-6)
        assert scores.of_grey == pytest.approx(0.5)

    def test_a_map_that_knows_the_picture_alone_fails_the_sanity_check(
        self, scores: PictureScores
    ) -> None:
        cascade = scores.layers["relu"].cascade
        assert scores.randomised == (0.5, 1.0)
        # A map of the network follows its logits; one of where things are stays as it is.
        assert cascade["the quarter"] == pytest.approx((1, 1))
        assert cascade["the picture itself"][0] == pytest.approx(1)
        assert RANDOM not in cascade

    def test_the_same_seed_gives_the_same_scores(
        self, scores: PictureScores, corner: Network, noise: Image.Image
    ) -> None:
        again = evaluate_image(corner, noise, layers=["relu"], clusterers=["paper"], peers=PEERS)
        one, other = again.layers["relu"], scores.layers["relu"]
        for method, found in other.maps.items():
            # Sums may be taken in another order, as the memory happens to lie.
            assert astuple(one.maps[method]) == pytest.approx(astuple(found), abs=1e-6)
        assert one.cascade == other.cascade

    def test_every_layer_is_reported_also_one_without_clusters(
        self, corner: Network, noise: Image.Image
    ) -> None:
        blind = replace(corner, module=seeing_nothing())
        seen = []
        scores = evaluate_image(blind, noise, layers=["relu"], on_layer=lambda: seen.append(1))
        assert (scores.layers, scores.randomised, seen) == ({}, (), [1])

    def test_a_usual_network_against_the_usual_peers(
        self, small_network: Network, drawn_picture: Image.Image
    ) -> None:
        network = replace(small_network, resize=48, input_size=48)
        scores = evaluate_image(network, drawn_picture, layers=["layer2.1", "layer3.0"])
        assert list(scores.layers) == ["layer2.1", "layer3.0"]
        for layer in scores.layers.values():
            assert list(layer.maps) == [
                cluster_method("fast"),
                "Grad-CAM",
                "Grad-CAM++",
                "LayerCAM",
                "HiResCAM",
                RANDOM,
            ]
            for one in layer.maps.values():
                assert all(0 <= value <= 1 for value in (one.insertion, one.deletion, one.road))
            for likenesses in layer.cascade.values():
                assert len(likenesses) == len(scores.randomised)
                assert all(math.isnan(one) or -1 <= one <= 1 for one in likenesses)


def seeing_nothing() -> nn.Module:
    """A network in which nothing speaks for any class."""
    module = Corner().eval()
    nn.init.zeros_(module.head.weight)
    return module


def test_the_merged_map_by_hand() -> None:
    one, other = clusters_of((0,), (1, 2))
    one = replace(one, weight=60.0, map=np.array([[1.0, 0.0], [0.0, 0.0]], np.float32))
    other = replace(other, weight=20.0, map=np.array([[0.0, 1.0], [0.0, 0.2]], np.float32))
    layer = LayerExplanation("relu", 3, 2, 2, 3, 100.0, np.full(3, 100 / 3), (one, other))
    # 0.75, 0.25, 0 and 0.05, scaled to the highest.
    assert merged_map(layer).ravel() == pytest.approx([1, 1 / 3, 0, 1 / 15], abs=1e-6)
    assert not merged_map(replace(layer, clusters=())).any()


def test_a_file_that_is_no_picture_is_named_and_the_rest_go_on(
    corner: Network, noise: Image.Image, tmp_path: Path
) -> None:
    bad, good = tmp_path / "bad.txt", tmp_path / "good.png"
    bad.write_text("No picture.")
    noise.save(good)
    first, second = evaluate_files(corner, [bad, good], layers=["relu"], clusterers=["paper"])
    assert (first.path, first.scores) == (bad, None)
    assert "not a picture" in str(first.error)
    assert (second.path, second.error) == (good, None)
    assert second.scores is not None


def test_what_was_measured_before_is_not_measured_again(
    corner: Network, noise: Image.Image, tmp_path: Path
) -> None:
    photo, other = tmp_path / "photo.png", tmp_path / "other.png"
    noise.save(photo)
    noise.rotate(90).save(other)
    options: dict[str, Any] = {"layers": ["relu"], "clusterers": ["paper"]}
    (first,) = evaluate_files(corner, [photo], **options)
    again, new = evaluate_files(corner, [photo, other], **options, old=[first])
    assert again is first
    assert new.scores is not None
    noise.rotate(180).save(photo)
    (changed,) = evaluate_files(corner, [photo], **options, old=[first])
    assert changed.photo_sha256 != first.photo_sha256
