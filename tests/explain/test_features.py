"""One forward and one backward pass, whatever the network does inside, and nothing left behind."""

from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from app.explain import explain_image
from app.explain.features import compute_features

from .toys import (
    IMAGE,
    Dense,
    Residual,
    Toy,
    naive_weights,
    random_image,
    seeded,
)


def weights_of(module, image, layers, target=0):
    features = compute_features(module, image, choose_target=lambda _: target, layers=layers)
    return {layer.name: layer.percent for layer in features.layers}


@pytest.mark.parametrize("name", ["stem", "block.conv1", "block.bn1", "block.relu", "block"])
def test_residual_block_with_in_place_relu_agrees_with_a_pass_of_its_own(name):
    network, image = seeded(Residual), random_image()

    found = weights_of(network, image, [name])[name]

    np.testing.assert_allclose(found, naive_weights(network, image, name, 0), atol=1e-4)


@pytest.mark.parametrize("name", ["norm1", "norm2", "norm3"])
def test_dense_block_with_functional_relu_agrees_with_a_pass_of_its_own(name):
    network, image = seeded(Dense), random_image()

    found = weights_of(network, image, ["norm1", "norm2", "norm3"])[name]

    expected = naive_weights(network, image, name, 0, before_relu=True)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_all_layers_together_agree_with_each_alone():
    network, image = seeded(Residual), random_image()
    names = ["stem", "block.relu:1", "block"]

    together = weights_of(network, image, names)

    for name in names:
        np.testing.assert_allclose(together[name], weights_of(network, image, [name])[name])


def test_maps_are_the_values_before_a_later_module_overwrites_them():
    features = compute_features(
        Toy(inplace=True), IMAGE, choose_target=lambda _: 0, layers=["same", "relu"]
    )

    before, after = features.layers
    np.testing.assert_array_equal(before.maps, IMAGE.numpy())
    np.testing.assert_array_equal(after.maps, IMAGE.relu().numpy())


class Overwriting(nn.Module):
    """Scales what its activation gave in place, which autograd allows after a SiLU."""

    def __init__(self):
        super().__init__()
        self.silu = nn.SiLU()
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        x = self.silu(x)
        x *= 2
        return self.head(x.mean(dim=(2, 3)))


def test_maps_of_an_activation_are_the_values_before_they_are_overwritten():
    (layer,) = compute_features(
        seeded(Overwriting), IMAGE, choose_target=lambda _: 0, layers=["silu"]
    ).layers

    np.testing.assert_array_equal(layer.maps, nn.functional.silu(IMAGE).numpy())


def test_maps_of_some_channels_are_the_same_in_either_memory_layout():
    network = seeded(Residual)
    options = {"choose_target": lambda _: 0, "layers": ["block"]}
    channels = np.array([1, 4, 7])

    (one,) = compute_features(network, random_image(), **options).layers
    network = network.to(memory_format=torch.channels_last)
    (other,) = compute_features(network, random_image(), **options).layers

    assert other.values.stride(0) == 1 < one.values.stride(0)
    np.testing.assert_array_equal(one.maps_of(channels), one.maps[channels])
    np.testing.assert_array_equal(other.maps_of(channels), other.maps[channels])
    np.testing.assert_allclose(other.maps, one.maps, atol=1e-5)


def test_maps_of_a_functional_in_place_activation_are_the_values_after_it():
    toy = Toy(inplace=True, as_function=True)

    (layer,) = compute_features(toy, IMAGE, choose_target=lambda _: 0, layers=["same"]).layers

    np.testing.assert_array_equal(layer.maps, IMAGE.relu().numpy())


def test_exactly_one_forward_pass_for_the_default_layers():
    network = seeded(Residual)
    calls = []
    network.register_forward_hook(lambda *_: calls.append(1))

    explain_image(network, random_image())

    assert calls == [1]


def test_parameters_flags_gradients_and_buffers_are_left_as_found():
    network = seeded(Residual)
    network.train()
    network.block.bn1.eval()
    network.stem.weight.requires_grad_(False)
    network.head.weight.grad = torch.full_like(network.head.weight, 7.0)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    flags = {name: part.training for name, part in network.named_modules()}

    explain_image(network, random_image(), layers=["block"])

    assert {name: part.training for name, part in network.named_modules()} == flags
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert not network.stem.weight.requires_grad
    assert (network.head.weight.grad == 7).all()
    assert network.head.bias.grad is None


def test_network_in_train_mode_is_explained_in_eval_mode():
    network, image = seeded(Residual), random_image()
    expected = weights_of(network.eval(), image, ["block"])["block"]

    found = weights_of(network.train(), image, ["block"])["block"]

    np.testing.assert_array_equal(found, expected)


def test_frozen_network_is_explained_alike():
    network, image = seeded(Residual), random_image()
    expected = weights_of(network, image, ["stem", "block"])

    found = weights_of(network.requires_grad_(False), image, ["stem", "block"])

    for name in expected:
        np.testing.assert_allclose(found[name], expected[name])


def test_caller_with_autocast_gets_the_same():
    network, image = seeded(Residual), random_image()
    expected = weights_of(network, image, ["block.conv1", "block"])

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = weights_of(network, image, ["block.conv1", "block"])

    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def test_network_in_bfloat16_is_explained():
    network, image = seeded(Residual), random_image()
    expected = weights_of(network, image, ["block"])["block"]

    (layer,) = compute_features(
        network.bfloat16(), image, choose_target=lambda _: 0, layers=["block"]
    ).layers

    np.testing.assert_allclose(layer.percent, expected, atol=2)
    assert layer.maps.dtype == layer.maps_of(np.array([2, 5])).dtype == np.float32
    np.testing.assert_array_equal(layer.maps_of(np.array([2, 5])), layer.maps[[2, 5]])
    assert explain_image(network, image).layers[0].clusters


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_caller_without_gradients_gets_the_same(context):
    network, image = seeded(Residual), random_image()
    expected = weights_of(network, image, ["block"])["block"]

    with context():
        found = weights_of(network, image * 1, ["block"])["block"]

    np.testing.assert_array_equal(found, expected)


def test_double_precision_network_takes_a_single_precision_image():
    network, image = seeded(Residual), random_image()
    expected = weights_of(network, image, ["block"])["block"]

    features = compute_features(
        network.double(), image, choose_target=lambda _: 0, layers=["block"]
    )

    assert features.layers[0].maps.dtype == np.float64
    np.testing.assert_allclose(features.layers[0].percent, expected, atol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_network_on_cuda_agrees_with_the_cpu():
    network, image = seeded(Residual), random_image()
    expected = weights_of(network, image, ["block"])["block"]

    found = weights_of(network.cuda(), image, ["block"])["block"]

    np.testing.assert_allclose(found, expected, atol=1e-2)


def test_convolutions_are_exact_meanwhile_and_as_before_afterwards():
    convolutions = torch.backends.cudnn.conv
    before, meanwhile = convolutions.fp32_precision, []

    class Asking(Residual):
        def forward(self, x):
            meanwhile.append(convolutions.fp32_precision)
            return super().forward(x)

    explain_image(seeded(Asking), random_image())

    assert (meanwhile, convolutions.fp32_precision) == (["ieee"], before)


def test_hooks_come_off_when_the_network_raises():
    class Breaking(Residual):
        def forward(self, x):
            self.stem(x)
            raise RuntimeError("broken inside")

    network = seeded(Breaking).train()

    with pytest.raises(RuntimeError, match="broken inside"):
        explain_image(network, random_image())

    assert all(not part._forward_hooks for part in network.modules())
    assert all(part.training for part in network.modules())


def test_network_that_changes_its_input_in_place_is_explained():
    class Normalising(Residual):
        def forward(self, x):
            x -= 0.5
            return super().forward(x)

    image = random_image()
    before = image.clone()

    explain_image(seeded(Normalising), image, layers=["block"])

    assert torch.equal(image, before)


def test_image_with_nan_is_named():
    image = IMAGE.clone()
    image[0, 0, 0] = torch.nan

    with pytest.raises(ValueError, match="image holds values that are NaN"):
        explain_image(Toy(), image)


def test_logits_that_are_nan_are_named_with_the_weight_that_is():
    toy = Toy()
    toy.head.weight.data[0, 0] = torch.nan

    with pytest.raises(ValueError, match=r"logits are NaN .*; its weight 'head.weight' holds NaN"):
        explain_image(toy, IMAGE)


def test_logits_that_are_nan_are_named_with_the_layer_where_it_begins():
    class Dividing(Residual):
        def forward(self, x):
            x = self.block(self.stem(x) / 0)
            return self.head(x.mean(dim=(2, 3)))

    with pytest.raises(ValueError, match=r"it begins in 'block.conv1'"):
        explain_image(seeded(Dividing), random_image())


def test_logits_that_are_infinite_between_modules_are_named():
    class Dividing(Toy):
        def forward(self, x):
            return super().forward(x) / 0

    with pytest.raises(ValueError, match="its modules' outputs are finite"):
        explain_image(Dividing(), IMAGE)


def test_gradients_that_are_nan_are_named_with_their_layer():
    class Rooted(Toy):
        def forward(self, x):
            maps = self.relu(self.same(x))
            # The root's slope is infinite at 0, and infinity times 0 is NaN.
            return self.head(((maps - maps).sqrt() * 0 + maps).mean(dim=(2, 3)))

    with pytest.raises(ValueError, match="gradients of layer 'relu' are NaN"):
        explain_image(Rooted(), IMAGE)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(1, 3, 4, 4), r"\[C, H, W\], not torch.float32 \[1, 3, 4, 4\]"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "not torch.uint8"),
    ],
)
def test_image_of_another_shape_or_type_is_refused(image, message):
    with pytest.raises(ValueError, match=message):
        explain_image(Toy(), image)


def test_network_without_logits_is_refused():
    with pytest.raises(ValueError, match=r"must return logits \[1, K\], but gave a tensor"):
        explain_image(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), random_image())


Answer = namedtuple("Answer", ["logits", "aux"])
ASIDE = torch.ones(1, 7)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: (y, ASIDE),
        lambda y: (torch.tensor(0.5), y),
        lambda y: Answer(y, ASIDE),
        lambda y: Answer(aux=ASIDE, logits=y),
        lambda y: {"features": ASIDE, "logits": y},
        lambda y: {"loss": torch.tensor(0.5), "out": y},
        lambda y: SimpleNamespace(logits=y, hidden_states=None),
    ],
)
def test_logits_are_found_behind_a_wrapper(wrap):
    class Wrapped(Toy):
        def forward(self, x):
            return wrap(super().forward(x))

    found = explain_image(Wrapped(), IMAGE)

    expected = explain_image(Toy(), IMAGE)
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    np.testing.assert_array_equal(
        found.layers[0].channel_weights, expected.layers[0].channel_weights
    )


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda y: {"a": y, "b": ASIDE}, r"several outputs \[B, K\] \(a, b\) and none is named"),
        (lambda y: {"a": y[0]}, "must return logits .* but gave a dict"),
        (lambda y: "cat", "must return logits .* but gave a str"),
        (lambda y: y.expand(2, -1), r"but gave a tensor \[2, 2\]"),
    ],
)
def test_answers_that_say_not_what_their_logits_are_are_refused(wrap, message):
    class Wrapped(Toy):
        def forward(self, x):
            return wrap(super().forward(x))

    with pytest.raises(ValueError, match=message):
        explain_image(Wrapped(), IMAGE)


class YesOrNo(Toy):
    """One logit, that of class 0 of the toy: 12 for the image."""

    def forward(self, x):
        return super().forward(x)[:, :1]


@pytest.mark.parametrize("target", [1, 0])
def test_a_single_logit_says_yes_or_no(target):
    found = explain_image(YesOrNo(), IMAGE, target=target)

    yes = 1 / (1 + np.exp(-12))
    np.testing.assert_allclose(found.probabilities, [1 - yes, yes], atol=1e-7)
    assert found.predicted == 1
    # What speaks for yes is what spoke for the logit; for no it is what spoke against it.
    expected = [200 / 3, 100 / 3, 0] if target else [0, 0, 100]
    np.testing.assert_allclose(found.layers[0].channel_weights, expected, atol=1e-5)


def test_twenty_thousand_classes():
    toy = Toy()
    toy.head = nn.Linear(3, 20_000, bias=False)
    nn.init.constant_(toy.head.weight, -1.0)
    toy.head.weight.data[12_345] = torch.tensor([4.0, 8.0, -2.0])

    found = explain_image(toy, IMAGE)

    assert found.target == 12_345
    np.testing.assert_allclose(found.layers[0].channel_weights, [200 / 3, 100 / 3, 0], atol=1e-5)
    assert len(found.probabilities) == 20_000


def test_grey_scale_network_takes_a_grey_image():
    grey = seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
        )
    )

    (layer,) = explain_image(grey, random_image()[:1], layers=["1"], target=0).layers

    assert (layer.n_channels, layer.height) == (4, 10)


def test_network_whose_logits_ignore_the_image_is_refused():
    class Constant(Toy):
        def forward(self, x):
            return self.head(x.mean(dim=(2, 3)).detach() * 0).detach()

    with pytest.raises(ValueError, match="do not depend on the image"):
        explain_image(Constant(), IMAGE)
