"""What a network says when a region of the picture is hidden, and when as much is hidden elsewhere.

Pixels are imputed from around the region as in ROAD (Rong et al. 2022), so that neither a hole's
edge nor its colour speaks. docs/algorithms/bias.md has the rules with a worked example.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from app.explain.faithfulness.imputation import NOISE, impute
from app.explain.maps import FloatArray
from app.explain.recording import logits_of

REGION_LEVEL: Final = 0.5
"""A concept's region are the pixels whose joined map has at least this share of its peak, as for
the regions of prototypes."""

MAX_AREA: Final = 0.5
"""No more of the picture is hidden, or nothing would be left to compare it with."""

N_ELSEWHERE: Final = 4
"""Regions elsewhere, drawn by chance, over which the comparison is a mean."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """One picture. area: share of it that was hidden. The rest are probabilities of the class,
    0..1: of the picture as it is, with the region hidden, and the mean with others hidden.

    changed: whether the network names another class when the region is hidden.
    """

    area: float
    probability: float
    hidden: float
    elsewhere: float
    changed: bool

    @property
    def drop(self) -> float:
        return self.probability - self.hidden

    @property
    def difference(self) -> float:
        """How much more is lost than by hiding as much elsewhere."""
        return self.elsewhere - self.hidden


def join_regions(
    maps: Sequence[FloatArray], weights: Sequence[float] | FloatArray, *, size: int
) -> NDArray[np.bool_]:
    """The region [size, size] that cluster maps of one picture, of any layers, show together.

    maps: [H, W] in 0..1, each enlarged bilinearly and averaged by its weight. Where the mean
    reaches REGION_LEVEL of its peak is the region, but MAX_AREA at most. ValueError where there is
    no map, no weight or no peak.
    """
    shares = np.asarray(weights, dtype=np.float64)
    if not len(maps) or shares.shape != (len(maps),) or not shares.sum() > 0:
        raise ValueError(
            f"Maps and as many weights of a positive sum are needed, not {len(maps)} maps and "
            f"the weights {shares.tolist()}."
        )
    joined = np.zeros((size, size))
    for one, share in zip(maps, shares / shares.sum(), strict=True):
        enlarged = Image.fromarray(np.asarray(one, dtype=np.float32)).resize(
            (size, size), Image.Resampling.BILINEAR
        )
        joined += share * np.asarray(enlarged, dtype=np.float64)
    if not joined.max() > 0:
        raise ValueError("A map without any value above 0 shows no region.")
    region: NDArray[np.bool_] = joined >= REGION_LEVEL * joined.max()
    n_most = int(MAX_AREA * region.size)
    if region.sum() > n_most:
        region = np.zeros(region.size, dtype=np.bool_)
        region[np.argsort(-joined, axis=None, kind="stable")[:n_most]] = True
        region = region.reshape(size, size)
    return region


def region_elsewhere(region: NDArray[np.bool_], *, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A region of as many pixels, none of them the region's: those nearest to a random point.

    region: [H, W], at most half of it True.
    """
    rows, columns = np.nonzero(~region)
    if len(rows) < region.sum():
        raise ValueError("More than half of the picture is taken: there is no room elsewhere.")
    centre = rng.integers(len(rows))
    distance = (rows - rows[centre]) ** 2 + (columns - columns[centre]) ** 2
    nearest = np.argsort(distance, kind="stable")[: int(region.sum())]
    elsewhere = np.zeros_like(region)
    elsewhere[rows[nearest], columns[nearest]] = True
    return elsewhere


def hide_region(
    module: nn.Module,
    image: Tensor,
    region: NDArray[np.bool_],
    *,
    target: int,
    rng: np.random.Generator,
) -> Hidden:
    """What the network says of class `target` with the region hidden, and with others hidden.

    module: in eval mode. image: preprocessed, [C, H, W]; region: [H, W], at most half of it True.
    """
    pixels = image.double().cpu().numpy()
    elsewhere = [region_elsewhere(region, rng=rng) for _ in range(N_ELSEWHERE)]
    pictures = [pixels] + [
        impute(pixels, missing, rng=rng, noise=NOISE) for missing in (region, *elsewhere)
    ]
    with torch.no_grad():
        logits = logits_of(module(torch.from_numpy(np.stack(pictures)).to(image)))
        probabilities = logits.double().softmax(dim=1).cpu().numpy()
    of_class = probabilities[:, target]
    return Hidden(
        area=float(region.mean()),
        probability=float(of_class[0]),
        hidden=float(of_class[1]),
        elsewhere=float(of_class[2:].mean()),
        changed=bool(probabilities[0].argmax() != probabilities[1].argmax()),
    )
