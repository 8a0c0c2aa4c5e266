"""What a label names, without what players wrap around it: fillers, articles, positions."""

import re
from collections.abc import Sequence
from typing import Final

from app.concepts.cleaning import LETTER, singular_and_plural

WORD: Final = re.compile(rf"{LETTER}+(?:'{LETTER}+)*")

_FILLER = re.compile(
    r"(?:(?:i (?:think|guess|see|believe|suppose|would say)(?: that)?"
    r"|maybe|perhaps|probably|possibly|obviously|clearly|definitely|basically|only|also|and|or"
    r"|(?:it |this |that )?(?:looks?|seems?|appears?)(?: a bit| kind of)?(?: like| to be)?"
    r"|(?:it |this |that )?(?:could|might|may|must|can|should) be"
    r"|(?:it|this|that|there) ?(?:is|'s)|its"
    r"|(?:something|somewhat|anything)(?: that looks)? (?:like|similar to)|something"
    r"|(?:some |a |the )?(?:kinds?|sorts?|types?) of|kinda|sorta|like|just|a (?:bit|piece) of"
    r"|credo(?: che sia)?|forse|sembra(?:no)?|penso|direi|(?:una specie|un tipo|una sorta) di"
    r"|qualcosa (?:come|tipo)|creo(?: que es)?|parecen?|tal vez|quizás?"
    r"|(?:una especie|un tipo) de|algo como)\s+)+"
)
_ARTICLE = re.compile(
    r"(?:(?:an?|the|some|this|that|these|those|its|his|her|their|my|your|one|two|three|four"
    r"|both|many|several|lots of|a lot of|a pair of|a few|few|multiple|all)\s+)+"
)
_AT_START = re.compile(
    r"(?:(?:top|bottom|upper|lower|left|right|middle|far|leftmost|rightmost)(?:[ -]hand)?\s+)+"
)
_AT_END = re.compile(
    r"\s+(?:(?:on|in|at|near|above|below|under|behind|beside|over|around|between|next to|towards?"
    r"|pointing|facing|close to|to the|from the|by the)\b.*"
    r"|(?:(?:top|bottom|upper|lower|far|middle|up|down|on|in|the)\s+)*"
    r"(?:left|right|here|there)(?:\s+(?:side|corner|hand side|part))?"
    r"|(?:top|bottom|upper|lower|up|down)\s+(?:center|centre|middle|corner))$"
)
_POSSESSIVE = re.compile(r"(?<=[^\W_])'s?(?=\s)")
_OF = re.compile(r"\b(?:of|from|di|del|della|de)\b")
_TIE_WORDS = "a an the its it is of on in at to and or with that this for by very"
_TIES = frozenset(_TIE_WORDS.split())


def bare_phrase(label: str) -> str:
    """A tidied label without the fillers, articles and positions around it.

    "maybe a steering wheel" -> "steering wheel", "bottom right wheel" -> "wheel", "fur on its
    back" -> "fur". At least a word is left: "left" stays "left".
    """
    text = label
    before = None
    while text != before:
        before = text
        for pattern in (_FILLER, _ARTICLE, _AT_START):
            match = pattern.match(text)
            if match and match.end() < len(text):
                text = text[match.end() :]
        if (match := _AT_END.search(text)) and match.start() > 0:
            text = text[: match.start()]
    return text


def content_words(phrase: str, class_words: Sequence[str]) -> list[str]:
    """The words of a phrase that name something, hyphens parted; what it is about comes last.

    A word of the class's name goes where another follows: "car tires" -> tires for "sports car".
    So does "of": "centre of the flower" -> flower, centre.
    """
    parts = [
        [word for word in WORD.findall(part) if word not in _TIES]
        for part in _OF.split(_POSSESSIVE.sub("", phrase))
    ]
    if len(parts) == 2:
        parts.reverse()
    words = [word for part in parts for word in part]
    own = {form for word in class_words for form in singular_and_plural(word)}
    return [word for word in words[:-1] if word not in own] + words[-1:]
