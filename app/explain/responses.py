"""What a layer answers to many pictures: its activations, and the logit's gradients there.

Raw numbers for tests of concepts (app.concepts.tcav) and for prototypes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from app.explain.explaining import as_tensor, target_chooser
from app.explain.gradients import differentiate
from app.explain.networks import Network
from app.explain.running import as_array


@dataclass(frozen=True, slots=True, eq=False)
class LayerResponses:
    """activations, gradients: [n, C, H, W] of one layer, in the order of the pictures.

    gradients: of the target's logit, per unit of activation; 0 where it does not depend on the
    layer.
    """

    activations: NDArray[np.floating]
    gradients: NDArray[np.floating]


def picture_responses(
    network: Network | nn.Module,
    image: Image.Image | Tensor,
    *,
    layers: Sequence[str],
    target: int | str | None = None,
) -> dict[str, tuple[NDArray[np.floating], NDArray[np.floating]]]:
    """Activations and gradients [C, H, W] of several layers, by one forward and one backward pass.

    The arguments, and what is raised, are as for layer_responses.
    """
    known = network if isinstance(network, Network) else None
    module = network.module if isinstance(network, Network) else network
    choose = target_chooser(target, known.classes if known else None)
    passes = differentiate(
        module, as_tensor(known, image)[None], list(layers), lambda logits: (choose(logits), None)
    )
    return {
        layer.name: (as_array(layer.value[0]), as_array(layer.gradient[0]))
        for layer in passes.layers
    }


def layer_responses(
    network: Network | nn.Module,
    images: Iterable[Image.Image | Tensor],
    *,
    layer: str,
    target: int | str | None = None,
) -> LayerResponses:
    """One forward and one backward pass per picture; the network is left as it was found.

    images: at least one, of one size, as explain_image takes them. layer: a module's dotted path.
    target: index or name of the class whose logit is differentiated; None takes each picture's
    predicted class. Raises LayerError and ValueError as explain_image does.
    """
    found = [
        picture_responses(network, image, layers=[layer], target=target)[layer] for image in images
    ]
    if not found:
        raise ValueError("At least one picture is needed.")
    activations, gradients = zip(*found, strict=True)
    return LayerResponses(np.stack(activations), np.stack(gradients))
