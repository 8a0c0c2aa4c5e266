"""Which pixels a class hangs on, found by hiding some at random, to check any map against.

Petsiuk, Das and Saenko 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models".
It looks at the network's answers only, so it shares no assumption with maps made from gradients.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional

from app.explain.explaining import as_tensor, target_chooser
from app.explain.networks import Network
from app.explain.recording import logits_of
from app.explain.running import eval_mode, like_parameters

FloatArray = NDArray[np.floating]

SHARE_SHOWN: Final = 0.5
"""Of a mask's cells, as in the paper's experiments."""


def rise_map(
    network: Network | nn.Module,
    image: Image.Image | Tensor,
    *,
    target: int | str | None = None,
    n_masks: int = 4000,
    n_cells: int = 7,
    seed: int = 0,
    batch_size: int = 32,
) -> NDArray[np.float32]:
    """The mean of random masks, each weighed by the probability of the class under it: [H, W].

    image: as explain_image takes it; [H, W] is the size that the network sees. target: index or
    name; None is the class predicted for the whole picture. n_masks: 4000 and n_cells = 7 to a side
    are the paper's for 224 px; the error falls with the root of n_masks. What is hidden is 0 after
    preprocessing, the mean colour. A value estimates the class's probability when its pixel is
    shown; higher is more relevant. The same seed gives the same map whatever the batch_size, but
    for rounding.
    """
    known = network if isinstance(network, Network) else None
    module = network.module if isinstance(network, Network) else network
    with torch.no_grad(), eval_mode(module):
        shown = like_parameters(as_tensor(known, image), module)
        logits = logits_of(module(shown[None].clone()))[0].double().cpu().numpy()
        index = target_chooser(target, known.classes if known else None)(logits)
        height, width = shown.shape[1:]
        total = torch.zeros(height, width, dtype=torch.float64)
        masks = rise_masks(n_masks, height, width, n_cells=n_cells, seed=seed)
        for batch in _batches(masks, batch_size):
            masked = shown * batch[:, None].to(shown)
            probabilities = logits_of(module(masked)).double().softmax(dim=1)[:, index].cpu()
            total += torch.einsum("b,bhw->hw", probabilities, batch.double())
    found: NDArray[np.float32] = (total / (n_masks * SHARE_SHOWN)).float().numpy()
    return found


def rise_masks(
    n_masks: int, height: int, width: int, *, n_cells: int, seed: int
) -> Iterator[Tensor]:
    """Masks [H, W] in 0..1, one after the other: coarse cells shown or hidden by chance, enlarged
    smoothly and shifted by up to a cell, so that no edge stands at the same place in all."""
    rng = np.random.default_rng(seed)
    cell = -(-height // n_cells), -(-width // n_cells)
    size = [(n_cells + 1) * side for side in cell]
    for _ in range(n_masks):
        grid = rng.random((n_cells, n_cells)) < SHARE_SHOWN
        top, left = rng.integers(cell)
        enlarged = functional.interpolate(
            torch.tensor(grid, dtype=torch.float32)[None, None], size, mode="bilinear"
        )
        yield enlarged[0, 0, top : top + height, left : left + width]


def rank_correlation(cluster_map: FloatArray, other: FloatArray) -> float:
    """Do two maps of one picture order its regions alike? Spearman's, -1..1, higher is more alike.

    cluster_map: [H, W]. other: [h, w] of the same region of the picture, as from rise_map; it is
    averaged into the cells of the first. A map that is the same everywhere orders nothing: 0.
    """
    coarse = np.asarray(cluster_map, dtype=np.float32)
    resized = np.asarray(
        Image.fromarray(np.asarray(other, dtype=np.float32)).resize(
            coarse.shape[::-1], Image.Resampling.BOX
        )
    )
    if np.ptp(coarse) == 0 or np.ptp(resized) == 0:
        return 0.0
    return float(spearmanr(coarse.ravel(), resized.ravel()).statistic)


def _batches(masks: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    batch: list[Tensor] = []
    for mask in masks:
        batch.append(mask)
        if len(batch) == size:
            yield torch.stack(batch)
            batch = []
    if batch:
        yield torch.stack(batch)
