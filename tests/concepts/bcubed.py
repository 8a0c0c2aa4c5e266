"""B-cubed (Bagga and Baldwin 1998): how well groups of items match the true ones."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    found: Hashable
    true: Hashable
    weight: float = 1.0


def bcubed_f1(items: Sequence[Item]) -> float:
    """F1 of mean precision and mean recall over all items, 0..1, each item by its weight."""
    precision = recall = 0.0
    for one in items:
        same_found = sum(other.weight for other in items if other.found == one.found)
        same_true = sum(other.weight for other in items if other.true == one.true)
        same_both = sum(
            other.weight for other in items if (other.found, other.true) == (one.found, one.true)
        )
        precision += one.weight * same_both / same_found
        recall += one.weight * same_both / same_true
    return 2 * precision * recall / (precision + recall) / sum(one.weight for one in items)
