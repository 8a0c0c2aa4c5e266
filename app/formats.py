"""Records as files that others read."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any


def to_jsonl(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Each record as one line of JSON, UTF-8 characters as they are."""
    for record in records:
        yield json.dumps(record, ensure_ascii=False) + "\n"


def from_jsonl(lines: Iterable[str], *, needed: Mapping[str, type]) -> Iterator[dict[str, Any]]:
    """The records of a file with one JSON object a line; blank lines are left out.

    needed: fields that every record has, and their types. Raises ValueError with the number of
    the line for what is no JSON object or lacks a field.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ValueError(f"Line {number} is no JSON: {error}") from error
        if not isinstance(record, dict):
            raise ValueError(f"Line {number} is no JSON object.")
        for field, kind in needed.items():
            if not isinstance(record.get(field), kind):
                raise ValueError(f"Line {number} needs “{field}” as {kind.__name__}.")
        yield record


def write_whole(path: Path, parts: Iterable[str]) -> None:
    """Write a text file beside its place first, so that what breaks off leaves no half file."""
    partial = path.with_name(path.name + ".part")
    with partial.open("w", encoding="utf-8") as file:
        file.writelines(parts)
    partial.replace(path)
