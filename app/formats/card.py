"""The dataset card of a Hugging Face datasets folder: README.md with its front matter."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.formats.tables import Table

CARD_FILE = "README.md"

# By number of rows, as the Hub files datasets.
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def dataset_card(
    *,
    name: str,
    description: str,
    licence: str,
    citation: str,
    provenance: Mapping[str, Any],
    tables: Sequence[tuple[Table, str, int]],
) -> str:
    """The card as Markdown. tables: each with its Parquet file and its number of rows. The first
    is what `load_dataset` takes when nobody names one."""
    lines = [
        "---",
        f"license: {json.dumps(licence)}",
        f"pretty_name: {json.dumps(name)}",
        "tags: [explainability, human-annotations, concepts, layerplay]",
        f"size_categories: [{json.dumps(_size(max(n_rows for _, _, n_rows in tables)))}]",
        "configs:",
    ]
    for number, (table, file_name, _) in enumerate(tables):
        lines += [f"  - config_name: {table.name}", f"    data_files: {file_name}"]
        lines += ["    default: true"] if number == 0 else []
    lines += ["---", "", f"# {_inline(name)}", "", _inline(description), ""]
    lines += ["```python", "from datasets import load_dataset", ""]
    lines += [
        f'{table.name} = load_dataset("path/to/this/folder", "{table.name}", split="train")'
        for table, _, _ in tables
    ]
    lines += ["```", "", "## Where it comes from", ""]
    lines += [f"- {_inline(key)}: {_inline(str(value))}" for key, value in provenance.items()]
    lines += [
        "",
        "Players saw a picture that was dark but for the pixels where one cluster map is highest,",
        "guessed its class, and typed what they saw. Labels are as they typed them, spelling and",
        "all. Players appear under pseudonyms; the key that makes them is not part of the data.",
        "",
    ]
    for table, file_name, n_rows in tables:
        lines += [f"## {table.title}", "", f"{table.meaning} {n_rows:,} rows in `{file_name}`.", ""]
        lines += ["| Column | Kind | Meaning |", "|---|---|---|"]
        lines += [f"| `{c.name}` | {c.kind} | {c.meaning} |" for c in table.columns]
        lines += [""]
    lines += ["## Citation", "", _inline(citation), ""]
    return "\n".join(lines)


def _size(n_rows: int) -> str:
    return next((size for limit, size in _SIZES if n_rows < limit), "n>10M")


def _inline(text: str) -> str:
    """Text that stays one paragraph of Markdown, whatever the name of a study holds."""
    even = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>#|" else sign for sign in even)
