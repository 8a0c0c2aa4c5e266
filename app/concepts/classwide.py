"""What a network looks at for a whole class: the concepts of all its pictures, layer by layer.

Bianchi et al. 2024 (IJCAI), section 3.4. docs/algorithms/global.md has the formulas with an example
worked by hand. Here are numbers only; whoever calls knows the pictures behind them.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, sqrt
from typing import Final, Generic, Literal

from app.concepts.merging import merge_scores
from app.concepts.scoring import Concept

CONFIDENCE: Final = 0.95
_SAME: Final = 1e-9

Trend = Literal["rising", "fading", "unclear"]


@dataclass(frozen=True, slots=True)
class PlayedMap(Generic[Concept]):
    """A cluster map that players have finished rounds on.

    layer: its number, from 1 at the input side. weight: W, percent of its layer. scores: those of
    its concepts, above 0; none where nobody found words.
    """

    picture: Hashable
    layer: int
    weight: float
    scores: Mapping[Concept, float]


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of one number per picture, with the ends of its 95 % confidence interval, which
    are None where mean_with_interval gives none."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class LayerPoint:
    """A concept in one layer. score: the mean over the layer's n_pictures played pictures. share:
    of their evidence, percent. n_given: the pictures in which it was given at all."""

    layer: int
    score: float
    share: float
    n_pictures: int
    n_given: int


@dataclass(frozen=True, slots=True)
class Course(Generic[Concept]):
    """A concept's way through the layers, those that were played.

    share: of the evidence, the mean over these layers, percent. slope: of the score per layer,
    None where no picture was played in two layers.
    """

    concept: Concept
    points: tuple[LayerPoint, ...]
    share: float
    slope: Mean | None

    @property
    def trend(self) -> Trend:
        """Rising or fading only where the whole interval of the slope says so."""
        if self.slope is not None and self.slope.low is not None and self.slope.low > 0:
            return "rising"
        if self.slope is not None and self.slope.high is not None and self.slope.high < 0:
            return "fading"
        return "unclear"


@dataclass(frozen=True, slots=True)
class ClassSummary(Generic[Concept]):
    """courses: by falling share, equal ones by the concept's text. nameless: by layer, the share
    of the evidence that nobody put into words, percent."""

    courses: tuple[Course[Concept], ...]
    nameless: Mapping[int, float]


def summarise_class(maps: Iterable[PlayedMap[Concept]]) -> ClassSummary[Concept]:
    """Aggregate the played maps of a class's pictures.

    In each layer of each picture the maps are joined as in a full merge, so a concept's score there
    is the W-weighted mean of its scores. A map's weight is dealt out to its concepts by their
    scores; a concept's share is what it got, of the weight of the layer's played maps. Over
    pictures both are means, in which a picture that was played in the layer but lacks the concept
    counts 0. A picture's slope is that of the least-squares line through its own scores.
    """
    of_layer: dict[int, dict[Hashable, list[PlayedMap[Concept]]]] = defaultdict(dict)
    for one in maps:
        of_layer[one.layer].setdefault(one.picture, []).append(one)
    layers = sorted(of_layer)
    scores = {
        (layer, picture): dict(merge_scores([(m.weight, m.scores) for m in found]))
        for layer in layers
        for picture, found in of_layer[layer].items()
    }
    shares = {
        (layer, picture): evidence_shares(found)
        for layer in layers
        for picture, found in of_layer[layer].items()
    }
    concepts = {concept for found in scores.values() for concept in found}
    courses = []
    for concept in concepts:
        points = []
        courses_by_picture: dict[Hashable, list[tuple[int, float]]] = defaultdict(list)
        for layer in layers:
            pictures = list(of_layer[layer])
            of_pictures = [scores[layer, picture].get(concept, 0.0) for picture in pictures]
            for picture, score in zip(pictures, of_pictures, strict=True):
                courses_by_picture[picture].append((layer, score))
            points.append(
                LayerPoint(
                    layer=layer,
                    score=fsum(of_pictures) / len(pictures),
                    share=fsum(shares[layer, p].get(concept, 0.0) for p in pictures)
                    / len(pictures),
                    n_pictures=len(pictures),
                    n_given=sum(concept in scores[layer, picture] for picture in pictures),
                )
            )
        slopes = [slope(course) for course in courses_by_picture.values() if len(course) > 1]
        courses.append(
            Course(
                concept=concept,
                points=tuple(points),
                share=fsum(point.share for point in points) / len(points),
                slope=mean_with_interval(slopes) if slopes else None,
            )
        )
    named = {layer: fsum(c.points[i].share for c in courses) for i, layer in enumerate(layers)}
    return ClassSummary(
        courses=tuple(sorted(courses, key=lambda c: (-c.share, str(c.concept)))),
        nameless={layer: max(100.0 - share, 0.0) for layer, share in named.items()},
    )


def evidence_shares(maps: Sequence[PlayedMap[Concept]]) -> dict[Concept, float]:
    """How the weight of one layer's maps divides among concepts, percent of all their weight.

    Each map's weight is dealt out in proportion to its scores; a map without concepts keeps its
    own, so the shares sum to 100 only where every map has words. maps: at least one, of a positive
    weight together.
    """
    dealt: dict[Concept, list[float]] = defaultdict(list)
    for one in maps:
        total = fsum(one.scores.values())
        for concept, score in one.scores.items():
            dealt[concept].append(one.weight * score / total)
    whole = fsum(one.weight for one in maps)
    return {concept: 100.0 * fsum(parts) / whole for concept, parts in dealt.items()}


def slope(course: Sequence[tuple[float, float]]) -> float:
    """The slope of the least-squares line through (layer number, value) points, per layer.

    Raises ValueError for fewer than two layers.
    """
    n = len(course)
    mean_layer = fsum(layer for layer, _ in course) / max(n, 1)
    spread = fsum((layer - mean_layer) ** 2 for layer, _ in course)
    if spread == 0:
        raise ValueError(f"A slope needs two layers at least, but there is {course}.")
    return fsum((layer - mean_layer) * value for layer, value in course) / spread


def mean_with_interval(values: Sequence[float]) -> Mean:
    """The mean with its 95 % confidence interval by Student's t, one value per picture.

    Pictures are few, often fewer than ten: a bootstrap's intervals would then be too narrow. There
    is no interval of values that are all the same while they are so few that a sign test would find
    nothing in them, fewer than six: scores are often tenths, and that some agree to the digit does
    not make the next one certain. Raises ValueError for no values.
    """
    n = len(values)
    if n == 0:
        raise ValueError("A mean needs one value at least.")
    mean = fsum(values) / n
    are_same = max(values) - min(values) <= _SAME * max(map(abs, values))
    if are_same and 2.0 ** (1 - n) > 1 - CONFIDENCE:
        return Mean(mean, None, None, n)
    deviation = sqrt(fsum((value - mean) ** 2 for value in values) / (n - 1))
    # Imported here: it takes a quarter of a second, and the web server seldom comes here.
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * deviation / sqrt(n)
    return Mean(mean, mean - half, mean + half, n)
