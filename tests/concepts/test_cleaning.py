import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.concepts import MAX_LABEL_CHARACTERS, clean_label, contains_word, tidy_label


@pytest.mark.parametrize(
    ("raw", "tidy"),
    [
        ("Wheel", "wheel"),
        ("ＷＨＥＥＬ", "wheel"),
        ("Driver’s Wheel", "driver's wheel"),
        ("  steering \t\n wheel ", "steering wheel"),
        ("steering_wheel", "steering wheel"),
        ("WHEEL!!", "wheel"),
        ("«wheel»", "wheel"),
        ("rear-view mirror.", "rear-view mirror"),
        ("rear\u2011view\u2013mirror", "rear-view-mirror"),
        ("rear\ufe58view mirror", "rear-view mirror"),
        ("driver\uff40s wheel", "driver's wheel"),
        ("wheel 🚗", "wheel"),
        ("❤️ wheel 🤷🏽‍♀️", "wheel"),
        ("whe\u200bel\x00", "wheel"),
        ("\ud800wheel", "wheel"),
        ("RUOTA", "ruota"),
        ("matrícula", "matrícula"),
        ("हाथी", "हाथी"),
        ("3", "3"),
    ],
)
def test_a_typed_label_is_brought_into_one_form(raw: str, tidy: str) -> None:
    assert tidy_label(raw) == tidy


@pytest.mark.parametrize("raw", ["", "  ", "...", "-", "___", "🤷", "❤️", "?!", "\u200b"])
def test_a_label_without_a_letter_or_digit_is_none(raw: str) -> None:
    assert tidy_label(raw) is None
    assert clean_label(raw, class_name="church") is None


@given(st.text())
@example("a\ufe31b")  # NFKC makes a dash of it
@example("a\u0149b")  # and an apostrophe of this
def test_tidying_twice_changes_nothing_more(raw: str) -> None:
    tidy = tidy_label(raw)
    assert tidy is None or tidy_label(tidy) == tidy


@given(st.text(max_size=MAX_LABEL_CHARACTERS))
def test_a_tidy_label_can_be_stored_as_text(raw: str) -> None:
    tidy = tidy_label(raw) or ""
    assert "\x00" not in tidy.encode("utf-8").decode()
    assert not any(unicodedata.category(c) in {"Cc", "Cs"} for c in tidy)


@pytest.mark.parametrize(
    ("class_name", "raw", "cleaned"),
    [
        ("church", "church roof", "roof"),
        ("church", "Churches roof", "roof"),
        ("leopards", "leopard spots", "spots"),
        ("butterfly", "butterflies wing", "wing"),
        ("wolf", "wolves' teeth", "teeth"),
        ("mouse", "mice tails", "tails"),
        ("fireman", "firemen helmet", "helmet"),
    ],
)
def test_the_class_goes_as_singular_and_as_plural(class_name: str, raw: str, cleaned: str) -> None:
    assert clean_label(raw, class_name=class_name) == cleaned


@pytest.mark.parametrize(
    "raw",
    ["electric_guitar neck", "electric-guitar neck", "Electric Guitar neck", "electricguitar_neck"],
)
@pytest.mark.parametrize("class_name", ["electric_guitar", "electric guitar", "Electric-Guitar"])
def test_separators_in_the_class_name_are_alike(class_name: str, raw: str) -> None:
    assert clean_label(raw, class_name=class_name) == "neck"


@pytest.mark.parametrize("raw", ["church's roof", "church’s roof", "churches' roof"])
def test_the_possessive_goes_with_the_class(raw: str) -> None:
    assert clean_label(raw, class_name="church") == "roof"


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("roof of the church", "roof"),
        ("cross on a church", "cross"),
        ("the church roof", "roof"),
        ("roof of the church tower", "roof tower"),
        ("the roof", "the roof"),
    ],
)
def test_the_words_that_tie_the_class_to_the_rest_go_with_it(raw: str, cleaned: str) -> None:
    assert clean_label(raw, class_name="church") == cleaned


@pytest.mark.parametrize("raw", ["sports car", "Sports Cars!", "a sports car", "the sports-car"])
def test_the_class_alone_is_none(raw: str) -> None:
    assert clean_label(raw, class_name="sports car") is None


@pytest.mark.parametrize(
    ("class_name", "raw"),
    [
        ("car", "carport"),
        ("sports car", "car tires"),
        ("lighter", "light"),
        ("दिन", "दिनों"),
        ("c++", "abc"),
        ("?", "wheel"),
    ],
)
def test_what_is_not_the_whole_class_name_stays(class_name: str, raw: str) -> None:
    assert clean_label(raw, class_name=class_name) == raw


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_label_and_class_name_give_a_tidy_label_or_none(raw: str, class_name: str) -> None:
    cleaned = clean_label(raw, class_name=class_name)
    assert cleaned is None or tidy_label(cleaned) == cleaned


@pytest.mark.parametrize(
    ("label", "word"),
    [
        ("sail", "sail"),
        ("white sails", "sail"),
        ("the sail's edge", "sail"),
        ("sail-like", "sail"),
        ("leaf", "leaves"),
        ("a wheel", "wheels"),
        ("steering-wheels", "steering wheel"),
    ],
)
def test_a_word_is_found_among_others_as_singular_or_plural(label: str, word: str) -> None:
    assert contains_word(label, word)


@pytest.mark.parametrize(
    ("label", "word"),
    [
        ("sailboat", "sail"),
        ("mainsail", "sail"),
        ("sailing", "sail"),
        ("wheel", "steering wheel"),
        ("दिनों", "दिन"),
    ],
)
def test_a_part_of_a_word_is_not_the_word(label: str, word: str) -> None:
    assert not contains_word(label, word)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("l'albero", None),
        ("foglie dell’albero", "foglie"),
        ("foglie d'albero", "foglie"),
        ("nell'albero cavo", "cavo"),
        ("tronco", "tronco"),
    ],
)
def test_the_article_that_italian_elides_goes_with_the_class(raw: str, cleaned: str | None) -> None:
    assert clean_label(raw, class_name="albero") == cleaned


@pytest.mark.parametrize("raw", ["ala", "l'ala", "un’ala", "dell'ala", "all'ala", "Sull'ala"])
def test_an_elided_article_goes(raw: str) -> None:
    assert clean_label(raw, class_name="aereo") == "ala"


@pytest.mark.parametrize(
    "raw", ["bird's wing", "o'clock", "all's well", "dell's screen", "hors d'oeuvre", "d'or"]
)
def test_what_only_looks_like_an_elided_article_stays(raw: str) -> None:
    assert clean_label(raw, class_name="aereo") == raw


def test_a_class_whose_name_begins_with_an_elided_article_goes() -> None:
    assert clean_label("ruota dell'ape", class_name="l'Ape") == "ruota"
