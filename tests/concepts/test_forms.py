"""What ways of writing come down to, and what is junk: the examples of the documentation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.concepts.forms import Form, label_forms
from app.concepts.junk import is_junk
from app.concepts.phrases import WORD, bare_phrase
from app.concepts.spelling import correct_words, joined_words, singular

# The first label of a process waits for the word lists.
unhurried = settings(deadline=None)


@pytest.mark.parametrize(
    ("label", "bare"),
    [
        ("maybe a steering wheel", "steering wheel"),
        ("bottom right wheel", "wheel"),
        ("fur on its back", "fur"),
        ("headlight top left", "headlight"),
        ("left", "left"),
        ("flower center", "flower center"),
    ],
)
def test_fillers_articles_and_positions_go(label: str, bare: str) -> None:
    assert bare_phrase(label) == bare


@pytest.mark.parametrize(
    ("counts", "right"),
    [
        ({"wheel": 4, "whel": 1}, {"whel": "wheel"}),
        ({"tires": 4, "tiers": 1}, {"tiers": "tires"}),
        ({"wheel": 4, "heel": 1}, {}),
        ({"wheel": 1, "whel": 1}, {}),
    ],
)
def test_spelling_follows_what_others_typed(counts: dict[str, int], right: dict[str, str]) -> None:
    assert correct_words(counts) == right


def test_two_words_and_one_become_what_more_players_wrote() -> None:
    phrases = [["head", "light"], ["truck", "bed"]]
    counts = {"head light": 1, "headlight": 3, "truck bed": 3, "truckbed": 1}
    assert joined_words(phrases, counts) == {"head light": "headlight", "truckbed": "truck bed"}


@pytest.mark.parametrize(
    ("plural", "single"),
    [
        ("leaves", "leaf"),
        ("crosses", "cross"),
        ("feet", "foot"),
        ("skies", "sky"),
        ("ties", "tie"),
        ("caves", "cave"),
        ("nerves", "nerve"),
        ("olives", "olive"),
        ("bookshelves", "bookshelf"),
        ("knives", "knife"),
        ("thieves", "thief"),
        ("moustaches", "moustache"),
        ("headaches", "headache"),
        ("lenses", "lens"),
        ("axes", "axe"),
        ("quizzes", "quiz"),
        ("crises", "crisis"),
        ("houses", "house"),
        ("lens", "lens"),
        ("stained", "stained"),
    ],
)
def test_plurals_become_singular_and_other_words_stay(plural: str, single: str) -> None:
    assert singular(plural) == single


@pytest.mark.parametrize(
    "label", ["asdf", "jkjkjk", "hahaha", "i don't know", "boh", "12345", "sh1t", "www.a.com", "ok"]
)
def test_what_says_nothing_is_junk(label: str) -> None:
    assert is_junk(label)


@pytest.mark.parametrize("label", ["पहिया", "दिन", "ล้อ", "عَجَلَة", "می\u200cخواهم"])
def test_a_word_of_a_script_whose_vowels_are_marks_is_one_word_and_no_junk(label: str) -> None:
    assert WORD.findall(label) == [label]
    assert not is_junk(label)


@pytest.mark.parametrize(
    ("class_name", "word"),
    [
        ("candle", "handle"),
        ("castle", "cattle"),
        ("rocket", "pocket"),
        ("rocket", "socket"),
        ("airliner", "airline"),
        ("कबूतरघर", "किबोतीरिघुर"),  # the vowels are marks
    ],
)
def test_a_real_word_near_the_classs_name_is_not_taken_for_it(class_name: str, word: str) -> None:
    form = label_forms({(word, class_name): 1})[word, class_name]
    assert form is not None
    assert form.text == word


def test_the_classs_name_misspelt_is_junk() -> None:
    assert label_forms({("cheesburger", "cheeseburger"): 1}) == {
        ("cheesburger", "cheeseburger"): None
    }


@pytest.mark.parametrize("label", ["rhythm", "papa", "tree", "coq", "belfry", "part you hold"])
def test_what_says_something_is_no_junk(label: str) -> None:
    assert not is_junk(label)


def test_a_place_is_a_part_where_many_name_it_and_else_says_nothing() -> None:
    center, wheel = ("Center", "flower"), ("center of the wheel", "car")
    counts = {center: 4, ("petal", "flower"): 100, ("bottom left center", "flower"): 1}
    assert label_forms(counts)[center] == Form("center", is_english=True)
    assert label_forms({**counts, center: 3})[center] is None
    assert label_forms({**counts, ("petal", "flower"): 1000})[center] is None
    assert label_forms({wheel: 4})[wheel] == Form("wheel center", is_english=True)


@pytest.mark.parametrize("label", ["sports car", "a sports car", "Sports Cars!", "sportcar"])
def test_the_name_of_the_class_alone_is_junk(label: str) -> None:
    typed = (label, "sports car")
    assert label_forms({typed: 1}) == {typed: None}


def test_another_language_is_marked() -> None:
    typed = ("la ruota", "car")
    assert label_forms({typed: 1}) == {typed: Form("ruota", is_english=False)}


def test_an_elided_article_makes_no_other_form() -> None:
    typed = [(text, "aereo") for text in ("ala", "l'ala", "un'ala")]
    assert set(label_forms(dict.fromkeys(typed, 1)).values()) == {Form("ala", is_english=False)}


@pytest.mark.parametrize(
    ("label", "text"), [("foglie dell'albero", "foglia"), ("un albero", "albero")]
)
def test_the_classs_name_goes_from_a_longer_label_of_another_language(
    label: str, text: str
) -> None:
    typed = (label, "albero")
    assert label_forms({typed: 1}) == {typed: Form(text, is_english=False)}


@unhurried
@given(st.dictionaries(st.text(max_size=30), st.integers(1, 9), max_size=6))
def test_any_text_has_a_form_of_some_letters_or_none(texts: dict[str, int]) -> None:
    forms = label_forms({(text, "sports car"): n for text, n in texts.items()})
    assert len(forms) == len(texts)
    assert all(form is None or form.text for form in forms.values())
