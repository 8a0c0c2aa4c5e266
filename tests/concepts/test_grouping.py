"""Grouping by meaning, on directions in the plane whose distances are known by hand."""

from collections.abc import Mapping, Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import silhouette_score

from app.concepts import LabelGroup, group_labels
from app.concepts.grouping import silhouettes


class PlaneEmbedder:
    """Embeds known texts as given directions, any other as the direction (0, -1)."""

    name = "plane"

    def __init__(self, directions: Mapping[str, tuple[float, ...]]) -> None:
        self.directions = directions

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return np.array([self.directions.get(text, (0.0, -1.0)) for text in texts])


# Cosine distances: 0.04 within each pair; wheel-window 1, wheel-glass 1.28, rim-window 0.72,
# rim-glass 1.
FOUR = {
    "wheel": (1.0, 0.0),
    "rim": (0.96, 0.28),
    "window": (0.0, 1.0),
    "glass": (-0.28, 0.96),
}


def names_and_labels(groups: Sequence[LabelGroup]) -> dict[str, tuple[str, ...]]:
    return {group.name: group.labels for group in groups}


def partition(groups: Sequence[LabelGroup]) -> set[frozenset[str]]:
    return {frozenset(group.labels) for group in groups}


def on_circle(degrees: Mapping[str, float]) -> PlaneEmbedder:
    radians = {text: np.radians(angle) for text, angle in degrees.items()}
    return PlaneEmbedder({t: (float(np.cos(a)), float(np.sin(a))) for t, a in radians.items()})


def tree(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    return linkage(squareform(distances), method="complete")


def plane_distances(directions: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    rows = np.array(directions)
    distances = (1 - rows @ rows.T).round(9)
    np.fill_diagonal(distances, 0)
    return distances


# The worked example


def test_the_silhouettes_of_the_worked_example() -> None:
    distances = plane_distances(list(FOUR.values()))
    of_three, of_two = silhouettes(distances, tree(distances)[:, :2].astype(int))
    assert of_three == pytest.approx((0.96 / 1 + 0.68 / 0.72) / 4)
    assert of_two == pytest.approx((1.10 / 1.14 + 0.82 / 0.86) / 2)
    assert (round(of_three, 4), round(of_two, 4)) == (0.4761, 0.9592)


def test_the_best_silhouette_decides_the_number_of_groups() -> None:
    counts = {"wheel": 3, "rim": 1, "window": 2, "glass": 1}
    assert group_labels(counts, embed=PlaneEmbedder(FOUR)) == [
        LabelGroup("wheel", ("wheel", "rim")),
        LabelGroup("window", ("window", "glass")),
    ]


def test_the_name_is_the_word_nearest_to_what_was_typed_most() -> None:
    counts = {"wheel": 1, "rim": 3, "window": 1, "glass": 2}
    assert [group.name for group in group_labels(counts, embed=PlaneEmbedder(FOUR))] == [
        "rim",
        "glass",
    ]


def test_equally_near_words_are_taken_by_the_alphabet() -> None:
    counts = dict.fromkeys(FOUR, 1)
    assert [group.name for group in group_labels(counts, embed=PlaneEmbedder(FOUR))] == [
        "glass",
        "rim",
    ]


# Names


def test_stop_words_and_hedges_name_no_group() -> None:
    everything_alike = PlaneEmbedder({})
    counts = {"something like a left wheel": 1, "maybe the wheel": 1}
    assert [group.name for group in group_labels(counts, embed=everything_alike)] == ["wheel"]


def test_a_hyphenated_label_is_named_by_one_of_its_words() -> None:
    embed = PlaneEmbedder({"rear-view": (1.0, 0.0), "rear": (0.6, 0.8), "view": (0.8, 0.6)})
    assert group_labels({"rear-view": 1}, embed=embed)[0].name == "view"


def test_a_group_without_a_naming_word_is_named_by_its_most_typed_label() -> None:
    counts = {"on the left": 1, "left": 2, "upper left": 2}
    assert group_labels(counts, embed=PlaneEmbedder({})) == [
        LabelGroup("left", ("left", "upper left", "on the left"))
    ]


LEMMA = {
    "wheel": (1.0, 0.0),
    "front wheel": (0.96, 0.28),
    "wheels": (0.0, 1.0),
    "spoked wheels": (-0.28, 0.96),
}


@pytest.mark.parametrize(
    ("times", "name"), [((3, 1, 2, 1), "wheel"), ((1, 2, 3, 1), "wheels"), ((1, 1, 1, 1), "wheel")]
)
def test_groups_with_one_lemma_become_one_under_the_form_typed_most(
    times: tuple[int, ...], name: str
) -> None:
    (group,) = group_labels(dict(zip(LEMMA, times, strict=True)), embed=PlaneEmbedder(LEMMA))
    assert group.name == name
    assert set(group.labels) == set(LEMMA)


@pytest.mark.parametrize(
    ("one", "many"), [("leaf", "leaves"), ("nerve", "nerves"), ("lens", "lenses"), ("sky", "skies")]
)
def test_a_plural_joins_its_noun(one: str, many: str) -> None:
    embed = PlaneEmbedder({one: (1.0, 0.0), many: (0.0, 1.0)})
    assert names_and_labels(group_labels({one: 2, many: 1}, embed=embed)) == {one: (one, many)}


# Few labels, and labels that the model cannot tell apart


def test_no_labels_no_groups() -> None:
    assert group_labels({}, embed=PlaneEmbedder({})) == []


def test_one_label_is_one_group() -> None:
    assert group_labels({"wheel": 2}, embed=PlaneEmbedder(FOUR)) == [
        LabelGroup("wheel", ("wheel",))
    ]


@pytest.mark.parametrize(
    ("cosine", "sine", "n_groups"), [(0.6, 0.8, 1), (0.5, 0.75**0.5, 1), (0.28, 0.96, 2)]
)
def test_two_labels_are_one_group_up_to_half_a_cosine(
    cosine: float, sine: float, n_groups: int
) -> None:
    embed = PlaneEmbedder({"wheel": (1.0, 0.0), "tyre": (cosine, sine)})
    assert len(group_labels({"wheel": 1, "tyre": 1}, embed=embed)) == n_groups


@pytest.mark.parametrize("n", [2, 3, 7])
def test_labels_that_embed_alike_are_one_group(n: int) -> None:
    counts = {f"matricula {i}": 1 for i in range(n)}
    assert len(group_labels(counts, embed=PlaneEmbedder({}))) == 1


def test_three_labels_give_the_nearest_two_and_the_other() -> None:
    embed = on_circle({"rim": 0, "tyre": 20, "glass": 90})
    assert partition(group_labels({"rim": 1, "tyre": 1, "glass": 1}, embed=embed)) == {
        frozenset({"rim", "tyre"}),
        frozenset({"glass"}),
    }


def test_labels_that_embed_alike_stay_together() -> None:
    embed = on_circle({"arm": 0, "bell": 0, "cup": 180, "door": 180})
    assert partition(group_labels(dict.fromkeys(embed.directions, 1), embed=embed)) == {
        frozenset({"arm", "bell"}),
        frozenset({"cup", "door"}),
    }


def test_equal_silhouettes_give_the_fewest_groups() -> None:
    # At right angles to each other, every silhouette is 0.
    right_angles = zip(("arm", "bell", "cup", "door"), map(tuple, np.eye(4)), strict=True)
    embed = PlaneEmbedder(dict(right_angles))
    assert len(group_labels(dict.fromkeys(embed.directions, 1), embed=embed)) == 2


# Refused


@pytest.mark.parametrize("counts", [{"": 1}, {"wheel": 0}, {"wheel": -1}])
def test_empty_labels_and_counts_below_one_are_refused(counts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        group_labels(counts, embed=PlaneEmbedder({}))


def test_embeddings_that_are_not_of_length_one_are_refused() -> None:
    with pytest.raises(ValueError, match="length 1"):
        group_labels({"wheel": 1}, embed=PlaneEmbedder({"wheel": (2.0, 0.0)}))


def test_embeddings_of_a_wrong_shape_are_refused() -> None:
    class OneRow(PlaneEmbedder):
        def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
            return super().__call__(texts)[:1]

    with pytest.raises(ValueError, match=r"\[2, d\], got \(1, 2\)"):
        group_labels({"wheel": 1, "rim": 1}, embed=OneRow(FOUR))


# Invariants

nouns = ["arm", "bell", "cup", "door", "eye", "fin", "grip", "horn", "ink", "jaw"]
label_angles = st.dictionaries(
    st.sampled_from(nouns), st.integers(0, 359).map(float), min_size=1, max_size=10
)
label_counts = st.dictionaries(
    st.sampled_from(nouns), st.integers(1, 9), min_size=len(nouns), max_size=len(nouns)
)


@given(label_angles, label_counts, st.randoms(use_true_random=False))
def test_the_order_of_labels_does_not_matter(
    angles: dict[str, float], all_counts: dict[str, int], random: Random
) -> None:
    embed = on_circle(angles)
    items = [(label, all_counts[label]) for label in angles]
    groups = group_labels(dict(items), embed=embed)
    random.shuffle(items)
    assert group_labels(dict(items), embed=embed) == groups


@given(label_angles, label_counts, st.integers(2, 1000))
def test_multiplying_all_counts_changes_nothing(
    angles: dict[str, float], all_counts: dict[str, int], factor: int
) -> None:
    embed = on_circle(angles)
    counts = {label: all_counts[label] for label in angles}
    more = {label: factor * count for label, count in counts.items()}
    assert group_labels(more, embed=embed) == group_labels(counts, embed=embed)


@given(label_angles, label_counts)
def test_every_label_is_in_one_group_and_no_name_is_used_twice(
    angles: dict[str, float], all_counts: dict[str, int]
) -> None:
    counts = {label: all_counts[label] for label in angles}
    groups = group_labels(counts, embed=on_circle(angles))
    assert sorted(label for group in groups for label in group.labels) == sorted(counts)
    assert len({group.name for group in groups}) == len(groups)


@given(st.lists(st.integers(0, 359), min_size=3, max_size=12))
def test_all_silhouettes_agree_with_scikit_learn(degrees: list[int]) -> None:
    angles = np.radians(degrees)
    distances = plane_distances(list(zip(np.cos(angles), np.sin(angles), strict=True)))
    # A tiny amount per pair makes all heights differ, so that fcluster can cut at every k.
    rng = np.random.default_rng(0)
    jitter = np.triu(rng.uniform(1e-6, 1e-5, size=distances.shape), 1)
    distances += jitter + jitter.T
    merges = tree(distances)
    expected = [
        silhouette_score(distances, fcluster(merges, k, "maxclust"), metric="precomputed")
        for k in range(len(degrees) - 1, 1, -1)
    ]
    assert silhouettes(distances, merges[:, :2].astype(int)) == pytest.approx(expected)


def test_known_groups_among_many_labels_are_found() -> None:
    rng = np.random.default_rng(0)
    centres = np.linalg.qr(rng.normal(size=(64, 12)))[0].T
    truth = np.arange(600) % 12
    rows = centres[truth] + 0.05 * rng.normal(size=(600, 64))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    row_of = {f"label{i}": row for i, row in enumerate(rows)}

    class ManyEmbedder(PlaneEmbedder):
        def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
            return np.array([row_of[text] for text in texts])

    groups = group_labels(dict.fromkeys(row_of, 1), embed=ManyEmbedder({}))
    assert partition(groups) == {
        frozenset(f"label{i}" for i in np.flatnonzero(truth == c)) for c in range(12)
    }
