"""Ways to turn the typed labels of one image class into named concepts, chosen by name.

docs/algorithms/concepts.md has the rules of both recipes with examples and the reasons.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from app.concepts.cleaning import clean_label
from app.concepts.forms import Form, label_forms
from app.concepts.grouping import Embedder, FloatArray, embed_texts, group_labels

N_NEIGHBOURS: Final = 10
"""A form's usual likeness is that to so many nearest others."""

USUAL_LIKENESS: Final = 0.45
"""Cosine that stands in for neighbours that a class with few forms does not have."""

MAPS_WEIGHT: Final = 0.8
"""How much being typed on the same maps counts beside meaning."""

HALF_SURE: Final = 2.0
"""Typed so often, a form's maps count half of what they say."""

MIN_LIKENESS: Final = 0.025
"""Mean likeness of two groups, beyond what is usual for them, from which they are one."""

MIN_SHARED_MAPS: Final = 0.6
"""Cosine of the maps from which another language's form joins an English concept."""

MAX_FORMS: Final = 3000
"""So many forms, those typed most, make the groups; rarer ones join them. Bounds the memory."""

# Times typed, counted so in a name's favour: any English word comes before one of another language.
_FOREIGN: Final = 1e-9

# Words of things, in Italian and Spanish, with the English one.
_TRANSLATIONS: Final = (
    *(("finestra", "window"), ("ruota", "wheel"), ("acqua", "water"), ("albero", "tree")),
    *(("ventana", "window"), ("rueda", "wheel"), ("agua", "water"), ("árbol", "tree")),
)

_MAP_SHARPNESS: Final = 4
_DECIMALS: Final = 5
_BLOCK: Final = 1024


@dataclass(frozen=True, slots=True)
class TypedLabel:
    """A label as a player typed it, the class guessed with it, and the map it was typed for."""

    text: str
    class_name: str
    map_id: Hashable = None


class Recipe(Protocol):
    """Gives each label of one image class its concept's name, or None if it says nothing."""

    def __call__(self, labels: Sequence[TypedLabel], *, embed: Embedder) -> list[str | None]:
        """One answer per label, in their order; the order decides about nothing else."""


def get_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises ValueError for an unknown one."""
    if name not in RECIPES:
        raise ValueError(f"There is no recipe “{name}”. Choose one of {', '.join(RECIPES)}.")
    return RECIPES[name]


def paper(labels: Sequence[TypedLabel], *, embed: Embedder) -> list[str | None]:
    """Bianchi et al. 2024: `clean_label`, then `group_labels`. Knows no maps."""
    typed = {(one.text, one.class_name) for one in labels}
    cleaned = {(text, name): clean_label(text, class_name=name) for text, name in typed}
    kept = [cleaned[one.text, one.class_name] for one in labels]
    groups = group_labels(Counter(label for label in kept if label is not None), embed=embed)
    concept_of = {label: group.name for group in groups for label in group.labels}
    return [concept_of[label] if label is not None else None for label in kept]


def layerplay(labels: Sequence[TypedLabel], *, embed: Embedder) -> list[str | None]:
    """Ours: spelling by the class's own words, meaning measured locally, and the maps.

    1. Labels that say nothing are junk; the others come down to forms, see `label_forms`.
    2. Two English forms are as alike as their cosine, less what is usual for each of them (CSLS,
       Conneau et al. 2018), plus how far they were typed on the same maps.
    3. Average linkage joins groups down to a mean likeness of MIN_LIKENESS.
    4. A form of another language is one like any other if the model can read it, see
       `reads_languages`. Else it joins the English concept on whose maps it was typed, if they say
       so clearly, and otherwise is a concept of its own.
    5. A concept is named by its form that was typed most, an English one if it has any; of equal
       ones, that which is most like all the others, then the first in the alphabet.

    Labels without maps are compared by meaning alone.
    """
    counts = Counter((one.text, one.class_name) for one in labels)
    forms = label_forms(counts)
    concept_of = _concepts(labels, forms, embed)
    answers = []
    for one in labels:
        form = forms[one.text, one.class_name]
        answers.append(concept_of[form.text] if form is not None else None)
    return answers


def reads_languages(embed: Embedder) -> bool:
    """Whether a model knows what words of other languages mean: whether most of a few are nearest
    to their English ones. Asked of the model itself, since its name need not tell."""
    english = sorted({word for _, word in _TRANSLATIONS})
    nearest = embed([word for word, _ in _TRANSLATIONS]) @ embed(english).T
    n_right = sum(
        english[int(row.argmax())] == word
        for row, (_, word) in zip(nearest, _TRANSLATIONS, strict=True)
    )
    return n_right > 0.8 * len(_TRANSLATIONS)


RECIPES: Final[Mapping[str, Recipe]] = {"paper": paper, "layerplay": layerplay}


def _concepts(
    labels: Sequence[TypedLabel], forms: Mapping[tuple[str, str], Form | None], embed: Embedder
) -> dict[str, str]:
    """The concept of each form."""
    n_typed: Counter[str] = Counter()
    n_on_map: Counter[tuple[str, Hashable]] = Counter()
    english: set[str] = set()
    for one in labels:
        form = forms[one.text, one.class_name]
        if form is not None:
            n_typed[form.text] += 1
            if form.is_english:
                english.add(form.text)
            if one.map_id is not None:
                n_on_map[form.text, one.map_id] += 1
    foreign = sorted(set(n_typed) - english)
    if foreign and reads_languages(embed):
        own, foreign = sorted(n_typed), []
    else:
        own = sorted(english)
    if not own:
        return {text: text for text in foreign}
    # Those typed most first: they make the groups where there are too many for all to do so.
    own.sort(key=lambda text: (-n_typed[text], text))
    typed = np.array([n_typed[text] * (1 if text in english else _FOREIGN) for text in own])
    maps = sorted({map_id for _, map_id in n_on_map}, key=str)
    counts = _table(own, maps, n_on_map)
    alike_maps = _alike_maps(counts)
    group, name_of = _named_groups(
        own, embed_texts(own, embed), counts @ alike_maps, counts.sum(axis=1), typed
    )
    found = {text: name_of[number] for text, number in zip(own, group, strict=True)}
    sums = np.array([counts[group == number].sum(axis=0) for number in range(len(name_of))])
    foreign_on_maps = _unit(_table(foreign, maps, n_on_map) @ alike_maps)
    shared = (foreign_on_maps @ _unit(sums @ alike_maps).T).round(_DECIMALS)
    for text, row in zip(foreign, shared, strict=True):
        best = int(row.argmax())
        found[text] = name_of[best] if row[best] >= MIN_SHARED_MAPS else text
    return found


def _table(
    texts: Sequence[str], maps: Sequence[Hashable], n_on_map: Mapping[tuple[str, Hashable], int]
) -> FloatArray:
    """How often each text was typed on each map, [n_texts, n_maps]."""
    counts = [[n_on_map.get((text, one), 0) for one in maps] for text in texts]
    return np.array(counts, dtype=float).reshape(len(texts), len(maps))


def _alike_maps(counts: FloatArray) -> FloatArray:
    """How far maps drew the same forms, [n_maps, n_maps], 0..1, 1 with itself.

    A form typed once says where it belongs by what others typed on that map and on alike ones.
    """
    of_map = _unit(np.sqrt(counts).T)
    alike: FloatArray = (of_map @ of_map.T) ** _MAP_SHARPNESS
    return alike


def _named_groups(
    texts: Sequence[str],
    vectors: FloatArray,
    on_maps: FloatArray,
    n_on_maps: FloatArray,
    typed: FloatArray,
) -> tuple[NDArray[np.intp], list[str]]:
    """The group of each text, [n], and the groups' names. Texts by falling number typed.

    vectors: [n, d], unit. on_maps: [n, m], how often typed on maps and alike ones. n_on_maps,
    typed: [n], how often typed on any map, and at all.
    """
    profiles = _unit(on_maps)
    sure = np.sqrt(n_on_maps / (n_on_maps + HALF_SURE))
    core = slice(0, MAX_FORMS)
    expected = _mean_of_pairs(profiles[core])
    usual = _usual(vectors[core])

    def likeness(rows: slice, rows_usual: FloatArray) -> FloatArray:
        """Of some forms to those of the core, [n_rows, n_core]."""
        meaning = vectors[rows] @ vectors[core].T - (rows_usual[:, None] + usual) / 2
        maps = (profiles[rows] @ profiles[core].T - expected) * sure[rows, None] * sure[core]
        alike: FloatArray = (meaning + MAPS_WEIGHT * maps).round(_DECIMALS)
        return alike

    alike = likeness(core, usual)
    group = np.empty(len(texts), dtype=np.intp)
    group[core] = _linked(alike)
    names = [
        _name(np.flatnonzero(group[core] == number), texts, typed, alike)
        for number in range(group[core].max() + 1)
    ]
    for start in range(MAX_FORMS, len(texts), _BLOCK):
        rows = slice(start, start + _BLOCK)
        rows_usual = _top_mean(vectors[rows] @ vectors[core].T)
        nearest = likeness(rows, rows_usual)
        for i, row in enumerate(nearest, start):
            best = int(row.argmax())
            if row[best] >= MIN_LIKENESS:
                group[i] = group[best]
            else:
                group[i] = len(names)
                names.append(texts[i])
    return group, names


def _usual(vectors: FloatArray) -> FloatArray:
    """The mean cosine of each form to its nearest others, [n]."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    return _top_mean(cosines)


def _top_mean(cosines: FloatArray) -> FloatArray:
    """The mean of each row's N_NEIGHBOURS highest; what a row lacks counts USUAL_LIKENESS."""
    n = min(N_NEIGHBOURS, cosines.shape[1])
    top = np.partition(cosines, cosines.shape[1] - n, axis=1)[:, -n:]
    top = np.where(np.isfinite(top), top, USUAL_LIKENESS)
    mean: FloatArray = (top.sum(axis=1) + USUAL_LIKENESS * (N_NEIGHBOURS - n)) / N_NEIGHBOURS
    return mean


def _mean_of_pairs(profiles: FloatArray) -> float:
    """The mean product of two different rows, 0 for fewer than two."""
    n = len(profiles)
    total = profiles.sum(axis=0)
    own = float((profiles**2).sum())
    return (float(total @ total) - own) / max(n * (n - 1), 1)


def _linked(alike: FloatArray) -> NDArray[np.intp]:
    """Groups 0, 1, ... by average linkage of likenesses [n, n], in the order of their first."""
    if len(alike) == 1:
        return np.zeros(1, dtype=np.intp)
    top = max(float(alike.max()), MIN_LIKENESS)
    distances = top - (alike + alike.T) / 2
    np.fill_diagonal(distances, 0)
    # Imported here: it takes half a second, and the web server groups nothing.
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    tree = linkage(squareform(distances, checks=False), method="average")
    labels = fcluster(tree, top - MIN_LIKENESS, criterion="distance")
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    groups: NDArray[np.intp] = rank[inverse]
    return groups


def _name(
    group: NDArray[np.intp], texts: Sequence[str], typed: FloatArray, alike: FloatArray
) -> str:
    central = alike[np.ix_(group, group)].mean(axis=1).round(_DECIMALS)
    by_rank = {
        texts[int(i)]: (-float(typed[i]), -float(near))
        for i, near in zip(group, central, strict=True)
    }
    return min(by_rank, key=lambda text: (by_rank[text], text))


def _unit(rows: FloatArray) -> FloatArray:
    """Rows of length 1; those that are all 0 stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: FloatArray = rows / np.where(lengths > 0, lengths, 1)
    return unit
