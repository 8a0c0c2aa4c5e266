"""From what a player typed to a label that can be counted and compared.

The rules follow Bianchi et al. 2024 (IJCAI), section 3.2: lower case, trimmed, and without the
name of the class that was guessed, since "church" on a picture of a church says nothing about
what the network looks at. Nothing here corrects spelling, translates, or judges what was typed.
"""

import re
import unicodedata
from functools import lru_cache

MAX_LABEL_CHARACTERS = 60
"""Longest label that is accepted, counted on the tidied label: see `tidy_label`."""

_INVISIBLE = {"Cc", "Cf", "Cs"}
# Persian and the scripts of India spell with these two joiners, although they are invisible.
_JOINERS = "\u200c\u200d"
# An emoji's presentation marks count as combining marks, yet no word ends in one.
_EMOJI_MARKS = "\ufe0e\ufe0f\u20e3"
_PLAIN = str.maketrans(
    dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
)

# To `\w`, no combining mark is of a word, but the vowels of many scripts are such marks.
_MARKS = "".join(c for c in map(chr, range(0x10000)) if unicodedata.category(c)[0] == "M")
LETTER = rf"(?:[^\W_][{_MARKS}]*(?:[{_JOINERS}](?=[^\W_]))?)"
"""A pattern for a letter or digit of any script, with its marks and the joiner to the next."""

_PLURAL_ENDINGS = (
    ("", "s"),
    ("", "es"),
    ("y", "ies"),
    ("f", "ves"),
    ("fe", "ves"),
    ("man", "men"),
)
_IRREGULAR_PLURALS = (
    ("child", "children"),
    ("foot", "feet"),
    ("goose", "geese"),
    ("louse", "lice"),
    ("mouse", "mice"),
    ("ox", "oxen"),
    ("person", "people"),
    ("tooth", "teeth"),
)

# "Of the church", "d'albero".
_LINK = r"(?:(?:of|on|in|from|at)\s+)?(?:(?:an?|the|this|that)\s+|d')?"
_WORD_START, _WORD_END = r"(?<![^\W_])", r"(?![^\W_])"
_GAP = r"[\s_-]*"

# Only before a vowel or an h: all's well, and Dell's is an English possessive.
_ELIDED = re.compile(rf"{_WORD_START}(?:l|un|(?:de|ne|a|da|su)ll)'(?=[aeiouhà-æè-ïò-öø-üœ])")


@lru_cache(maxsize=8192)  # the same words are typed and asked about again and again
def tidy_label(raw: str) -> str | None:
    """Bring a typed label into one form, as far as that is possible without its class.

    1. Unicode is normalised (NFKC), letters are lowered, curly apostrophes become straight, dashes
       hyphens: "ＷＨＥＥＬ" -> "wheel", "Driver’s Wheel" -> "driver's wheel".
    2. Runs of white space and underscores become one space, invisible characters go:
       "steering_wheel" and "steering \\t wheel" -> "steering wheel".
    3. Punctuation and symbols around it go, those inside stay:
       "WHEEL!!" -> "wheel", "rear-view mirror." -> "rear-view mirror", "wheel 🚗" -> "wheel".

    Returns None when nothing is left: "", "...", "___", "🤷". The length is not touched; whoever
    takes labels in refuses one whose tidied form is longer than MAX_LABEL_CHARACTERS.
    """
    # Before NFKC, which takes the acute accent that serves as one apart, and again after it, which
    # makes dashes and apostrophes of other characters.
    text = unicodedata.normalize("NFKC", raw.translate(_PLAIN)).translate(_PLAIN).lower()
    text = "".join(c for c in text if c.isspace() or not _is_invisible(c))
    text = unicodedata.normalize("NFKC", text)
    return _trim(" ".join(text.replace("_", " ").split())) or None


def clean_label(raw: str, *, class_name: str) -> str | None:
    """Tidy a typed label and take the name of the guessed class out of it.

    First the rules of `tidy_label` and `without_elided`, then, with `class_name` treated alike:

    4. The class's name goes wherever it stands as whole words, as singular or plural:
       "church roof" and "churches roof" -> "roof" for "church"; "carport" stays for "car".
    5. Blanks, hyphens and underscores between its words are alike, and may be missing:
       "electric-guitar neck" and "electricguitar neck" -> "neck" for "electric_guitar".
    6. Its possessive goes with it: "church's roof", "churches' roof" -> "roof".
    7. So do the article and the preposition that tied it to the rest:
       "roof of the church" -> "roof", "a church" -> nothing, and for "albero"
       "foglie d'albero" -> "foglie".

    Returns None when nothing is left. Only the whole name goes: for "sports car", "car tires"
    stays as it is.
    """
    label = without_elided(tidy_label(raw) or "")
    name = without_elided(tidy_label(class_name) or "")
    if not label or not name:
        return label or None
    pattern = rf"{_GAP}({_WORD_START}{_LINK}{_any_form(name)}(?:'s|')?{_WORD_END}){_GAP}"
    rest = re.sub(pattern, lambda found: found[0] if _cuts_a_word(found) else " ", label)
    return _trim(" ".join(rest.split())) or None


def without_elided(label: str) -> str:
    """A tidied label without the articles that Italian and French tie to the next word.

    "un'ala", "dell'ala", "l'ala" -> "ala", but "bird's wing" and "o'clock" stay. So does d', which
    is as often a part of a name ("hors d'oeuvre").
    """
    return _ELIDED.sub("", label)


def contains_word(label: str, word: str) -> bool:
    """Whether a tidied label is a word, or has it among its words, as singular or plural.

    "white sails" and "the sail's edge" contain "sail", "sailboat" does not. `word` is tidied too,
    and may be several words: "steering wheel" is found with a blank or a hyphen in it.
    """
    found = re.finditer(f"({_WORD_START}{_any_form(word)}{_WORD_END})", label)
    return not all(map(_cuts_a_word, found))


def _any_form(name: str) -> str:
    """A pattern for a tidied name as singular or plural, however its words are joined."""
    *first_words, last_word = (word for word in re.split(r"[\s-]+", name) if word)
    forms = sorted(singular_and_plural(last_word), key=len, reverse=True)
    last = "|".join(re.escape(form) for form in forms)
    return _GAP.join([*(re.escape(word) for word in first_words), f"(?:{last})"])


def _cuts_a_word(found: re.Match[str]) -> bool:
    """Whether a mark beside group 1 says that it is only a piece of a word.

    Asked here, because a pattern that lists all marks takes a millisecond to compile, and there is
    one for each word.
    """
    start, end = found.span(1)
    beside = found.string[max(start - 1, 0) : start] + found.string[end : end + 1]
    return any(
        c in _JOINERS or (unicodedata.category(c)[0] == "M" and c not in _EMOJI_MARKS)
        for c in beside
    )


def _is_invisible(character: str) -> bool:
    return character not in _JOINERS and unicodedata.category(character) in _INVISIBLE


def _trim(text: str) -> str:
    start, end = 0, len(text)
    while start < end and _is_trimmed(text[start]):
        start += 1
    while start < end and _is_trimmed(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_trimmed(character: str) -> bool:
    return unicodedata.category(character)[0] in "PSZC" or character in _EMOJI_MARKS


def singular_and_plural(noun: str) -> set[str]:
    """The noun with its likely plurals, and its likely singulars if it may itself be a plural.

    By rule, and not by lemma: a lemmatiser takes "lighter" for a form of "light", and a light is
    something that one may well see on a lighter. A form that is no word does no harm.
    """
    forms = {noun}
    for singular, plural in _PLURAL_ENDINGS:
        if noun.endswith(singular):
            forms.add(noun.removesuffix(singular) + plural)
        if noun.endswith(plural):
            forms.add(noun.removesuffix(plural) + singular)
    for singular, plural in _IRREGULAR_PLURALS:
        if noun in (singular, plural):
            forms |= {singular, plural}
    return forms
