"""Records as text: JSON lines, CSV."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.formats.tables import Column


def to_jsonl(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Each record as one line of JSON, UTF-8 characters as they are, moments as ISO 8601 in UTC."""
    for record in records:
        yield json.dumps(record, ensure_ascii=False, default=_moment) + "\n"


def to_csv(records: Iterable[dict[str, Any]], columns: Sequence[Column]) -> Iterator[str]:
    """A line of column names, then a line per record (RFC 4180).

    Nothing is an empty field, flags are true and false, lists are JSON, moments ISO 8601 in UTC.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    names = [column.name for column in columns]
    writer.writerow(names)
    for record in records:
        writer.writerow([_cell(record[name]) for name in names])
        yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _cell(value: object) -> object:
    if isinstance(value, bool | list):
        return json.dumps(value)
    if isinstance(value, datetime):
        return _moment(value)
    return value


def _moment(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} has no place in a file of records")
    # All in one shape, as readers take it from the first.
    return value.astimezone(UTC).isoformat(timespec="microseconds")


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
