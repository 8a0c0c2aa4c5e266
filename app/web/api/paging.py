"""Lists a page at a time, by keyset: what is added or goes meanwhile moves nothing, and the last
page is found as quickly as the first."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import Query

from app.infra.errors import InvalidInputError
from app.web.api.shapes import Page

MAX_LIMIT = 200

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items on a page.")]
Cursor = Annotated[
    str | None,
    Query(max_length=300, description="`next` of the page before; none for the first page."),
]

Row = TypeVar("Row")
Item = TypeVar("Item")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def row_number(text: str) -> int:
    number = int(text)
    if not 0 < number < 2**63:
        raise ValueError(text)
    return number


def number(text: str) -> int:
    """One that is no row's, such as a snapshot's."""
    found = row_number(text)
    if found >= 2**31:
        raise ValueError(text)
    return found


def sha256(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise ValueError(text)
    return text


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found


def read_cursor(cursor: str | None, *kinds: Callable[[str], Any]) -> Any:
    """The key that a cursor holds: a value where it has one kind, a tuple where it has several.
    None without a cursor; InvalidInputError for one that this list has not given."""
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise ValueError(cursor)
        key = tuple(kind(part) for kind, part in zip(kinds, parts, strict=True))
    except (ValueError, binascii.Error, OverflowError, RecursionError):
        raise InvalidInputError(
            "That is no cursor of this list. Send `next` of the page before, or none."
        ) from None
    return key[0] if len(kinds) == 1 else key


def page(
    rows: Sequence[Row],
    limit: int,
    *,
    key: Callable[[Row], tuple[object, ...]],
    shape: Callable[[Row], Item],
) -> Page[Item]:
    """A page from `limit` rows and one more, if there is one more."""
    shown = rows[:limit]
    cursor = None
    if len(rows) > limit:
        parts = [p.isoformat() if isinstance(p, datetime) else str(p) for p in key(shown[-1])]
        cursor = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")
    return Page(items=[shape(row) for row in shown], next=cursor)
