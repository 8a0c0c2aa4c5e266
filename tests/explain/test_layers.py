"""Which places of a network count as layers, on torchvision's architectures and on toys."""

from functools import cache

import numpy as np
import pytest
from torch import Tensor, nn

from app.explain import LayerError, Network, explain_image, list_layers, load_network
from app.explain.features import compute_features
from app.explain.layers import choose_layers

from .toys import Dense, Residual, Shared, Toy, naive_weights, random_image, seeded

# The default layers of each network at its own input size.
DEFAULTS = {
    "vgg16": [f"features.{i}" for i in (11, 13, 15, 18, 20, 22, 25, 27, 29)],
    "resnet18": ["layer2.0", "layer2.1", "layer3.0", "layer3.1", "layer4.0", "layer4.1"],
    "resnet50": [
        *("layer2.0", "layer2.1", "layer2.2", "layer2.3"),
        *("layer3.0", "layer3.2", "layer3.3", "layer3.5"),
        *("layer4.0", "layer4.1", "layer4.2"),
    ],
    "densenet121": [
        "features.transition2.relu",
        "features.transition3.relu",
        "features.norm5",
    ],
    "mobilenet_v3_small": [
        *("features.2.block.1.2", "features.4.block.0.2"),
        *("features.4.block.1.2", "features.7.block.0.2"),
        *("features.7.block.1.2", "features.9.block.0.2"),
        *("features.9.block.1.2", "features.12.2"),
    ],
    "efficientnet_b0": [
        *("features.3.0.block.1.2", "features.4.0.block.0.2", "features.4.0.block.1.2"),
        *("features.5.0.block.0.2", "features.5.0.block.1.2", "features.6.0.block.0.2"),
        *("features.6.0.block.1.2", "features.7.0.block.0.2", "features.7.0.block.1.2"),
        "features.8.2",
    ],
    "convnext_tiny": [
        *("features.5.0", "features.5.3", "features.5.5", "features.5.8"),
        *("features.7.0", "features.7.1", "features.7.2"),
    ],
    "squeezenet1_1": [f"features.{i}" for i in (6, 7, 9, 10, 11, 12)],
    "inception_v3": [
        *("Mixed_5b", "Mixed_5c", "Mixed_5d"),
        *("Mixed_6a", "Mixed_6b", "Mixed_6d", "Mixed_6e"),
        *("Mixed_7a", "Mixed_7b", "Mixed_7c"),
    ],
    "shufflenet_v2_x0_5": ["stage3.0", "stage4.0", "conv5.2"],
    "regnet_y_400mf": [
        *(f"trunk_output.block2.block2-{i}.activation" for i in (0, 1, 2)),
        *(f"trunk_output.block3.block3-{i}.activation" for i in (0, 2, 3, 5)),
        *(f"trunk_output.block4.block4-{i}.activation" for i in (0, 2, 3, 5)),
    ],
}


@cache
def random_network(name: str) -> Network:
    return load_network(name, weights="random", device="cpu")


@pytest.mark.parametrize("name", DEFAULTS)
def test_default_layers_of_torchvision_networks(name):
    places = list_layers(random_network(name))

    assert [place.name for place in places if place.is_default] == DEFAULTS[name]
    assert len({place.name for place in places}) == len(places)


@pytest.mark.parametrize("name", DEFAULTS)
def test_torchvision_networks_agree_with_one_pass_per_layer(name):
    network = random_network(name).module
    image = random_image(96, seed=1) - 0.5
    by_default = compute_features(network, image, choose_target=lambda _: 7)
    chosen = {0, len(by_default.layers) // 2, len(by_default.layers) - 1}

    for layer in (by_default.layers[i] for i in sorted(chosen)):
        functional = layer.name == "features.norm5"
        expected = naive_weights(network, image, layer.name, 7, before_relu=functional)
        np.testing.assert_allclose(layer.percent, expected, atol=2e-3, err_msg=layer.name)


@pytest.mark.parametrize("name", DEFAULTS)
def test_torchvision_networks_are_explained_up_to_their_cluster_maps(name):
    network = random_network(name)

    (layer,) = explain_image(
        network.module, random_image(96, seed=2) - 0.5, layers=DEFAULTS[name][-1:]
    ).layers

    assert layer.has_evidence
    assert sum(len(cluster.channels) for cluster in layer.clusters) <= layer.n_kept
    assert bool(layer.clusters) == bool(layer.n_kept)


def test_vgg16_places_have_the_sizes_of_its_blocks():
    places = list_layers(random_network("vgg16"))

    assert [(p.n_channels, p.height, p.width) for p in places if p.is_default] == [
        *[(256, 56, 56)] * 3,
        *[(512, 28, 28)] * 3,
        *[(512, 14, 14)] * 3,
    ]


def test_resnet_lists_the_inside_of_its_blocks_by_number_of_the_call():
    names = [place.name for place in list_layers(random_network("resnet18"))]

    assert names[:5] == ["relu", "layer1.0.relu:1", "layer1.0", "layer1.1.relu:1", "layer1.1"]


def test_convnext_block_outputs_are_not_read_as_channels_last():
    places = list_layers(random_network("convnext_tiny"))

    assert next((p.n_channels, p.height) for p in places if p.is_default) == (384, 14)


@pytest.mark.parametrize("name", ["vit_b_32", "swin_t"])
def test_vision_transformer_is_refused(name):
    network = load_network(name, weights="random", device="cpu")

    with pytest.raises(LayerError, match="only convolutional networks can be explained"):
        list_layers(network)


def test_modules_with_maps_can_be_named_even_in_a_transformer():
    network = load_network("vit_b_32", weights="random", device="cpu")

    (layer,) = explain_image(network.module, random_image(224), layers=["conv_proj"]).layers

    assert (layer.n_channels, layer.height) == (768, 7)


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        ("inception_v3", "Mixed_6b.branch7x7_2"),  # one branch of a concatenation
        ("resnet50", "layer3.1.relu:1"),  # inside a residual block
        ("resnet50", "layer3.0.downsample"),  # beside one, before any activation
        ("densenet121", "features.denseblock3.denselayer2.relu2"),
    ],
)
def test_layers_outside_of_the_main_line_can_be_named(architecture, name):
    network, image = random_network(architecture).module, random_image(96, seed=1) - 0.5

    (layer,) = explain_image(network, image, layers=[name], target=7).layers

    assert layer.has_evidence
    if ":" not in name:
        expected = naive_weights(network, image, name, 7)
        np.testing.assert_allclose(layer.channel_weights, expected, atol=2e-3)


@pytest.mark.parametrize("activation", [nn.LeakyReLU, nn.ELU, nn.CELU, nn.RReLU, nn.ReLU6])
def test_activations_that_overwrite_their_input_are_layers(activation):
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), activation(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )

    assert [place.name for place in list_layers(network, input_size=8)] == ["1"]


def test_layers_of_a_grey_scale_network_are_listed():
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )

    assert [place.name for place in list_layers(network, input_size=8)] == ["1"]


def test_channels_last_output_is_refused():
    with pytest.raises(LayerError, match="holds its channels last"):
        explain_image(
            random_network("convnext_tiny").module,
            random_image(64),
            layers=["features.1.0.block.4"],
        )


class Gated(nn.Module):
    """A squeeze-and-excitation gate, made of vectors, before or behind the maps that it scales."""

    def __init__(self, *, gate_first: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.gate = nn.Linear(4, 4)
        self.act = nn.ReLU()
        self.head = nn.Linear(4, 2)
        self.gate_first = gate_first

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        gate = self.gate(x.mean(dim=(2, 3))).sigmoid()[:, :, None, None]
        return self.head(self.act(gate * x if self.gate_first else x * gate).mean(dim=(2, 3)))


@pytest.mark.parametrize("gate_first", [False, True])
def test_gate_of_vectors_does_not_make_its_maps_channels_last(gate_first):
    places = list_layers(seeded(lambda: Gated(gate_first=gate_first)), input_size=12)

    assert [(place.name, place.is_default) for place in places] == [
        ("stem.1", False),
        ("act", True),
    ]


def test_functional_activation_is_named_by_the_module_that_feeds_it():
    names = [place.name for place in list_layers(seeded(Dense), input_size=12)]

    assert names == ["norm1", "norm2", "norm3"]


def test_module_called_several_times_is_listed_by_number_with_the_last_plain():
    names = [place.name for place in list_layers(seeded(Shared), input_size=12)]

    assert names == ["relu:1", "relu:2", "relu"]


def test_networks_of_one_scale_default_to_the_deeper_half_of_their_places():
    convolutions = [part for _ in range(5) for part in (nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())]
    network = seeded(
        lambda: nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(3 * 64, 2)), seed=1
    )

    places = list_layers(network, input_size=8)

    assert [place.name for place in places if place.is_default] == ["5", "7", "9"]


def test_maps_of_one_pixel_are_no_layer():
    gated = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1), nn.ReLU()
    )
    network = nn.Sequential(gated, nn.Flatten())

    assert [place.name for place in list_layers(network, input_size=8)] == ["0.1"]


def test_unknown_layer_gives_near_names():
    with pytest.raises(LayerError, match=r"no module named 'blok'; near names: block"):
        explain_image(seeded(Residual), random_image(), layers=["blok"])


def test_layer_without_maps_says_what_its_output_is():
    with pytest.raises(LayerError, match=r"its output is a tensor \[1, 2\]"):
        explain_image(Toy(), random_image(), layers=["head"])


def test_call_that_does_not_happen_is_refused():
    with pytest.raises(LayerError, match=r"'block.relu' is called 2 times, so there is no"):
        explain_image(seeded(Residual), random_image(), layers=["block.relu:3"])


def test_network_without_any_activation_is_refused_but_its_modules_can_be_named():
    network = seeded(
        lambda: nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    )

    with pytest.raises(LayerError, match="has no layer of feature maps"):
        explain_image(network, random_image())
    assert explain_image(network, random_image(), layers=["0"]).layers[0].name == "0"


def test_empty_list_of_layers_is_refused():
    with pytest.raises(ValueError, match="No layer is named"):
        explain_image(Toy(), random_image(), layers=[])


def test_default_layers_are_chosen_when_none_are_named(small_network):
    chosen = choose_layers(small_network, None)
    assert chosen == [place for place in list_layers(small_network) if place.is_default]
    assert chosen


def test_a_module_that_is_not_listed_can_be_chosen_and_stands_in_order_of_execution(
    small_network,
):
    chosen = choose_layers(small_network, ["layer2.0.bn1", "conv1"])
    found = [(place.name, place.n_channels, place.is_default) for place in chosen]
    assert found == [("conv1", 64, False), ("layer2.0.bn1", 128, False)]


def test_choosing_a_layer_that_does_not_exist_names_near_ones(small_network):
    with pytest.raises(LayerError, match="no module named"):
        choose_layers(small_network, ["nowhere"])
