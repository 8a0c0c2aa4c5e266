"""How strongly a concept belongs to a cluster map, and how the game went on that map.

Formulas: Bianchi et al. 2024 (IJCAI), section 3.2. A concept that is given often, and given when
little of the picture was to be seen, says more about what the layer looks at.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

LAST_REVEAL_INDEX = 5
"""Reveal indices run from 0 (least to be seen) to this."""

WRONG_DIVISOR = 4

MapId = TypeVar("MapId", bound=Hashable)
Concept = TypeVar("Concept", bound=Hashable)


@dataclass(frozen=True, slots=True)
class GivenConcept(Generic[MapId, Concept]):
    """One concept given in one round on one cluster map.

    reveal_index: 0..5, where the round stood at its guess; right: whether that guess was right.
    player_id: who gave it, for scores that ask.
    """

    map_id: MapId
    round_id: Hashable
    concept: Concept
    reveal_index: int
    right: bool
    player_id: Hashable = None


@dataclass(frozen=True, slots=True)
class ConceptScore(Generic[Concept]):
    """A concept on one cluster map. score: from 0, higher is stronger."""

    concept: Concept
    n_given: int
    mean_reveal_index: float
    any_right: bool
    score: float

    @property
    def paper_score(self) -> float:
        """What `score_concepts` gives, whatever gave the score."""
        return paper_score(self.n_given, self.mean_reveal_index, any_right=self.any_right)


@dataclass(frozen=True, slots=True)
class GameRecord:
    """How the rounds on one cluster map ended; the index is None when there were none."""

    wins: int
    losses: int
    resignations: int
    shown_reveal_index: int | None


def score_concepts(
    given: Iterable[GivenConcept[MapId, Concept]],
) -> dict[MapId, list[ConceptScore[Concept]]]:
    """Score every concept on every cluster map where it was given.

    score = f * (1 - 0.1 * r), divided by 4 when no guess that carried the concept was right;
    f = number of rounds in which it was given, r = mean reveal index of those rounds (0..5).
    A player who typed two labels of one concept in one round gave it once.

    Returns, per map in the order of first appearance, the scores from highest to lowest, equal
    ones by the concept's text. Raises ValueError for a reveal index outside 0..5, and when one
    round comes with two reveal indices, or as both right and wrong.
    """
    rounds: dict[MapId, dict[Concept, set[Hashable]]] = {}
    guesses: dict[tuple[MapId, Hashable], tuple[int, bool]] = {}
    for one in given:
        _check_reveal_index(one.reveal_index)
        guess = (one.reveal_index, one.right)
        if guesses.setdefault((one.map_id, one.round_id), guess) != guess:
            raise ValueError(
                f"round {one.round_id!r} has one guess, but came with {guess} and "
                f"{guesses[one.map_id, one.round_id]} as reveal index and rightness"
            )
        rounds.setdefault(one.map_id, {}).setdefault(one.concept, set()).add(one.round_id)
    return {
        map_id: in_order(
            _score(concept, [guesses[map_id, round_id] for round_id in round_ids])
            for concept, round_ids in concepts.items()
        )
        for map_id, concepts in rounds.items()
    }


def in_order(scores: Iterable[ConceptScore[Concept]]) -> list[ConceptScore[Concept]]:
    """From highest to lowest, equal ones by the concept's text."""
    return sorted(scores, key=lambda scored: (-scored.score, str(scored.concept)))


def paper_score(n_given: int, mean_reveal_index: float, *, any_right: bool) -> float:
    """f * (1 - 0.1 * r), divided by 4 when no guess that carried the concept was right."""
    # In whole tenths, so that equal scores are equal as floats too.
    score = (10 * n_given - round(n_given * mean_reveal_index)) / 10
    return score if any_right else score / WRONG_DIVISOR


def best_concepts(scores: Sequence[ConceptScore[Concept]]) -> tuple[Concept, ...]:
    """The concepts with the top score, ties kept, in the order of `scores`; () for no scores."""
    top = max((scored.score for scored in scores), default=0.0)
    return tuple(scored.concept for scored in scores if scored.score == top)


def game_record(outcomes: Iterable[tuple[str, int]]) -> GameRecord:
    """Count how the rounds on a cluster map ended, and how far the map is best shown.

    outcomes: ("won" | "lost" | "resigned", reveal index 0..5), one per finished round.
    shown_reveal_index: the mean index rounded up, where a resignation counts 5 wherever it came.
    Raises ValueError for another outcome or an index outside 0..5.
    """
    counts = {"won": 0, "lost": 0, "resigned": 0}
    index_sum = 0
    for outcome, reveal_index in outcomes:
        if outcome not in counts:
            raise ValueError(f"an outcome is one of {', '.join(counts)}, not {outcome!r}")
        _check_reveal_index(reveal_index)
        counts[outcome] += 1
        index_sum += LAST_REVEAL_INDEX if outcome == "resigned" else reveal_index
    n_rounds = sum(counts.values())
    return GameRecord(
        wins=counts["won"],
        losses=counts["lost"],
        resignations=counts["resigned"],
        # In whole numbers: a mean of exactly 3 must not become 4 by a rounding error.
        shown_reveal_index=-(-index_sum // n_rounds) if n_rounds else None,
    )


def _score(concept: Concept, guesses: Sequence[tuple[int, bool]]) -> ConceptScore[Concept]:
    n_given = len(guesses)
    reveal_indices = [reveal_index for reveal_index, _ in guesses]
    any_right = any(right for _, right in guesses)
    mean_reveal_index = sum(reveal_indices) / n_given
    return ConceptScore(
        concept=concept,
        n_given=n_given,
        mean_reveal_index=mean_reveal_index,
        any_right=any_right,
        score=paper_score(n_given, mean_reveal_index, any_right=any_right),
    )


def _check_reveal_index(reveal_index: int) -> None:
    if not 0 <= reveal_index <= LAST_REVEAL_INDEX:
        raise ValueError(f"a reveal index is 0..{LAST_REVEAL_INDEX}, not {reveal_index}")
