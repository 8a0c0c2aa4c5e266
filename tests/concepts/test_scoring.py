from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.concepts import (
    ConceptScore,
    GameRecord,
    GivenConcept,
    best_concepts,
    game_record,
    score_concepts,
)

given_concepts = st.builds(
    lambda map_id, guesses, concepts: [
        GivenConcept(map_id, (map_id, i), concept, *guess)
        for i, guess in enumerate(guesses)
        for concept in concepts[i]
    ],
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=6),
    st.lists(st.sets(st.sampled_from("abc"), min_size=1), min_size=6, max_size=6),
)


def of_map(*guesses: tuple[str, int, bool]) -> list[ConceptScore[str]]:
    return score_concepts(
        GivenConcept("map", f"round {i}", concept, reveal_index, right)
        for i, (concept, reveal_index, right) in enumerate(guesses)
    )["map"]


def test_the_worked_example() -> None:
    scores = of_map(
        ("wheel", 0, True), ("wheel", 1, False), ("wheel", 2, True), ("window", 4, False)
    )
    assert scores == [
        ConceptScore("wheel", n_given=3, mean_reveal_index=1.0, any_right=True, score=2.7),
        ConceptScore("window", n_given=1, mean_reveal_index=4.0, any_right=False, score=0.15),
    ]


@pytest.mark.parametrize(
    ("guesses", "score"),
    [
        ([(0, True)], 1.0),
        ([(5, True)], 0.5),
        ([(0, False)], 0.25),
        ([(5, False)], 0.125),
        ([(0, False), (5, True)], 1.5),
        ([(3, False), (3, False)], 0.35),
    ],
)
def test_score_by_hand(guesses: list[tuple[int, bool]], score: float) -> None:
    (scored,) = of_map(*(("wheel", *guess) for guess in guesses))
    assert scored.score == score


def test_two_labels_of_one_concept_in_one_round_count_once() -> None:
    once = GivenConcept("map", "round", "wheel", 2, True)
    assert score_concepts([once, once]) == score_concepts([once])


def test_maps_are_scored_apart() -> None:
    scores = score_concepts(
        [GivenConcept(1, "r1", "wheel", 0, True), GivenConcept(2, "r2", "wheel", 5, False)]
    )
    assert {map_id: scored[0].score for map_id, scored in scores.items()} == {1: 1.0, 2: 0.125}


def test_equal_scores_are_ordered_by_concept() -> None:
    # 4 * (1 - 0.1 * 2) and 5 * (1 - 0.1 * 3.6) differ as floats when worked out as written.
    tyre = [("tyre", 2, True)] * 4
    rim = [("rim", 4, True)] * 3 + [("rim", 3, True)] * 2
    assert [scored.concept for scored in of_map(*tyre, *rim)] == ["rim", "tyre"]


def test_no_concepts_no_scores() -> None:
    assert score_concepts([]) == {}


@pytest.mark.parametrize("reveal_index", [-1, 6])
def test_a_reveal_index_off_the_ladder_is_refused(reveal_index: int) -> None:
    with pytest.raises(ValueError, match=r"0\.\.5"):
        of_map(("wheel", reveal_index, True))
    with pytest.raises(ValueError, match=r"0\.\.5"):
        game_record([("won", reveal_index)])


@pytest.mark.parametrize(("reveal_index", "right"), [(3, True), (2, False)])
def test_one_round_cannot_have_two_guesses(reveal_index: int, right: bool) -> None:
    one = GivenConcept("map", "round", "wheel", 2, True)
    other = GivenConcept("map", "round", "rim", reveal_index, right)
    with pytest.raises(ValueError, match="one guess"):
        score_concepts([one, other])


@given(given_concepts)
def test_giving_a_concept_once_more_never_lowers_it(rows: list[GivenConcept[int, str]]) -> None:
    before = score_of_first(rows)
    again = replace(rows[0], round_id="new")
    assert score_of_first([*rows, again]) > before


@given(given_concepts)
def test_a_guess_one_reveal_later_lowers_the_concept(rows: list[GivenConcept[int, str]]) -> None:
    early = replace(rows[0], round_id="new", reveal_index=1)
    late = replace(early, reveal_index=2)
    assert score_of_first([*rows, late]) < score_of_first([*rows, early])


@given(given_concepts)
def test_a_right_guess_never_scores_less_than_a_wrong_one(
    rows: list[GivenConcept[int, str]],
) -> None:
    wrong = replace(rows[0], round_id="new", right=False)
    right = replace(wrong, right=True)
    assert score_of_first([*rows, right]) >= score_of_first([*rows, wrong])


@given(given_concepts.flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))))
def test_the_order_of_rounds_does_not_matter(
    rows: tuple[list[GivenConcept[int, str]], list[GivenConcept[int, str]]],
) -> None:
    assert score_concepts(rows[0]) == score_concepts(rows[1])


def score_of_first(rows: list[GivenConcept[int, str]]) -> float:
    scores = score_concepts(rows)[rows[0].map_id]
    return next(scored.score for scored in scores if scored.concept == rows[0].concept)


def test_best_concepts_keep_ties() -> None:
    scores = of_map(("wheel", 0, True), ("rim", 0, True), ("window", 1, True))
    assert best_concepts(scores) == ("rim", "wheel")


def test_no_scores_have_no_best_concept() -> None:
    assert best_concepts([]) == ()


@pytest.mark.parametrize(
    ("outcomes", "record"),
    [
        ([], GameRecord(0, 0, 0, None)),
        ([("won", 0)], GameRecord(1, 0, 0, 0)),
        ([("won", 1), ("lost", 3), ("resigned", 0)], GameRecord(1, 1, 1, 3)),
        ([("won", 1), ("lost", 3), ("resigned", 0), ("won", 2)], GameRecord(2, 1, 1, 3)),
        ([("won", 0), ("won", 0), ("won", 1)], GameRecord(3, 0, 0, 1)),
        ([("resigned", 2)], GameRecord(0, 0, 1, 5)),
    ],
)
def test_the_game_record_by_hand(outcomes: list[tuple[str, int]], record: GameRecord) -> None:
    assert game_record(outcomes) == record


def test_an_unknown_outcome_is_refused() -> None:
    with pytest.raises(ValueError, match="'win'"):
        game_record([("win", 0)])
