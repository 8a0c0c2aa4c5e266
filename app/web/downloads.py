"""The numbers of a page as a file."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from starlette.responses import Response


def to_csv(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as comma-separated text, whose cells are safe to open with a spreadsheet."""
    file = io.StringIO()
    csv.writer(file).writerows([_cell(value) for value in row] for row in rows)
    return file.getvalue()


def _cell(value: Any) -> Any:
    """What a spreadsheet would take for a formula gets a quote before it: players typed it."""
    is_risky = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if is_risky else value


def download(content: str, name: str) -> Response:
    """A file to keep, JSON or CSV by the end of its name."""
    media_type = "application/json" if name.endswith(".json") else "text/csv"
    return Response(
        content,
        media_type=f"{media_type}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
