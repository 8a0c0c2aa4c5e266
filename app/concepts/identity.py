"""Which concept of today is which of yesterday, and what people have decided about them.

A recipe names groups anew each time. A concept's page, its marks and links must not move with
that: a group is the concept with which it shares most labels, whatever either is called.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class KnownConcept:
    """A concept as it is stored.

    is_fixed: a person has decided about it, so no run renames it or takes it away. merged_into: the
    id of the concept that it became by a person's decision. is_junk: by one it says nothing.
    """

    name: str
    is_fixed: bool = False
    merged_into: int | None = None
    is_junk: bool = False


@dataclass(frozen=True, slots=True)
class LabelNow:
    """A label of an image class. text: tidied. concept: its concept so far, by id. found: the group
    in which a recipe puts it now, by name; None for junk."""

    text: str
    concept: int | None
    found: str | None


@dataclass(frozen=True, slots=True)
class Regrouped:
    """names: of all concepts, by key; a key is the id of a stored concept or, for a new one, its
    name. of_label: each label's key, None for junk."""

    names: dict[int | str, str]
    of_label: list[int | str | None]


def regroup(
    labels: Sequence[LabelNow],
    *,
    known: Mapping[int, KnownConcept],
    pins: Mapping[str, int | None],
) -> Regrouped:
    """Give the groups of a recipe their stored concepts.

    pins: texts that a person put into a concept (None: called junk), whatever a recipe finds.
    1. A pinned label is where its pin says. The rest of its group follows most of the group's
       pinned labels: a new misspelling of a word that was moved moves with it.
    2. A group with the name of a fixed concept is that concept, or what became of it.
    3. Of the other groups and the other concepts, those are paired that share most labels in all;
       of equal pairings, one that keeps names. Whoever shares nothing is new, or gone, but a name
       that is found again keeps its concept.
    4. A fixed concept keeps its name; any other is called what the recipe calls it.

    The order of labels does not matter, and regrouping what is regrouped changes nothing.
    """
    pins = {text: None if key is None else _became(key, known) for text, key in pins.items()}
    owners = _owners(labels, known, pins)
    free = sorted({one.found for one in labels if one.found is not None} - owners.keys())
    taken = {*owners.values(), *pins.values()}
    taken |= {key for key in known if _became(key, known) != key}
    left = sorted(set(known) - taken)
    group_keys: dict[str, int | str | None] = {**owners, **_paired(labels, free, left, known)}
    of_label = [
        pins[one.text] if one.text in pins else None if one.found is None else group_keys[one.found]
        for one in labels
    ]
    names = {
        key: known[key].name if isinstance(key, int) and known[key].is_fixed else name
        for name, key in group_keys.items()
        if key is not None
    }
    names |= {key: concept.name for key, concept in known.items() if concept.is_fixed}
    return Regrouped(names=names, of_label=of_label)


def _owners(
    labels: Sequence[LabelNow],
    known: Mapping[int, KnownConcept],
    pins: Mapping[str, int | None],
) -> dict[str, int | None]:
    """The groups that a person's decisions settle."""
    votes: dict[str, Counter[int | None]] = {}
    for one in labels:
        if one.found is not None and one.text in pins:
            votes.setdefault(one.found, Counter())[pins[one.text]] += 1
    owners = {
        name: min(counts, key=lambda key: (-counts[key], key is None, key or 0))
        for name, counts in votes.items()
    }
    found = {one.found for one in labels if one.found is not None}
    return owners | {
        concept.name: _became(key, known)
        for key, concept in known.items()
        if concept.is_fixed and concept.name in found
    }


def _became(key: int, known: Mapping[int, KnownConcept]) -> int | None:
    """The concept that one is now: itself, one that it was merged into, or none."""
    concept = known[key]
    while concept.merged_into is not None:
        key = concept.merged_into
        concept = known[key]
    return None if concept.is_junk else key


def _paired(
    labels: Sequence[LabelNow],
    groups: Sequence[str],
    concepts: Sequence[int],
    known: Mapping[int, KnownConcept],
) -> dict[str, int | str]:
    shared = Counter((one.found, one.concept) for one in labels)
    # A name kept is worth less than one label, all names together included.
    per_label = len(groups) + 1
    worth = np.array(
        [
            [per_label * shared[name, key] + (known[key].name == name) for key in concepts]
            for name in groups
        ],
        dtype=np.int64,
    ).reshape(len(groups), len(concepts))
    # Imported here: it takes a third of a second, and the web server matches nothing.
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(worth, maximize=True)
    keys: dict[str, int | str] = {name: name for name in groups}
    for row, column in zip(rows, columns, strict=True):
        if worth[row, column] > 0:
            keys[groups[row]] = concepts[column]
    return keys
