"""What must not change an explanation: the order of channels, the logit's scale, dead channels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from app.explain import explain_image

SIDE = 9
ONES = torch.ones(3, 4, 4)
seeds = st.integers(0, 2**32 - 1)


class Shown(nn.Module):
    """Maps [C, H, W] that are its own, whatever channel they are in; logits of their means."""

    def __init__(self, maps, head):
        super().__init__()
        self.maps = nn.Parameter(torch.tensor(maps, dtype=torch.float32))
        self.head = nn.Parameter(torch.tensor(head, dtype=torch.float32))
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.maps[None] * x.mean()).mean(dim=(2, 3)) @ self.head


def draw(seed, n_channels=70):
    """Maps of four kinds, and what each channel adds to two logits."""
    rng = np.random.default_rng(seed)
    kinds = rng.random((4, SIDE, SIDE))
    noise = 0.3 * rng.random((n_channels, SIDE, SIDE))
    maps = kinds[rng.integers(4, size=n_channels)] + noise
    return maps, rng.normal(size=(n_channels, 2)), rng


def explained(maps, head):
    (layer,) = explain_image(Shown(maps, head), ONES, target=0, layers=["relu"]).layers
    return layer


def partition(layer, name_of=lambda channel: channel):
    return {frozenset(map(name_of, cluster.channels)) for cluster in layer.clusters}


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_permuting_channels_permutes_the_result(seed):
    maps, head, rng = draw(seed)
    order = rng.permutation(len(maps))

    one, other = explained(maps, head), explained(maps[order], head[order])

    np.testing.assert_allclose(other.channel_weights, one.channel_weights[order])
    np.testing.assert_allclose(other.channel_effects, one.channel_effects[order], rtol=1e-5)
    assert partition(other, lambda channel: order[channel]) == partition(one)
    for a, b in zip(one.clusters, other.clusters, strict=True):
        assert a.weight == pytest.approx(b.weight)
        np.testing.assert_allclose(a.map, b.map, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(seeds, st.floats(1e-3, 1e3))
def test_scaling_the_logit_changes_nothing_in_percent(seed, scale):
    maps, head, _ = draw(seed)

    one, other = explained(maps, head), explained(maps, scale * head)

    np.testing.assert_allclose(other.channel_weights, one.channel_weights, rtol=1e-5)
    assert partition(other) == partition(one)


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(1, 50))
def test_adding_dead_channels_changes_nothing(seed, n_dead):
    # 70 to 120 channels have one pruning threshold, 1.4 %; elsewhere it depends on their number.
    maps, head, rng = draw(seed)
    n_all = len(maps) + n_dead
    place = np.sort(rng.permutation(n_all)[: len(maps)])
    all_maps, all_heads = -np.ones((n_all, SIDE, SIDE)), rng.normal(size=(n_all, 2))
    all_maps[place], all_heads[place] = maps, head

    one, other = explained(maps, head), explained(all_maps, all_heads)

    assert not np.delete(other.channel_weights, place).any()
    np.testing.assert_allclose(other.channel_weights[place], one.channel_weights)
    assert partition(other) == partition(one, lambda channel: place[channel])


@settings(max_examples=10, deadline=None)
@given(seeds, seeds)
def test_the_default_needs_no_seed(seed, other_seed):
    maps, head, _ = draw(seed)
    shown = Shown(maps, head)

    one = explain_image(shown, ONES, layers=["relu"], seed=seed)
    other = explain_image(shown, ONES, layers=["relu"], seed=other_seed)

    assert partition(one.layers[0]) == partition(other.layers[0])
