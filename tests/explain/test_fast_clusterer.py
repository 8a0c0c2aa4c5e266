"""The fast clusterer: exact where the groups are exact, and silent where there are none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from sklearn.metrics import adjusted_rand_score

from app.explain.fast_clusterer import cluster_fast, correlation_by_chance, standardise

seeds = st.integers(0, 2**32 - 1)


def planted(rng, *, n_groups, noise, side=14, n_maps=40):
    """Maps [n, side, side] of groups of two and more, in any order, and the group of each."""
    rest = rng.integers(n_groups, size=max(0, n_maps - 2 * n_groups))
    group_of = rng.permutation(np.r_[np.repeat(np.arange(n_groups), 2), rest])
    prototypes = rng.random((n_groups, side, side))
    maps = prototypes[group_of] + noise * rng.random((len(group_of), side, side))
    return maps * rng.lognormal(size=(len(maps), 1, 1)), group_of


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(1, 64), seeds)
def test_groups_without_noise_are_found_exactly(n_groups, side, seed):
    rng = np.random.default_rng(seed)
    # A map of one cell is constant, and two groups of a few cells may be the same by chance.
    maps, group_of = planted(rng, n_groups=n_groups, noise=0, side=side + 6)

    assert adjusted_rand_score(group_of, cluster_fast(maps, 0)) == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 8), seeds)
def test_groups_with_little_noise_are_found(n_groups, seed):
    maps, group_of = planted(np.random.default_rng(seed), n_groups=n_groups, noise=0.3)

    assert adjusted_rand_score(group_of, cluster_fast(maps, 0)) == 1


@settings(max_examples=25, deadline=None)
@given(seeds, seeds, st.sampled_from([0.0, 0.5, 2.0]))
def test_neither_seed_nor_order_has_a_say(seed, other_seed, noise):
    rng = np.random.default_rng(seed)
    maps, _ = planted(rng, n_groups=4, noise=noise)
    maps[3] = maps[9]
    order = rng.permutation(len(maps))

    labels = cluster_fast(maps, seed)

    np.testing.assert_array_equal(cluster_fast(maps, other_seed), labels)
    assert adjusted_rand_score(cluster_fast(maps[order], seed), labels[order]) == 1


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(1e-3, 1e3), st.floats(0, 10))
def test_scale_and_level_of_a_map_have_no_say(seed, scale, level):
    rng = np.random.default_rng(seed)
    maps, _ = planted(rng, n_groups=3, noise=0.5)
    changed = maps.copy()
    changed[::3] = changed[::3] * scale + level

    assert adjusted_rand_score(cluster_fast(maps, 0), cluster_fast(changed, 0)) == 1


@pytest.mark.parametrize("smoothing", [0, 1, 2])
@pytest.mark.parametrize("n_maps", [20, 150])
def test_maps_with_nothing_in_common_are_one_group(n_maps, smoothing):
    found = []
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(size=(n_maps, 28, 28))
        maps = gaussian_filter(noise, (0, smoothing, smoothing)) if smoothing else noise
        found.append(len(set(cluster_fast(np.maximum(maps, 0), 0))))

    assert np.mean(np.equal(found, 1)) >= 0.9


def test_maps_of_one_kind_are_one_group():
    maps, _ = planted(np.random.default_rng(0), n_groups=1, noise=1, side=28)

    assert set(cluster_fast(maps, 0)) == {0}


def test_hot_cells_here_and_there_do_not_hide_the_groups():
    rng = np.random.default_rng(0)
    maps, group_of = planted(rng, n_groups=3, noise=0.3, side=14)
    for one in maps:
        one[tuple(rng.integers(14, size=2))] = 8 * one.max()

    assert adjusted_rand_score(group_of, cluster_fast(maps, 0)) == 1


def test_maps_are_pooled_by_area():
    # 42 cells to 28: each new cell covers one and a half old ones. With a ramp of 0..41 the first
    # is (0 * 1 + 1 * 0.5) / 1.5 = 1/3, the second (1 * 0.5 + 2 * 1) / 1.5 = 5/3, the third as the
    # first but three further on.
    ramp = np.broadcast_to(np.arange(42.0), (1, 42, 42))

    (pooled,) = standardise(ramp)

    expected = np.sqrt(np.add.outer(3 * np.arange(14), [1 / 3, 5 / 3]).ravel())
    expected -= expected.mean()
    expected /= np.linalg.norm(expected) * np.sqrt(28)
    np.testing.assert_allclose(pooled, np.tile(expected, (28, 1)))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 6), st.integers(2, 7), seeds)
def test_chance_is_the_mean_over_all_shifts(height, width, seed):
    maps = standardise(np.random.default_rng(seed).random((3, height, width)))

    # Worked out slowly: all pairs, a map with itself too, and all ways to shift one of them.
    squares = [
        np.vdot(one, np.roll(other, (down, right), axis=(0, 1))) ** 2
        for one in maps
        for other in maps
        for down in range(height)
        for right in range(width)
    ]
    assert correlation_by_chance(maps) == pytest.approx(np.mean(squares))
