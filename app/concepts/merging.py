"""Joining the cluster maps of one layer by what people said about them.

Bianchi et al. 2024 (IJCAI), section 3.3. Here only names and scores are joined; the arrays, the
weights and the counts belong to whoever holds them.
"""

from collections.abc import Collection, Mapping, Sequence
from math import fsum, isfinite

from app.concepts.scoring import Concept, MapId

FULL_MERGE_N_CONCEPTS = 10
"""How many concepts the full merge of a layer shows."""


def connect_maps(best: Mapping[MapId, Collection[Concept]]) -> list[tuple[MapId, ...]]:
    """Join the maps of a layer that share a best concept, directly or through other maps.

    best: each map's best concepts, see `best_concepts`. A map without any stays alone.
    Returns every map exactly once; groups by their first map, maps within a group, both in the
    order of `best`.
    """
    groups: list[tuple[set[MapId], set[Concept]]] = []
    for map_id, concepts in best.items():
        maps, shared = {map_id}, set(concepts)
        apart = []
        for group in groups:
            if shared.isdisjoint(group[1]):
                apart.append(group)
            else:
                maps |= group[0]
                shared |= group[1]
        groups = [*apart, (maps, shared)]
    position = {map_id: i for i, map_id in enumerate(best)}
    ordered = [tuple(sorted(maps, key=position.__getitem__)) for maps, _ in groups]
    return sorted(ordered, key=lambda maps: position[maps[0]])


def merge_scores(
    parts: Sequence[tuple[float, Mapping[Concept, float]]],
) -> list[tuple[Concept, float]]:
    """Concept scores of joined maps: the mean of the parts' scores, weighted by their weights.

    parts: per map its cluster weight W (percent, at least 0) and its concepts' scores. A concept
    that a part lacks counts 0 there, so that a part without any concept still pulls down.
    Returns (concept, score) from highest to lowest, equal ones by the concept's text; [] for no
    parts. Raises ValueError for a weight that is negative or not finite, or when all are 0.
    """
    if not parts:
        return []
    weights = [weight for weight, _ in parts]
    if not all(isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
        raise ValueError(f"weights must be finite, not negative and not all 0, but are {weights}")
    total = fsum(weights)
    weighted: dict[Concept, list[float]] = {}
    for weight, scores in parts:
        for concept, score in scores.items():
            weighted.setdefault(concept, []).append(weight * score)
    means = [(concept, fsum(values) / total) for concept, values in weighted.items()]
    return sorted(means, key=lambda pair: (-pair[1], str(pair[0])))
