"""ROAD: pixels removed so that the shape of the hole does not give the class away.

Rong, Leemann, Borisov, Kasneci and Kasneci 2022, "A Consistent and Efficient Evaluation Strategy
for Attribution Methods", section 4: a removed pixel becomes the weighted mean of its neighbours
(noisy linear imputation), so that nothing but what the pixels said is lost.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, diags
from scipy.sparse.linalg import splu
from torch import Tensor

from app.explain.faithfulness.curves import Probability

PERCENTS: Final = (10, 30, 50, 70)
NOISE: Final = 0.01
"""Standard deviation of the noise added to imputed pixels, in units of the preprocessed picture,
as in the authors' code: without it, imputed pixels could be told by their smoothness."""

_DIRECT, _DIAGONAL = 1 / 6, 1 / 12
"""Weights of the four nearest and the four diagonal neighbours."""


def remove_and_impute(
    probability: Probability,
    image: Tensor,
    order: NDArray[np.intp],
    *,
    rng: np.random.Generator,
    percents: Sequence[float] = PERCENTS,
) -> NDArray[np.float64]:
    """The class's probability, [len(percents)], with the first so many percent of pixels imputed.

    image: preprocessed, [3, H, W]. order: pixels, most relevant first, so lower is better.
    percents: above 0 and below 100.
    """
    pixels = image.detach().double().cpu().numpy()
    pictures = []
    for percent in percents:
        missing = np.zeros(len(order), dtype=bool)
        missing[order[: round(len(order) * percent / 100)]] = True
        pictures.append(impute(pixels, missing.reshape(pixels.shape[1:]), rng=rng, noise=NOISE))
    return probability(torch.from_numpy(np.stack(pictures)).to(image))


def impute(
    pixels: NDArray[np.float64],
    missing: NDArray[np.bool_],
    *,
    rng: np.random.Generator,
    noise: float,
) -> NDArray[np.float64]:
    """The picture [3, H, W] with every missing pixel [H, W] the weighted mean of its neighbours.

    Neighbours that are missing too are unknowns of one sparse linear system. Those outside the
    picture do not count. Raises ValueError when all pixels are missing.
    """
    if missing.all():
        raise ValueError("All pixels are missing: there is nothing to impute them from.")
    filled = pixels.copy()
    rows, columns = np.nonzero(missing)
    n_missing = len(rows)
    if n_missing == 0:
        return filled
    # A border tells neighbours outside the picture (-2) from known ones (-1).
    numbers = np.pad(np.full(missing.shape, -1), 1, constant_values=-2)
    numbers[1:-1, 1:-1][missing] = np.arange(n_missing)
    bordered = np.pad(pixels, ((0, 0), (1, 1), (1, 1)))
    totals, known = np.zeros(n_missing), np.zeros((n_missing, len(pixels)))
    entries: list[tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]] = []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            if down == right == 0:
                continue
            weight = _DIRECT if 0 in (down, right) else _DIAGONAL
            at = rows + 1 + down, columns + 1 + right
            neighbours = numbers[at]
            totals += weight * (neighbours > -2)
            known += weight * ((neighbours == -1) * bordered[(slice(None), *at)]).T
            unknown = np.flatnonzero(neighbours >= 0)
            entries.append((np.full(len(unknown), -weight), unknown, neighbours[unknown]))
    values, equations, unknowns = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    system = csc_matrix((values, (equations, unknowns)), shape=(n_missing, n_missing))
    # Symmetric and diagonally dominant, so pivoting is not needed and a symmetric order fills less.
    solver = splu(
        (system + diags(totals)).tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    imputed = solver.solve(known) + rng.normal(0, noise, known.shape)
    filled[:, rows, columns] = imputed.T
    return filled
