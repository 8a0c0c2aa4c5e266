"""One pass forward and one back: what layers gave, and how the logit depends on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.explain.layers import find_places, resolve_places
from app.explain.recording import ForgottenError, record
from app.explain.running import exact_products, without_autocast


@dataclass(frozen=True, slots=True, eq=False)
class LayerPass:
    """value, gradient: [B, C, H, W] each, where the network runs. The gradient is 0 where the logit
    does not depend on the layer."""

    name: str
    value: Tensor
    gradient: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Passes:
    """logits: [B, K]. targets, contrasts: of each picture, as chosen. layers: input first."""

    logits: NDArray[np.float64]
    targets: Sequence[int]
    contrasts: Sequence[int | None]
    layers: Sequence[LayerPass]


@exact_products()
def differentiate(
    module: nn.Module,
    images: Tensor,
    layers: Sequence[str] | None,
    choose: Callable[[NDArray[np.float64]], tuple[int, int | None]],
) -> Passes:
    """Values of layers, and the gradients there of a class's logit, or of a difference of two.

    images: float [B, C, H, W], B >= 1. layers: names; None takes the default ones. choose: given
    the logits [K] of one picture, the class and that whose logit is taken from its own, if any.
    In eval mode what a network makes of a picture does not depend on those beside it.
    The network is left as it was found. The backward pass ends at the earliest layer and computes
    no parameter's gradient, and of the network before that layer nothing is kept for it, which
    saves time and memory. Where a value turns out to have been overwritten, or more to be needed,
    the passes are run anew with copies, or with all kept. Raises LayerError, and ValueError as
    `record` does.
    """
    copy_all, save_all = False, layers is None
    while True:
        recording = record(module, images, keep=layers, copy_all=copy_all, save_all=save_all)
        places = find_places(recording)[1] if layers is None else resolve_places(recording, layers)
        if not copy_all and any(place.value is None for place in places):
            copy_all = True
            continue
        logits = recording.logits.detach().double().cpu().numpy()
        chosen = [choose(of_one) for of_one in logits]
        targets, contrasts = zip(*chosen, strict=True)
        try:
            with torch.inference_mode(False), torch.enable_grad(), without_autocast(module):
                y = sum(
                    of_one[target] if contrast is None else of_one[target] - of_one[contrast]
                    for of_one, (target, contrast) in zip(recording.logits, chosen, strict=True)
                )
                gradients = torch.autograd.grad(
                    y, [place.edge for place in places], allow_unused=True
                )
        except ForgottenError:
            save_all = True
            continue
        found = []
        for place, gradient in zip(places, gradients, strict=True):
            assert place.value is not None
            known = torch.zeros_like(place.value) if gradient is None else gradient.detach()
            found.append(LayerPass(place.name, place.value, known))
        return Passes(logits, targets, contrasts, found)
