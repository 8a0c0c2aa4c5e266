"""Recipes from typed labels to concepts, on directions that are known by hand."""

from collections.abc import Mapping, Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.concepts import RECIPES, TypedLabel, get_recipe, recipes
from app.concepts.recipes import layerplay, paper, reads_languages

# The first label of a process waits for the word lists.
unhurried = settings(deadline=None)


class AxesEmbedder:
    """Each text has a direction of its own, unless it is said to be like another."""

    name = "axes"

    def __init__(self, cosines: Mapping[tuple[str, str], float] | None = None) -> None:
        self.like = {text: (other, c) for (text, other), c in (cosines or {}).items()}
        self.axes: dict[str, int] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        rows = np.zeros((len(texts), 64))
        for row, text in zip(rows, texts, strict=True):
            other, cosine = self.like.get(text, (text, 0.0))
            row[self._axis(text)] = (1 - cosine**2) ** 0.5
            row[self._axis(other)] += cosine
        return rows

    def _axis(self, text: str) -> int:
        return self.axes.setdefault(text, len(self.axes))


def typed(texts: Mapping[str, int], *, class_name: str = "sports car") -> list[TypedLabel]:
    return [TypedLabel(text, class_name) for text, n in texts.items() for _ in range(n)]


def concepts(labels: Sequence[TypedLabel], embed: AxesEmbedder) -> dict[str, str | None]:
    answers = layerplay(labels, embed=embed)
    return {one.text: answer for one, answer in zip(labels, answers, strict=True)}


def test_recipes_are_known_by_name() -> None:
    assert get_recipe("paper") is paper
    assert get_recipe("layerplay") is layerplay
    assert set(RECIPES) == {"paper", "layerplay"}


def test_an_unknown_recipe_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"“soup”\. Choose one of paper, layerplay"):
        get_recipe("soup")


def test_the_papers_recipe_drops_what_cleaning_drops() -> None:
    labels = typed({"wheel": 2, "a sports car": 1})
    assert paper(labels, embed=AxesEmbedder()) == ["wheel", "wheel", None]


def test_ways_to_write_the_same_words_are_one_concept() -> None:
    labels = typed({"steering wheel": 4, "Steeringwheel!!": 1, "maybe a stearing-wheel": 1})
    assert set(concepts(labels, AxesEmbedder()).values()) == {"steering wheel"}


def test_junk_has_no_concept() -> None:
    labels = typed({"wheel": 2, "idk": 1, "asdf": 1, "...": 1, "the sports cars": 1})
    found = concepts(labels, AxesEmbedder())
    assert [text for text, concept in found.items() if concept] == ["wheel"]


def test_what_means_the_same_is_one_concept_under_the_form_typed_most() -> None:
    embed = AxesEmbedder({("tyre", "wheel"): 0.9})
    found = concepts(typed({"wheel": 2, "tyres": 3, "mirror": 1}), embed)
    assert found == {"wheel": "tyre", "tyres": "tyre", "mirror": "mirror"}


def on_maps(cells: Mapping[tuple[str, str], int]) -> list[TypedLabel]:
    return [TypedLabel(t, "saw", m) for (t, m), n in cells.items() for _ in range(n)]


def test_labels_of_the_same_maps_are_one_concept_where_meaning_alone_does_not_say() -> None:
    embed = AxesEmbedder({("grip", "handle"): 0.4})
    cells = {("handle", "1"): 8, ("grip", "1"): 8, ("chain", "2"): 8}
    with_maps = on_maps(cells)
    without = [TypedLabel(one.text, "saw") for one in with_maps]
    assert concepts(with_maps, embed) == {"handle": "grip", "grip": "grip", "chain": "chain"}
    assert concepts(without, embed) == {"handle": "handle", "grip": "grip", "chain": "chain"}


def test_another_language_joins_the_concept_of_its_maps() -> None:
    cells = {("chain", "1"): 5, ("handle", "2"): 5, ("catena", "1"): 1}
    assert concepts(on_maps(cells), AxesEmbedder())["catena"] == "chain"


def test_another_language_stays_apart_without_maps() -> None:
    found = concepts(typed({"chain": 5, "catena": 1, "la catena": 1}), AxesEmbedder())
    assert found == {"chain": "chain", "catena": "catena", "la catena": "catena"}


def test_a_model_that_reads_other_languages_makes_them_one_with_english() -> None:
    """And the name is English, though fewer typed it."""
    pairs = {("finestra", "window"): 0.9, ("ventana", "window"): 0.9, ("ruota", "wheel"): 0.9}
    pairs |= {("rueda", "wheel"): 0.9, ("acqua", "water"): 0.9, ("agua", "water"): 0.9}
    pairs |= {("albero", "tree"): 0.9, ("árbol", "tree"): 0.9}
    multilingual = AxesEmbedder(pairs)
    assert reads_languages(multilingual)
    assert not reads_languages(AxesEmbedder({("ruota", "wheel"): 0.9}))
    found = concepts(typed({"ruota": 5, "wheel": 2, "finestra": 2, "sedile": 1}), multilingual)
    assert found == {"ruota": "wheel", "wheel": "wheel", "finestra": "finestra", "sedile": "sedile"}


def test_no_labels_no_concepts() -> None:
    assert layerplay([], embed=AxesEmbedder()) == []


def test_rare_forms_join_the_groups_of_the_common_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "MAX_FORMS", 2)
    embed = AxesEmbedder({("tyre", "wheel"): 0.9})
    found = concepts(typed({"wheel": 3, "mirror": 2, "tyre": 1, "door": 1}), embed)
    assert found == {"wheel": "wheel", "mirror": "mirror", "tyre": "wheel", "door": "door"}


# Invariants

a_label = st.builds(
    TypedLabel,
    text=st.sampled_from(
        ["wheel", "wheels", "whel", "tyre", "the tyre", "door", "dor", "ruota", "idk", "zzzz", "!"]
    ),
    class_name=st.sampled_from(["car", "tyre"]),
    map_id=st.sampled_from([None, "1", "2", "3"]),
)
some_labels = st.lists(a_label, max_size=30)
ALIKE = {("tyre", "wheel"): 0.7}


def embedder() -> AxesEmbedder:
    embed = AxesEmbedder(ALIKE)
    embed(["wheel", "tyre", "door", "dor", "whel"])
    return embed


@unhurried
@given(some_labels, st.randoms(use_true_random=False))
def test_the_order_of_labels_does_not_matter(labels: list[TypedLabel], random: Random) -> None:
    order = list(range(len(labels)))
    random.shuffle(order)
    shuffled = layerplay([labels[i] for i in order], embed=embedder())
    answers = layerplay(labels, embed=embedder())
    assert shuffled == [answers[i] for i in order]


@unhurried
@given(some_labels)
def test_a_rerun_changes_nothing(labels: list[TypedLabel]) -> None:
    assert layerplay(labels, embed=embedder()) == layerplay(labels, embed=embedder())


@unhurried
@given(some_labels)
def test_every_label_has_a_concept_or_none_and_equal_labels_have_the_same(
    labels: list[TypedLabel],
) -> None:
    answers = layerplay(labels, embed=embedder())
    assert len(answers) == len(labels)
    of_pair = {
        ((one.text, one.class_name), answer) for one, answer in zip(labels, answers, strict=True)
    }
    assert len(of_pair) == len({pair for pair, _ in of_pair})
    assert all(answer is None or answer for answer in answers)
