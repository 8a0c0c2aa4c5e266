"""Labels that say nothing about what was seen: mash, chat, "no idea", rude words, numbers.

Lists and rules in English, Italian and Spanish; nothing is learned.
"""

import re
import unicodedata
from collections.abc import Collection
from itertools import pairwise
from typing import Final

from rapidfuzz.distance import OSA
from rapidfuzz.process import extractOne

from app.concepts.cleaning import LETTER
from app.concepts.languages import (
    KNOWN,
    best_frequency,
    is_known_elsewhere,
    likeness_to_words,
    words_of_length,
)
from app.concepts.words import EMPTY_WORDS, RUDE_WORDS

MIN_LIKENESS: Final = -4.4
"""A word that nobody knows is mash when it looks less like a word than that, unless it is one slip
away from one. See docs/algorithms/concepts.md for what that catches."""

_ROWS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm")

_NO_IDEA = re.compile(
    r"(?:i )?(?:really )?(?:have )?(?:no|any) (?:idea|clue).*"
    r"|(?:i )?(?:really |still )?(?:don'?t|do not|didn'?t|can'?t|cannot|couldn'?t|can not)"
    r" (?:know|see|tell|say|understand|get|recogni[sz]e|guess|make|care|remember|find).*"
    r"|(?:i'?m |i am )?not (?:sure|certain|clear|visible|a clue)"
    r"|(?:what|where|who) (?:is|are|was) (?:this|that|it|these).*|what'?s (?:this|that|it)"
    r"|(?:it |this )?(?:could|can|might) be (?:anything|something)|hard to (?:say|tell|see)"
    r"|(?:it'?s |too )+(?:dark|blurry|small|unclear|difficult|hard)(?: to (?:see|tell|say))?"
    r"|(?:just |random |a |wild )*guess(?:ing)?|n\.?[/ ]?a\.?|no (?:answer|comment|label|concept)"
    r"|(?:io )?(?:non|nn) (?:lo |ne |ci )?(?:so|saprei|vedo|capisco|ho idea|si vede).*"
    r"|(?:nessuna|non ho) idea|(?:che|cos'?) ?(?:è|e|cos'?è)(?: questo)?|non (?:importa|è chiaro)"
    r"|(?:yo )?no (?:lo |la )?(?:s[eé]|veo|entiendo|tengo(?: ni)? idea|importa).*"
    r"|(?:ni|ninguna) idea|(?:qu[eé]) es (?:esto|eso)"
    r"|.*\b(?:this|the|your|stupid|boring|nice|great|good|bad) game\b.*|.*\b(?:boring|borin)\b.*"
    r"|how are you.*|(?:i )?(?:love|hate|like) (?:you|this|it).*|let me .*"
    r"|(?:next|another) (?:one|please|image|picture)"
    r"|(?:who|nobody|no one|god) (?:really )?(?:knows?|cares?)(?: .*)?|(?:i )?give up"
    r"|never ?mind|(?:it )?(?:doesn'?t|does not) matter(?: .*)?|(?:the )?same as (?:above|before)"
    r"|(?:i'?m |i am )?(?:so |very )?bored|(?:i )?(?:can'?t|cannot) be bothered"
    r"|(?:e )?chi (?:lo )?sa|chi se ne (?:frega|importa)|che ne so(?: io)?|(?:che )?noia|mi annoio"
    r"|qui[eé]n (?:lo )?sabe|a qui[eé]n le importa|(?:me )?da igual|qu[eé] m[aá]s da"
)

# Words that are rude by themselves, but parts of an animal or a tool beside others.
_RUDE_ALONE: Final = frozenset({"ass", "cock", "cocks", "tits", "dio", "porco", "prick", "dick"})

_ADDRESS = re.compile(r"https?:|www\.|\.(?:com|org|net|it|es)\b|@\w+\.")
_LOOKS_LIKE = str.maketrans("013457@$!|", "oieastasii")
_LETTER = rf"(?:(?!\d){LETTER})"
_WORD = re.compile(rf"{_LETTER}+(?:'{_LETTER}+)*")


def is_junk(label: str, *, vocabulary: Collection[str] = (), parts: Collection[str] = ()) -> bool:
    """Whether a tidied label says nothing about what was seen.

    vocabulary: words that were typed so often for the class that they are no mash. parts: words
    that mostly say nothing, but name a part of this class. Whether a label is just the class's
    name is not asked here.
    """
    words = _WORD.findall(label)
    return (
        not words
        or _ADDRESS.search(label) is not None
        or is_rude(label)
        or _NO_IDEA.fullmatch(label) is not None
        or all(
            (word in EMPTY_WORDS and word not in parts)
            # Not in scripts without capitals, where one sign may be a word: "窓", a window.
            or (len(word) == 1 and unicodedata.category(word) != "Lo")
            or (word not in vocabulary and is_mash(word))
            for word in words
        )
    )


def is_mash(word: str) -> bool:
    """Whether a word is keys hit at random, or laughter: "asdf", "jkjkjk", "aaaa", "hahaha"."""
    letters = re.findall(_LETTER, word)
    if len(letters) >= 3 and len(set(letters)) == 1:
        return True
    plain = "".join(c for c in unicodedata.normalize("NFD", word) if c.isalpha())
    if re.fullmatch(r"[bw]*(?:a*h+[aeiou]+){2,}h*|(?:j[aei]){3,}", plain):
        return True
    # Of other scripts we know no words, so nothing can be told.
    if len(plain) < 4 or not plain.isascii() or best_frequency(plain) > KNOWN + 0.5:
        return False
    if (
        not re.search(r"[aeiouy]", plain)
        or re.fullmatch(r"(.{1,3}?)\1+.{0,2}", plain)
        or _is_walk(plain)
    ):
        return True
    if len(plain) < 5 or best_frequency(plain) >= 1.5:
        return False
    return (
        likeness_to_words(plain) < MIN_LIKENESS
        and not is_known_elsewhere(word)
        and not _is_slip(plain)
    )


def holds_mash(label: str) -> bool:
    """Whether a word of a tidied label is mash."""
    return any(is_mash(word) for word in label.split())


def _is_slip(word: str) -> bool:
    """Whether a word is a common one with a letter more, less, other, or two of them swapped."""
    return any(
        extractOne(word, words_of_length(n), scorer=OSA.distance, score_cutoff=1) is not None
        for n in (len(word), len(word) - 1, len(word) + 1)
    )


def is_rude(label: str) -> bool:
    """Whether a tidied label holds a rude word, also one that is disguised: "sh1t", "f**k"."""
    words = [
        word.strip(".,;:!?-'\"") for word in re.split(r"[\s_/-]+", label.translate(_LOOKS_LIKE))
    ]
    if any(word in RUDE_WORDS and (word not in _RUDE_ALONE or len(words) == 1) for word in words):
        return True
    return any(
        re.fullmatch(word.replace("*", "[a-z]").replace("#", "[a-z]"), rude) is not None
        for word in re.findall(r"[a-z]+[*#]+[a-z*#]*", label)
        for rude in RUDE_WORDS
    )


def _is_walk(word: str) -> bool:
    """Whether each key of a word of four letters or more lies beside the one before it."""
    for row in _ROWS:
        if all(letter in row for letter in word):
            steps = [abs(row.index(a) - row.index(b)) for a, b in pairwise(word)]
            return max(steps) <= 1
    return False
