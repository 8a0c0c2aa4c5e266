"""Grad-CAM and its relatives, small: from one layer's maps and gradients to one map.

Maps A and gradients g = dy/dA of the class's logit y, both [C, H, W]; the result [H, W] is not
negative and not scaled. The tests hold them against pytorch-grad-cam.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from app.explain.gradients import differentiate

Array = NDArray[np.float64]
Cam = Callable[[Array, Array], Array]


@dataclass(frozen=True, slots=True, eq=False)
class LayerGradients:
    """maps: [C, H, W] as the layer gave them. gradients: [C, H, W], of the class's logit."""

    maps: Array
    gradients: Array


def compute_gradients(
    module: nn.Module, image: Tensor, layers: Sequence[str], *, target: int
) -> dict[str, LayerGradients]:
    """Maps and gradients of the named layers, from one forward and one backward pass.

    image: float [3, H, W]. Raises LayerError as `explain_image` does.
    """
    passes = differentiate(module, image[None], layers, lambda _: (target, None))
    return {
        layer.name: LayerGradients(
            layer.value[0].double().cpu().numpy(), layer.gradient[0].double().cpu().numpy()
        )
        for layer in passes.layers
    }


def grad_cam(maps: Array, gradients: Array) -> Array:
    """Selvaraju et al. 2017, equations 1 and 2: channels weighted by their mean gradient."""
    return _positive(np.tensordot(gradients.mean(axis=(1, 2)), maps, axes=1))


def grad_cam_plus_plus(maps: Array, gradients: Array) -> Array:
    """Chattopadhay et al. 2018, equations 7 and 19: positive gradients weighted by place."""
    squared = gradients**2
    below = 2 * squared + maps.sum(axis=(1, 2), keepdims=True) * gradients**3
    # As pytorch-grad-cam keeps the quotient finite; where the gradient is 0 it does not matter.
    alpha = squared / (below + 1e-6)
    weights = (np.maximum(gradients, 0) * alpha).sum(axis=(1, 2))
    return _positive(np.tensordot(weights, maps, axes=1))


def layer_cam(maps: Array, gradients: Array) -> Array:
    """Jiang et al. 2021, equations 6 to 8: each place weighted by its own positive gradient."""
    return _positive((np.maximum(gradients, 0) * maps).sum(axis=0))


def hires_cam(maps: Array, gradients: Array) -> Array:
    """Draelos and Carin 2020, equation 4: map times gradient, place by place."""
    return _positive((gradients * maps).sum(axis=0))


def _positive(values: Array) -> Array:
    clipped: Array = np.maximum(values, 0)
    return clipped


CAMS: Final[Mapping[str, Cam]] = MappingProxyType(
    {
        "Grad-CAM": grad_cam,
        "Grad-CAM++": grad_cam_plus_plus,
        "LayerCAM": layer_cam,
        "HiResCAM": hires_cam,
    }
)
