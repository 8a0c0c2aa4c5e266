"""Which concepts are no part of a class, with the packaged model."""

import pytest

from app.concepts import load_embedder
from app.concepts.belonging import SURROUNDINGS, find_belonging
from app.concepts.junk import is_junk
from app.concepts.words import PLACE_WORDS


def foreign(class_name: str, concepts: list[str], *parts: str) -> set[str]:
    found = find_belonging(concepts, [class_name, *parts], embed=load_embedder())
    return {c for c, belonging in zip(concepts, found, strict=True) if belonging.is_foreign}


@pytest.mark.parametrize(
    ("class_name", "parts", "around"),
    [
        ("sailboat", ["sail", "mast", "hull", "flag"], ["water", "wave", "sky", "lawn"]),
        ("bird", ["beak", "wing", "eye", "tail", "leg"], ["mark", "sticker", "grass", "clouds"]),
        ("train", ["wheel", "smoke", "funnel", "boiler"], ["gravel", "snow"]),
    ],
)
def test_what_is_around_a_thing_is_no_part_of_it_and_its_parts_are(
    class_name: str, parts: list[str], around: list[str]
) -> None:
    assert foreign(class_name, parts + around) == set(around)


def test_what_is_around_things_is_no_junk() -> None:
    """Else no bias report could ever name it. Where in the picture says nothing, though."""
    assert {word for word in SURROUNDINGS if is_junk(word)} <= PLACE_WORDS


def test_what_a_researcher_calls_a_part_makes_what_means_the_same_one_too() -> None:
    assert foreign("harbour", ["water"]) == {"water"}
    assert foreign("harbour", ["water"], "water") == set()


def test_no_concepts_belong_nowhere() -> None:
    assert find_belonging([], ["boat"], embed=load_embedder()) == []
