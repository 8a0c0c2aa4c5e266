"""Randomising a network from the logits down."""

import pytest
import torch
from torch import Tensor, nn

from app.explain import LayerError
from app.explain.faithfulness.cascade import find_stages, randomise_cascade
from tests.explain.toys import Residual, Shared, random_image, seeded


class Backwards(nn.Module):
    """Its modules are registered in the reverse of the order in which they run; one is unused."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(2, 2)
        self.head = nn.Linear(4, 2)
        self.conv = nn.Conv2d(3, 4, 1)
        self.scale = Scale()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.scale(self.conv(x)).mean(dim=(2, 3)))


class Scale(nn.Module):
    """A parameter of its own, and no word on how to initialise it."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.arange(4.0).reshape(4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain


class Attention(nn.Module):
    """Its attention reads the weights of `out_proj` without calling it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).flatten(2).mT
        x, _ = self.attention(x, x, x)
        return self.head(x.mean(dim=1))


class TestStages:
    def test_weights_that_another_module_reads_are_a_stage(self) -> None:
        stages = find_stages(seeded(Attention).eval(), random_image())
        assert stages == [("head",), ("attention",), ("attention.out_proj",), ("conv",)]

    def test_from_the_logits_to_the_input_with_vectors_beside_their_matrix(self) -> None:
        network = seeded(Residual).eval()
        assert find_stages(network, random_image()) == [
            ("head",),
            ("block.conv2",),
            ("block.conv1", "block.bn1"),
            ("stem",),
        ]

    def test_by_the_order_of_calls_not_of_names(self) -> None:
        stages = find_stages(Backwards().eval(), random_image())
        assert stages == [("head",), ("scale",), ("conv",)]

    def test_a_shared_module_is_one_stage(self) -> None:
        assert find_stages(Shared().eval(), random_image()) == [("head",), ("conv",)]

    def test_a_network_without_weights_is_refused(self) -> None:
        with pytest.raises(LayerError, match="no weights"):
            find_stages(nn.Identity(), random_image())


class TestCascade:
    def test_one_stage_after_the_other_and_the_original_stays(self) -> None:
        network, image = seeded(Residual).eval(), random_image()
        original = {key: value.clone() for key, value in network.state_dict().items()}
        states = [
            (share, changed_parts(original, changed))
            for share, changed in randomise_cascade(network, image, seed=0)
        ]
        # A fresh normalisation is the same as the old one, as the toy was never trained.
        assert states == [
            (0.25, {"head"}),
            (0.5, {"head", "block.conv2"}),
            (0.75, {"head", "block.conv2", "block.conv1"}),
            (1.0, {"head", "block.conv2", "block.conv1", "stem"}),
        ]
        assert changed_parts(original, network) == set()

    def test_fewer_checks_keep_the_first_and_the_last(self) -> None:
        network, image = seeded(Residual).eval(), random_image()
        shares = [share for share, _ in randomise_cascade(network, image, seed=0, n_checks=2)]
        assert shares == [0.25, 1.0]

    def test_the_seed_decides_and_nobody_elses_numbers_move(self) -> None:
        network, image = seeded(Residual).eval(), random_image()
        state = torch.get_rng_state()
        one, same, other = (
            [changed for _, changed in randomise_cascade(network, image, seed=seed)][-1]
            for seed in (0, 0, 1)
        )
        assert torch.equal(state, torch.get_rng_state())
        assert torch.equal(one.stem.weight, same.stem.weight)
        assert not torch.equal(one.stem.weight, other.stem.weight)
        assert not changed_parts(network.state_dict(), one) & {"dropout"}

    def test_parameters_of_an_unknown_kind_are_shuffled(self) -> None:
        network = Backwards().eval()
        *_, (share, changed) = randomise_cascade(network, random_image(), seed=1)
        assert share == 1
        gain = changed.scale.gain.detach().flatten()
        assert gain.tolist() != [0, 1, 2, 3]
        assert sorted(gain.tolist()) == [0, 1, 2, 3]
        assert torch.equal(changed.unused.weight, network.unused.weight)

    def test_in_the_end_no_weights_are_as_they_were(self) -> None:
        with pytest.warns(FutureWarning, match="weight_norm"):
            normed = nn.utils.weight_norm(nn.Conv2d(3, 4, 1))
        network = seeded(Attention).eval()
        network.conv = normed
        original = {key: value.clone() for key, value in network.state_dict().items()}
        *_, (share, changed) = randomise_cascade(network, random_image(), seed=0)
        assert share == 1
        kept = {
            key for key, value in changed.state_dict().items() if torch.equal(value, original[key])
        }
        # They are all 0 in a fresh network, so shuffling leaves them.
        assert kept == {"attention.in_proj_bias"}


def changed_parts(original: dict[str, Tensor], network: nn.Module) -> set[str]:
    return {
        key.rsplit(".", 1)[0]
        for key, value in network.state_dict().items()
        if not torch.equal(value, original[key])
    }
