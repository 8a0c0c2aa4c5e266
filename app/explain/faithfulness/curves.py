"""Insertion and deletion: how the class's probability moves while pixels come or go.

Petsiuk, Das and Saenko 2018, "RISE", section 4.1. Pixels are ranked once, for all colours, by the
map enlarged to the picture. Deletion replaces them by grey, the highest first: a steep fall, so a
small area under the curve, is better. Insertion gives them back to a blurred picture: a steep rise,
so a large area, is better.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn import functional

from app.explain.maps import FloatArray
from app.explain.recording import logits_of

N_STEPS: Final = 10

BLUR_SIGMA: Final = 20 / 224
"""Of the blur that insertion starts from, in parts of the picture's short side. It must leave the
class unknown, or there is nothing to insert: RISE's own, a kernel of 11 px with sigma 5 for 224 px,
left the photos' network nearly as sure as it was."""

Probability = Callable[[Tensor], NDArray[np.float64]]
"""From pictures [N, 3, H, W] to the probability of one class in each, [N], 0..1."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """fractions: [S + 1] of the pixels replaced, from 0 to 1. probabilities: [S + 1], 0..1."""

    fractions: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    @property
    def area(self) -> float:
        """Under the curve, by trapezoids, 0..1."""
        return float(np.trapezoid(self.probabilities, self.fractions))


def class_probability(module: nn.Module, target: int, *, batch_size: int = 32) -> Probability:
    """The softmax probability of class `target`, computed batch by batch without gradients.

    module: in eval mode; takes [B, 3, H, W], returns logits [B, K] (see logits_of).
    """

    def probability(pictures: Tensor) -> NDArray[np.float64]:
        found = []
        with torch.no_grad():
            for start in range(0, len(pictures), batch_size):
                # With the colours last, convolutions on a CPU take a third less time.
                batch = pictures[start : start + batch_size].contiguous(
                    memory_format=torch.channels_last
                )
                found.append(logits_of(module(batch)).double().softmax(dim=1)[:, target])
        result: NDArray[np.float64] = torch.cat(found).cpu().numpy()
        return result

    return probability


def rank_pixels(
    values: FloatArray, *, height: int, width: int, ties: NDArray[np.intp]
) -> NDArray[np.intp]:
    """The pixels [height * width] of a picture in the order of a map, highest first.

    values: [h, w], enlarged bilinearly (pixel centres aligned, as the peers do). ties: a
    permutation of the pixels; among equal values the one with the lower number comes first. It is
    random so that no method gains from where its zeros lie.
    """
    if values.ndim != 2 or sorted(ties.tolist()) != list(range(height * width)):
        raise ValueError(
            f"A map [h, w] and a permutation of {height * width} pixels are needed, not "
            f"{values.shape} and {ties.shape}."
        )
    grid = torch.from_numpy(np.asarray(values, dtype=np.float64))[None, None]
    if grid.shape[2:] != (height, width):
        grid = functional.interpolate(
            grid, size=(height, width), mode="bilinear", align_corners=False
        )
    return np.lexsort((ties, -grid.numpy().ravel()))


def replace_pixels(
    probability: Probability,
    start: Tensor,
    end: Tensor,
    order: NDArray[np.intp],
    *,
    n_steps: int = N_STEPS,
) -> Curve:
    """The curve from picture `start` to picture `end`, both [3, H, W], pixel by pixel in `order`.

    Of n pixels, round(i * n / n_steps) are replaced in step i = 0..n_steps, both ends included;
    where there are fewer pixels than steps, one in each.
    """
    n_pixels = len(order)
    counts = np.unique(np.linspace(0, n_pixels, n_steps + 1).round().astype(np.intp))
    position = np.empty(n_pixels, dtype=np.intp)
    position[order] = np.arange(n_pixels)
    replaced = torch.from_numpy(position[None, :] < counts[:, None])
    replaced = replaced.reshape(-1, 1, *start.shape[1:]).to(start.device)
    return Curve(counts / n_pixels, probability(torch.where(replaced, end, start)))


def deletion(
    probability: Probability, image: Tensor, order: NDArray[np.intp], *, n_steps: int = N_STEPS
) -> Curve:
    """From a preprocessed picture [3, H, W] to grey, the colour that preprocessing makes 0."""
    return replace_pixels(probability, image, torch.zeros_like(image), order, n_steps=n_steps)


def insertion(
    probability: Probability, image: Tensor, order: NDArray[np.intp], *, n_steps: int = N_STEPS
) -> Curve:
    """From a blurred picture [3, H, W] to the picture itself."""
    return replace_pixels(probability, blur(image), image, order, n_steps=n_steps)


def blur(image: Tensor) -> Tensor:
    """The picture [3, H, W] under a Gaussian of BLUR_SIGMA, mirrored at its edges."""
    sigma = BLUR_SIGMA * min(image.shape[1:])
    pixels = image.detach().double().cpu().numpy()
    return torch.from_numpy(gaussian_filter(pixels, (0, sigma, sigma))).to(image)
