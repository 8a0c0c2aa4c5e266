"""How far players agree about what maps show.

Krippendorff's alpha (Krippendorff 2018, Content Analysis, chapter 12), for nominal values: 1 is
full agreement, 0 is what chance would give, below 0 worse than chance. A player may give a map
several concepts, so a round counts as one coder whose values share its weight: the disagreement of
two rounds is the chance that a concept drawn from each differs.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.concepts.scoring import Concept, GivenConcept, MapId

MIN_MAPS: Final = 5
MIN_PAIRS: Final = 20
"""Fewer maps that two players named, or fewer pairs of such rounds, say nothing about agreement."""

_N_RESAMPLES: Final = 1000
_NOTHING: Final = 1e-12

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Agreement:
    """alpha with its 95 % bootstrap interval over maps; None for each where labels are too few.

    n_maps: maps that two rounds or more named. n_rounds: rounds on these.
    """

    alpha: float | None
    low: float | None
    high: float | None
    n_maps: int
    n_rounds: int


def agreement(given: Iterable[GivenConcept[MapId, Concept]], *, seed: int = 0) -> Agreement:
    """Krippendorff's alpha over the maps of these rounds, a round without concepts left out.

    Of fewer than MIN_MAPS maps with two rounds, or MIN_PAIRS pairs of rounds on one map: not enough
    labels yet. The same when nothing but one concept was ever given: chance agrees as well then.
    """
    maps = [rounds for rounds in _maps(given) if len(rounds) >= 2]
    n_rounds = sum(len(rounds) for rounds in maps)
    n_pairs = sum(len(rounds) * (len(rounds) - 1) // 2 for rounds in maps)
    if len(maps) < MIN_MAPS or n_pairs < MIN_PAIRS:
        return Agreement(None, None, None, len(maps), n_rounds)
    tables = _Tables.of(maps)
    alpha = tables.alpha(np.arange(len(maps)))
    rng = np.random.default_rng(seed)
    drawn = [tables.alpha(rng.integers(0, len(maps), len(maps))) for _ in range(_N_RESAMPLES)]
    defined = [value for value in drawn if value is not None]
    if alpha is None or not defined:
        return Agreement(None, None, None, len(maps), n_rounds)
    low, high = np.percentile(defined, [2.5, 97.5])
    return Agreement(alpha, float(low), float(high), len(maps), n_rounds)


def _maps(
    given: Iterable[GivenConcept[MapId, Concept]],
) -> list[list[Sequence[Hashable]]]:
    """Per map the concepts of each of its rounds, in an order that does not depend on `given`."""
    rounds: dict[tuple[str, str], set[Hashable]] = defaultdict(set)
    for one in given:
        rounds[str(one.map_id), str(one.round_id)].add(one.concept)
    maps: dict[str, list[Sequence[Hashable]]] = defaultdict(list)
    for map_id, round_id in sorted(rounds):
        maps[map_id].append(sorted(rounds[map_id, round_id], key=str))
    return list(maps.values())


@dataclass(frozen=True, slots=True)
class _Tables:
    """What each map adds. sizes: its rounds, [n_maps]. counts: how many rounds' worth of each
    concept, [n_maps, n_concepts]. own: the chance that two concepts drawn from one round are the
    same, summed over its rounds, [n_maps]. observed: the mean disagreement of two of its rounds,
    [n_maps], 0..1."""

    sizes: FloatArray
    counts: FloatArray
    own: FloatArray
    observed: FloatArray

    @classmethod
    def of(cls, maps: Sequence[Sequence[Sequence[Hashable]]]) -> "_Tables":
        concepts = sorted({c for rounds in maps for one in rounds for c in one}, key=str)
        number = {concept: i for i, concept in enumerate(concepts)}
        sizes = np.array([len(rounds) for rounds in maps], dtype=float)
        counts = np.zeros((len(maps), len(concepts)))
        own = np.zeros(len(maps))
        for m, rounds in enumerate(maps):
            for one in rounds:
                counts[m, [number[concept] for concept in one]] += 1 / len(one)
                own[m] += 1 / len(one)
        agreed = (counts**2).sum(axis=1) - own
        return cls(sizes, counts, own, 1 - agreed / (sizes * (sizes - 1)))

    def alpha(self, chosen: NDArray[np.intp]) -> float | None:
        """1 - observed / expected disagreement; None when only one concept was ever given."""
        n = float(self.sizes[chosen].sum())
        counts = self.counts[chosen].sum(axis=0)
        expected = 1 - float(counts @ counts - self.own[chosen].sum()) / (n * (n - 1))
        if expected <= _NOTHING:
            return None
        observed = float(self.observed[chosen] @ self.sizes[chosen]) / n
        return 1 - observed / expected
