"""One form for all the ways in which players of an image class wrote the same words.

"a steering-wheel", "Steeringwheel!!" and "maybe the stearing wheel" become "steering wheel".
docs/algorithms/concepts.md has the rules with examples.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

import simplemma
from rapidfuzz.distance import OSA

from app.concepts.cleaning import LETTER, clean_label, tidy_label, without_elided
from app.concepts.junk import is_junk
from app.concepts.languages import ENGLISH, frequency, language_of, without_articles
from app.concepts.phrases import WORD, bare_phrase, content_words
from app.concepts.spelling import RARE_WORD, correct_words, joined_words, singular
from app.concepts.words import PLACE_WORDS

N_SURE: Final = 4
"""A word typed this often for a class is no mash."""

MIN_PART_SHARE: Final = 0.02
"""A place ("center") that so many of a class's labels name, and N_SURE of them, is a part of it."""

_MAX_FOREIGN_WORDS: Final = 4

Typed = tuple[str, str]
"""A label as typed, and the name of the class that was guessed with it."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a label comes down to: words joined by blanks, and whether they are English."""

    text: str
    is_english: bool


def label_forms(counts: Mapping[Typed, int]) -> dict[Typed, Form | None]:
    """The form of each label of one image class, or None for one that says nothing.

    counts: how often each label was typed; the more often, the more it decides about spelling.
    The order does not matter. Raises ValueError for a count below 1.
    """
    for typed, count in counts.items():
        if count < 1:
            raise ValueError(f"need a count of at least 1, got {typed!r}: {count}")
    tidied: dict[Typed, str] = {}
    for typed in counts:
        label = tidy_label(typed[0])
        if label is not None and not _names_class(label, typed[1]):
            tidied[typed] = without_elided(label)
    n_typed: Counter[str] = Counter()
    for typed, label in tidied.items():
        n_typed.update(dict.fromkeys(WORD.findall(label), counts[typed]))
    right = correct_words(_support(n_typed))
    sure = {word for word, n in n_typed.items() if n >= N_SURE}
    parts = _places_that_are_parts(tidied, counts)
    words: dict[Typed, list[str]] = {}
    is_english: dict[Typed, bool] = {}
    for typed, label in tidied.items():
        fixed = WORD.sub(lambda word: right.get(word[0], word[0]), label)
        if any(is_junk(one, vocabulary=sure, parts=parts) for one in (label, fixed)):
            continue
        words[typed], is_english[typed] = _words(fixed, typed[1])
    english = {typed: words[typed] for typed in words if is_english[typed]}
    joined = joined_words(english.values(), _word_and_pair_counts(english, counts))
    words |= {typed: _join(one, joined) for typed, one in english.items()}
    return {
        typed: Form(" ".join(words[typed]), is_english[typed]) if typed in words else None
        for typed in counts
    }


def _names_class(label: str, class_name: str) -> bool:
    bare = bare_phrase(label)
    if clean_label(bare, class_name=class_name) is None:
        return True
    own, name = _letters(bare), _letters(class_name.lower())
    distance = OSA.distance(own, name)
    # "cheesburger" is the class and nothing else. Short names have too many words near them, and a
    # handle is no candle: what is a word by itself says what it says.
    is_near = len(name) >= 6 and distance <= (2 if len(name) >= 9 else 1)
    return is_near and (distance == 0 or not all(map(_is_real, WORD.findall(bare))))


def _is_real(word: str) -> bool:
    return frequency(word, ENGLISH) >= RARE_WORD


def _places_that_are_parts(tidied: Mapping[Typed, str], counts: Mapping[Typed, int]) -> set[str]:
    """The places that many name by themselves, with an article at most. "Left corner" says where
    something is, and so does "in the center"."""
    alone: Counter[str] = Counter()
    for typed, label in tidied.items():
        alone[label.removeprefix("the ").removeprefix("a ")] += counts[typed]
    least = max(N_SURE, MIN_PART_SHARE * sum(counts.values()))
    return {word for word in PLACE_WORDS if alone[word] >= least}


def _letters(text: str) -> str:
    return "".join(re.findall(LETTER, text))


def _support(n_typed: Mapping[str, int]) -> dict[str, int]:
    """How often each word was typed, for a known word with its plural or singular."""
    together: Counter[str] = Counter()
    for word, n in n_typed.items():
        together[_singular(word)] += n
    return {
        word: together[_singular(word)] if frequency(word, ENGLISH) >= RARE_WORD else n
        for word, n in n_typed.items()
    }


def _words(label: str, class_name: str) -> tuple[list[str], bool]:
    everything = WORD.findall(label)
    language = language_of(everything) if len(everything) <= _MAX_FOREIGN_WORDS else ENGLISH
    if language != ENGLISH:
        # Articles first: of "un albero", without the class's name, only "un" would be left.
        bare = " ".join(without_articles(everything, language))
        cleaned = clean_label(bare, class_name=class_name) or bare
        return [_foreign(word, language) for word in WORD.findall(cleaned)], False
    phrase = bare_phrase(clean_label(label, class_name=class_name) or label)
    class_words = [word for word in re.split(r"[\s_-]+", class_name.lower()) if word]
    named = content_words(phrase, class_words) or WORD.findall(phrase) or [phrase]
    return [_singular(word) for word in named], True


@lru_cache(maxsize=100_000)
def _singular(word: str) -> str:
    return singular(word)


@lru_cache(maxsize=100_000)
def _foreign(word: str, language: str) -> str:
    # A longer lemma is an infinitive: "balestrare" for "balestra", a leaf spring.
    return min(simplemma.lemmatize(word, lang=language).lower(), word, key=len)


def _word_and_pair_counts(
    phrases: Mapping[Typed, Sequence[str]], counts: Mapping[Typed, int]
) -> Counter[str]:
    found: Counter[str] = Counter()
    for typed, words in phrases.items():
        pairs = (f"{a} {b}" for a, b in pairwise(words))
        found.update(dict.fromkeys([*words, *pairs], counts[typed]))
    return found


def _join(words: Sequence[str], joined: Mapping[str, str]) -> list[str]:
    result: list[str] = []
    for word in words:
        pair = f"{result[-1]} {word}" if result else ""
        if pair in joined:
            result[-1] = joined[pair]
        else:
            result.extend(joined.get(word, word).split())
    return result
