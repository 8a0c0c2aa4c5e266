"""What all shapes of the API have in common: what it takes and gives, each with an example."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.models import AuditEntry
from app.services import audit


class Shape(BaseModel):
    """Unknown fields are refused: a misspelt one must not be lost in silence."""

    model_config = ConfigDict(extra="forbid")


def example(values: dict[str, JsonValue] | None = None, /, **more: JsonValue) -> ConfigDict:
    """The configuration of a shape with an example of it. values: fields named like keywords."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [{**(values or {}), **more}]})


def examples(shape: type[BaseModel]) -> list[JsonValue]:
    """What a shape may look like."""
    extra = shape.model_config.get("json_schema_extra")
    found = extra.get("examples") if isinstance(extra, dict) else None
    assert isinstance(found, list), f"{shape.__name__} has no example"
    return found


def all_shapes(shape: type[Shape]) -> Iterator[type[Shape]]:
    """The shapes made from one, and from those."""
    for one in shape.__subclasses__():
        yield one
        yield from all_shapes(one)


Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""Text as the database can hold it."""

Players = Literal["people", "simulated"]

Why = Annotated[Text, Field(max_length=500, description="For the log: why it was done.")]


class Problem(BaseModel):
    """An error (RFC 9457). `detail` is a sentence for people."""

    model_config = example(
        type="about:blank",
        title="Conflict",
        status=409,
        detail="This game is not open at the moment.",
    )

    type: str
    title: str
    status: int
    detail: str


Item = TypeVar("Item")


class Page(Shape, Generic[Item]):
    """Some of a list. next: what to send as `cursor` for those that follow, null at the end."""

    items: Sequence[Item]
    next: str | None


class ActOut(Shape):
    """What was done, as the log has it. While it is the last act it can be taken back by its id."""

    model_config = example(
        id=512,
        act="label.hide",
        words="hid",
        subject="“asdf”",
        actor="anna",
        at="2026-11-26T17:40:00Z",
        why="no word",
    )

    id: int
    act: str
    words: str
    subject: str
    actor: str
    at: datetime
    why: str | None

    @classmethod
    def of(cls, entry: AuditEntry) -> "ActOut":
        return cls(
            id=entry.id,
            act=entry.act,
            words=audit.ACTS[entry.act],
            subject=entry.subject_name,
            actor=entry.actor,
            at=entry.at,
            why=entry.why,
        )


JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}, "description": "A JPEG."}
}
FILE: dict[int | str, dict[str, Any]] = {
    # Its type goes by what was asked for: text/csv, application/zip.
    200: {"content": {"*/*": {}}, "description": "The file."}
}
