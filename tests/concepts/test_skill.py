"""Scores by skill: what docs/algorithms/concepts.md promises, section 8."""

from collections.abc import Hashable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.concepts import GivenConcept, PlayerRecord, get_score, score_concepts
from app.concepts.skill import score_by_skill

given_concepts = st.builds(
    lambda guesses, concepts: [
        GivenConcept(i % 2, (i, "round"), concept, *guess, player_id=i % 3)
        for i, guess in enumerate(guesses)
        for concept in concepts[i]
    ],
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=6),
    st.lists(st.sets(st.sampled_from("abc"), min_size=1), min_size=6, max_size=6),
)


def said(
    map_id: str, who: str, concept: str, *, reveal_index: int = 0, right: bool = True
) -> GivenConcept[str, str]:
    return GivenConcept(map_id, f"{who} on {map_id}", concept, reveal_index, right, who)


def scores(
    *rows: GivenConcept[str, str],
    players: Mapping[Hashable, PlayerRecord] | None = None,
    map_id: str = "map",
) -> dict[str, float]:
    found = score_by_skill(rows, players=players or {})[map_id]
    return {one.concept: one.score for one in found}


def test_the_worked_example() -> None:
    """Ada: (2 + 6 + 2 * 2) / (4 + 6 + 2 * 2) = 12/14, cubed and halved; Bob: 1/8, halved."""
    found = scores(
        said("map", "Ada", "sail"),
        said("map", "Bob", "coffee"),
        players={"Ada": PlayerRecord(n_guesses=6, n_right=6, n_practice=2, n_named=2)},
    )
    assert found == {"sail": pytest.approx((12 / 14) ** 3 / 2, abs=1e-6), "coffee": 0.0625}


def test_a_later_reveal_and_a_wrong_guess_count_less() -> None:
    assert scores(said("map", "Ada", "sail", reveal_index=2)) == {"sail": 0.05}
    assert scores(said("map", "Ada", "sail", right=False)) == {"sail": 0.0375}


def test_one_lucky_guess_does_not_outweigh_ten_right_words() -> None:
    """The paper's score: ten wrong guesses with "water", 10 / 4; three lucky ones, 3."""
    rows = [said("map", f"player {i}", "water", right=False) for i in range(10)]
    rows += [said("map", f"lucky {i}", "coffee") for i in range(3)]
    by_count = {one.concept: one.score for one in score_concepts(rows)["map"]}
    assert by_count["coffee"] > by_count["water"]
    assert scores(*rows)["water"] > scores(*rows)["coffee"]


def test_who_did_well_in_practice_counts_for_more() -> None:
    found = scores(
        said("map", "careful", "sail"),
        said("map", "careless", "coffee"),
        players={"careful": PlayerRecord(0, 0, 3, 3), "careless": PlayerRecord(0, 0, 3, 0)},
    )
    assert found["sail"] > 10 * found["coffee"]


def test_who_agrees_with_others_elsewhere_counts_for_more() -> None:
    elsewhere = [
        said(f"map {i}", who, "wheel" if who != "loner" else "coffee")
        for i in range(3)
        for who in ("Ada", "Bob", "Cy", "loner")
    ]
    found = scores(*elsewhere, said("map", "Ada", "sail"), said("map", "loner", "boat"))
    assert found["sail"] > found["boat"]


def test_agreement_on_a_map_does_not_count_for_that_map() -> None:
    """Nobody becomes skilled on a map by what is said there, or its first word would feed itself:
    alone in the study, it counts as that of new players."""
    rows = [said("map", f"player {i}", "sail") for i in range(4)]
    assert scores(*rows) == {"sail": 4 * 0.0625}


def test_a_word_that_others_confirm_on_other_maps_counts_for_more() -> None:
    elsewhere = [said(f"map {i}", f"{who} {i}", "sail") for i in range(3) for who in ("a", "b")]
    found = scores(*elsewhere, said("map", "Ada", "sail"), said("map", "Bob", "thing"))
    assert found["sail"] > found["thing"]


def test_a_new_player_counts_between_a_good_and_a_poor_one() -> None:
    found = scores(
        said("map", "good", "a"),
        said("map", "new", "b"),
        said("map", "poor", "c"),
        players={"good": PlayerRecord(4, 4), "poor": PlayerRecord(4, 0)},
    )
    assert found["a"] > found["b"] > found["c"] > 0


def test_without_players_each_round_is_a_new_ones() -> None:
    assert scores(replace(said("map", "Ada", "sail"), player_id=None)) == {"sail": 0.0625}


def test_what_was_given_never_scores_nothing() -> None:
    """A share of a map's evidence is a score by the sum of all: one word of a hopeless player is
    all of that."""
    never_right = {"b": PlayerRecord(n_guesses=400, n_right=0)}
    rows = [said("map", "b", "sail", reveal_index=5, right=False)]
    assert scores(*rows, players=never_right)["sail"] > 0


def test_no_labels_have_no_scores() -> None:
    assert score_by_skill([], players={}) == {}


@given(given_concepts)
def test_all_but_the_score_is_as_the_paper_counts_it(
    rows: list[GivenConcept[int, str]],
) -> None:
    paper, ours = score_concepts(rows), score_by_skill(rows, players={})
    assert paper.keys() == ours.keys()
    for map_id, of_map in ours.items():
        by_concept = {one.concept: one for one in paper[map_id]}
        for one in of_map:
            assert replace(one, score=by_concept[one.concept].score) == by_concept[one.concept]
            assert one.paper_score == by_concept[one.concept].score
            assert 0 < one.score <= one.n_given


@given(given_concepts.flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))))
def test_the_order_of_labels_does_not_matter(
    rows: tuple[list[GivenConcept[int, str]], list[GivenConcept[int, str]]],
) -> None:
    first, second = (score_by_skill(one, players={0: PlayerRecord(3, 2)}) for one in rows)
    assert first == second


def test_a_recipe_has_its_score() -> None:
    one = said("map", "Ada", "sail", reveal_index=1)
    assert get_score("paper")([one], players={})["map"][0].score == 0.9
    assert get_score("layerplay")([one], players={})["map"][0].score == pytest.approx(0.05625)
    with pytest.raises(ValueError, match="paper"):
        get_score("other")


def test_keys_hit_at_random_cost_trust() -> None:
    """Two labels of mash count as two maps on which nobody agrees: (2 + 4) / (4 + 4 + 2 * 2)."""
    found = scores(
        said("map", "Ada", "sail"),
        players={"Ada": PlayerRecord(n_guesses=4, n_right=4, n_mash=2)},
    )
    assert found == {"sail": pytest.approx((6 / 12) ** 3 / 2, abs=1e-6)}
