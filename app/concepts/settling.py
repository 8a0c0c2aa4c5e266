"""When more rounds on a cluster map would hardly change what it is called."""

from collections.abc import Sequence

from app.concepts.scoring import Concept, ConceptScore, in_order


def has_settled(
    scores: Sequence[ConceptScore[Concept]],
    *,
    n_rounds: int,
    min_rounds: int,
    min_given: int,
    max_rival: float,
) -> bool:
    """Whether a map's first concept is so far ahead that it will stay the first.

    scores: of all concepts that were given on the map; n_rounds: finished rounds on it, those in
    which nothing was typed included. It has settled when there were `min_rounds` rounds or more,
    the first concept was given in `min_given` or more of them, and no other has more than
    `max_rival` (0..1) of its score.

    Example, with 8 rounds, 3 times and a half: after 8 rounds with "sail" at 2.4 from 4 rounds and
    "water" at 1.2 it has settled; with "water" at 1.3 it has not.
    """
    if n_rounds < min_rounds or not scores:
        return False
    first, *others = in_order(scores)
    rival = max((other.score for other in others), default=0.0)
    return first.n_given >= min_given and rival <= max_rival * first.score
