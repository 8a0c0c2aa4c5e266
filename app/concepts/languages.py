"""Which language a label is in, and how common a word is, told from lists that wordfreq carries.

Only the languages of LANGUAGES are told apart. A word that is as usual in English as elsewhere
counts as English: players of an English game that type "motor" mean the English word.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from math import log
from typing import Final

ENGLISH: Final = "en"
LANGUAGES: Final = (ENGLISH, "it", "es")

MIN_FOREIGN_LEAD: Final = 0.5
"""So much more common, in Zipf units per word, a label's words are elsewhere than in English."""

_NEIGHBOURS: Final = ("de", "fr", "nl", "pt")
"""Languages that are not told apart, but whose common words players type, too."""

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
    return _zipf(word, language, "large")


def _zipf(word: str, language: str, wordlist: str) -> float:
    # Here, as below: what it loads takes a tenth of the time in which the command line starts.
    from wordfreq import zipf_frequency

    return zipf_frequency(word, language, wordlist=wordlist)


def best_frequency(word: str) -> float:
    """How common a word is in that of our languages where it is most common."""
    return max(frequency(word, language) for language in LANGUAGES)


def is_known_elsewhere(word: str) -> bool:
    """Whether a word is a common one of a language that is none of ours, but beside them."""
    return any(_zipf(word, one, "small") for one in _NEIGHBOURS)


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
def common_words() -> list[str]:
    """The common words of our languages that are written in unaccented letters, sorted."""
    from wordfreq import get_frequency_dict

    words = {word for one in LANGUAGES for word in get_frequency_dict(one, "small")}
    return sorted(word for word in words if word.isalpha() and word.isascii())


@cache
def words_of_length(n: int) -> list[str]:
    """Those of `common_words` that have so many letters."""
    return [word for word in common_words() if len(word) == n]


def likeness_to_words(word: str) -> float:
    """How much a word of unaccented letters looks like the common words of our languages.

    The mean, over its letters and its end, of the natural logarithm of each one's probability after
    the two before it. Nearly all words, misspelt ones as well, have over -4; keys hit at random
    about -6.

    Probabilities are shares among the common words, each word once, mixed with those after one
    letter as if there were _PRIOR more words that follow these.
    """
    runs = _letter_runs()
    text = f"{_START}{word}{_END}"
    logs = []
    for i in range(2, len(text)):
        before, letter = text[i - 2 : i], text[i]
        after_one = (runs[1][text[i - 1 : i + 1]] + 0.5) / (runs[0][text[i - 1]] + 0.5 * _N_SIGNS)
        shared = runs[2][before + letter] + _PRIOR * after_one
        logs.append(log(shared / (runs[3][before] + _PRIOR)))
    return sum(logs) / len(logs)


_START: Final = "^^"
_END: Final = "$"
_N_SIGNS: Final = 27  # letters, and the end
_PRIOR: Final = 5.0


@lru_cache(maxsize=1)
def _letter_runs() -> tuple[Counter[str], Counter[str], Counter[str], Counter[str]]:
    """In common words: letters that something follows; pairs; runs of three; pairs that something
    follows."""
    ones, pairs, threes, starts = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for word in common_words():
        text = f"{_START}{word}{_END}"
        for i in range(2, len(text)):
            ones[text[i - 1]] += 1
            pairs[text[i - 1 : i + 1]] += 1
            threes[text[i - 2 : i + 1]] += 1
            starts[text[i - 2 : i]] += 1
    return ones, pairs, threes, starts
