"""Records as files that others read."""

import json
from collections.abc import Iterable, Iterator
from typing import Any


def to_jsonl(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Each record as one line of JSON, UTF-8 characters as they are."""
    for record in records:
        yield json.dumps(record, ensure_ascii=False) + "\n"
