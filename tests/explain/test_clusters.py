"""Pruning, clustering and merging, with numbers worked out in the comments."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.explain import merge_maps
from app.explain.clusters import (
    CLUSTERERS,
    make_cluster_maps,
    prune_channels,
    pruning_threshold,
)
from app.explain.maps import use_one_thread

every_clusterer = pytest.mark.parametrize("cluster", CLUSTERERS.values(), ids=CLUSTERERS.keys())


@pytest.mark.parametrize(
    ("n_channels", "threshold"),
    [
        (3, 25.6),
        (32, 2.4),
        (63, 76.8 / 63),
        (64, 1.4),
        (127, 1.4),
        (128, 0.7),
        (255, 0.7),
        (256, 0.35),
        (511, 0.35),
        (512, 0.175),
        (1024, 0.0875),
        (2048, 0.04375),
    ],
)
def test_pruning_threshold(n_channels, threshold):
    assert pruning_threshold(n_channels) == pytest.approx(threshold)


def test_channel_at_the_threshold_is_dropped():
    percent = np.full(64, (100 - 1.4 - 1.41) / 62)
    percent[:2] = 1.4, 1.41

    assert list(prune_channels(percent)) == list(range(1, 64))


def test_evenly_spread_weights_may_leave_no_channel():
    # 300 channels of 0.333 % each, all below the 0.35 % of 256 and more channels.
    assert len(prune_channels(np.full(300, 100 / 300))) == 0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
def test_kept_channels_outweigh_dropped_ones(weights):
    total = sum(weights)
    percent = np.array(weights) * (100 / total if total > 1e-6 else 0)

    kept = prune_channels(percent)

    dropped = np.setdiff1d(np.arange(len(percent)), kept)
    assert list(kept) == sorted(set(kept))
    if len(kept) and len(dropped):
        assert percent[kept].min() > percent[dropped].max()


def labelled(*labels):
    def cluster(maps, seed):
        assert len(maps) == len(labels)
        return np.array(labels)

    return cluster


def test_cluster_weights_and_merged_maps_by_hand():
    # Channels 0 and 2 together: W = 30 + 10 = 40, M = (30 A0 + 10 A2) / 40
    #   = (30 * [0 4 8 8] + 10 * [4 0 0 8]) / 40 = [1 3 6 8], scaled by (M - 1) / 7.
    # Channel 3 alone: W = 60, A3 = [5 5 5 9] scaled to [0 0 0 1]. Channel 1 was pruned.
    maps = np.array(
        [[[0, 4], [8, 8]], [[9, 9], [9, 9]], [[4, 0], [0, 8]], [[5, 5], [5, 9]]], dtype=np.float32
    )
    percent, kept = np.array([30.0, 0, 10, 60]), np.array([0, 2, 3])

    first, second = make_cluster_maps(
        maps[kept], percent, kept, clusterer=labelled(7, 7, 4), seed=0
    )

    assert (first.channels, first.weight) == ((3,), pytest.approx(60))
    assert (second.channels, second.weight) == ((0, 2), pytest.approx(40))
    np.testing.assert_allclose(first.map, [[0, 0], [0, 1]], atol=1e-5)
    np.testing.assert_allclose(second.map, [[0, 2 / 7], [5 / 7, 1]], atol=1e-5)
    assert second.map.dtype == np.float32


@pytest.mark.parametrize(
    ("weights", "n_left"),
    [
        ([60.0, 20.0, 19.0, 1.0], 2),  # least: max(60 / 3, 25 / 2) = 20, and 20 is not below it
        ([25.0, 25.0, 25.0, 25.0], 4),  # least: max(8.3, 12.5)
        ([40.0, 35.0, 14.0, 11.0], 3),  # least: max(13.3, 12.5)
        ([34.0, 34.0, 16.5, 15.5], 4),  # least: max(11.3, 12.5)
    ],
)
def test_light_clusters_are_dropped(weights, n_left):
    maps = np.random.default_rng(0).random((4, 3, 3))

    clusters = make_cluster_maps(
        maps, np.array(weights), np.arange(4), clusterer=labelled(0, 1, 2, 3), seed=0
    )

    assert [cluster.weight for cluster in clusters] == weights[:n_left]


def test_no_kept_channel_gives_no_cluster():
    none = np.array([], dtype=int)

    assert (
        make_cluster_maps(np.ones((0, 3, 3)), np.zeros(2), none, clusterer=labelled(), seed=0) == ()
    )


def test_merging_weighs_and_scales():
    # (1 * [0 2] + 3 * [4 6]) / 4 = [3 5] -> [0 1]; the middle (1 * 1 + 3 * 5) / 4 = 4 -> 0.5
    merged = merge_maps([np.array([[0, 1, 2]]), np.array([[4, 5, 6]])], [1, 3])

    np.testing.assert_allclose(merged, [[0, 0.5, 1]], atol=1e-6)
    assert merged.dtype == np.float32


def test_merging_constant_maps_gives_zeros():
    assert not merge_maps([np.full((2, 2), 3.0)], [5.0]).any()


def test_a_mean_of_constant_maps_is_no_map_of_its_rounding() -> None:
    """As pooling that is spread over all places makes them, in the precision of a network."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        heights = rng.uniform(0, 10, 12).astype(np.float32)
        maps = np.broadcast_to(heights[:, None, None], (12, 7, 7)) * np.float32(1)
        assert not merge_maps(maps, rng.uniform(0, 1, 12)).any()


@pytest.mark.parametrize("weights", [[], [0.0], [1.0, 2.0]])
def test_merging_without_fitting_weights_is_refused(weights):
    with pytest.raises(ValueError, match="n weights of a positive sum"):
        merge_maps(np.ones((1, 2, 2)), weights)


@every_clusterer
@given(n_maps=st.integers(1, 3), seed=st.integers(0, 2**31 - 1))
def test_fewer_than_four_maps_are_a_cluster_each(cluster, n_maps, seed):
    maps = np.random.default_rng(seed).random((n_maps, 3, 3))

    assert len(set(cluster(maps, seed))) == n_maps


def test_of_two_threads_that_limit_blas_one_waits():
    # Both would be undone in the order of their ends, and BLAS left as the second one found it.
    entered = Event()

    def enter():
        with use_one_thread():
            entered.set()

    with ThreadPoolExecutor(max_workers=1) as other:
        with use_one_thread():
            waiting = other.submit(enter)
            assert not entered.wait(0.1)
        waiting.result(timeout=10)


@every_clusterer
@pytest.mark.parametrize("n_maps", [1, 3, 4, 40])
def test_identical_maps_share_one_cluster(cluster, n_maps):
    maps = np.tile(np.random.default_rng(0).random((4, 4)), (n_maps, 1, 1))

    assert len(set(cluster(maps, 0))) == 1


@every_clusterer
@pytest.mark.parametrize("n_maps", [1, 5, 35])
def test_constant_maps_share_one_cluster(cluster, n_maps):
    constant = np.arange(n_maps)[:, None, None] + np.zeros((4, 4))

    assert len(set(cluster(constant, 0))) == 1


@every_clusterer
def test_copies_of_a_map_stay_together_among_others(cluster):
    maps = np.random.default_rng(1).random((12, 5, 5))
    maps[[3, 8, 11]] = maps[0]

    labels = cluster(maps, 0)

    assert len(set(labels[[0, 3, 8, 11]])) == 1


@every_clusterer
@settings(max_examples=12, deadline=None)
@given(n_maps=st.integers(4, 40), side=st.integers(1, 5), seed=st.integers(0, 1000))
def test_any_number_and_size_of_maps_is_clustered(cluster, n_maps, side, seed):
    maps = np.random.default_rng(seed).random((n_maps, side, side))

    labels = cluster(maps, seed)

    assert labels.shape == (n_maps,)
    assert len(set(labels)) <= 8
