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
        return as_array(self.values_of(channels))

    def values_of(self, channels: NDArray[np.intp]) -> Tensor:
        """[n, H, W], a copy where the network runs."""
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
        return taken.reshape(-1, *self.values.shape[1:])


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
    (features,) = compute_features_together(
        module,
        image[None],
        choose_target=choose_target,
        choose_contrast=choose_contrast,
        layers=layers,
    )
    return features


def compute_features_together(
    module: nn.Module,
    images: Tensor,
    *,
    choose_target: Callable[[NDArray[np.float64]], int],
    choose_contrast: Callable[[NDArray[np.float64]], int] | None = None,
    layers: Sequence[str] | None = None,
) -> list[Features]:
    """As compute_features, of several images [B, C, H, W] in one pass forward and one backward.

    Raises what that would for any of them.
    """
    if layers is not None and not layers:
        raise ValueError("No layer is named; leave layers out for the default ones.")

    def choose(logits: NDArray[np.float64]) -> tuple[int, int | None]:
        target = choose_target(logits)
        contrast = choose_contrast(logits) if choose_contrast else None
        if target == contrast:
            raise ContrastError("The class explained here is the very one that it is set against.")
        return target, contrast

    passes = differentiate(module, images, layers, choose)
    weighed = _weigh(passes.layers)
    return [
        Features(
            logits=passes.logits[number],
            target=passes.targets[number],
            contrast=passes.contrasts[number],
            layers=tuple(
                LayerFeatures(layer.name, layer.value[number], weights[number], effects[number])
                for layer, (weights, effects) in zip(passes.layers, weighed, strict=True)
            ),
        )
        for number in range(len(images))
    ]


def _weigh(
    layers: Sequence[LayerPass],
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Weights and effects [B, C] of the channels of each layer."""
    sums = [_sum_up(layer.value, layer.gradient) for layer in layers]
    # From the device at one time, since it is waited for each time.
    found = torch.cat(sums, dim=2).cpu().numpy()
    ends = np.cumsum([of_one.shape[2] for of_one in sums])
    weighed = []
    for layer, of_one in zip(layers, np.split(found, ends[:-1], axis=2), strict=True):
        effects, weights = of_one
        # A sum is finite only if all its terms are; it can also overflow, so look closer.
        if not np.isfinite(effects).all():
            _check_finite(layer)
        weighed.append((weights / layer.value[0, 0].numel(), effects))
    return weighed


def _sum_up(maps: Tensor, gradient: Tensor) -> Tensor:
    """The sums over all pixels of g A and of the guided gradient: double [2, B, C]."""
    # In single precision at least, pairwise and so good to their last digits.
    precision = torch.promote_types(maps.dtype, torch.float32)
    A, g = maps.to(precision), gradient.to(precision)
    cells = A * g
    effects = cells.sum(dim=(2, 3)).double()
    # In the same memory: fresh pages take longer to come than the arithmetic does. The gradient
    # rule of a ReLU is, in one pass, what is g+ where A > 0, and 0 elsewhere.
    torch.clamp_min(g, 0, out=cells)
    torch.ops.aten.threshold_backward.grad_input(cells, A, 0, grad_input=cells)
    return torch.stack([effects, cells.sum(dim=(2, 3)).double()])


def _check_finite(layer: LayerPass) -> None:
    for what, values in (("feature maps", layer.value), ("gradients", layer.gradient)):
        if not torch.isfinite(values).all():
            raise ValueError(
                f"The {what} of layer {layer.name!r} are NaN or infinite for this image."
            )
