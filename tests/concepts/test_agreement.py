"""Krippendorff's alpha over concepts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.concepts import GivenConcept
from app.concepts.agreement import Agreement, agreement


def said(map_id: int, who: int, *concepts: str) -> list[GivenConcept[int, str]]:
    return [GivenConcept(map_id, (map_id, who), concept, 0, True) for concept in concepts]


def test_krippendorffs_own_example() -> None:
    """Four coders, twelve units, some values missing: nominal alpha 0.743, as published in
    Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"."""
    coders = ["1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3"]
    coders += [". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."]
    rows = [
        one
        for who, values in enumerate(coders)
        for unit, value in enumerate(values.split())
        if value != "."
        for one in said(unit, who, value)
    ]
    found = agreement(rows)
    assert found.alpha == pytest.approx(0.743, abs=0.0005)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.alpha < found.high <= 1
    assert (found.n_maps, found.n_rounds) == (11, 40)


def test_full_agreement_is_one_without_doubt() -> None:
    rows = [one for m in range(10) for who in range(4) for one in said(m, who, "ab"[m % 2])]
    assert agreement(rows) == Agreement(1.0, 1.0, 1.0, 10, 40)


def test_rounds_that_share_one_of_two_concepts_agree_by_a_quarter() -> None:
    """Drawn from {a, b} and {a, c} the same concept comes with chance 1/4. Two such rounds on each
    of 20 maps: counts a 20, b 10, c 10 of 40 rounds' worth, each round's own 1/2, so expected
    disagreement 1 - (400 + 100 + 100 - 20) / (40 * 39) = 0.628; alpha = 1 - 0.75 / 0.628."""
    rows = [one for m in range(20) for one in (*said(m, 0, "a", "b"), *said(m, 1, "a", "c"))]
    assert agreement(rows).alpha == pytest.approx(1 - 0.75 / (1 - 580 / 1560))


def test_few_labels_are_not_enough() -> None:
    four_maps = [one for m in range(4) for who in range(9) for one in said(m, who, f"{m}")]
    assert agreement(four_maps) == Agreement(None, None, None, 4, 36)
    alone = [one for m in range(50) for one in said(m, 0, "wheel")]
    assert agreement(alone) == Agreement(None, None, None, 0, 0)
    assert agreement([]) == Agreement(None, None, None, 0, 0)


def test_where_one_word_is_all_there_is_agreement_means_nothing() -> None:
    rows = [one for m in range(10) for who in range(4) for one in said(m, who, "wheel")]
    assert agreement(rows).alpha is None


rounds = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 3), st.sampled_from("abc")), max_size=60
)


@given(rounds, st.randoms(use_true_random=False))
def test_the_order_of_labels_does_not_matter(rows, random) -> None:  # type: ignore[no-untyped-def]
    everything = [one for row in rows for one in said(*row)]
    shuffled = random.sample(everything, len(everything))
    assert agreement(shuffled) == agreement(everything)
