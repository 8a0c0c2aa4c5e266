"""The picture book's words: complete, and each for one thing only."""

from itertools import combinations

import pytest

from app.concepts.cleaning import clean_label, tidy_label
from app.picturebook.words import accepted, names, plural, regions_of, words_for
from app.picturebook.world import CLASSES, CUES, REGIONS, SURROUNDINGS

EVERY = [(class_name, region) for class_name in CLASSES for region in regions_of(class_name)]


def test_every_region_of_the_world_has_words() -> None:
    assert {region for _, region in EVERY} == set(REGIONS)


@pytest.mark.parametrize(("class_name", "region"), EVERY)
def test_there_is_something_to_choose_from(class_name: str, region: str) -> None:
    words = words_for(class_name, region)
    assert len(words.synonyms) >= 3
    assert len(words.vague) >= 2
    assert len(words.italian) >= 2
    for several in (words.synonyms, words.vague, words.italian):
        assert len(set(several)) == len(several)


@pytest.mark.parametrize("class_name", CLASSES)
def test_a_word_names_one_region_of_a_class(class_name: str) -> None:
    shared = {
        (one, other): accepted(class_name, one) & accepted(class_name, other)
        for one, other in combinations(regions_of(class_name), 2)
    }
    assert {pair: words for pair, words in shared.items() if words} == {}


@pytest.mark.parametrize("class_name", CLASSES)
def test_a_vague_word_names_nothing(class_name: str) -> None:
    regions = regions_of(class_name)
    named = frozenset().union(*(accepted(class_name, region) for region in regions))
    for region in regions:
        assert named.isdisjoint(words_for(class_name, region).vague)


@pytest.mark.parametrize(("class_name", "region"), EVERY)
def test_what_is_accepted_is_as_the_cleaning_leaves_it(class_name: str, region: str) -> None:
    """The region's own name and every other word would reach the concepts unchanged."""
    assert region in accepted(class_name, region)
    for word in accepted(class_name, region):
        assert word == tidy_label(word)
        assert clean_label(word, class_name=class_name)


@pytest.mark.parametrize(
    ("class_name", "region", "word"),
    [
        ("car", "wheel", "tyres"),
        ("train", "wheel", "spokes"),
        ("car", "body", "bonnet"),
        ("fish", "body", "scales"),
        ("sailboat", "sail", "vele"),
        ("windmill", "sail", "blades"),
        ("flower", "leaf", "leaves"),
        ("cat", "paw", "feet"),
        ("fish", "water", "sea"),
        ("house", "mark", "star sticker"),
        ("bird", "mark", "stamps"),
    ],
)
def test_words_that_people_use(class_name: str, region: str, word: str) -> None:
    assert word in accepted(class_name, region)


def test_the_same_part_has_other_words_in_another_class() -> None:
    assert "blade" in accepted("windmill", "sail")
    assert "blade" not in accepted("sailboat", "sail")


@pytest.mark.parametrize(
    ("one", "several"),
    [
        ("wheel", "wheels"),
        ("window pane", "window panes"),
        ("bush", "bushes"),
        ("glass", "glass"),
        ("daisy", "daisies"),
        ("leaf", "leaves"),
        ("foot", "feet"),
        ("whiskers", "whiskers"),
        ("leaf of a tree", "leaves of a tree"),
        ("ray", "rays"),
    ],
)
def test_plurals(one: str, several: str) -> None:
    assert plural(one) == several


@pytest.mark.parametrize(
    ("label", "named"),
    [
        ("a red wheel", True),
        ("wheel", True),
        ("wheels of a toy", True),
        ("wheelbarrow", False),
        ("round thing", False),
        ("", False),
    ],
)
def test_a_label_names_a_part_by_whole_words(label: str, named: bool) -> None:
    assert names(label, class_name="car", region="wheel") is named


def test_two_words_count_only_together() -> None:
    assert names("a star sticker", class_name="car", region="mark")
    assert not names("star", class_name="car", region="mark")


@pytest.mark.parametrize("region", [*CUES, *SURROUNDINGS])
def test_what_is_around_is_called_the_same_everywhere(region: str) -> None:
    assert len({words_for(class_name, region) for class_name in CLASSES}) == 1


def test_a_part_that_a_class_does_not_have_has_no_words() -> None:
    with pytest.raises(ValueError, match="no 'wheel'"):
        words_for("fish", "wheel")
    with pytest.raises(ValueError, match="no class 'lorry'"):
        words_for("lorry", "wheel")
