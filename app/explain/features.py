"""Feature maps and channel weights of all layers: one forward pass, one backward pass.

Bianchi et al. 2024, section 3.1. With A the maps [C, H, W] of a layer, y the logit of the explained
class and g = dy/dA, the guided gradient is G = 1[A > 0] 1[g > 0] g, and the weight of channel k is
the mean of G_k over its pixels. With a contrast, y is the logit of the explained class less that of
the class it is set against.

Ours: the effect of a channel is the sum of g_k A_k over its pixels, what y loses to first order
when the channel is zero (Molchanov et al. 2017, "Pruning Convolutional Neural Networks for Resource
Efficient Inference", section 2.2, here with its sign).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.explain.gradients import LayerPass, differentiate
from app.explain.running import as_array

_PIXELS_AT_ONCE: Final = 256


class ContrastError(ValueError):
    """A class was to be set against itself."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerFeatures:
    """values: the maps [C, H, W] as the layer gave them, where the network runs.

    weights: [C], w_k >= 0, in units of the gradient. effects: [C], in units of the logit.
    """

    name: str
    values: Tensor
    weights: NDArray[np.float64]
    effects: NDArray[np.float64]

    @property
    def maps(self) -> NDArray[np.floating]:
        """[C, H, W]"""
        return as_array(self.values)

    @property
    def percent(self) -> NDArray[np.float64]:
        """Channel weights [C] in percent of the layer; all 0 without positive evidence."""
        total = self.weights.sum()
        return self.weights * (100.0 / total) if total > 0 else np.zeros_like(self.weights)

    def maps_of(self, channels: NDArray[np.intp]) -> NDArray[np.floating]:
        """[n, H, W], a copy; of all maps only these leave the device."""
        chosen = torch.from_numpy(channels).to(self.values.device)
        cells = self.values.flatten(1)
        if cells.stride(0) == 1 and cells.device.type == "cpu":
            # Channels last: turned in parts that stay in the processor's cache, in half the time.
            taken = cells.new_empty(len(channels), cells.shape[1])
            for start in range(0, cells.shape[1], _PIXELS_AT_ONCE):
                part = slice(start, start + _PIXELS_AT_ONCE)
                taken[:, part] = cells.T[part].index_select(1, chosen).T
        else:
            taken = cells.index_select(0, chosen)
        return as_array(taken.reshape(-1, *self.values.shape[1:]))


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """logits: [K]. target: the explained class. contrast: what it is set against, if anything.

    layers: from input to output.
    """

    logits: NDArray[np.float64]
    target: int
    contrast: int | None
    layers: tuple[LayerFeatures, ...]


def compute_features(
    module: nn.Module,
    image: Tensor,
    *,
    choose_target: Callable[[NDArray[np.float64]], int],
    choose_contrast: Callable[[NDArray[np.float64]], int] | None = None,
    layers: Sequence[str] | None = None,
) -> Features:
    """Run the network once forward and once backward; it is left as it was found.

    image: float [C, H, W]. choose_target: the class to explain, given the logits [K];
    choose_contrast: the class to set it against. layers: names of modules; None takes the default
    layers. Raises LayerError for a layer that is unknown or has no maps, ContrastError when both
    classes are one, ValueError when the image, the logits, the maps or the gradients are not
    finite.
    """
    if layers is not None and not layers:
        raise ValueError("No layer is named; leave layers out for the default ones.")

    def choose(logits: NDArray[np.float64]) -> tuple[int, int | None]:
        target = choose_target(logits)
        contrast = choose_contrast(logits) if choose_contrast else None
        if target == contrast:
            raise ContrastError("The class explained here is the very one that it is set against.")
        return target, contrast

    passes = differentiate(module, image, layers, choose)
    return Features(
        logits=passes.logits,
        target=passes.target,
        contrast=passes.contrast,
        layers=tuple(_weigh(layer) for layer in passes.layers),
    )


def _weigh(layer: LayerPass) -> LayerFeatures:
    name, maps, g = layer.name, layer.value, layer.gradient
    for what, values in (("feature maps", maps), ("gradients", g)):
        if not _all_finite(values):
            raise ValueError(f"The {what} of layer {name!r} are NaN or infinite for this image.")
    # Sums in single precision at least, pairwise and so good to their last digits.
    precision = torch.promote_types(maps.dtype, torch.float32)
    A, g = maps.to(precision), g.to(precision)
    cells = A * g
    effects = cells.sum(dim=(1, 2)).double()
    # In the same memory: fresh pages take longer to come than the arithmetic does. The gradient
    # rule of a ReLU is, in one pass, what is g+ where A > 0, and 0 elsewhere.
    torch.clamp_min(g, 0, out=cells)
    torch.ops.aten.threshold_backward.grad_input(cells, A, 0, grad_input=cells)
    weights = cells.sum(dim=(1, 2)).double() / cells[0].numel()
    return LayerFeatures(name, maps, weights.cpu().numpy(), effects.cpu().numpy())


def _all_finite(values: Tensor) -> bool:
    # A sum is quick and finite only if all its terms are; it can also overflow, so look closer.
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())
