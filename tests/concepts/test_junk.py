"""Words that are keys hit at random, told from words that somebody meant."""

import random
import string

import pytest

from app.concepts.junk import is_junk, is_mash
from app.concepts.languages import common_words, likeness_to_words
from tests.slips import with_a_slip


@pytest.mark.parametrize(
    "word",
    ["asdfgh", "jkjkjk", "aaaa", "hahaha", "ljshlaj", "kdhfgsal", "xzvbqoe", "hfjdkaslur"],
)
def test_keys_hit_at_random_are_mash(word: str) -> None:
    assert is_mash(word)


@pytest.mark.parametrize(
    "word",
    [
        "wheel",
        "rhythm",
        "hedlight",  # misspelt
        "strenghts",
        "finestrino",  # Italian
        "parabrisas",  # Spanish
        "schlagzeug",  # German, which we do not tell apart
        "лодка",  # a script of which we know no words
        "帆船の帆",
        "नानीना",  # one consonant, three vowels
    ],
)
def test_a_word_that_somebody_meant_is_none(word: str) -> None:
    assert not is_mash(word)


def test_a_letter_that_is_a_word_is_no_junk() -> None:
    assert not is_junk("窓")  # a window
    assert is_junk("w")


def test_most_mash_is_told() -> None:
    rng = random.Random(0)
    lines = (string.ascii_lowercase, "asdfghjkl")
    typed = ["".join(rng.choices(rng.choice(lines), k=rng.randint(5, 9))) for _ in range(400)]
    assert sum(map(is_mash, typed)) > 0.85 * len(typed)


def test_a_slip_makes_no_mash_of_a_word() -> None:
    rng = random.Random(0)
    words = [word for word in common_words() if len(word) >= 6]
    slips = [with_a_slip(rng.choice(words), rng) for _ in range(400)]
    assert sum(map(is_mash, slips)) <= 2  # "strngths" has no vowel left, and such are mash


def test_words_look_more_like_words_than_keys_do() -> None:
    headlight, hedlight, keys = map(likeness_to_words, ("headlight", "hedlight", "ljshlaj"))
    assert headlight > hedlight > keys


@pytest.mark.parametrize(
    "label",
    [
        *("who cares", "nobody knows", "never mind", "it doesn't matter", "i give up"),
        *("same as above", "so bored", "can't be bothered", "chi lo sa", "chi se ne frega"),
        *("che noia", "quién sabe", "me da igual", "qué más da"),
    ],
)
def test_shrugs_say_nothing(label: str) -> None:
    assert is_junk(label)


@pytest.mark.parametrize(
    "label", ["care label", "gods", "matter", "mind map", "bored hole", "same colour as sky", "chi"]
)
def test_words_of_shrugs_may_name_something(label: str) -> None:
    assert not is_junk(label)
