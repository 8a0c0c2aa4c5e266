"""Which language a label is in, and how common a word is, told from lists that wordfreq carries.

Only the languages of LANGUAGES are told apart. A word that is as usual in English as elsewhere
counts as English: players of an English game that type "motor" mean the English word.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from wordfreq import get_frequency_dict, zipf_frequency

ENGLISH: Final = "en"
LANGUAGES: Final = (ENGLISH, "it", "es")

MIN_FOREIGN_LEAD: Final = 0.5
"""So much more common, in Zipf units per word, a label's words are elsewhere than in English."""

KNOWN: Final = 2.5
"""Zipf frequency (powers of ten per billion words) from which a word counts as one: "belfry"."""

_ITALIAN_ARTICLES = "il lo la i gli le un uno una l del della dei delle di da"
_SPANISH_ARTICLES = "el la los las un una unos unas del de"
_ARTICLES: Final = {
    "it": frozenset(_ITALIAN_ARTICLES.split()),
    "es": frozenset(_SPANISH_ARTICLES.split()),
}


def frequency(word: str, language: str) -> float:
    """How common a word is: powers of ten per billion words, about 7 for "the", 0 if unknown."""
    return zipf_frequency(word, language, wordlist="large")


def best_frequency(word: str) -> float:
    """How common a word is in that of our languages where it is most common."""
    return max(frequency(word, language) for language in LANGUAGES)


def language_of(words: Sequence[str]) -> str:
    """The language of a label's words, one of LANGUAGES; English where the words do not tell."""
    if not words:
        return ENGLISH
    common = {
        language: sum(frequency(word, language) for word in words) / len(words)
        for language in LANGUAGES
    }
    best = max(LANGUAGES, key=lambda language: common[language])
    return best if common[best] >= common[ENGLISH] + MIN_FOREIGN_LEAD else ENGLISH


def without_articles(words: Sequence[str], language: str) -> list[str]:
    """The words without a foreign language's articles; all of them if nothing else is there."""
    articles = _ARTICLES.get(language, frozenset())
    return [word for word in words if word not in articles] or list(words)


@lru_cache(maxsize=1)
def usual_pairs() -> frozenset[str]:
    """Pairs of letters that stand side by side in the common words of our languages."""
    words = {word for one in LANGUAGES for word in get_frequency_dict(one, "small")}
    return frozenset(
        word[i : i + 2] for word in words if word.isalpha() for i in range(len(word) - 1)
    )
