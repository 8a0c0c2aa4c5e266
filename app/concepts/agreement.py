"""How far players agree about what maps show.

Krippendorff's alpha (Krippendorff 2018, Content Analysis, chapter 12), for nominal values: 1 is
full agreement, 0 is what chance would give, below 0 worse than chance. A player may give a map
several concepts, so a round counts as one coder whose values share its weight: the disagreement of
two rounds is the chance that a concept drawn from each differs. That there is nothing to name is a
value like any concept.

What chance would give is known for a whole image class only. A few of its maps, or one, are
measured against that: their alpha is 1 - their own disagreement / the class's expected one, so
that the alpha of a class is the mean of its maps', weighted by their rounds.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import fsum, sqrt
from typing import Any, Final, Generic, Literal

import numpy as np
from numpy.typing import NDArray

from app.concepts.scoring import Concept, GivenConcept, MapId

MIN_MAPS: Final = 5
MIN_PAIRS: Final = 20
"""Fewer maps that two players named, or fewer pairs of such rounds, say nothing about agreement."""

CLOSE: Final = 0.8
FAIR: Final = 0.667
"""Krippendorff's own bounds: from the first on values are relied upon, below the second they are
not, and between them conclusions are tentative."""

SLIGHT: Final = 0.2
"""Less than this is called chance where no interval tells: Landis and Koch 1977 call it slight."""

Closeness = Literal["close", "fair", "loose", "chance"]

_N_RESAMPLES: Final = 1000
_NORMAL_95: Final = 1.96
_NOTHING: Final = 1e-12

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Agreement:
    """alpha with its 95 % bootstrap interval over maps; None for each where labels are too few, and
    no interval of fewer than MIN_MAPS maps.

    n_maps: maps that two rounds or more named. n_rounds: rounds on these. chance: the disagreement
    that chance would give, 0..1.
    """

    alpha: float | None
    low: float | None
    high: float | None
    n_maps: int
    n_rounds: int
    chance: float | None = None

    @property
    def closeness(self) -> Closeness | None:
        """What alpha means; None where there is none. Chance: 0 is not ruled out, or it is slight
        and has no interval."""
        if self.alpha is None:
            return None
        if self.alpha < SLIGHT if self.low is None else self.low <= 0:
            return "chance"
        if self.alpha >= CLOSE:
            return "close"
        return "fair" if self.alpha >= FAIR else "loose"


def agreement(given: Iterable[GivenConcept[MapId, Concept]], *, seed: int = 0) -> Agreement:
    """Krippendorff's alpha over the maps of these rounds, a round without concepts left out.

    Of fewer than MIN_MAPS maps with two rounds, or MIN_PAIRS pairs of rounds on one map: not enough
    labels yet. The same when nothing but one concept was ever given: chance agrees as well then.
    """
    return Agreements(given).whole(seed=seed)


def pool(parts: Iterable[Agreement]) -> Agreement:
    """The agreement of several image classes together, each against its own chance.

    alpha = 1 - sum of observed / sum of expected disagreement, over all rounds: the mean of the
    classes' alphas, weighted by rounds * chance. The interval takes the classes as independent.
    Classes without an alpha count in the numbers of maps and rounds alone.
    """
    found = list(parts)
    n_maps, n_rounds = sum(p.n_maps for p in found), sum(p.n_rounds for p in found)
    known = [
        (p.n_rounds, p.n_rounds * p.chance, p.alpha, (p.high - p.low) / (2 * _NORMAL_95))
        for p in found
        if p.alpha is not None and p.chance is not None and p.low is not None and p.high is not None
    ]
    if not known:
        return Agreement(None, None, None, n_maps, n_rounds)
    whole = fsum(weight for _, weight, _, _ in known)
    alpha = fsum(weight * alpha for _, weight, alpha, _ in known) / whole
    half = _NORMAL_95 * sqrt(fsum((weight * error) ** 2 for _, weight, _, error in known)) / whole
    low, high = alpha - half, min(alpha + half, 1.0)
    chance = whole / sum(n for n, _, _, _ in known)
    return Agreement(alpha, low, high, n_maps, n_rounds, chance)


class Agreements(Generic[MapId]):
    """How far the rounds of one image class agree, on all its maps, some or one."""

    def __init__(self, given: Iterable[GivenConcept[MapId, Any]]) -> None:
        rounds = _rounds_by_map(given)
        self._row = {map_id: i for i, map_id in enumerate(rounds)}
        self._tables = _Tables.of(list(rounds.values()))
        self._chance = float(self._tables.expected(np.ones(len(rounds))))

    def whole(self, *, seed: int = 0) -> Agreement:
        """On all maps. None where they are fewer than MIN_MAPS, or pairs fewer than MIN_PAIRS."""
        return self._measure(np.ones(len(self._row)), min_maps=MIN_MAPS, seed=seed)

    def of(self, map_ids: Collection[MapId], *, seed: int = 0) -> Agreement:
        """On these maps, against the chance of all. The interval takes that chance as given."""
        wanted = np.array([float(map_id in map_ids) for map_id in self._row])
        return self._measure(wanted, min_maps=1, seed=seed)

    def _measure(self, wanted: FloatArray, *, min_maps: int, seed: int) -> Agreement:
        """wanted: 1 for each map that counts and 0 for the others, [n_maps]."""
        tables, n_maps = self._tables, int(wanted.sum())
        n_rounds = int(wanted @ tables.sizes)
        is_enough = n_maps >= min_maps and tables.n_pairs(wanted) >= MIN_PAIRS
        if not is_enough or len(self._row) < MIN_MAPS or self._chance <= _NOTHING:
            return Agreement(None, None, None, n_maps, n_rounds)
        alpha = 1 - float(tables.disagreement(wanted)) / self._chance
        low, high = None, None
        if n_maps >= MIN_MAPS:
            rng = np.random.default_rng(seed)
            times = rng.multinomial(n_maps, wanted / n_maps, size=_N_RESAMPLES).astype(float)
            chance = self._chance if n_maps < len(self._row) else tables.expected(times)
            # Draws of one concept alone: nothing differs, and nothing could.
            alphas = 1 - tables.disagreement(times) / np.maximum(chance, _NOTHING)
            low, high = (float(end) for end in np.percentile(alphas, [2.5, 97.5]))
        return Agreement(alpha, low, high, n_maps, n_rounds, self._chance)


def _rounds_by_map(
    given: Iterable[GivenConcept[MapId, Any]],
) -> dict[MapId, list[Sequence[Hashable]]]:
    """Per map that two rounds or more named the concepts of each of its rounds, in an order that
    does not depend on `given`."""
    rounds: dict[tuple[MapId, Hashable], set[Hashable]] = defaultdict(set)
    for one in given:
        rounds[one.map_id, one.round_id].add(one.concept)
    maps: dict[MapId, list[Sequence[Hashable]]] = defaultdict(list)
    for key in sorted(rounds, key=lambda key: (str(key[0]), str(key[1]))):
        maps[key[0]].append(sorted(rounds[key], key=str))
    return {map_id: found for map_id, found in maps.items() if len(found) >= 2}


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

    def n_pairs(self, times: FloatArray) -> int:
        return int(times @ (self.sizes * (self.sizes - 1) / 2))

    def disagreement(self, times: FloatArray) -> FloatArray:
        """The mean of two rounds of one map, over all rounds, with each map so many times:
        [..., n_maps] -> [...], 0..1."""
        mean: FloatArray = (times @ (self.observed * self.sizes)) / (times @ self.sizes)
        return mean

    def expected(self, times: FloatArray) -> FloatArray:
        """The disagreement of two rounds' concepts drawn from all maps, with each map so many
        times: [..., n_maps] -> [...], 0..1; 0 for none."""
        n = times @ self.sizes
        counts = times @ self.counts
        agreed = (counts**2).sum(axis=-1) - times @ self.own
        chance: FloatArray = np.where(n > 1, 1 - agreed / np.maximum(n * (n - 1), 1), 0)
        return chance
