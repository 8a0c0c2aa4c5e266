"""What the API takes and gives, with an example of each."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

_ROUND = "7f0c2a52-6a31-4a3e-9a0c-3f8f5a0f2b11"


class Shape(BaseModel):
    """Unknown fields are refused: a misspelt one must not be lost in silence."""

    model_config = ConfigDict(extra="forbid")


def _example(**values: JsonValue) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [values]})


class Problem(BaseModel):
    """An error (RFC 9457). `detail` is a sentence for people."""

    model_config = _example(
        type="about:blank",
        title="Conflict",
        status=409,
        detail="This game is not open at the moment.",
    )

    type: str
    title: str
    status: int
    detail: str


class NewPlayer(Shape):
    """A guest. The token is shown this once; whoever has it plays as this guest."""

    model_config = _example(token="Q2hhbmdlIG1lLCBJIGFtIGFuIGV4YW1wbGU", name="Amber Heron 27")

    token: str
    name: str


class StudyOut(Shape):
    """A study whose game is open."""

    model_config = _example(slug="picture-book", name="Picture book", network="picturebook")

    slug: str
    name: str
    network: str


class Deal(Shape):
    """Which study to play, and whether its challenge of today."""

    model_config = _example(study="picture-book", daily=False)

    study: str
    daily: bool = False


class Reveal(Shape):
    """The reveal index that was seen when asking for more: asked twice, it moves one step."""

    model_config = _example(from_index=0)

    from_index: int = Field(ge=0, le=5)


class Guess(Shape):
    """The answer, and up to five words for what was seen. Sent again, the first one stands."""

    model_config = _example(class_id=3, labels=["sail", "mast"])

    class_id: int
    labels: list[str] = []


class Choice(Shape):
    """One of the answers."""

    model_config = _example(id=3, name="sailboat")

    id: int
    name: str


class Points(Shape):
    """A line of the points ledger: why, and of what it speaks (a label, a badge, a day)."""

    model_config = _example(reason="agreement", points=2, detail="sail")

    reason: str
    points: int
    detail: str


class LabelOut(Shape):
    """A label as it was typed. remark: why it can earn nothing, else null."""

    model_config = _example(text="sailboat", remark="class name")

    text: str
    remark: str | None


class OtherLabel(Shape):
    """What others typed for the same map, and how many of them."""

    model_config = _example(text="white sail", n_players=2)

    text: str
    n_players: int


class OutcomeOut(Shape):
    """The answer to a finished round. practice_region: what a practice round was about. is_spare:
    the map had all the rounds wanted, so that this one counts in no result."""

    true_class: str
    guessed_class: str | None
    network_said: str
    probability: Annotated[float, Field(ge=0, le=1)]
    layer: str
    points: list[Points]
    labels: list[LabelOut]
    labels_of_others: list[OtherLabel]
    practice_region: str | None
    is_spare: bool
    answer_url: str


class RoundOut(Shape):
    """A round. While it is open, nothing in it tells the answer; outcome is null. lesson: for a
    player's first rounds, which of the introduction's three it is; these are practice."""

    model_config = _example(
        id=_ROUND,
        study="picture-book",
        status="open",
        reveal_index=0,
        lit_percent=2.0,
        points_for_right=10,
        choices=[{"id": 3, "name": "sailboat"}, {"id": 4, "name": "windmill"}],
        taboo=[],
        picture_url=f"/api/v1/rounds/{_ROUND}/picture?step=0",
    )

    id: UUID
    study: str
    status: Literal["open", "won", "lost", "resigned"]
    reveal_index: int
    lit_percent: float
    points_for_right: int
    choices: list[Choice]
    taboo: list[str]
    picture_url: str
    lesson: int | None = None
    outcome: OutcomeOut | None = None


class Me(Shape):
    """Who is asking, and what they have earned. n_news: points that came while they were away."""

    model_config = _example(
        name="Amber Heron 27",
        points=128,
        level=3,
        next_level_at=240,
        n_rounds=19,
        n_right=11,
        streak_days=2,
        badges=["rounds-10"],
        n_news=4,
    )

    name: str
    points: int
    level: int
    next_level_at: int
    n_rounds: int
    n_right: int
    streak_days: int
    badges: list[str]
    n_news: int


class Entry(Shape):
    """A line of one's own ledger, newest first in the list."""

    reason: str
    points: int
    detail: str
    class_name: str
    round_id: UUID
    created_at: datetime


class PlaceOut(Shape):
    """A place on a board. Players with as many points share a rank."""

    model_config = _example(rank=1, name="Amber Heron 27", points=128, is_you=True)

    rank: int
    name: str
    points: int
    is_you: bool


class BoardOut(Shape):
    """A board: the first fifty, one's own place, and those next to it if it is further down."""

    n_players: int
    top: list[PlaceOut]
    own: PlaceOut | None
    around: list[PlaceOut]
