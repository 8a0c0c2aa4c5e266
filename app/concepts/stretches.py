"""Which concept led the evidence in which layers: what a summary in words may say, and no more.

docs/algorithms/local.md has the rules with a worked example.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Final, Generic

from app.concepts.scoring import Concept

MIN_LEAD: Final = 25.0
"""Percent of a layer's evidence from which on a concept leads it. With less, three others may
carry as much each, and a sentence about one would hide them."""


@dataclass(frozen=True, slots=True)
class Stretch(Generic[Concept]):
    """Layers in a row, first to last by their numbers, that one concept leads, or none.

    share: its share of the evidence, percent, the mean over these layers; 0 where none leads.
    """

    first: int
    last: int
    concept: Concept | None
    share: float


def find_stretches(shares: Sequence[Mapping[Concept, float]]) -> tuple[Stretch[Concept], ...]:
    """Cut the layers into the longest stretches that one concept leads.

    shares: per layer from the input on, each concept's share of the evidence in percent. The
    concept with the largest share leads a layer if it has MIN_LEAD or more and no other has as
    much. Layers are counted from 1.
    """
    stretches: list[Stretch[Concept]] = []
    for number, of_layer in enumerate(shares, start=1):
        leader = _leader(of_layer)
        goes_on = bool(stretches) and stretches[-1].concept == leader
        first = stretches.pop().first if goes_on else number
        span = shares[first - 1 : number]
        share = 0.0 if leader is None else fsum(one[leader] for one in span) / len(span)
        stretches.append(Stretch(first, number, leader, share))
    return tuple(stretches)


def _leader(shares: Mapping[Concept, float]) -> Concept | None:
    # Sums of the same parts in another order differ in their last digits, and are a tie.
    rounded = {concept: round(share, 6) for concept, share in shares.items()}
    top = max(rounded.values(), default=0.0)
    leaders = [concept for concept, share in rounded.items() if share == top]
    return leaders[0] if top >= MIN_LEAD and len(leaders) == 1 else None
