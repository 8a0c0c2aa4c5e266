"""When a map has had enough rounds."""

import pytest

from app.concepts import ConceptScore, has_settled


def scored(name: str, score: float, n_given: int) -> ConceptScore[str]:
    return ConceptScore(name, n_given, 0.0, any_right=True, score=score)


@pytest.mark.parametrize(
    ("scores", "n_rounds", "settled"),
    [
        ([scored("sail", 2.4, 4), scored("water", 1.2, 2)], 8, True),
        ([scored("sail", 2.4, 4), scored("water", 1.3, 2)], 8, False),
        ([scored("water", 1.2, 2), scored("sail", 2.4, 4)], 8, True),
        ([scored("sail", 2.4, 4)], 7, False),
        ([scored("sail", 2.4, 3)], 8, True),
        ([scored("sail", 2.4, 2)], 8, False),
        ([], 20, False),
    ],
)
def test_the_first_concept_must_be_given_often_enough_and_be_far_ahead(
    scores: list[ConceptScore[str]], n_rounds: int, settled: bool
) -> None:
    found = has_settled(scores, n_rounds=n_rounds, min_rounds=8, min_given=3, max_rival=0.5)
    assert found is settled
