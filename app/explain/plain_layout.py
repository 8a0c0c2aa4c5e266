"""How our own small network is built, for whoever needs its layers' names and no torch."""

from typing import Final

WIDTHS: Final = ((16, 16), (32, 32), (64, 64, 64), (96, 96, 96))
"""Channels of each convolution, block by block."""

N_HALVED: Final = 2
"""The maps are halved before the second and the third block. A further halving would let a unit of
the last layers see most of the picture, 85 px of 128, and no longer say where a part is; so it is
61."""


def layer_names(block: int) -> list[str]:
    """The names of a block's layers, which are its ReLUs; blocks are counted from 0."""
    first = sum(2 * len(widths) for widths in WIDTHS[:block]) + min(block, N_HALVED)
    return [f"features.{first + 2 * i + 1}" for i in range(len(WIDTHS[block]))]
