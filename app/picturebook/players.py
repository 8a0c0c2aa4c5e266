"""Simulated players: they see what a player sees and type as people type.

docs/algorithms/players.md has the rules and the reasons for the numbers.
"""

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.picturebook.words import accepted, plural, regions_of, words_for
from app.picturebook.world import CLASSES, REGIONS
from app.rules import LAST_REVEAL_INDEX

NEAR_BLACK: Final = 24
"""A pixel none of whose channels is brighter (0..255) counts as dark: nobody makes anything out."""


# --- seeing


@dataclass(frozen=True, slots=True)
class Seen:
    """A region as far as it is visible. area: its share of the whole picture, 0..1. share_of_lit:
    its share of the area of all that is lit; share_of_light: of the light that comes from it.
    colour: what most would call it, "red" say."""

    region: str
    px: int
    area: float
    share_of_lit: float
    share_of_light: float
    colour: str


@dataclass(frozen=True, slots=True)
class Sight:
    """All that a player knows of a masked picture: its visible regions, the largest first."""

    lit_px: int
    regions: tuple[Seen, ...]


def see(picture: NDArray[np.uint8], region_map: NDArray[np.uint8]) -> Sight:
    """What is to be seen of a masked picture.

    picture: RGB [H, W, 3] as the player gets it. region_map: [H, W], the number of each pixel's
    name, i + 1 for REGIONS[i]. What the map says of a dark pixel is never looked at.
    """
    if picture.shape != (*region_map.shape, 3) or region_map.ndim != 2:
        raise ValueError(
            f"A picture [H, W, 3] and its region map [H, W] are needed, not "
            f"{list(picture.shape)} and {list(region_map.shape)}."
        )
    # One channel after the other: over an axis of three, max takes ten times as long.
    brightest = np.maximum(np.maximum(picture[..., 0], picture[..., 1]), picture[..., 2])
    lit = brightest > NEAR_BLACK
    pixels, numbers = picture[lit], region_map[lit]
    counts = np.bincount(numbers, minlength=len(REGIONS) + 1)
    # The soft edge of a reveal darkens a region's rim: the brighter a pixel, the more it tells.
    weight = brightest[lit].astype(np.float64)
    weights = np.bincount(numbers, weight, minlength=len(counts))
    channels = [
        np.bincount(numbers, weight * pixels[:, c], minlength=len(counts)) for c in range(3)
    ]
    light = np.bincount(numbers, _luminance(pixels), minlength=len(counts))
    regions = [
        Seen(
            region=REGIONS[n - 1],
            px=int(counts[n]),
            area=float(counts[n] / region_map.size),
            share_of_lit=float(counts[n] / len(numbers)),
            share_of_light=float(light[n] / light.sum()),
            colour=_colour_name(*(float(channel[n] / weights[n]) for channel in channels)),
        )
        for n in np.flatnonzero(counts)
        if n > 0
    ]
    return Sight(len(numbers), tuple(sorted(regions, key=lambda seen: (-seen.px, seen.region))))


# How much light a screen gives for a channel's value 0..255, 1 at most (IEC 61966-2-1, sRGB).
_VALUES: Final = np.arange(256) / 255
_LIGHT: Final = np.where(_VALUES <= 0.04045, _VALUES / 12.92, ((_VALUES + 0.055) / 1.055) ** 2.4)


def _luminance(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How much light the eye gets from each pixel, RGB [n, 3], 0..1 (ITU-R BT.709)."""
    shares = (0.2126, 0.7152, 0.0722)
    luminance: NDArray[np.float64] = sum(
        (share * _LIGHT[pixels[:, c]] for c, share in enumerate(shares)), np.zeros(len(pixels))
    )
    return luminance


# The hue in turns (0..1) up to which a colour has its name; beyond the last it is red again.
_HUES: Final = (
    (0.04, "red"),
    (0.115, "orange"),
    (0.19, "yellow"),
    (0.46, "green"),
    (0.7, "blue"),
    (0.82, "purple"),
    (0.94, "pink"),
)


def _colour_name(red: float, green: float, blue: float) -> str:
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    if saturation < 0.18 or value < 0.2:
        return "white" if value > 0.75 else "grey" if value > 0.25 else "dark"
    name = next((name for end, name in _HUES if hue <= end), "red")
    return "brown" if name in ("orange", "yellow") and value < 0.62 else name


# --- who plays


@dataclass(frozen=True, slots=True)
class PlayerTraits:
    """What kind of player this is; all but `italian` in 0..1.

    skill: how well they make out what is there. honesty: how often they try at all. typo_rate,
    vagueness: how often a label is misspelt, or a word that fits anything. laziness: how often they
    type one label or none. patience: how sure they want to be before they guess. italian: types
    Italian, nearly always.
    """

    skill: float
    honesty: float = 1.0
    typo_rate: float = 0.0
    laziness: float = 0.0
    vagueness: float = 0.0
    patience: float = 0.5
    italian: bool = False


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of player: its share of the crowd, and from where to where its traits go."""

    share: float
    skill: tuple[float, float]
    typo_rate: tuple[float, float]
    laziness: tuple[float, float]
    vagueness: tuple[float, float]
    patience: tuple[float, float]
    honesty: tuple[float, float] = (0.98, 1.0)


CROWD: Final[Mapping[str, _Kind]] = {
    "skilled": _Kind(0.30, (0.8, 1.0), (0.0, 0.05), (0.0, 0.08), (0.0, 0.05), (0.5, 1.0)),
    "average": _Kind(0.36, (0.45, 0.8), (0.02, 0.1), (0.05, 0.25), (0.05, 0.2), (0.3, 0.8)),
    "careless": _Kind(
        0.12, (0.2, 0.5), (0.15, 0.35), (0.1, 0.4), (0.1, 0.3), (0.0, 0.25), (0.9, 1.0)
    ),
    "lazy": _Kind(0.09, (0.4, 0.8), (0.02, 0.1), (0.7, 0.95), (0.1, 0.3), (0.1, 0.5)),
    "vague": _Kind(0.08, (0.3, 0.7), (0.02, 0.1), (0.1, 0.3), (0.6, 0.9), (0.2, 0.7)),
    "spiteful": _Kind(0.05, (0.3, 0.8), (0.0, 0.1), (0.2, 0.5), (0.1, 0.3), (0.0, 0.3), (0.0, 0.2)),
}
_ITALIAN_SHARE: Final = 0.15


def draw_traits(rng: np.random.Generator) -> PlayerTraits:
    """One player of a mixed crowd."""
    return draw_traits_of(list(CROWD), rng)


def draw_traits_of(names: Sequence[str], rng: np.random.Generator) -> PlayerTraits:
    """One player of these kinds of a mixed crowd, each as frequent among them as there."""
    kinds = [CROWD[name] for name in names]
    shares = np.array([kind.share for kind in kinds])
    kind = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
    return PlayerTraits(
        skill=float(rng.uniform(*kind.skill)),
        honesty=float(rng.uniform(*kind.honesty)),
        typo_rate=float(rng.uniform(*kind.typo_rate)),
        laziness=float(rng.uniform(*kind.laziness)),
        vagueness=float(rng.uniform(*kind.vagueness)),
        patience=float(rng.uniform(*kind.patience)),
        italian=bool(rng.random() < _ITALIAN_SHARE),
    )


# --- deciding


@dataclass(frozen=True, slots=True)
class Reveal:
    """Ask to see more."""


@dataclass(frozen=True, slots=True)
class Guess:
    """Choose a class and type labels, none to three."""

    class_name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resign:
    """Give the round up. nothing_nameable: for nothing could be made out in it."""

    nothing_nameable: bool = False


Decision = Reveal | Guess | Resign

# Shares of the whole picture. At 512 px the first is 31 px, the side of 6.
_SLIVER_AREA: Final = 0.00012
_SLIVER_SHARE_OF_LIGHT: Final = 0.03
# The area at which 63 % of what is ever recognised is: 28 px squared for skill 0, 12 for skill 1.
_KNOWN_AREA: Final = (0.0030, 0.0006)
_MOST_RECOGNISED: Final = (0.55, 0.98)
_TOLD_APART_AREA: Final = 0.006
_MOST_TOLD_APART: Final = 0.9
_MISTAKEN_SHARE: Final = 0.35
# How likely a class is thought to show a part that it does not have: one may be mistaken.
_STRANGE_PART: Final = 0.02
_STRANGE_LOOK: Final = 0.005
# Whoever has made out nothing but sky or grass at the end names it as often as they give up.
_GIVES_UP_ON_SURROUNDINGS: Final = 0.5
# A label is for something that takes, or took at an earlier look, a fair part of the light.
_WORTH_A_LABEL: Final = 0.08

_LOOK_ALIKES: Final[Mapping[str, tuple[str, ...]]] = {
    "sail": ("wing", "kite", "petal", "tail"),
    "hull": ("body", "boiler", "roof"),
    "mast": ("stem", "fence", "leg"),
    "flag": ("kite", "sail", "fin"),
    "window": ("door", "headlight", "eye"),
    "roof": ("hull", "nose", "wall"),
    "wall": ("tower", "street", "fence"),
    "door": ("window", "wall"),
    "chimney": ("mast", "tower", "stem"),
    "body": ("boiler", "hull", "head", "rock"),
    "wheel": ("balloon", "window", "center"),
    "headlight": ("eye", "sun", "window"),
    "bumper": ("mouth", "fence", "hull"),
    "boiler": ("body", "tower", "hull"),
    "cab": ("wall", "body", "tower"),
    "tail": ("fin", "leaf", "wing"),
    "fin": ("tail", "wing", "sail"),
    "eye": ("wheel", "headlight", "window"),
    "mouth": ("beak", "bumper", "eye"),
    "wing": ("leaf", "sail", "fin"),
    "beak": ("nose", "ear", "flag"),
    "leg": ("stem", "mast", "paw"),
    "head": ("body", "rock", "balloon"),
    "ear": ("beak", "roof", "fin"),
    "whiskers": ("grass", "stem", "fence"),
    "paw": ("rock", "leg", "hull"),
    "petal": ("wing", "flame", "leaf"),
    "center": ("eye", "sun", "wheel"),
    "stem": ("mast", "leg", "grass"),
    "leaf": ("wing", "fin", "bush"),
    "nose": ("roof", "beak", "ear"),
    "flame": ("petal", "sun", "tail"),
    "tower": ("wall", "body", "chimney"),
    "water": ("sky", "sand", "snow"),
    "mark": ("wheel", "eye", "blossom"),
    "sky": ("water", "snow", "wall"),
    "cloud": ("snow", "wing", "petal"),
    "sun": ("moon", "balloon", "headlight"),
    "moon": ("sun", "eye", "headlight"),
    "star": ("blossom", "eye"),
    "hill": ("grass", "mountain", "bush"),
    "mountain": ("hill", "roof", "rock"),
    "grass": ("hill", "bush", "leaf"),
    "tree": ("bush", "leaf", "tower"),
    "bush": ("tree", "grass", "leaf"),
    "blossom": ("petal", "star", "center"),
    "fence": ("mast", "leg", "wall"),
    "rock": ("body", "wall", "hill"),
    "sand": ("street", "wall", "hill"),
    "snow": ("cloud", "sand", "wall"),
    "street": ("sand", "wall", "rock"),
    "balloon": ("wheel", "sun", "head"),
    "kite": ("flag", "sail", "wing"),
}


@dataclass(frozen=True, slots=True)
class _Impression:
    """What a player takes a visible region for. told_apart: they know of which class it is.
    prominence: the largest share of the light, 0..1, that it has had at any look so far."""

    seen: Seen
    region: str
    told_apart: bool
    prominence: float


@dataclass(frozen=True, slots=True)
class SimulatedPlayer:
    """A player of these traits. What was prominent at an earlier look of the round is remembered;
    else each look is judged by itself."""

    traits: PlayerTraits

    def decide(
        self,
        looks: Sequence[Sight],
        choices: Sequence[str],
        rng: np.random.Generator,
        *,
        class_name: str,
    ) -> Decision:
        """What the player does. The same numbers from `rng` give the same decision.

        looks: what there was to see at each reveal index up to the present one, which is last.
        choices: the classes to choose from. class_name: how the parts look, since a car's body does
        not look like a bird's. It matters only through regions that are visible and recognised:
        whoever sees nothing gets nothing from it.
        """
        if rng.random() >= self.traits.honesty:
            return _spite(choices, rng)
        reveal_index = len(looks) - 1
        impressions = self._impressions(looks, class_name, rng)
        is_last = reveal_index >= LAST_REVEAL_INDEX
        if not impressions:
            return Resign(nothing_nameable=True) if is_last else Reveal()
        only_surroundings = not any(_classes_with(found.region) for found in impressions)
        if is_last and only_surroundings and rng.random() < _GIVES_UP_ON_SURROUNDINGS:
            return Resign()
        beliefs = _beliefs(impressions, choices, class_name)
        best = max(beliefs)
        # The first look should convince; the more has been seen, the less there is to wait for.
        needed = (0.55 + 0.4 * self.traits.patience) * (1 - 0.1 * reveal_index)
        if best < needed and not is_last:
            return Reveal()
        guessed = choices[
            int(rng.choice([i for i, belief in enumerate(beliefs) if belief > best - 1e-9]))
        ]
        return Guess(guessed, self._labels(impressions, guessed, class_name, rng))

    # --- what it makes out

    def _impressions(
        self, looks: Sequence[Sight], class_name: str, rng: np.random.Generator
    ) -> list[_Impression]:
        """What is made out at the last look, the most prominent first."""
        prominence: dict[str, float] = {}
        for sight in looks:
            for seen in sight.regions:
                prominence[seen.region] = max(prominence.get(seen.region, 0), seen.share_of_light)
        found = [
            self._impression(seen, prominence[seen.region], class_name, rng)
            for seen in looks[-1].regions
            if seen.area >= _SLIVER_AREA and prominence[seen.region] >= _SLIVER_SHARE_OF_LIGHT
        ]
        made_out = [impression for impression in found if impression is not None]
        return sorted(made_out, key=lambda impression: -impression.prominence)

    def _impression(
        self, seen: Seen, prominence: float, class_name: str, rng: np.random.Generator
    ) -> _Impression | None:
        skill = self.traits.skill
        visible = 1 - exp(-seen.area / _between(_KNOWN_AREA, skill))
        if rng.random() < _between(_MOST_RECOGNISED, skill) * visible:
            look = 1 - exp(-seen.area / _TOLD_APART_AREA)
            told_apart = rng.random() < _MOST_TOLD_APART * skill * look
            is_part = seen.region in CLASSES[class_name]
            return _Impression(seen, seen.region, bool(told_apart and is_part), prominence)
        if rng.random() < _MISTAKEN_SHARE:
            alike = str(rng.choice(_LOOK_ALIKES[seen.region]))
            return _Impression(seen, alike, told_apart=False, prominence=prominence)
        return None

    # --- what it types

    def _labels(
        self,
        impressions: Sequence[_Impression],
        guessed: str,
        class_name: str,
        rng: np.random.Generator,
    ) -> tuple[str, ...]:
        if rng.random() < self.traits.laziness:
            n_labels = int(rng.integers(0, 2))
        else:
            n_labels = int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))
        first, *others = impressions
        worth = [first, *(i for i in others if i.prominence >= _WORTH_A_LABEL)]
        labels = [
            self._label(impression, _speaks_of(impression, guessed, class_name, rng), rng)
            for impression in worth[:n_labels]
        ]
        return tuple(dict.fromkeys(labels))

    def _label(self, impression: _Impression, of_class: str, rng: np.random.Generator) -> str:
        words = words_for(of_class, impression.region)
        if rng.random() < self.traits.vagueness:
            label = str(rng.choice(words.vague))
        elif self.traits.italian and rng.random() < 0.9:
            label = str(rng.choice(words.italian))
        else:
            label = words.name if rng.random() < 0.6 else str(rng.choice(words.synonyms))
            label = _adorned(label, impression.seen.colour, rng)
        if rng.random() < self.traits.typo_rate:
            label = misspell(label, rng)
        # As a phone's keyboard begins a line.
        return label.capitalize() if rng.random() < 0.1 else label


def _between(ends: tuple[float, float], at: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * at


def _beliefs(
    impressions: Sequence[_Impression], choices: Sequence[str], class_name: str
) -> list[float]:
    """How likely each choice is thought to be, 0..1, together 1: each part seen speaks for the
    classes that have it, and one told apart for its own alone. What is around tells nothing."""
    logs = [0.0] * len(choices)
    for impression in impressions:
        if not _classes_with(impression.region):
            continue
        for i, choice in enumerate(choices):
            if impression.told_apart:
                logs[i] += 0.0 if choice == class_name else log(_STRANGE_LOOK)
            elif impression.region not in CLASSES.get(choice, ()):
                logs[i] += log(_STRANGE_PART)
    weights = [exp(value - max(logs)) for value in logs]
    return [weight / sum(weights) for weight in weights]


def _speaks_of(
    impression: _Impression, guessed: str, class_name: str, rng: np.random.Generator
) -> str:
    """The class in whose words the player speaks of a part: that by which they told it apart, else
    the one they guess, else one that has such a part."""
    owners = _classes_with(impression.region)
    if impression.told_apart:
        return class_name
    if not owners:
        # What is around is called the same whatever the class.
        return next(iter(CLASSES))
    return guessed if guessed in owners else str(rng.choice(owners))


def _classes_with(region: str) -> list[str]:
    return [name for name, parts in CLASSES.items() if region in parts]


_SIZES: Final = ("big", "small", "long", "round", "bright", "old")


def _adorned(word: str, colour: str, rng: np.random.Generator) -> str:
    """In the plural, with an adjective, with an article: each now and then."""
    if rng.random() < 0.12:
        word = plural(word)
    if rng.random() < 0.15:
        adjective = colour if rng.random() < 0.6 else str(rng.choice(_SIZES))
        word = f"{adjective} {word}"
    if rng.random() < 0.08:
        word = f"the {word}"
    return word


# --- typing

_KEY_ROWS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_MIN_MISSPELT: Final = 4


def misspell(label: str, rng: np.random.Generator) -> str:
    """The label with one slip in one of its longer words: a neighbouring key, two letters swapped,
    one left out or doubled. The first letter stays; a label of short words stays as it is."""
    words = label.split(" ")
    long_words = [i for i, word in enumerate(words) if len(word) >= _MIN_MISSPELT]
    if not long_words:
        return label
    at = int(rng.choice(long_words))
    word = words[at]
    i = int(rng.integers(1, len(word)))
    slip = str(rng.choice(["neighbour", "swap", "drop", "double"]))
    if slip == "neighbour":
        word = word[:i] + str(rng.choice(_neighbours(word[i]))) + word[i + 1 :]
    elif slip == "swap":
        i = min(i, len(word) - 2)
        word = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    elif slip == "drop":
        word = word[:i] + word[i + 1 :]
    else:
        word = word[:i] + word[i] + word[i:]
    return " ".join([*words[:at], word, *words[at + 1 :]])


@cache
def _neighbours(letter: str) -> tuple[str, ...]:
    """The keys beside a letter's; for another sign, the sign itself."""
    for row in _KEY_ROWS:
        i = row.find(letter)
        if i >= 0:
            return tuple(row[j] for j in (i - 1, i + 1) if 0 <= j < len(row))
    return (letter,)


# --- spite

_NONSENSE: Final = (
    *("lol", "idk", "whatever", "nothing", "hello", "test", "blah blah", "no idea", "xd", "dunno"),
    *("who cares", "boring", "next", "aaaa", "123", "yes", "boh", "niente"),
)
_UNRELATED: Final = (
    *("banana", "pizza", "guitar", "football", "computer", "coffee", "monday", "money"),
    *("elephant", "umbrella", "grandma", "taxes", "school", "spaghetti", "trousers", "piano"),
)


def _spite(choices: Sequence[str], rng: np.random.Generator) -> Decision:
    """Any answer, with words that name nothing that there is."""
    if rng.random() < 0.15:
        return Resign()
    kind = str(rng.choice(["mash", "nonsense", "unrelated"]))
    n_labels = int(rng.integers(1, 4))
    if kind == "mash":
        labels = [_mash(rng) for _ in range(n_labels)]
    else:
        source = _NONSENSE if kind == "nonsense" else _UNRELATED
        labels = [str(rng.choice(source)) for _ in range(n_labels)]
    return Guess(str(rng.choice(list(choices))), tuple(dict.fromkeys(labels)))


def _mash(rng: np.random.Generator) -> str:
    while True:
        keys = "".join(rng.choice(list(_KEY_ROWS[1]), size=int(rng.integers(4, 10))))
        # A hand on the middle row may type "flag".
        if keys not in _every_accepted_word():
            return keys


@cache
def _every_accepted_word() -> frozenset[str]:
    return frozenset().union(
        *(accepted(name, region) for name in CLASSES for region in regions_of(name))
    )
