"""The fast clusterer for many stacks at once finds what it finds for each alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score
from torch.utils._python_dispatch import TorchDispatchMode

from app.explain.fast_clusterer import cluster_fast
from app.explain.fast_clusterer import ward_cuts as scipy_ward_cuts
from app.explain.fast_clusterer_torch import cluster_fast_together, ward_cuts

from .test_fast_clusterer import planted, seeds


def together(stacks):
    return cluster_fast_together([torch.from_numpy(maps) for maps in stacks])


def are_same_clusters(labels, other_labels):
    return adjusted_rand_score(labels, other_labels) == 1


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 8),
            st.sampled_from([1, 2, 7, 14, 30]),
            st.sampled_from([5, 20, 60]),
            st.sampled_from([0.0, 0.3, 1.0, 3.0]),
        ),
        min_size=1,
        max_size=5,
    ),
    seeds,
)
def test_each_of_several_stacks_is_clustered_as_if_alone_and_as_on_a_cpu(kinds, seed):
    rng = np.random.default_rng(seed)
    stacks = [
        planted(rng, n_groups=groups, noise=noise, side=side, n_maps=n)[0].astype(np.float32)
        for groups, side, n, noise in kinds
    ]

    found = together(stacks)

    for maps, labels in zip(stacks, found, strict=True):
        assert are_same_clusters(labels, together([maps])[0])
        assert are_same_clusters(labels, cluster_fast(maps, 0))


@pytest.mark.parametrize("n_maps", [1, 2, 3, 4, 5, 9])
def test_few_maps_are_clustered_as_on_a_cpu(n_maps):
    maps = np.random.default_rng(n_maps).random((n_maps, 6, 6))

    assert are_same_clusters(together([maps])[0], cluster_fast(maps, 0))


def test_equal_maps_and_constant_ones_share_a_cluster():
    rng = np.random.default_rng(0)
    maps = rng.random((20, 9, 9))
    maps[[3, 8, 12]] = maps[0]
    maps[[5, 17]] = np.array([0.0, 4.0])[:, None, None]

    (labels,) = together([maps])

    assert len(set(labels[[0, 3, 8, 12]])) == len(set(labels[[5, 17]])) == 1
    assert are_same_clusters(labels, cluster_fast(maps, 0))


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from([0.0, 0.5, 2.0]))
def test_the_order_of_the_maps_has_no_say(seed, noise):
    rng = np.random.default_rng(seed)
    maps, _ = planted(rng, n_groups=4, noise=noise)
    maps[3] = maps[9]
    order = rng.permutation(len(maps))

    labels, reordered = together([maps, maps[order]])

    assert are_same_clusters(reordered, labels[order])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(9, 70), min_size=1, max_size=4), seeds)
def test_mergers_in_all_places_at_once_give_the_tree_of_one_at_a_time(sizes, seed):
    rng = np.random.default_rng(seed)
    most = max(sizes)
    grams = np.zeros((len(sizes), most, most))
    for gram, n in zip(grams, sizes, strict=True):
        rows = rng.normal(size=(n, 5))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        gram[:n, :n] = rows @ rows.T
        np.fill_diagonal(gram[:n, :n], 1.0)
    is_there = torch.arange(most) < torch.tensor(sizes)[:, None]

    found = ward_cuts(torch.from_numpy(grams), is_there).numpy()

    for gram, n, cuts in zip(grams, sizes, found, strict=True):
        np.testing.assert_array_equal(cuts[:, :n], scipy_ward_cuts(gram[:n, :n], 8))


class CountOperations(TorchDispatchMode):
    """How often a device is asked for something."""

    def __init__(self):
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.n += 1
        return func(*args, **(kwargs or {}))


def test_a_device_is_asked_for_no_more_when_there_are_more_stacks():
    rng = np.random.default_rng(0)
    maps, counts = torch.from_numpy(planted(rng, n_groups=5, noise=0.5)[0]), []

    for n_stacks in (1, 50):
        with CountOperations() as count:
            cluster_fast_together([maps] * n_stacks)
        counts.append(count.n)

    assert counts[1] == counts[0]


def test_values_without_a_finite_difference_are_refused_as_on_a_cpu():
    maps = np.random.default_rng(0).uniform(-3e38, 3e38, (20, 8, 8)).astype(np.float32)

    with pytest.raises(ValueError, match="too large to be compared"):
        together([maps, np.ones_like(maps)])
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="only finite values"):
        cluster_fast(maps, 0)


def test_no_stacks_have_no_labels():
    assert together([]) == []
