"""A class over the layers. Numbers worked by hand are in docs/algorithms/global.md, which runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.concepts.classwide import (
    PlayedMap,
    evidence_shares,
    mean_with_interval,
    slope,
    summarise_class,
)

SCORES = st.dictionaries(st.sampled_from("abcd"), st.floats(0.1, 10), max_size=4)
MAPS = st.lists(
    st.builds(
        PlayedMap,
        picture=st.integers(0, 3),
        layer=st.integers(1, 4),
        weight=st.floats(0.5, 100),
        scores=SCORES,
    ),
    max_size=20,
)


@given(MAPS)
def test_each_layers_shares_and_its_nameless_rest_are_all_of_the_evidence(
    maps: list[PlayedMap[str]],
) -> None:
    found = summarise_class(maps)
    for i, (_, nameless) in enumerate(sorted(found.nameless.items())):
        named = sum(course.points[i].share for course in found.courses)
        assert named + nameless == pytest.approx(100)


@given(MAPS, st.randoms())
def test_the_order_of_maps_does_not_matter(maps: list[PlayedMap[str]], random: object) -> None:
    shuffled = list(maps)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = summarise_class(maps), summarise_class(shuffled)
    assert {c.concept: pytest.approx(c.share) for c in one.courses} == {
        c.concept: c.share for c in other.courses
    }


@given(MAPS)
def test_a_concept_given_twice_as_often_everywhere_keeps_its_share(
    maps: list[PlayedMap[str]],
) -> None:
    doubled = [
        PlayedMap(m.picture, m.layer, m.weight, {c: 2 * s for c, s in m.scores.items()})
        for m in maps
    ]
    before, after = summarise_class(maps), summarise_class(doubled)
    assert {c.concept: pytest.approx(c.share) for c in before.courses} == {
        c.concept: c.share for c in after.courses
    }


def test_a_concept_in_all_pictures_deeper_and_deeper_is_rising_and_its_opposite_fading() -> None:
    maps = [
        PlayedMap(
            picture,
            layer,
            50.0,
            {"eye": layer * (1 + 0.1 * picture), "edge": (5 - layer) * (1 + 0.1 * picture)},
        )
        for picture in range(5)
        for layer in (1, 2, 3, 4)
    ]
    trends = {course.concept: course.trend for course in summarise_class(maps).courses}
    assert trends == {"eye": "rising", "edge": "fading"}


def test_one_picture_has_a_slope_but_no_trend() -> None:
    maps = [PlayedMap("A", layer, 50.0, {"eye": float(layer)}) for layer in (1, 2, 3)]
    (course,) = summarise_class(maps).courses
    assert course.slope is not None
    assert (course.slope.value, course.slope.low, course.trend) == (1.0, None, "unclear")


def test_a_few_slopes_that_are_all_the_same_are_no_certainty() -> None:
    """Of six, all of one sign come by chance in 2 / 64 of the times; of five in 2 / 32."""
    few = mean_with_interval([0.1 + 0.2, 0.3, 0.3, 0.3, 0.3])
    assert (few.low, few.high) == (None, None)
    six = mean_with_interval([1.0] * 6)
    assert (six.low, six.high) == (1.0, 1.0)


def test_one_layer_has_no_slope() -> None:
    (course,) = summarise_class([PlayedMap("A", 3, 50.0, {"eye": 1.0})]).courses
    assert course.slope is None
    with pytest.raises(ValueError, match="two layers"):
        slope([(3, 1.0)])


def test_nothing_played_has_no_concepts() -> None:
    found = summarise_class([])
    assert (found.courses, dict(found.nameless)) == ((), {})


def test_a_map_without_words_keeps_its_weight_to_itself() -> None:
    assert evidence_shares(
        [PlayedMap("A", 1, 30.0, {}), PlayedMap("A", 1, 10.0, {"eye": 2.0})]
    ) == {"eye": 25.0}


def test_the_interval_is_students() -> None:
    """1, 2, 3: mean 2, standard error 1 / sqrt(3), t of two degrees of freedom 4.303."""
    found = mean_with_interval([1.0, 2.0, 3.0])
    assert found.value == 2.0
    assert found.low == pytest.approx(2 - 4.303 / 3**0.5, abs=1e-3)
    assert found.high == pytest.approx(2 + 4.303 / 3**0.5, abs=1e-3)
