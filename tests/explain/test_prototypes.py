"""The pictures and regions that drive a cluster most."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.explain import explain_image
from app.explain.prototypes import cluster_peaks, find_prototypes
from app.explain.responses import layer_responses

WEIGHTS = np.array([30.0, 50.0, 10.0, 10.0])


def picture(*peaks):
    """Maps [4, 4, 4], channels 0 and 2 with these values at (row, column)."""
    maps = np.zeros((4, 4, 4))
    for row, column, value in peaks:
        maps[0, row, column] = maps[2, row, column] = value
    maps[1] = 99.0  # a channel of another cluster
    return maps


def test_by_hand():
    # M = (30 A0 + 10 A2) / 40. The peak of the second picture is 8 at row 1, column 2; its
    # neighbour with 5 belongs to the region, that with 3 does not, nor the 6 that lies apart.
    pictures = [
        picture((0, 0, 2.0)),
        picture((1, 2, 8.0), (2, 2, 5.0), (1, 1, 3.0), (3, 0, 6.0)),
        picture(),
    ]

    first, second = find_prototypes((0, 2), WEIGHTS, pictures)

    assert (first.index, first.peak) == (1, 8)
    assert first.box == (2 / 4, 1 / 4, 3 / 4, 3 / 4)
    assert (second.index, second.peak, second.box) == (0, 2, (0, 0, 0.25, 0.25))
    np.testing.assert_allclose(first.map[3], [6, 0, 0, 0])


def test_channels_are_averaged_by_their_weight():
    maps = np.zeros((4, 2, 2))
    maps[0, 0, 0], maps[2, 0, 0] = 4.0, 8.0

    (found,) = find_prototypes((0, 2), WEIGHTS, [maps])

    assert found.peak == pytest.approx((30 * 4 + 10 * 8) / 40)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 30), st.integers(1, 12), st.integers(0, 1000))
def test_they_are_the_first_of_all_pictures_sorted(n_pictures, n, seed):
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 4, (n_pictures, 4, 3, 5)).astype(float)

    found = find_prototypes((0, 1, 3), WEIGHTS, iter(pictures), n=n)

    shares = WEIGHTS[[0, 1, 3]] / 90
    peaks = [float(np.tensordot(shares, maps[[0, 1, 3]], 1).max()) for maps in pictures]
    expected = sorted(range(n_pictures), key=lambda i: (-np.float32(peaks[i]), i))
    assert [one.index for one in found] == [i for i in expected if peaks[i] > 0][:n]


@pytest.mark.parametrize("channels", [(), (0, 2)])
def test_a_cluster_without_weight_is_refused(channels):
    with pytest.raises(ValueError, match="of a positive sum"):
        find_prototypes(channels, np.zeros(4), [])


def test_of_an_explanations_cluster(small_network, drawn_picture):
    (layer,) = explain_image(small_network, drawn_picture, layers=["layer4.1"]).layers
    turned = drawn_picture.rotate(180)
    activations = layer_responses(
        small_network, [turned, drawn_picture], layer=layer.name
    ).activations

    found = find_prototypes(layer.clusters[0].channels, layer.channel_weights, activations)

    assert {one.index for one in found} == {0, 1}
    own = next(one for one in found if one.index == 1)
    # What is shown of the picture itself is its cluster map, in the layer's own unit.
    scaled = (own.map - own.map.min()) / np.ptp(own.map)
    np.testing.assert_allclose(scaled, layer.clusters[0].map, atol=1e-4)


def test_many_clusters_peaks_are_those_of_their_prototypes() -> None:
    rng = np.random.default_rng(0)
    activations = rng.random((6, 4, 4))
    clusters = [((0, 2), rng.random(6)), ((1, 3, 5), rng.random(6))]
    peaks = cluster_peaks(clusters, activations)
    for peak, (channels, weights) in zip(peaks, clusters, strict=True):
        (found,) = find_prototypes(channels, weights, [activations])
        assert peak == pytest.approx(found.peak)
