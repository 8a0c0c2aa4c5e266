import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.concepts import connect_maps, merge_scores

best_of_maps = st.dictionaries(st.integers(0, 9), st.sets(st.sampled_from("abcde"), max_size=2))
parts_of_merges = st.lists(
    st.tuples(
        st.floats(0.1, 100), st.dictionaries(st.sampled_from("abc"), st.floats(0, 20), max_size=3)
    ),
    min_size=1,
    max_size=5,
)


def test_maps_that_share_a_best_concept_are_joined() -> None:
    best = {1: ["wheel"], 2: ["window"], 3: ["wheel", "rim"], 4: ["door"]}
    assert connect_maps(best) == [(1, 3), (2,), (4,)]


def test_maps_are_joined_through_others() -> None:
    best = {1: ["wheel"], 2: ["window"], 3: ["rim", "window"], 4: ["wheel", "rim"]}
    assert connect_maps(best) == [(1, 2, 3, 4)]


def test_maps_without_a_concept_stay_alone() -> None:
    assert connect_maps({1: [], 2: [], 3: ["wheel"]}) == [(1,), (2,), (3,)]


def test_groups_and_their_maps_keep_the_order_of_the_layer() -> None:
    best = {"z": ["a"], "y": ["b"], "x": ["a"], "w": ["b"]}
    assert connect_maps(best) == [("z", "x"), ("y", "w")]


@given(best_of_maps)
def test_joined_maps_are_a_partition(best: dict[int, set[str]]) -> None:
    joined = [map_id for group in connect_maps(best) for map_id in group]
    assert sorted(joined) == sorted(best)


@given(best_of_maps)
def test_different_groups_share_no_concept_and_each_hangs_together(
    best: dict[int, set[str]],
) -> None:
    groups = connect_maps(best)
    concepts = [set().union(*(best[map_id] for map_id in group)) for group in groups]
    assert sum(len(shared) for shared in concepts) == len(set().union(*concepts))
    for group in groups:
        reached, reach = {group[0]}, set(best[group[0]])
        for _ in group:
            reached |= {map_id for map_id in group if best[map_id] & reach}
            reach |= set().union(*(best[map_id] for map_id in reached))
        assert reached == set(group)


def test_merged_scores_by_hand() -> None:
    parts = [(30.0, {"wheel": 2.7, "rim": 1.0}), (10.0, {"wheel": 0.5})]
    assert merge_scores(parts) == [("wheel", pytest.approx(2.15)), ("rim", 0.75)]


def test_a_part_without_concepts_pulls_the_others_down() -> None:
    assert merge_scores([(20.0, {"wheel": 2.0}), (20.0, {})]) == [("wheel", 1.0)]


def test_equal_merged_scores_are_ordered_by_concept() -> None:
    assert merge_scores([(1.0, {"wheel": 1.0}), (1.0, {"rim": 1.0})]) == [
        ("rim", 0.5),
        ("wheel", 0.5),
    ]


def test_nothing_merged_is_nothing() -> None:
    assert merge_scores([]) == []


@pytest.mark.parametrize("weights", [[0.0], [0.0, 0.0], [1.0, -0.5], [math.nan], [math.inf]])
def test_weights_that_give_no_mean_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        merge_scores([(weight, {"wheel": 1.0}) for weight in weights])


@given(parts_of_merges)
def test_a_merged_score_lies_within_those_of_its_parts(
    parts: list[tuple[float, dict[str, float]]],
) -> None:
    for concept, score in merge_scores(parts):
        of_parts = [scores.get(concept, 0.0) for _, scores in parts]
        assert min(of_parts) - 1e-9 <= score <= max(of_parts) + 1e-9


@given(parts_of_merges.flatmap(lambda parts: st.tuples(st.just(parts), st.permutations(parts))))
def test_the_order_of_parts_does_not_matter(
    parts: tuple[list[tuple[float, dict[str, float]]], list[tuple[float, dict[str, float]]]],
) -> None:
    assert merge_scores(parts[0]) == merge_scores(parts[1])
