"""What a layer answers to many pictures: its activations, and the logit's gradients there.

Raw numbers for tests of concepts (app.concepts.tcav) and for prototypes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from app.explain.explanation import as_tensor, target_chooser
from app.explain.layers import record_places
from app.explain.networks import Network
from app.explain.running import as_array, exact_convolutions, without_autocast


@dataclass(frozen=True, slots=True, eq=False)
class LayerResponses:
    """activations, gradients: [n, C, H, W] of one layer, in the order of the pictures.

    gradients: of the target's logit, per unit of activation; 0 where it does not depend on the
    layer.
    """

    activations: NDArray[np.floating]
    gradients: NDArray[np.floating]


@exact_convolutions()
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
    recording, places = record_places(module, as_tensor(known, image), list(layers))
    logits = recording.logits.detach().double().cpu().numpy()
    with torch.inference_mode(False), torch.enable_grad(), without_autocast(module):
        gradients = torch.autograd.grad(
            recording.logits[choose(logits)], [place.edge for place in places], allow_unused=True
        )
    found = {}
    for place, gradient in zip(places, gradients, strict=True):
        assert place.value is not None
        activation = as_array(place.value)
        found[place.name] = (
            activation,
            np.zeros_like(activation) if gradient is None else as_array(gradient[0]),
        )
    return found


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
