"""Zeroing channels of a running network, and what the drops of the logit say."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional

from app.explain import ClusterMap, LayerError, Network
from app.explain.faithfulness.ablation import ablated_logits, rank_correlation, score_ablation
from tests.explain.toys import (
    IMAGE,
    Dense,
    Interrupted,
    Residual,
    Shared,
    Toy,
    random_image,
    seeded,
)


class Unreturned(nn.Module):
    """Calls its in-place ReLU for what it does to the tensor, and ignores what it returns."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        self.relu(x)
        return self.head(x.mean(dim=(2, 3)))


TOYS = {
    "module": (lambda: Toy(), "relu"),
    "in place": (lambda: Toy(inplace=True), "relu"),
    "function": (lambda: Toy(as_function=True), "same"),
    "function in place": (lambda: Toy(as_function=True, inplace=True), "same"),
    "before the activation": (lambda: Toy(inplace=True), "same"),
}


@pytest.mark.parametrize(("make", "layer"), TOYS.values(), ids=TOYS.keys())
def test_logits_by_hand(make: Callable[[], nn.Module], layer: str) -> None:
    # The maps' means are 2.5, 0.5 and 1, so y0 = 4 * 2.5 + 8 * 0.5 - 2 * 1 = 12.
    logits = ablated_logits(make().eval(), IMAGE, layer, [(), (0,), (1,), (2,), (0, 1), (0, 1, 2)])
    assert logits[:, 0].tolist() == [12, 2, 8, 14, -2, 0]


def _residual(net: Residual, keep: Tensor, x: Tensor) -> Tensor:
    x = net.stem(x)
    inside = functional.relu(net.block.bn1(net.block.conv1(x))) * keep
    return net.head(functional.relu(net.block.conv2(inside) + x).mean(dim=(2, 3)))


def _dense(net: Dense, keep: Tensor, x: Tensor) -> Tensor:
    x = net.stem(x)
    x = torch.cat([x, net.grow1(functional.relu(net.norm1(x)))], 1)
    x = torch.cat([x, net.grow2(functional.relu(net.norm2(x)) * keep)], 1)
    return net.head(functional.relu(net.norm3(x)).mean(dim=(2, 3)))


def _shared(net: Shared, keep: Tensor, x: Tensor) -> Tensor:
    x = functional.relu(net.conv(x))
    x = functional.relu(net.conv(x)) * keep
    return net.head(functional.relu(net.conv(x)).mean(dim=(2, 3)))


def _unreturned(net: Unreturned, keep: Tensor, x: Tensor) -> Tensor:
    return net.head((functional.relu(net.conv(x)) * keep).mean(dim=(2, 3)))


PLACES = {
    "an earlier call of a shared in-place activation": (Residual, "block.relu:1", 8, _residual),
    "a function after a normalisation": (Dense, "norm2", 8, _dense),
    "the second of three calls": (Shared, "relu:2", 3, _shared),
    "an in-place activation whose result is not taken": (Unreturned, "relu", 4, _unreturned),
}


@pytest.mark.parametrize(
    ("make", "layer", "n_channels", "reference"), PLACES.values(), ids=PLACES.keys()
)
def test_the_zeros_are_where_the_layer_is(
    make: Callable[[], nn.Module],
    layer: str,
    n_channels: int,
    reference: Callable[[nn.Module, Tensor, Tensor], Tensor],
) -> None:
    network, image = seeded(make).eval(), random_image()
    rng = np.random.default_rng(0)
    groups = [
        rng.choice(n_channels, size=rng.integers(n_channels + 1), replace=False) for _ in range(18)
    ]  # more than one batch
    found = ablated_logits(network, image, layer, groups)
    for group, logits in zip(groups, found, strict=True):
        keep = torch.ones(1, n_channels, 1, 1)
        keep[:, group] = 0
        with torch.no_grad():
            expected = reference(network, keep, image[None])[0]
        assert logits == pytest.approx(expected.numpy(), abs=1e-5)


@pytest.mark.parametrize(("make", "layer"), [(Residual, "block"), (Dense, "norm3")])
def test_ablating_a_whole_last_layer_leaves_the_bias(
    make: Callable[[], nn.Module], layer: str
) -> None:
    network = seeded(make).eval()
    n_channels = network.head.in_features
    (logits,) = ablated_logits(network, random_image(), layer, [range(n_channels)])
    assert logits == pytest.approx(network.head.bias.detach().numpy(), abs=1e-6)


@given(st.lists(st.sets(st.integers(0, 2)), min_size=1, max_size=20))
def test_in_a_linear_head_drops_add_up(groups: list[set[int]]) -> None:
    logits = ablated_logits(Toy().eval(), IMAGE, "relu", [tuple(group) for group in groups])
    parts = np.array([10, 4, -2])
    assert logits[:, 0].tolist() == [12 - parts[list(group)].sum() for group in groups]


def test_the_network_is_left_as_it_was(photonet: Network) -> None:
    image = random_image(112)
    with torch.no_grad():
        before = photonet.module(image[None])[0]
        ablated = ablated_logits(photonet.module, image, "layer3.0", [(), range(256)])
        after = photonet.module(image[None])[0]
    assert torch.equal(before, after)
    assert ablated[0] == pytest.approx(before.numpy(), abs=1e-4)
    assert abs(ablated[1] - ablated[0]).max() > 0.1


def test_what_cannot_be_ablated_is_said() -> None:
    network = Toy().eval()
    with pytest.raises(ValueError, match="channels 0 to 2, not"):
        ablated_logits(network, IMAGE, "relu", [(3,)])
    with pytest.raises(LayerError, match="near names: relu"):
        ablated_logits(network, IMAGE, "rule", [(0,)])


@pytest.mark.parametrize("parts", [["dropout"], ["dropout", "block.bn1", ""]])
def test_parts_in_training_mode_are_run_in_eval_mode_and_left_as_they_were(
    parts: list[str],
) -> None:
    network, image, groups = seeded(Residual).eval(), random_image(), [(), (0, 3)]
    expected = ablated_logits(network, image, "block", groups)
    for part in parts:
        network.get_submodule(part).training = True
    state = {key: value.clone() for key, value in network.state_dict().items()}
    assert ablated_logits(network, image, "block", groups).tolist() == expected.tolist()
    assert {name for name, part in network.named_modules() if part.training} == set(parts)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_a_pass_of_another_thread_is_neither_counted_nor_zeroed() -> None:
    expected = ablated_logits(Toy(), IMAGE, "relu", [(), (0,)])
    network, seen = Interrupted(), []
    network.meanwhile = lambda: seen.append(network(IMAGE[None])[0, 0].item())
    found = ablated_logits(network, IMAGE, "relu", [(), (0,)])
    assert found.tolist() == expected.tolist()
    # y0 = 10 + 4 - 2 of the whole picture, each time.
    assert set(seen) == {12.0}


def clusters_of(*groups: tuple[int, ...]) -> list[ClusterMap]:
    return [ClusterMap(group, 1.0, np.zeros((2, 2), np.float32)) for group in groups]


class TestScores:
    def test_by_hand(self) -> None:
        # Drops 10, 4 and -2 rank 3, 2, 1 and the weights 2, 3, 1: 1 - 6 * 2 / (3 * 8) = 0.5. All
        # three channels are a cluster each, so random groups of one channel are the same three.
        scores = score_ablation(
            Toy().eval(),
            IMAGE,
            "relu",
            clusters_of((0,), (1,), (2,)),
            np.array([30.0, 60.0, 10.0]),
            np.array([10.0, 4.0, -2.0]),
            target=0,
            rng=np.random.default_rng(0),
        )
        assert scores.n_clusters == 3
        for correlation in (
            scores.correlation,
            scores.dealt_correlation,
            scores.random_correlation,
        ):
            assert correlation == pytest.approx(0.5)
        # After the layer the network is linear, so effects are the drops.
        assert scores.effect_correlation == pytest.approx(1)
        for drop in (scores.drop, scores.dealt_drop, scores.random_drop):
            assert drop == pytest.approx(4)

    def test_two_clusters_are_too_few_to_rank(self) -> None:
        scores = score_ablation(
            Toy().eval(),
            IMAGE,
            "relu",
            clusters_of((0,), (2,)),
            np.array([30.0, 60.0, 10.0]),
            np.array([10.0, 4.0, -2.0]),
            target=0,
            rng=np.random.default_rng(0),
        )
        assert np.isnan(
            [scores.correlation, scores.dealt_correlation, scores.effect_correlation]
        ).all()
        assert scores.drop == pytest.approx(4)
        # Dealt anew, the same two channels; drawn from the layer, the middle one too.
        assert scores.dealt_drop == pytest.approx(4)
        assert scores.random_drop != pytest.approx(4)


class TestRankCorrelation:
    def test_by_hand(self) -> None:
        assert rank_correlation(np.array([1, 2, 3]), np.array([10, 1000, 999])) == pytest.approx(
            0.5
        )
        assert rank_correlation(np.eye(2), -np.eye(2)) == pytest.approx(-1)
        assert np.isnan(rank_correlation(np.ones(3), np.arange(3.0)))

    @given(
        arrays.arrays(np.float64, (2, 7), elements=st.integers(0, 5)).filter(
            lambda pair: (np.ptp(pair, axis=1) > 0).all()
        )
    )
    def test_as_scipy_and_blind_to_monotone_changes(self, pair: np.ndarray) -> None:
        found = rank_correlation(*pair)
        assert found == pytest.approx(spearmanr(*pair).statistic)
        assert found == pytest.approx(rank_correlation(np.exp(pair[0]), pair[1] ** 3))
