"""Layers clustered together, where they are, give the cluster maps of each alone on a CPU."""

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from app.explain import explain_images, explaining
from app.explain.clusters import get_clusterer, make_cluster_maps
from app.explain.clusters_torch import make_cluster_maps_together, works_together
from app.explain.features import LayerFeatures

from .test_fast_clusterer import planted
from .toys import Residual, random_image, seeded


def draw_layers():
    """Maps [n, H, W], percent [C] and kept channels [n] of layers of several sizes."""
    rng = np.random.default_rng(0)
    for n_maps, side, n_channels in [(40, 14, 64), (12, 30, 16), (40, 14, 50), (2, 7, 32)]:
        maps, _ = planted(rng, n_groups=min(5, n_maps // 2), noise=0.5, side=side, n_maps=n_maps)
        percent = rng.dirichlet(np.full(n_channels, 5.0)) * 100
        kept = np.sort(rng.permutation(n_channels)[:n_maps])
        yield maps.astype(np.float32), percent, kept


def assert_same_clusters(found, expected):
    assert [cluster.channels for cluster in found] == [cluster.channels for cluster in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.weight == pytest.approx(other.weight)
        assert one.map.dtype == np.float32
        np.testing.assert_allclose(one.map, other.map, atol=1e-5)


def test_layers_together_are_as_each_alone():
    layers = list(draw_layers())

    found = make_cluster_maps_together(
        [(torch.from_numpy(maps), percent, kept) for maps, percent, kept in layers]
    )

    for clusters, (maps, percent, kept) in zip(found, layers, strict=True):
        expected = make_cluster_maps(maps, percent, kept, clusterer=get_clusterer("fast"), seed=0)
        assert_same_clusters(clusters, expected)


def test_a_layer_of_which_no_channel_is_left_has_none():
    (maps, percent, kept), *_ = draw_layers()
    nothing = torch.from_numpy(maps[:0]), percent, kept[:0]

    found, empty = make_cluster_maps_together([(torch.from_numpy(maps), percent, kept), nothing])

    assert (len(found) > 0, empty) == (True, ())
    assert make_cluster_maps_together([nothing]) == [()]


def test_a_constant_map_becomes_black():
    maps = torch.full((1, 5, 5), 0.1)

    ((cluster,),) = make_cluster_maps_together([(maps, np.array([100.0]), np.array([0]))])

    assert cluster.map.tolist() == [[0.0] * 5] * 5


def test_pictures_explained_where_the_network_runs_are_as_on_a_cpu(monkeypatch):
    network, images = seeded(Residual), [random_image(seed=number) for number in range(5)]
    on_cpu = list(explain_images(network, images))

    monkeypatch.setattr(explaining, "works_together", lambda _maps: True)
    together = list(explain_images(network, images, batch_size=3))

    for one, other in zip(together, on_cpu, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, rtol=1e-5)
        assert [layer.name for layer in one.layers] == [layer.name for layer in other.layers]
        for layer, expected in zip(one.layers, other.layers, strict=True):
            assert layer.clusters
            assert_same_clusters(layer.clusters, expected.clusters)


def test_nothing_on_a_gpu_meets_something_on_the_cpu(monkeypatch):
    """Tensors without values stand in for those of a GPU; PyTorch refuses what it would there."""
    dtypes = {torch.float32: np.float32, torch.int64: np.int64}
    monkeypatch.setattr(FakeTensor, "numpy", lambda self: np.zeros(self.shape, dtypes[self.dtype]))
    # How many clusters a round of mergers left at most, less one: the first round is the last.
    monkeypatch.setattr(FakeTensor, "__int__", lambda self: 0)

    with FakeTensorMode():
        values = [torch.empty(16, side, side, device="cuda") for side in (40, 14, 40)]
        layers = [LayerFeatures("", one, np.ones(16), np.ones(16)) for one in values]
        kept = np.arange(3, 12)
        found = make_cluster_maps_together(
            [(layer.values_of(kept), layer.percent, kept) for layer in layers]
        )

    assert all(works_together(one) for one in values)
    assert [cluster.map.shape for (cluster,) in found] == [(40, 40), (14, 14), (40, 40)]
