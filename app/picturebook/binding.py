"""What the picture book's networks learn first: each channel shows one kind of thing.

Kinds are the parts, the cues, and three sorts of surroundings. Needs torch alone.
"""

import itertools
from typing import Final

import torch
from torch import Tensor, nn

from app.explain.plain import Plain10
from app.explain.plain_layout import WIDTHS
from app.picturebook.world import REGIONS, SURROUNDINGS

_FAINT: Final = 0.05
_NOTHING: Final = 2.0
_RARE: Final = 0.25

TELLING: Final = tuple(name for name in REGIONS if name not in SURROUNDINGS)
"""What can tell a class: the parts, and the cues. Kind i + 1 in a map of kinds, where 0 is a pixel
that nobody has named."""

AROUND: Final = (
    ("sky", "cloud", "sun", "moon", "star", "balloon", "kite"),
    ("hill", "mountain", "grass", "sand", "snow", "street"),
    ("tree", "bush", "blossom", "fence", "rock"),
)
"""The surroundings: above, below, and standing about. The last three kinds."""

N_KINDS: Final = len(TELLING) + len(AROUND)


def to_kinds(regions: Tensor) -> Tensor:
    """Maps of regions, uint8 of any shape, as maps of kinds."""
    kind_of = {name: i + 1 for i, name in enumerate(TELLING)}
    for i, group in enumerate(AROUND):
        kind_of |= dict.fromkeys(group, len(TELLING) + i + 1)
    table = torch.tensor([0, *(kind_of[name] for name in REGIONS)], dtype=torch.uint8)
    return table.to(regions.device)[regions.int()]


def channel_kinds(n_channels: int) -> Tensor:
    """For each of a layer's channels the kind that it is bound to, [C], 1..N_KINDS: two of three
    channels show parts and cues, in turn; the third shows what lies around."""
    telling = itertools.cycle(range(1, len(TELLING) + 1))
    around = itertools.cycle(range(len(TELLING) + 1, N_KINDS + 1))
    return torch.tensor([next(around if i % 3 == 2 else telling) for i in range(n_channels)])


def kind_importance(kinds: Tensor) -> Tensor:
    """What a pixel of each kind counts in the loss, [N_KINDS + 1], with mean 1 over all pixels.

    A kind's pixels count the more the rarer it is, by the fourth root: else a wheel is hardly
    worth learning beside the sky, and with more than that, light spills over from small parts.
    """
    counts = torch.bincount(kinds.flatten(), minlength=N_KINDS + 1).float()
    frequency = counts / counts.sum()
    importance = frequency.clamp(min=1 / kinds.numel()) ** -_RARE
    return importance / (importance * frequency).sum()


def misbound_layers(network: Plain10, x: Tensor, shown: Tensor, importance: Tensor) -> Tensor:
    """`misbound` of the layers of the last two blocks, their mean.

    shown: uint8 [B, side, side], the kind of each pixel of x, or of x at twice its size.
    """
    of_layers = []
    for module in network.features:
        x = module(x)
        if isinstance(module, nn.ReLU) and x.shape[1] >= WIDTHS[-2][0]:
            step = shown.shape[1] // x.shape[2]
            at_cells = shown[:, step // 2 :: step, step // 2 :: step]
            of_layers.append(misbound(x, at_cells, importance))
    return torch.stack(of_layers).mean()


def misbound(maps: Tensor, shown: Tensor, importance: Tensor) -> Tensor:
    """How badly maps [B, C, H, W], >= 0, show the kind that each channel is bound to, mean over the
    pixels of `shown` [B, H, W], each with the importance of its kind.

    A pixel's light, summed over the channels of a kind, says how much it is held to be of that
    kind; a constant amount, _NOTHING, says that it is of none. The loss is the cross-entropy of the
    shares that the square roots of these have in their sum. So a channel loses as much by light
    outside its region as it gains by light inside; the root makes sure of that, since light then
    goes with the square of a kind's probability. _FAINT keeps the logarithm finite.

    Zhang, Wu and Zhu 2018 ("Interpretable Convolutional Neural Networks") bind a unit to a part,
    too; they leave open which one, while we know where each is.
    """
    kind = channel_kinds(maps.shape[1]).to(maps.device)
    light = maps.new_zeros((maps.shape[0], N_KINDS + 1, *maps.shape[2:]))
    light[:, 0] = _NOTHING
    light = light.index_add(1, kind, maps)
    confused = nn.functional.cross_entropy(
        torch.log(light + _FAINT) / 2, shown.long(), reduction="none"
    )
    return (confused * importance[shown.int()]).mean()
