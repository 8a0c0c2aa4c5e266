"""Is a concept's direction what the layer uses for a class?

Kim et al. 2018, "Interpretability Beyond Feature Attribution: Quantitative Testing with Concept
Activation Vectors" (TCAV). docs/algorithms/tcav.md has the rules with a worked example and the
reasons. Here are numbers only; app.explain.responses gives a layer's activations and gradients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ttest_1samp
from sklearn.linear_model import LogisticRegression

FloatArray = NDArray[np.floating[Any]]

N_FOLDS: Final = 3
"""As many parts the sets are cut into to tell how well concept and random are told apart."""

MIN_RUNS: Final = 3
"""With fewer runs a t-test says nothing."""

_SAME: Final = 1e-9
"""Differences of scores that are nearer than that are equal but for their rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class ConceptVector:
    """A concept activation vector: the direction from random activations to those of a concept.

    direction: [d], of length 1. accuracy: share of left-out examples told rightly, the mean of
    both sides, 0..1; 0.5 is chance, and such a direction means nothing.
    """

    direction: NDArray[np.float64]
    accuracy: float


@dataclass(frozen=True, slots=True, eq=False)
class TcavResult:
    """How a class depends on a concept at a layer.

    vector: from all random examples to all of the concept. score: its TCAV score, 0..1.
    run_scores, random_scores: [R], those of the concept's parts and of random parts of the same
    size, each pair against the same random examples. p_value: of the two-sided paired t-test that
    both have one mean. corrected_p_value: that one as if no other concept had been tested.
    """

    vector: ConceptVector
    score: float
    run_scores: NDArray[np.float64]
    random_scores: NDArray[np.float64]
    p_value: float
    corrected_p_value: float


def pool_regions(activations: FloatArray, regions: Sequence[FloatArray]) -> NDArray[np.float64]:
    """What a layer gave inside a region of each picture: the mean over its cells, [n, C].

    activations: [n, C, H, W]. regions: n maps [H, W], not negative, by which the cells are
    weighed, as a cluster map of that layer. Raises ValueError for a region without any weight.
    """
    values = np.asarray(activations, dtype=np.float64)
    weights = np.asarray(regions, dtype=np.float64)
    if values.ndim != 4 or weights.shape != (len(values), *values.shape[2:]):
        raise ValueError(
            "Activations [n, C, H, W] and as many regions [H, W] are needed, not "
            f"{values.shape} and {weights.shape}."
        )
    totals = weights.sum(axis=(1, 2))
    if (weights < 0).any() or not (totals > 0).all():
        raise ValueError("A region needs cells of positive weight and none of negative.")
    pooled: NDArray[np.float64] = np.einsum("nchw,nhw->nc", values, weights) / totals[:, None]
    return pooled


def concept_vector(concept: FloatArray, random: FloatArray) -> ConceptVector:
    """The direction in which the concept's activations lie, seen from random ones.

    concept: [n, ...] and random: [m, ...] activations of one shape, flattened here; n, m >= 3.
    A logistic regression tells them apart, both sides counting alike however many they are. The
    unit of the activations and the order of the examples do not change the direction.
    """
    examples, is_concept = _examples(concept, random)
    low, _ = _compress(examples)
    fold = np.concatenate([np.arange(len(concept)), np.arange(len(random))]) % N_FOLDS
    rights = np.zeros(len(examples))
    for left_out in (fold == number for number in range(N_FOLDS)):
        model = _fit(low[~left_out], is_concept[~left_out])
        rights[left_out] = model.predict(low[left_out]) == is_concept[left_out]
    return ConceptVector(
        direction=_vector(concept, random),
        accuracy=float((rights[is_concept].mean() + rights[~is_concept].mean()) / 2),
    )


def tcav_score(gradients: FloatArray, direction: FloatArray) -> float:
    """Share of a class's pictures whose logit grows along the direction [d], 0..1.

    gradients: [m, ...] of the logit after the layer's activations, for m >= 1 pictures. For a
    direction of pooled activations [C], the gradients [m, C, H, W] are summed over their cells: so
    much the logit grows when the direction is added everywhere.
    """
    size = len(direction)
    values = np.asarray(gradients, dtype=np.float64)
    if not len(values):
        raise ValueError("The gradients of at least one picture are needed.")
    if values[0].size == size:
        rows = values.reshape(len(values), size)
    elif values.ndim == 4 and values.shape[1] == size:
        rows = values.sum(axis=(2, 3))
    else:
        raise ValueError(f"Gradients {values.shape} do not fit a direction of {size} numbers.")
    return float((rows @ direction > 0).mean())


def check_concepts(
    concepts: Mapping[str, FloatArray], randoms: Sequence[FloatArray], gradients: FloatArray
) -> dict[str, TcavResult]:
    """Whether a class depends on concepts more than on random directions.

    concepts: activations [n, ...] by name, of at least 9 examples each. randoms: R >= 3 sets of
    activations without common examples, each larger than a concept's share of n / R by at least 3.
    gradients: as for tcav_score. Deterministic.

    Each run has its own share of the concept (at least 3 examples, so there may be fewer than R
    runs) and its own random set: nothing is used twice, so the runs are independent. Kim et al. set
    the whole concept against each random set, and their t-test takes those scores for independent;
    the more sets, the more random concepts it then calls significant.
    """
    if len(randoms) < MIN_RUNS:
        raise ValueError(f"At least {MIN_RUNS} random sets are needed, not {len(randoms)}.")
    everything_random = np.concatenate(list(randoms))
    found = {}
    for name, concept in concepts.items():
        run_scores, random_scores = _run(concept, randoms, gradients)
        vector = concept_vector(concept, everything_random)
        p_value = _p_value(run_scores - random_scores)
        found[name] = (
            vector,
            tcav_score(gradients, vector.direction),
            run_scores,
            random_scores,
            p_value,
        )
    corrected = correct_p_values([p_value for *_, p_value in found.values()])
    return {
        name: TcavResult(*values, corrected_p_value=float(value))
        for (name, values), value in zip(found.items(), corrected, strict=True)
    }


def correct_p_values(p_values: Sequence[float]) -> NDArray[np.float64]:
    """p-values of several tests made together, each as if it stood alone, in the order given.

    Holm 1979: of n, the i-th smallest is multiplied by n - i + 1, none becomes less than a smaller
    one or more than 1. The chance of any false alarm is then as stated, as with Bonferroni's
    correction, which Kim et al. use, and more true ones are found.
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    stepped = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    corrected = np.empty_like(given)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def _run(
    concept: FloatArray, randoms: Sequence[FloatArray], gradients: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n_runs = min(len(randoms), len(concept) // N_FOLDS)
    if n_runs < MIN_RUNS:
        raise ValueError(
            f"At least {MIN_RUNS * N_FOLDS} examples of a concept are needed, not {len(concept)}."
        )
    scores = []
    for number, random in zip(range(n_runs), randoms, strict=False):
        part = concept[number::n_runs]
        stand_in, rest = random[: len(part)], random[len(part) :]
        scores.append([tcav_score(gradients, _vector(side, rest)) for side in (part, stand_in)])
    ours, random_scores = np.array(scores).T
    return ours, random_scores


def _examples(
    concept: FloatArray, random: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    if concept.shape[1:] != random.shape[1:] or min(len(concept), len(random)) < N_FOLDS:
        raise ValueError(
            f"At least {N_FOLDS} activations of one shape on each side are needed, not "
            f"{concept.shape} and {random.shape}."
        )
    both = [np.reshape(side, (len(side), -1)).astype(np.float64) for side in (concept, random)]
    examples = np.concatenate(both)
    if not np.isfinite(examples).all():
        raise ValueError("The activations hold values that are NaN or infinite.")
    return examples, np.arange(len(examples)) < len(concept)


def _vector(concept: FloatArray, random: FloatArray) -> NDArray[np.float64]:
    examples, is_concept = _examples(concept, random)
    low, basis = _compress(examples)
    direction: NDArray[np.float64] = _fit(low, is_concept).coef_[0] @ basis
    length = np.linalg.norm(direction)
    return direction / length if length > 0 else direction


def _compress(examples: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centred examples [n, d] of mean length 1 in at most n coordinates, and the basis [<=n, d].

    The best direction is a sum of examples, so nothing is lost; a layer may have 100,000 values.
    """
    centred = examples - examples.mean(axis=0)
    scale = np.sqrt((centred**2).sum(axis=1).mean())
    if scale > 0:
        centred = centred / scale
    left, sizes, basis = np.linalg.svd(centred, full_matrices=False)
    return left * sizes, basis


def _fit(examples: NDArray[np.float64], is_concept: NDArray[np.bool_]) -> LogisticRegression:
    return LogisticRegression(class_weight="balanced", tol=1e-8, max_iter=1000).fit(
        examples, is_concept
    )


def _p_value(differences: NDArray[np.float64]) -> float:
    """Of the two-sided t-test that the differences [R] have mean 0; where they are all the same, of
    the sign test.

    Scores of 1 all through are common, and where nothing varies there is no t. To call that certain
    would be a claim that no correction for many tests takes back: that R runs have one sign happens
    by chance, 2 ** (1 - R) of the times.
    """
    if np.ptp(differences) <= _SAME:
        return 1.0 if abs(differences[0]) <= _SAME else 2.0 ** (1 - len(differences))
    return float(ttest_1samp(differences, 0.0).pvalue)
