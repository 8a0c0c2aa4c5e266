"""explain_image on networks whose answers were worked out by hand."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import adjusted_rand_score
from torch import nn

from app.explain import Explanation, explain_image, explain_images, load_network, report_html
from app.picturebook.networks import FAIR_NETWORK
from app.picturebook.scenes import Recipe, draw_scene

from .toys import IMAGE, Planted, Residual, Shared, Toy, naive_weights, random_image, seeded


def assert_same(one: Explanation, other: Explanation) -> None:
    assert one.target == other.target
    assert one.target_name == other.target_name
    assert one.predicted == other.predicted
    assert one.probability == other.probability
    assert (one.network, one.classes) == (other.network, other.classes)
    assert (one.clusterer, one.seed) == (other.clusterer, other.seed)
    assert one.weights_sha256 == other.weights_sha256
    assert [layer.name for layer in one.layers] == [layer.name for layer in other.layers]
    for a, b in zip(one.layers, other.layers, strict=True):
        assert (a.n_channels, a.height, a.width) == (b.n_channels, b.height, b.width)
        assert (a.n_kept, a.kept_weight) == (b.n_kept, b.kept_weight)
        np.testing.assert_array_equal(a.channel_weights, b.channel_weights)
        np.testing.assert_array_equal(a.channel_effects, b.channel_effects)
        assert [c.channels for c in a.clusters] == [c.channels for c in b.clusters]
        assert [c.weight for c in a.clusters] == [c.weight for c in b.clusters]
        for c, d in zip(a.clusters, b.clusters, strict=True):
            np.testing.assert_array_equal(c.map, d.map)
            assert c.map.dtype == d.map.dtype == np.float32


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("as_function", [False, True])
def test_toy_network_by_hand(inplace, as_function):
    # y0 = 4 mean(A0) + 8 mean(A1) - 2 mean(A2), over 4 pixels, so g = 1, 2 and -0.5 everywhere.
    # A0 = 1 2 3 4 is active on 4 pixels: w0 = 1. A1 = 0 0 2 0 on one: w1 = 2 / 4 = 0.5.
    # g2 < 0: w2 = 0. In percent: 66.667, 33.333, 0.
    # With 3 channels t = 76.8 / 3 = 25.6: channels 0 and 1 are kept, each its own cluster.
    # Least weight: max(66.667 / 3, 50 / 2) = 25, so both stay.
    # Maps, min-max scaled: (1 2 3 4 - 1) / 3, and 0 0 1 0.
    # Effects: 1 * (1 + 2 + 3 + 4), 2 * 2 and -0.5 * 4.
    toy = Toy(inplace=inplace, as_function=as_function)

    explanation = explain_image(toy, IMAGE)

    assert (explanation.target, explanation.predicted) == (0, 0)
    (layer,) = explanation.layers
    assert layer.name == ("same" if as_function else "relu")
    np.testing.assert_allclose(layer.channel_weights, [200 / 3, 100 / 3, 0], atol=1e-5)
    assert (layer.n_channels, layer.height, layer.width, layer.n_kept) == (3, 2, 2, 2)
    assert layer.kept_weight == pytest.approx(100, abs=1e-5)
    assert layer.has_evidence
    assert [cluster.channels for cluster in layer.clusters] == [(0,), (1,)]
    assert [cluster.weight for cluster in layer.clusters] == pytest.approx([200 / 3, 100 / 3])
    np.testing.assert_allclose(layer.clusters[0].map, [[0, 1 / 3], [2 / 3, 1]], atol=1e-5)
    np.testing.assert_allclose(layer.clusters[1].map, [[0, 0], [1, 0]], atol=1e-5)
    np.testing.assert_allclose(layer.channel_effects, [10, 4, -2], atol=1e-5)
    assert [layer.effect_of(cluster) for cluster in layer.clusters] == pytest.approx([10, 4])


def test_probability_is_the_softmax_of_the_logits():
    # Means of the maps: 2.5, 0.5, 1. y0 = 10 + 4 - 2 = 12, y1 = -10 - 4 - 2 = -16.
    explanation = explain_image(Toy(), IMAGE, target=1)

    assert explanation.probability == pytest.approx(np.exp(-16) / (np.exp(12) + np.exp(-16)))
    assert (explanation.target, explanation.predicted) == (1, 0)


def test_class_without_positive_evidence_has_no_clusters():
    (layer,) = explain_image(Toy(), IMAGE, target=1).layers  # all weights of class 1 are negative

    assert not layer.has_evidence
    assert not layer.channel_weights.any()
    assert (layer.n_kept, layer.kept_weight, layer.clusters) == (0, 0, ())


def test_layer_on_which_the_class_does_not_depend_has_no_evidence():
    class TwoHeads(Toy):
        def __init__(self):
            super().__init__()
            self.other = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())

        def forward(self, x):
            aside = self.other(x).mean(dim=(2, 3))
            return torch.cat([super().forward(x)[:, :1], aside[:, :1]], dim=1)

    explanation = explain_image(seeded(TwoHeads), IMAGE, target=0, layers=["relu", "other.1"])

    assert [(layer.name, layer.has_evidence) for layer in explanation.layers] == [
        ("other.1", False),
        ("relu", True),
    ]


@pytest.mark.parametrize("n_per_group", [2, 3, 6, 8, 12])
def test_no_cluster_mixes_planted_groups(n_per_group):
    planted = Planted(n_per_group)

    (layer,) = explain_image(planted, torch.ones(3, 8, 8)).layers

    assert layer.clusters
    for cluster in layer.clusters:
        assert len({planted.group_of[channel] for channel in cluster.channels}) == 1
        peak = np.unravel_index(cluster.map.argmax(), cluster.map.shape)
        centre = planted.CENTRES[planted.group_of[cluster.channels[0]]]
        assert np.abs(np.subtract(peak, centre)).max() <= 1


def test_channel_weights_sum_to_one_hundred_and_clusters_fall():
    explanation = explain_image(seeded(Residual), random_image(), layers=["block", "stem"])

    assert [layer.name for layer in explanation.layers] == ["stem", "block"]
    for layer in explanation.layers:
        assert layer.channel_weights.sum() == pytest.approx(100)
        weights = [cluster.weight for cluster in layer.clusters]
        assert weights == sorted(weights, reverse=True)
        for cluster in layer.clusters:
            assert cluster.map.shape == (layer.height, layer.width)
            assert (cluster.map.min(), cluster.map.max()) == (0, 1)
            chosen = layer.channel_weights[list(cluster.channels)]
            assert cluster.weight == pytest.approx(chosen.sum())


def test_module_called_several_times_means_its_last_call():
    shared, image = seeded(Shared), random_image()

    layers = explain_image(shared, image, target=0, layers=["relu", "relu:3", "relu:1"]).layers

    assert [layer.name for layer in layers] == ["relu:1", "relu", "relu:3"]
    np.testing.assert_array_equal(layers[1].channel_weights, layers[2].channel_weights)
    assert not np.allclose(layers[0].channel_weights, layers[1].channel_weights)
    np.testing.assert_allclose(
        layers[1].channel_weights, naive_weights(shared, image, "relu", 0), atol=1e-5
    )


def test_same_seed_gives_the_same_explanation():
    planted = Planted(9)

    assert_same(
        explain_image(planted, torch.ones(3, 8, 8), seed=5),
        explain_image(planted, torch.ones(3, 8, 8), seed=5),
    )


def test_a_fresh_process_gives_the_same_explanation(tmp_path):
    code = (
        "import sys, torch; from tests.explain.toys import Planted; "
        "from app.explain import explain_image; "
        "explain_image(Planted(9), torch.ones(3, 8, 8), seed=5).save(sys.argv[1])"
    )

    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, timeout=120)

    here = explain_image(Planted(9), torch.ones(3, 8, 8), seed=5)
    assert_same(Explanation.load(tmp_path), here)


def test_explaining_draws_nothing_from_the_callers_random_numbers():
    planted = Planted(3)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()

    explain_image(planted, torch.ones(3, 8, 8))

    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)


def test_save_and_load_round_trip(tmp_path, small_network, drawn_picture):
    explanation = explain_image(small_network, drawn_picture, target="sun", layers=["layer4.1"])

    explanation.save(tmp_path / "new" / "folder")

    assert_same(Explanation.load(tmp_path / "new" / "folder"), explanation)


def test_numbers_of_numpy_are_saved_as_any_others(tmp_path):
    explanation = explain_image(
        Toy(), IMAGE, target=np.int64(1), contrast=np.int64(0), seed=np.int64(7)
    )

    explanation.save(tmp_path)

    loaded = Explanation.load(tmp_path)
    assert (loaded.target, loaded.contrast, loaded.seed) == (1, 0, 7)


def test_loading_something_else_is_refused(tmp_path):
    (tmp_path / "explanation.json").write_text('{"format": 99}')
    np.savez(tmp_path / "maps.npz", a=np.zeros(1))

    with pytest.raises(ValueError, match="its format is 99, not 1"):
        Explanation.load(tmp_path)


def test_loading_a_cut_off_file_is_refused(tmp_path):
    explain_image(Toy(), IMAGE).save(tmp_path)
    whole = (tmp_path / "maps.npz").read_bytes()
    (tmp_path / "maps.npz").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(ValueError, match="holds no explanation that can be read"):
        Explanation.load(tmp_path)


def test_target_by_name_is_the_same_as_by_number(small_network, drawn_picture):
    by_name = explain_image(small_network, drawn_picture, target="sky", layers=["layer4.1"])
    by_number = explain_image(small_network, drawn_picture, target=2, layers=["layer4.1"])

    assert_same(by_name, by_number)
    assert by_name.target_name == "sky"


def test_unknown_class_name_gives_near_ones(small_network, drawn_picture):
    with pytest.raises(ValueError, match=r"no class 'hose'; near names: house"):
        explain_image(small_network, drawn_picture, target="hose")


@pytest.mark.parametrize("target", [2, -1])
def test_class_number_out_of_range_is_refused(target):
    with pytest.raises(ValueError, match="the network has 2 classes"):
        explain_image(Toy(), IMAGE, target=target)


def test_class_name_needs_a_network_with_names():
    with pytest.raises(ValueError, match="have no names"):
        explain_image(Toy(), IMAGE, target="cat")


def test_picture_needs_a_network_with_preprocessing(drawn_picture):
    with pytest.raises(ValueError, match="does not say how a picture is preprocessed"):
        explain_image(Toy(), drawn_picture)


def test_unknown_clusterer_names_those_there_are():
    with pytest.raises(ValueError, match="no clusterer 'best'; there is fast, paper"):
        explain_image(Toy(), IMAGE, clusterer="best")


def test_real_photo_is_explained_layer_by_layer(photonet, drawn_picture):
    explanation = explain_image(photonet, drawn_picture, layers=["layer4.0", "layer4.1"])

    assert explanation.classes is not None
    assert explanation.target_name in explanation.classes
    assert all(layer.clusters for layer in explanation.layers)


def test_contrast_explains_the_difference_of_two_logits_by_hand():
    # y0 - y1 = 8 mean(A0) + 16 mean(A1) + 0 mean(A2), and y1 - y0 the negative: no evidence.
    for_zero = explain_image(Toy(), IMAGE, target=0, contrast=1)
    for_one = explain_image(Toy(), IMAGE, target=1, contrast=0)

    assert (for_zero.target, for_zero.contrast) == (0, 1)
    np.testing.assert_allclose(for_zero.layers[0].channel_weights, [200 / 3, 100 / 3, 0], atol=1e-5)
    assert not for_one.layers[0].has_evidence


def test_what_two_classes_share_speaks_for_neither():
    toy = Toy()
    toy.head.weight.data = torch.tensor([[4.0, 8.0, 0.0], [4.0, 0.0, 0.0]])

    alone, against = explain_image(toy, IMAGE), explain_image(toy, IMAGE, contrast=1)

    np.testing.assert_allclose(alone.layers[0].channel_weights, [200 / 3, 100 / 3, 0], atol=1e-5)
    np.testing.assert_allclose(against.layers[0].channel_weights, [0, 100, 0], atol=1e-5)


def test_contrast_is_kept_and_older_files_have_none(tmp_path):
    explain_image(Toy(), IMAGE, target=0, contrast=1).save(tmp_path)
    assert Explanation.load(tmp_path).contrast == 1

    entries = json.loads((tmp_path / "explanation.json").read_text())
    del entries["contrast"]
    (tmp_path / "explanation.json").write_text(json.dumps(entries))

    assert Explanation.load(tmp_path).contrast is None


def test_files_from_before_there_were_effects_have_none(tmp_path):
    explain_image(Toy(), IMAGE).save(tmp_path)
    with np.load(tmp_path / "maps.npz") as named:
        older = {name: array for name, array in named.items() if "effects" not in name}
    np.savez_compressed(tmp_path / "maps.npz", **older)

    explanation = Explanation.load(tmp_path)

    (layer,) = explanation.layers
    assert [layer.effect_of(cluster) for cluster in layer.clusters] == [None, None]
    assert "Effect" not in report_html(explanation, Image.new("RGB", (8, 8)), title="old")


def test_effects_of_a_contrast_are_those_on_the_difference():
    # y0 - y1 = 8 mean(A0) + 16 mean(A1), which are 2.5 and 0.5.
    (layer,) = explain_image(Toy(), IMAGE, target=0, contrast=1).layers

    np.testing.assert_allclose(layer.channel_effects, [20, 8, 0], atol=1e-5)


def test_a_class_cannot_be_set_against_itself_or_against_none_there_is(
    small_network, drawn_picture
):
    with pytest.raises(ValueError, match="the very one that it is set against"):
        explain_image(small_network, drawn_picture, target="sun", contrast="sun")
    with pytest.raises(ValueError, match="no class 'moon'"):
        explain_image(small_network, drawn_picture, contrast="moon")


def memberships(explanation: Explanation) -> list[list[int]]:
    """For each layer, the number of each channel's cluster, -1 for a channel in none."""
    found = []
    for layer in explanation.layers:
        number_of = {
            channel: number
            for number, cluster in enumerate(layer.clusters)
            for channel in cluster.channels
        }
        found.append([number_of.get(channel, -1) for channel in range(layer.n_channels)])
    return found


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize("batch_size", [1, 4])
def test_clusters_on_cuda_are_those_of_the_cpu(batch_size):
    pictures = [
        draw_scene(Recipe(class_name, seed=2024, number=5, ground="meadow")).picture
        for class_name in ("sailboat", "house", "bird", "train")
    ]

    on_cpu, on_cuda = (
        list(explain_images(load_network(FAIR_NETWORK, device=device), pictures, batch_size=n))
        for device, n in (("cpu", 1), ("cuda", batch_size))
    )

    for one, other in zip(on_cpu, on_cuda, strict=True):
        for labels, other_labels in zip(memberships(one), memberships(other), strict=True):
            assert adjusted_rand_score(labels, other_labels) >= 0.99


class TestInANotebook:
    def test_a_row_per_cluster_map(self):
        frame = explain_image(Toy(), IMAGE).to_frame()

        assert list(frame.columns) == [
            *("layer", "rank", "weight", "effect", "n_channels", "channels", "height", "width")
        ]
        assert list(frame["layer"]) == ["relu", "relu"]
        assert list(frame["rank"]) == [1, 2]
        np.testing.assert_allclose(frame["weight"], [200 / 3, 100 / 3], atol=1e-5)
        np.testing.assert_allclose(frame["effect"], [10, 4], atol=1e-5)
        assert list(frame["n_channels"]) == [1, 1]
        assert list(frame["channels"]) == [(0,), (1,)]
        assert list(frame["height"]) == list(frame["width"]) == [2, 2]

    def test_no_cluster_map_is_an_empty_table(self):
        frame = explain_image(Toy(), IMAGE, target=1).to_frame()

        assert (len(frame), "weight" in frame.columns) == (0, True)

    def test_without_pandas_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pandas", None)

        with pytest.raises(ModuleNotFoundError, match="pip install pandas"):
            explain_image(Toy(), IMAGE).to_frame()

    def test_it_shows_itself_small_and_alone(self, small_network, drawn_picture):
        explanation = explain_image(small_network, drawn_picture, target="sun")

        html = explanation._repr_html_()

        assert len(html) < 100_000
        assert not re.search(r"<script|<style|https?:|\sid=|\son\w+=", html)
        assert html.count("<img") == sum(len(layer.clusters) for layer in explanation.layers)
        assert all(f"<b>{layer.name}</b>" in html for layer in explanation.layers)

    def test_it_says_what_is_missing(self):
        html = explain_image(Toy(), IMAGE, target=1, contrast=0)._repr_html_()

        assert "no positive evidence" in html
        assert "<b>class 1</b> rather than <b>class 0</b>" in html
        assert "the network says <b>class 0</b>" in html

    def test_names_of_classes_are_no_html(self):
        explanation = replace(explain_image(Toy(), IMAGE), classes=("<b>x</b>", "y"))

        assert "&lt;b&gt;x&lt;/b&gt;" in explanation._repr_html_()
