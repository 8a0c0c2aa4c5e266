"""Where things stand in the drawing of a local explanation: a river from input to output."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.services.explanations import LayerView, MapGroup

N_COLOURS: Final = 6

BLOCK_PX: Final = 108
GAP_PX: Final = 40


@dataclass(frozen=True, slots=True)
class Block:
    """A group of cluster maps. left, width: percent of the drawing; top: px."""

    group: MapGroup
    left: float
    width: float
    top: int
    colour: int | None


@dataclass(frozen=True, slots=True)
class Ribbon:
    """A concept's way from a block to one of the next layer: where it leaves and arrives, percent
    of the drawing."""

    concept: str
    colour: int | None
    from_left: float
    from_right: float
    to_left: float
    to_right: float


@dataclass(frozen=True, slots=True)
class Row:
    """A layer. ribbons: those to the next one."""

    layer: LayerView
    top: int
    blocks: tuple[Block, ...]
    ribbons: tuple[Ribbon, ...]


@dataclass(frozen=True, slots=True)
class River:
    """colours: the number, from 1, of each concept that has a colour of its own."""

    rows: tuple[Row, ...]
    height_px: int
    block_px: int
    gap_px: int
    colours: Mapping[str, int]


def draw_river(layers: Sequence[LayerView]) -> River:
    """Blocks as wide as their weight, and ribbons between those that share their best concept.

    Only what a block carries is divided among its ribbons, by the weights of those they lead to,
    so a ribbon is never wider than either of its ends.
    """
    colours = _colours(layers)
    rows_of_blocks = [
        _blocks(layer, i * (BLOCK_PX + GAP_PX), colours) for i, layer in enumerate(layers)
    ]
    following = [*rows_of_blocks, ()][1:]
    rows = tuple(
        Row(layer, i * (BLOCK_PX + GAP_PX), blocks, _ribbons(blocks, after))
        for i, (layer, blocks, after) in enumerate(
            zip(layers, rows_of_blocks, following, strict=True)
        )
    )
    height = len(layers) * (BLOCK_PX + GAP_PX) - GAP_PX if layers else 0
    return River(rows, height, BLOCK_PX, GAP_PX, colours)


def _colours(layers: Sequence[LayerView]) -> dict[str, int]:
    """Colours for the best concepts that carry most weight over all layers."""
    weights: dict[str, float] = defaultdict(float)
    for layer in layers:
        for group in layer.groups:
            if (name := group.best) is not None:
                weights[name] += group.weight
    first = sorted(weights, key=lambda name: (-weights[name], name))[:N_COLOURS]
    return {name: number for number, name in enumerate(first, start=1)}


def _blocks(layer: LayerView, top: int, colours: Mapping[str, int]) -> tuple[Block, ...]:
    blocks, left = [], 0.0
    for group in layer.groups:
        name = group.best
        colour = colours.get(name) if name is not None else None
        blocks.append(Block(group, left, group.weight, top, colour))
        left += group.weight
    return tuple(blocks)


def _ribbons(blocks: Sequence[Block], following: Sequence[Block]) -> tuple[Ribbon, ...]:
    pairs = [
        (one, other)
        for one in blocks
        for other in following
        if one.group.best is not None and one.group.best == other.group.best
    ]
    leaving: dict[int, float] = defaultdict(float)
    arriving: dict[int, float] = defaultdict(float)
    for one, other in pairs:
        leaving[id(one)] += other.width
        arriving[id(other)] += one.width
    left_at = {id(block): block.left for block in (*blocks, *following)}
    ribbons = []
    for one, other in pairs:
        from_left, to_left = left_at[id(one)], left_at[id(other)]
        left_at[id(one)] += one.width * other.width / leaving[id(one)]
        left_at[id(other)] += other.width * one.width / arriving[id(other)]
        ribbons.append(
            Ribbon(
                concept=one.group.best or "",
                colour=one.colour,
                from_left=from_left,
                from_right=left_at[id(one)],
                to_left=to_left,
                to_right=left_at[id(other)],
            )
        )
    return tuple(ribbons)
