"""The sanity check: an explanation must change when the network forgets what it has learned.

Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3: weights are randomised layer
after layer, from the logits down to the input, and each time the map is compared with the
original by Spearman's rank correlation. Near 0 is good: a map that stays is a map of the picture.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn

from app.explain.layers import LayerError

N_CHECKS: Final = 4
"""At most so many states of the cascade are explained, evenly spread, the first and the last
among them."""


def find_stages(module: nn.Module, image: Tensor) -> list[tuple[str, ...]]:
    """The parts of a network that are randomised together, from the logits to the input.

    Every module with a weight matrix or kernel of its own is a stage, by the order in which the
    modules are called with `image` [3, H, W]; modules with vectors alone, such as a normalisation,
    belong to the stage before them. A module that is called several times counts at its last call.
    """
    called: dict[nn.Module, None] = {}

    def on_output(part: nn.Module, _inputs: Any, _output: Any) -> None:
        called.pop(part, None)
        called[part] = None

    learned = {
        part: name
        for name, part in module.named_modules()
        if any(True for _ in part.parameters(recurse=False))
    }
    handles = [part.register_forward_hook(on_output) for part in learned]
    try:
        with torch.no_grad():
            # A copy, since a network may normalise its input in place.
            module(image[None].clone())
    finally:
        for handle in handles:
            handle.remove()
    stages: list[list[str]] = []
    for part in called:
        has_matrix = any(parameter.ndim > 1 for parameter in part.parameters(recurse=False))
        if has_matrix or not stages:
            stages.append([])
        stages[-1].append(learned[part])
    if not stages:
        raise LayerError("The network has no weights, so none can be randomised.")
    return [tuple(stage) for stage in reversed(stages)]


def randomise_cascade(
    module: nn.Module, image: Tensor, *, seed: int, n_checks: int = N_CHECKS
) -> Iterator[tuple[float, nn.Module]]:
    """Copies of a network with ever more of its stages randomised: (share of the stages, network).

    module: in eval mode; it is left as it is. Each part is initialised anew as its own class does
    it; parameters of a class that does not say how are shuffled. The last share is 1. It is one
    copy that changes, so use each before taking the next.
    """
    stages = find_stages(module, image)
    changed = copy.deepcopy(module)
    n_stages = len(stages)
    wanted = {round(1 + i * (n_stages - 1) / max(n_checks - 1, 1)) for i in range(n_checks)}
    for number, stage in enumerate(stages, start=1):
        # The caller's random numbers are not touched: nothing is drawn between two yields.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + number)
            for name in stage:
                _randomise(changed.get_submodule(name))
        if number in wanted:
            yield number / n_stages, changed


@torch.no_grad()
def _randomise(part: nn.Module) -> None:
    own = list(part.parameters(recurse=False))
    device = own[0].device
    reset: Callable[[], None] | None = getattr(part, "reset_parameters", None)
    if reset is not None:
        # On the CPU, so that every device gets the same weights.
        part.cpu()
        reset()
        part.to(device)
        return
    for parameter in own:
        order = torch.randperm(parameter.numel()).to(device)
        parameter.copy_(parameter.flatten()[order].reshape(parameter.shape))
