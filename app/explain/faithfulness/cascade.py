"""The sanity check: an explanation must change when the network forgets what it has learned.

Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3: weights are randomised layer
after layer, from the logits down to the input, and each time the map is compared with the
original by Spearman's rank correlation. Near 0 is good: a map that stays is a map of the picture.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from app.explain.layers import LayerError
from app.explain.running import eval_mode, output_hooks

N_CHECKS: Final = 4
"""At most so many states of the cascade are explained, evenly spread, the first and the last
among them."""


def find_stages(module: nn.Module, image: Tensor) -> list[tuple[str, ...]]:
    """The parts of a network that are randomised together, from the logits to the input.

    Every module with a weight matrix or kernel of its own is a stage, by the order in which the
    modules are used with `image` [3, H, W]; modules with vectors alone, such as a normalisation,
    belong to the stage before them. A module is used when it is called or when another reads its
    parameters, as attention those of its `out_proj`; the last time counts. Unused ones are left
    out.
    """
    used: dict[nn.Module, None] = {}

    def use(part: nn.Module, *_: Any) -> None:
        used.pop(part, None)
        used[part] = None

    learned = {
        part: name
        for name, part in module.named_modules()
        if any(True for _ in part.parameters(recurse=False))
    }
    with (
        torch.no_grad(),
        eval_mode(module),
        output_hooks([(part, use) for part in learned]),
        _Reading(list(learned), use),
    ):
        # A copy, since a network may normalise its input in place.
        module(image[None].clone())
    stages: list[list[str]] = []
    for part in used:
        has_matrix = any(parameter.ndim > 1 for parameter in part.parameters(recurse=False))
        if has_matrix or not stages:
            stages.append([])
        stages[-1].append(learned[part])
    if not stages:
        raise LayerError("The network has no weights, so none can be randomised.")
    return [tuple(stage) for stage in reversed(stages)]


class _Reading(TorchFunctionMode):
    """Tells whenever a function takes in one of the parameters of these modules."""

    def __init__(self, parts: Sequence[nn.Module], use: Callable[[nn.Module], None]) -> None:
        super().__init__()
        self._use = use
        self._holders = {
            id(parameter): part for part in parts for parameter in part.parameters(recurse=False)
        }

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        for value in tree_leaves((args, kwargs)):
            if isinstance(value, nn.Parameter) and id(value) in self._holders:
                self._use(self._holders[id(value)])
        return func(*args, **(kwargs or {}))


def randomise_cascade(
    module: nn.Module, image: Tensor, *, seed: int, n_checks: int = N_CHECKS
) -> Iterator[tuple[float, nn.Module]]:
    """Copies of a network with ever more of its stages randomised: (share of the stages, network).

    module: in eval mode; it is left as it is. Each part is initialised anew as its own class does
    it; parameters that this leaves as they were are shuffled: those of a class that does not say
    how, or those that a weight is made of, as by `weight_norm`. The last share is 1. It is one copy
    that changes, so use each before taking the next.
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
    before = [parameter.clone() for parameter in own]
    reset: Callable[[], None] | None = getattr(part, "reset_parameters", None)
    if reset is not None:
        # On the CPU, so that every device gets the same weights.
        part.cpu()
        reset()
        part.to(device)
    for parameter, old in zip(part.parameters(recurse=False), before, strict=True):
        if torch.equal(parameter, old):
            order = torch.randperm(parameter.numel()).to(device)
            parameter.copy_(old.flatten()[order].reshape(old.shape))
