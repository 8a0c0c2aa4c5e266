"""Krippendorff's alpha over concepts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.concepts import GivenConcept
from app.concepts.agreement import Agreement, Agreements, agreement, pool


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
    found = agreement(rows)
    assert (found.alpha, found.low, found.high) == (1.0, 1.0, 1.0)
    assert (found.n_maps, found.n_rounds, found.closeness) == (10, 40, "close")


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


@given(rounds)
def test_the_alpha_of_a_class_is_the_mean_of_its_maps(rows) -> None:  # type: ignore[no-untyped-def]
    """Seven more rounds on each map, so that each is worth a number; weighted by rounds."""
    more = [one for m in range(7) for who in range(4, 11) for one in said(m, who, "abc"[who % 3])]
    found = Agreements([one for row in rows for one in said(*row)] + more)
    parts = [found.of([m]) for m in range(7)]
    mean = sum(p.n_rounds * p.alpha for p in parts) / sum(p.n_rounds for p in parts)
    assert mean == pytest.approx(found.whole().alpha)


def test_a_map_with_few_rounds_has_no_alpha_though_its_class_has() -> None:
    """Six rounds are 15 pairs, seven are 21."""
    rows = [one for m in range(5) for who in range(7) for one in said(m, who, f"{m}")]
    rows += [one for who in range(6) for one in said(9, who, "9")]
    found = Agreements(rows)
    assert found.of([9]) == Agreement(None, None, None, 1, 6)
    assert found.of([0]).alpha == 1.0
    assert found.of([0]).low is None, "one map has no interval over maps"
    assert found.of([0, 1, 2, 3, 4]).low == 1.0
    assert found.of(["unknown"]).n_maps == 0  # type: ignore[list-item]


def test_classes_together_weigh_by_what_chance_would_disagree() -> None:
    """(30 * 0.5 * 0.8 + 10 * 0.5 * 0.4) / (15 + 5) = 0.7; errors 0.1 / 1.96 each, so the half is
    sqrt((15 * 0.1)^2 + (5 * 0.1)^2) / 20 = 0.0791."""
    sure = Agreement(0.8, 0.7, 0.9, 6, 30, 0.5)
    other = Agreement(0.4, 0.3, 0.5, 5, 10, 0.5)
    found = pool([sure, other, Agreement(None, None, None, 2, 4)])
    assert found.alpha == pytest.approx(0.7)
    assert found.low == pytest.approx(0.7 - 0.0791, abs=1e-4)
    assert (found.n_maps, found.n_rounds, found.closeness) == (13, 44, "fair")
    assert pool([]) == Agreement(None, None, None, 0, 0)


def test_the_chance_of_classes_together_is_of_those_that_have_one() -> None:
    known = Agreement(0.5, 0.4, 0.6, 10, 100, 0.6)
    unknown = Agreement(None, None, None, 3, 150)
    assert pool([known, unknown]).chance == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("alpha", "low", "word"),
    [(0.8, 0.7, "close"), (0.7, 0.5, "fair"), (0.3, 0.1, "loose"), (0.3, -0.1, "chance")],
)
def test_what_the_figure_means(alpha: float, low: float, word: str) -> None:
    assert Agreement(alpha, low, 0.9, 9, 40, 0.7).closeness == word
