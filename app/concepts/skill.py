"""Scores in which a careful player's word counts for more than a careless one's.

Departs from the count of Bianchi et al. 2024, where a lucky guess outweighs ten right words. In
the tradition of Dawid and Skene 1979: how good a player is and what a map shows are found
together, each from the other. docs/algorithms/concepts.md has the formulas with an example, and
benchmarks/scores.py says why they are these.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from app.concepts.scoring import (
    Concept,
    ConceptScore,
    GivenConcept,
    MapId,
    in_order,
    score_concepts,
)

PRIOR_RIGHT: Final = 2.0
PRIOR_WRONG: Final = 2.0
"""A player of whom nothing is known counts as if so much were: two right and two wrong."""

PRACTICE_WEIGHT: Final = 2.0
"""A practice round tells of words, a guess only of the class: it counts as two guesses."""

AGREEMENT_WEIGHT: Final = 2.0
"""So does a map on which others are agreed."""

MASH_WEIGHT: Final = 2.0
"""And so does a label of keys hit at random, which nobody agrees with."""

SKILL_SHARPNESS: Final = 3
"""A label counts as the cube of its player's skill: two poor players are no good one."""

WRONG_GUESS_FACTOR: Final = 0.6
"""What a label still counts whose guess was wrong. A map of nothing but water tells no class, and
then a wrong guess says little against its words."""

PRIOR_CONFIRMED: Final = 1.0
PRIOR_UNCONFIRMED: Final = 3.0
"""A concept of which nothing is known yet counts as if one of four of its labels were confirmed."""

HALF_SURE: Final = 0.5
"""So much said for a map's first concept, and agreement with it is half sure to be with a truth."""

N_PASSES: Final = 4
"""Passes between players and maps; twice as many change next to nothing."""

_DECIMALS: Final = 6
_LEAST: Final = 10.0**-_DECIMALS


@dataclass(frozen=True, slots=True)
class PlayerRecord:
    """What is known of a player besides their labels that say something: guesses in rounds that
    count, how many of them were right; practice rounds, and in how many a label named what was
    known; labels that were keys hit at random."""

    n_guesses: int = 0
    n_right: int = 0
    n_practice: int = 0
    n_named: int = 0
    n_mash: int = 0


class Score(Protocol):
    """Scores every concept on every cluster map where it was given."""

    def __call__(
        self,
        given: Iterable[GivenConcept[MapId, Concept]],
        *,
        players: Mapping[Hashable, PlayerRecord],
    ) -> dict[MapId, list[ConceptScore[Concept]]]:
        """Of one image class. players: by their ids; one who is missing is new."""


def get_score(recipe: str) -> Score:
    """How the recipe of that name scores. Raises ValueError for an unknown one."""
    if recipe not in SCORES:
        raise ValueError(f"There is no recipe “{recipe}”. Choose one of {', '.join(SCORES)}.")
    return SCORES[recipe]


def score_by_count(
    given: Iterable[GivenConcept[MapId, Concept]], *, players: Mapping[Hashable, PlayerRecord]
) -> dict[MapId, list[ConceptScore[Concept]]]:
    """The paper's score, which knows no players."""
    return score_concepts(given)


def score_by_skill(
    given: Iterable[GivenConcept[MapId, Concept]], *, players: Mapping[Hashable, PlayerRecord]
) -> dict[MapId, list[ConceptScore[Concept]]]:
    """Weigh each time that a concept was given by who gave it and how often others confirm it.

    score = sum of skill ** 3 * confirmed ** 0.5 * (1 - 0.1 r), each with 0.6 when that round's
    guess was wrong; r = reveal index (0..5).
    skill (0..1): of the player's guesses, practice rounds, maps on which others are agreed, and
    mash, the share that were right, named and agreed with, shrunk to a half. confirmed (0..1): of
    the concept's labels, the share that agree with the others of their maps, shrunk to a quarter.
    Both are taken over all maps but the one that is scored.

    Returns and raises as `score_concepts` does; n_given, mean_reveal_index and any_right are the
    same. A GivenConcept without a player counts as a new one's.
    """
    given = list(given)
    counted = score_concepts(given)
    model = _Model(given, players)
    for _ in range(N_PASSES):
        model.learn()
    return {
        map_id: in_order(
            # Never 0: what was given is a part of what its map shows, however little.
            replace(one, score=max(round(model.totals[map_id][one.concept], _DECIMALS), _LEAST))
            for one in scores
        )
        for map_id, scores in counted.items()
    }


SCORES: Final[Mapping[str, Score]] = {"paper": score_by_count, "layerplay": score_by_skill}


@dataclass(frozen=True, slots=True)
class _Round:
    player: Hashable
    concepts: Sequence[Hashable]
    factor: float


@dataclass(slots=True)
class _Share:
    """So much of so much."""

    part: float = 0.0
    whole: float = 0.0

    def add(self, part: float, whole: float) -> None:
        self.part += part
        self.whole += whole


class _Shares:
    """A share per player, or per concept, over all maps; and what one map has to do with it."""

    def __init__(self) -> None:
        self._all: dict[Hashable, _Share] = defaultdict(_Share)
        self._on_map: dict[tuple[Hashable, Hashable], _Share] = defaultdict(_Share)

    def add(self, key: Hashable, map_id: Hashable, part: float, whole: float) -> None:
        self._all[key].add(part, whole)
        self._on_map[key, map_id].add(part, whole)

    def elsewhere(self, key: Hashable, map_id: Hashable) -> tuple[float, float]:
        """Of all maps but this one."""
        everywhere, here = self._all.get(key), self._on_map.get((key, map_id))
        if everywhere is None:
            return 0.0, 0.0
        if here is None:
            return everywhere.part, everywhere.whole
        return everywhere.part - here.part, everywhere.whole - here.whole


class _Model:
    """What each map shows, how good each player is, how far each concept is to be trusted."""

    totals: dict[Hashable, dict[Hashable, float]]

    def __init__(
        self,
        given: Iterable[GivenConcept[MapId, Concept]],
        players: Mapping[Hashable, PlayerRecord],
    ) -> None:
        self._rounds = _rounds_by_map(given)
        everybody = {one.player for rounds in self._rounds.values() for one in rounds}
        self._record = {who: _share_right(players.get(who, PlayerRecord())) for who in everybody}
        self._agreed = _Shares()
        self._confirmed = _Shares()
        self._score()

    def learn(self) -> None:
        """One pass: from what the maps seem to show to players and concepts, and back."""
        agreed, confirmed = _Shares(), _Shares()
        for map_id, rounds in self._rounds.items():
            # Highest first: what others say most is found without looking at everything.
            ranked = sorted(self.totals[map_id].items(), key=lambda item: -item[1])
            for one in rounds:
                own = {concept: self._weight(map_id, one, concept) for concept in one.concepts}
                left = {
                    concept: self.totals[map_id][concept] - weight
                    for concept, weight in own.items()
                }
                best = max(
                    *left.values(), next((said for name, said in ranked if name not in own), 0.0)
                )
                if best < _LEAST:
                    continue  # nobody else said anything here
                sure = best / (best + HALF_SURE)
                agreement = {concept: said / best for concept, said in left.items()}
                mean = sum(agreement.values()) / len(agreement)
                agreed.add(one.player, map_id, sure * mean, sure)
                record = self._record[one.player]
                trust = sure * record.part / record.whole
                for concept, agrees in agreement.items():
                    confirmed.add(concept, map_id, trust * agrees, trust)
        self._agreed, self._confirmed = agreed, confirmed
        self._score()

    def _score(self) -> None:
        self.totals = {}
        for map_id, rounds in self._rounds.items():
            totals: dict[Hashable, float] = defaultdict(float)
            for one in rounds:
                for concept in one.concepts:
                    totals[concept] += self._weight(map_id, one, concept)
            self.totals[map_id] = totals

    def _weight(self, map_id: Hashable, one: _Round, concept: Hashable) -> float:
        return float(
            self._skill(one.player, map_id) ** SKILL_SHARPNESS
            * self._trust(concept, map_id) ** 0.5
            * one.factor
        )

    def _skill(self, player: Hashable, map_id: Hashable) -> float:
        record = self._record[player]
        part, whole = self._agreed.elsewhere(player, map_id)
        right = record.part + AGREEMENT_WEIGHT * part
        return right / (record.whole + AGREEMENT_WEIGHT * whole)

    def _trust(self, concept: Hashable, map_id: Hashable) -> float:
        part, whole = self._confirmed.elsewhere(concept, map_id)
        return (PRIOR_CONFIRMED + part) / (PRIOR_CONFIRMED + PRIOR_UNCONFIRMED + whole)


def _share_right(record: PlayerRecord) -> _Share:
    return _Share(
        PRIOR_RIGHT + record.n_right + PRACTICE_WEIGHT * record.n_named,
        PRIOR_RIGHT
        + PRIOR_WRONG
        + record.n_guesses
        + PRACTICE_WEIGHT * record.n_practice
        + MASH_WEIGHT * record.n_mash,
    )


def _rounds_by_map(
    given: Iterable[GivenConcept[MapId, Concept]],
) -> dict[Hashable, list[_Round]]:
    """Each map's rounds, in an order that does not depend on that of `given`."""
    together: dict[tuple[Hashable, Hashable], list[GivenConcept[MapId, Concept]]]
    together = defaultdict(list)
    for one in given:
        together[one.map_id, one.round_id].append(one)
    rounds: dict[Hashable, list[_Round]] = defaultdict(list)
    for key in sorted(together, key=lambda key: (str(key[0]), str(key[1]))):
        first = together[key][0]
        rounds[first.map_id].append(
            _Round(
                player=first.round_id if first.player_id is None else first.player_id,
                concepts=sorted({one.concept for one in together[key]}, key=str),
                factor=(1 - first.reveal_index / 10) * (1 if first.right else WRONG_GUESS_FACTOR),
            )
        )
    return rounds
