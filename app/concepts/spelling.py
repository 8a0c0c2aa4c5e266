"""Spelling, corrected against what others typed for the same image class.

No dictionary knows that "tiers" on a truck are tires, but the class's own vocabulary does.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import simplemma
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

from app.concepts.cleaning import singular_and_plural
from app.concepts.languages import ENGLISH, best_frequency, frequency

REAL_WORD: Final = 3.6
"""A word this common in English (Zipf) is no misspelling of another."""

RARE_WORD: Final = 3.0
"""A word this common in one of our languages is one, and needs more to count as misspelt."""

MIN_LEAD: Final = 2.0
"""So many times as often as a misspelling its correction must have been typed."""

MIN_LEAD_REAL: Final = 4.0
"""The same for a word that is one in some language, if a rarer one."""

_BLOCK: Final = 256


_WITH_F: Final = (
    *("knife", "life", "wife"),
    *("leaf", "loaf", "half", "calf", "shelf", "elf", "self", "wolf", "thief", "sheaf", "scarf"),
    *("hoof", "dwarf", "wharf"),
)


def correct_words(counts: Mapping[str, float]) -> dict[str, str]:
    """Misspelt words with what was meant, told from how often each word was typed.

    counts: words of one image class, lower case, with how often each was typed. A word is taken
    for a misspelling of one that was typed at least MIN_LEAD times as often and is one edit away
    (a letter more, less, other, or two swapped), from six letters on two edits; of several, the
    nearest, then the one typed most, then the first in the alphabet. Common English words stay,
    and so do words of under three letters. Words that are not in the result are right as they are.
    """
    words = sorted(word for word in counts if len(word) >= 3 and word.isalpha())
    doubtful = [word for word in words if frequency(word, ENGLISH) < REAL_WORD]
    least = min((counts[word] for word in doubtful), default=0) * MIN_LEAD
    targets = [word for word in words if counts[word] >= least]
    found: dict[str, str] = {}
    # In blocks, so that 30,000 distinct words need no table of all pairs.
    for start in range(0, len(doubtful), _BLOCK):
        block = doubtful[start : start + _BLOCK]
        edits = cdist(block, targets, scorer=OSA.distance, score_cutoff=2, dtype=np.uint8)
        for word, row in zip(block, edits, strict=True):
            near = ((int(row[i]), targets[i]) for i in np.flatnonzero((row > 0) & (row <= 2)))
            fits = [(n, other) for n, other in near if _is_misspelling(word, other, n, counts)]
            if fits:
                found[word] = min(fits, key=lambda one: (one[0], -counts[one[1]], one[1]))[1]
    return {word: _last(found, word) for word in found}


def joined_words(phrases: Iterable[Sequence[str]], counts: Mapping[str, float]) -> dict[str, str]:
    """Two words that others wrote as one, "head light", with that one: {"head light": "headlight"}.

    Where more players wrote two words, the one word becomes those: {"truckbed": "truck bed"}.
    phrases: the words of each label. counts: how often each word and each pair was typed.
    """
    pairs = {f"{a} {b}" for words in phrases for a, b in pairwise(words)}
    found = {}
    for pair in sorted(pairs):
        one = pair.replace(" ", "")
        if one in counts:
            as_one = counts[one] >= counts[pair] or frequency(one, ENGLISH) >= REAL_WORD
            found[pair if as_one else one] = one if as_one else pair
    return found


def singular(word: str) -> str:
    """An English noun's singular; a word that is no plural stays: "leaves": "leaf", "lens": "lens".

    A lemma only counts if it is a singular by rule too, or "stained" would become "stain"; but for
    endings such as -ses and -zes, which hide "crisis" and "quiz". "Skies" is of the sky rather than
    of a ski: of several singulars that it may have, the most common one.
    """
    if noun := _noun_with_f(word):
        return noun
    lemma = simplemma.lemmatize(word, lang=ENGLISH).lower()
    if word.endswith(("ses", "zes", "xes", "ches", "shes")):
        # Boxes are of a box, moustaches of a moustache, quizzes and crises of what the lemma says.
        singulars = {word[:-2], word[:-1], lemma} - {word}
        return max(sorted(singulars), key=lambda one: frequency(one, ENGLISH))
    if word.endswith("ies"):
        lemma = max(lemma, word.removesuffix("ies") + "y", key=lambda one: frequency(one, ENGLISH))
    return lemma if len(lemma) < len(word) + 2 and lemma in singular_and_plural(word) else word


def _noun_with_f(plural: str) -> str | None:
    """The noun whose f became ves: "bookshelves": "bookshelf". They are few: nerves are of no nerf,
    and olives of no olife."""
    for noun in _WITH_F:
        ending = noun.removesuffix("e").removesuffix("f") + "ves"
        found = plural.removesuffix(ending) + noun
        if plural.endswith(ending) and frequency(found, ENGLISH) >= RARE_WORD:
            return found
    return None


def _is_misspelling(word: str, other: str, n_edits: int, counts: Mapping[str, float]) -> bool:
    if n_edits > (1 if len(word) < 6 else 2) or (n_edits == 2 and word[0] != other[0]):
        return False
    is_word = best_frequency(word) >= RARE_WORD
    if is_word and (n_edits == 2 or other in singular_and_plural(word)):
        return False
    return counts[other] >= counts[word] * (MIN_LEAD_REAL if is_word else MIN_LEAD)


def _last(found: Mapping[str, str], word: str) -> str:
    # Each step leads to a word typed more often, so this ends.
    while word in found:
        word = found[word]
    return word
