"""Our own small network: what it is made of, and that it can be loaded and explained."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from app.explain import NetworkError, explain_image, list_layers, load_network
from app.explain.plain import Plain10, fold_batch_norm
from app.explain.plain_layout import layer_names

from .toys import seeded

CLASSES = ["house", "sun", "sky"]


@pytest.fixture
def description(tmp_path):
    """A description file of a plain10 with random weights in half precision."""
    network = seeded(lambda: Plain10(len(CLASSES)))
    halves = {key: value.half() for key, value in network.state_dict().items()}
    save_file(halves, tmp_path / "small.safetensors")
    entries = {
        "architecture": "plain10",
        "classes": CLASSES,
        "input_size": 64,
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
        "weights": "small.safetensors",
    }
    (tmp_path / "small.json").write_text(json.dumps(entries))
    return tmp_path / "small.json"


def test_it_is_small():
    work = []

    def count(module, _inputs, output):
        work.append(output[0].numel() * module.weight[0].numel())

    network = Plain10(10)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, 128, 128))

    assert len(work) == 10
    assert sum(work) == pytest.approx(0.42e9, rel=0.01)
    assert 2 * sum(parameter.numel() for parameter in network.parameters()) < 1.5e6


def test_values_keep_their_spread_from_layer_to_layer():
    network = seeded(lambda: Plain10(10))

    with torch.no_grad():
        noise = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        maps = network.features(noise)

    # A max-pool takes the larger values, so it is a little more than at the start.
    assert 0.5 < maps.square().mean() < 50


def test_folded_network_gives_the_same_logits():
    trained = seeded(lambda: Plain10(4, batch_norm=True))
    generator = torch.Generator().manual_seed(0)
    for module in trained.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.running_var):
                values.data = torch.rand(values.shape, generator=generator) + 0.5
            for values in (module.bias, module.running_mean):
                values.data = torch.randn(values.shape, generator=generator)
    picture = torch.randn(2, 3, 32, 32, generator=generator)

    folded = fold_batch_norm(trained)

    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    with torch.no_grad():
        expected = trained.eval()(picture)
        torch.testing.assert_close(folded(picture), expected, rtol=1e-4, atol=1e-4)
    assert expected.std() > 0.01


def test_its_ten_relus_are_its_layers(description):
    network = load_network(description, device="cpu")

    layers = list_layers(network)

    assert [layer.name for layer in layers] == [
        f"features.{n}" for n in (1, 3, 6, 8, 11, 13, 15, 17, 19, 21)
    ]
    assert [layer.n_channels for layer in layers] == [16] * 2 + [32] * 2 + [64] * 3 + [96] * 3
    assert [layer.height for layer in layers] == [64] * 2 + [32] * 2 + [16] * 6
    assert [layer.name for layer in layers if layer.is_default] == [
        f"features.{n}" for n in (6, 8, 11, 15, 17, 21)
    ]


def test_layers_are_known_by_block():
    relus = [
        [name for name, module in Plain10(2).named_modules() if isinstance(module, nn.ReLU)],
        [name for block in range(4) for name in layer_names(block)],
    ]
    assert relus[0] == relus[1]


def test_it_can_be_explained(description, drawn_picture):
    network = load_network(description, device="cpu")

    explanation = explain_image(network, drawn_picture)

    assert [layer.name for layer in explanation.layers] == [
        f"features.{n}" for n in (6, 8, 11, 15, 17, 21)
    ]
    assert any(layer.clusters for layer in explanation.layers)


def test_random_weights_follow_the_seed(description):
    one, same, other = (
        load_network(description, weights="random", seed=seed, device="cpu").weights_sha256
        for seed in (1, 1, 2)
    )

    assert one == same != other


def test_without_a_description_it_has_no_weights():
    with pytest.raises(NetworkError, match="plain10 has no published weights; name a description"):
        load_network("plain10")


def test_near_names_know_it():
    with pytest.raises(NetworkError, match=r"'plain12'; did you mean .*plain10"):
        load_network("plain12")
