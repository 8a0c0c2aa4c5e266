"""Nothing before the layers is kept for the backward pass, whatever the network does."""

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from app.explain.gradients import differentiate
from app.explain.recording import ForgottenError, record

from .toys import Residual, random_image, seeded


class Early(nn.Module):
    """A sine, which a backward pass needs its input for, and then another."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.ReLU(), nn.ReLU()

    def forward(self, x):
        x = self.second(self.first(x.sin()).sin())
        return x.mean(dim=(2, 3))


class PassedOn(nn.Module):
    """A module that gives its input back, after another branch has used it."""

    def __init__(self):
        super().__init__()
        self.shortcut = nn.Identity()

    def forward(self, x):
        x = x.exp()
        branch = x.sin()
        return (branch * self.shortcut(x)).mean(dim=(2, 3))


class Overwriting(nn.Module):
    """The exponential's gradient is the exponential itself, which is no longer there."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(x).exp().mul_(2).mean(dim=(2, 3))


def gradients(module, image, layers):
    passes = differentiate(module, image[None], layers, lambda _: (0, None))
    return {layer.name: layer.gradient[0] for layer in passes.layers}


def plainly(module, image, name):
    """The gradient at a module's output, by a pass that keeps everything."""
    outputs = []
    handle = module.get_submodule(name).register_forward_hook(lambda _m, _i, o: outputs.append(o))
    y = module.eval()(image[None].clone().requires_grad_())[0, 0]
    handle.remove()
    return torch.autograd.grad(y, outputs)[0][0]


@pytest.mark.parametrize(
    ("network", "name"),
    [(Residual, "stem"), (Residual, "block"), (Early, "second"), (PassedOn, "shortcut")],
)
def test_gradients_are_those_of_a_pass_that_keeps_everything(network, name):
    module, image = seeded(network), random_image()

    torch.testing.assert_close(gradients(module, image, [name])[name], plainly(module, image, name))


def test_of_several_layers_the_earliest_counts():
    module, image = seeded(Early), random_image()

    found = gradients(module, image, ["second", "first"])

    assert list(found) == ["first", "second"]
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, plainly(module, image, name))


def test_to_go_back_further_than_was_saved_is_an_error_and_not_a_wrong_number():
    recording = record(seeded(Early), random_image()[None], keep=["second"], save_all=False)
    first, second = (
        next(call.edge for call in recording.calls if call.path == path)
        for path in ("first", "second")
    )

    torch.autograd.grad(recording.logits[0, 0], second, retain_graph=True)
    with pytest.raises(ForgottenError):
        torch.autograd.grad(recording.logits[0, 0], first)


def test_a_value_that_its_own_gradient_needs_must_not_be_overwritten():
    with pytest.raises(ValueError, match="overwrites a value that its own gradient needs"):
        gradients(Overwriting(), random_image(), ["relu"])


def test_what_a_network_keeps_for_itself_is_left_alone():
    """Checkpoints and the like have hooks of their own, in the midst of which a layer may run."""
    packed = []

    class Keeping(Early):
        def forward(self, x):
            x = self.first(x.sin())
            with saved_tensors_hooks(lambda t: packed.append(t) or t.detach(), lambda t: t):
                x = self.second(x.sin())
            return x.sin().mean(dim=(2, 3))

    module, image = seeded(Keeping), random_image()

    found = gradients(module, image, ["second"])["second"]

    assert packed
    torch.testing.assert_close(found, plainly(module, image, "second"))
