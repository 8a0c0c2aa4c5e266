"""Is a concept part of the class, or of what is only around it?

A network that tells a husky by the snow is right for the wrong reason. Whoever looks for that needs
to know which concepts are no part of the class; docs/algorithms/bias.md has the rule, and the
figures by which it was chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.concepts.grouping import Embedder, embed_texts

SURROUNDINGS: Final = (
    *("sky", "cloud", "sun", "moon", "night", "fog", "rain", "snow", "ice"),
    *(
        "water",
        "sea",
        "ocean",
        "lake",
        "wave",
        "river",
        "beach",
        "sand",
        "ground",
        "soil",
        "grass",
        "field",
    ),
    *("meadow", "hill", "mountain", "forest", "road", "pavement", "floor", "carpet"),
    *("background", "horizon", "shadow", "reflection"),
    *("text", "letter", "number", "logo", "sticker", "badge", "stamp", "mark", "watermark"),
    *("frame", "border", "corner"),
)
"""What is around things in pictures, and what cameras, owners and web sites leave on them. No words
for people, hair or buildings, which are the parts of too many classes."""

MIN_LIKENESS: Final = 0.6
"""From this cosine similarity on a concept means the same as a surrounding: "gravel" and "pavement"
have 0.64, but "head" and "hair" 0.59."""


# The same word embedded twice may differ by some 1e-7.
_TOLERANCE: Final = 1e-5


@dataclass(frozen=True, slots=True)
class Belonging:
    """How near a concept is to its class and to what surrounds things; cosines, -1..1.

    own: the nearest word of the class's own vocabulary. surrounding: the nearest of SURROUNDINGS.
    """

    own: str
    own_similarity: float
    surrounding: str
    surrounding_similarity: float

    @property
    def is_foreign(self) -> bool:
        """Whether the concept names a surrounding, and that more than the class."""
        return (
            self.surrounding_similarity >= MIN_LIKENESS
            and self.surrounding_similarity > self.own_similarity + _TOLERANCE
        )


def find_belonging(
    concepts: Sequence[str], own: Sequence[str], *, embed: Embedder
) -> list[Belonging]:
    """Where each concept belongs, in the order given.

    own: the class's own vocabulary: its name, and concepts known to be parts of it. At least one.
    A small similarity to the class alone means nothing: Sentence-BERT gives a sailboat's flag less
    (0.19) than the water under it (0.43), so a concept is held against what it could be instead.
    """
    if not concepts:
        return []
    rows = embed_texts([*concepts, *own, *SURROUNDINGS], embed)
    n = len(concepts)
    to_own = rows[:n] @ rows[n : n + len(own)].T
    to_surroundings = rows[:n] @ rows[n + len(own) :].T
    found = []
    for near, far in zip(to_own, to_surroundings, strict=True):
        i, j = int(near.argmax()), int(far.argmax())
        found.append(Belonging(own[i], float(near[i]), SURROUNDINGS[j], float(far[j])))
    return found
