"""What there is in the picture book: classes, their parts, cues, and what else is around."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CLASSES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sailboat": ("sail", "hull", "mast", "flag", "window"),
        "house": ("roof", "wall", "door", "window", "chimney"),
        "car": ("body", "wheel", "window", "headlight", "bumper"),
        "train": ("boiler", "cab", "wheel", "window", "chimney", "headlight"),
        "fish": ("body", "tail", "fin", "eye", "mouth"),
        "bird": ("body", "wing", "tail", "beak", "eye", "leg"),
        "cat": ("head", "body", "ear", "eye", "tail", "whiskers", "paw"),
        "flower": ("petal", "center", "stem", "leaf"),
        "rocket": ("nose", "body", "window", "fin", "flame"),
        "windmill": ("sail", "tower", "roof", "door", "window"),
    }
)
"""The parts by which a class is known. Several classes share a part, as in life."""

CUES: Final = ("water", "mark")
"""What a biased set ties to a class that it is no part of: rough blue water under everything, and a
small round stamp in the lower right corner."""

GROUNDS: Final = ("meadow", "sand", "snow", "street", "hills", "night", "water")
"""Where a scene can take place. On `water` the lower part of the picture is the cue "water"."""

SURROUNDINGS: Final = (
    *("sky", "cloud", "sun", "moon", "star", "hill", "mountain", "grass", "tree", "bush"),
    *("blossom", "fence", "rock", "sand", "snow", "street", "balloon", "kite"),
)
"""What belongs to no class."""

REGIONS: Final = tuple(
    dict.fromkeys([*(part for parts in CLASSES.values() for part in parts), *CUES, *SURROUNDINGS])
)
"""Every name that a pixel can have; number i + 1 in a region map, where 0 is a pixel without name.
"""
