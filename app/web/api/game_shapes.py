"""What the game's calls take and give."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from app.web.api.shapes import Shape, Text, example
from app.web.deps import RowNumber

_ROUND = "7f0c2a52-6a31-4a3e-9a0c-3f8f5a0f2b11"


class NewPlayer(Shape):
    """A guest. The token is shown this once; whoever has it plays as this guest."""

    model_config = example(token="Q2hhbmdlIG1lLCBJIGFtIGFuIGV4YW1wbGU", name="Amber Heron 27")

    token: str
    name: str


class GameOut(Shape):
    """A study whose game is open."""

    model_config = example(slug="picture-book", name="Picture book", network="picturebook")

    slug: str
    name: str
    network: str


class Deal(Shape):
    """Which study to play, and whether its challenge of today."""

    model_config = example(study="picture-book", daily=False)

    study: Text
    daily: bool = False


class Reveal(Shape):
    """The reveal index that was seen when asking for more: asked twice, it moves one step."""

    model_config = example(from_index=0)

    from_index: int = Field(ge=0, le=5)


class Guess(Shape):
    """The answer, and up to five words for what was seen, or that there is nothing to name. Sent
    again, the first one stands."""

    model_config = example(class_id=3, labels=["sail", "mast"], nothing_nameable=False)

    class_id: RowNumber
    labels: list[Text] = Field(default_factory=list)
    nothing_nameable: bool = False


class Resign(Shape):
    """Whether there was nothing to name."""

    model_config = example(nothing_nameable=True)

    nothing_nameable: bool = False


class Choice(Shape):
    """One of the answers."""

    model_config = example(id=3, name="sailboat")

    id: int
    name: str


class Points(Shape):
    """A line of the points ledger: why, and of what it speaks (a label, a badge, a day; nothing
    where others agreed that there is nothing to name)."""

    model_config = example(reason="agreement", points=2, detail="sail")

    reason: str
    points: int
    detail: str


class LabelOut(Shape):
    """A label as it was typed. remark: why it can earn nothing, else null."""

    model_config = example(text="sailboat", remark="class name")

    text: str
    remark: str | None


class OtherLabel(Shape):
    """What others typed for the same map, and how many of them."""

    model_config = example(text="white sail", n_players=2)

    text: str
    n_players: int


class OutcomeOut(Shape):
    """The answer to a finished round. nothing_nameable: said in place of labels, as by
    n_nothing_of_others. practice_region: what a practice round was about. is_spare: the map had all
    the rounds wanted, so that this one counts in no result."""

    model_config = example(
        true_class="sailboat",
        guessed_class="sailboat",
        network_said="sailboat",
        probability=0.97,
        layer="layer3",
        points=[{"reason": "guess", "points": 8, "detail": ""}],
        labels=[{"text": "white sail", "remark": None}],
        labels_of_others=[{"text": "sail", "n_players": 3}],
        nothing_nameable=False,
        n_nothing_of_others=0,
        practice_region=None,
        is_spare=False,
        answer_url=f"/api/v1/rounds/{_ROUND}/answer.jpg",
    )

    true_class: str
    guessed_class: str | None
    network_said: str
    probability: Annotated[float, Field(ge=0, le=1)]
    layer: str
    points: list[Points]
    labels: list[LabelOut]
    labels_of_others: list[OtherLabel]
    nothing_nameable: bool
    n_nothing_of_others: int
    practice_region: str | None
    is_spare: bool
    answer_url: str


class RoundOut(Shape):
    """A round. While it is open, nothing in it tells the answer; outcome is null. lesson: for a
    player's first rounds, which of the introduction's three it is; these are practice."""

    model_config = example(
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

    model_config = example(
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

    model_config = example(
        reason="guess",
        points=8,
        detail="",
        class_name="sailboat",
        round_id=_ROUND,
        created_at="2026-11-26T17:40:00Z",
    )

    reason: str
    points: int
    detail: str
    class_name: str
    round_id: UUID
    created_at: datetime


class PlaceOut(Shape):
    """A place on a board. Players with as many points share a rank."""

    model_config = example(rank=1, name="Amber Heron 27", points=128, is_you=True)

    rank: int
    name: str
    points: int
    is_you: bool


class BoardOut(Shape):
    """A board: the first fifty, one's own place, and those next to it if it is further down."""

    model_config = example(
        n_players=1,
        top=[{"rank": 1, "name": "Amber Heron 27", "points": 128, "is_you": True}],
        own={"rank": 1, "name": "Amber Heron 27", "points": 128, "is_you": True},
        around=[],
    )

    n_players: int
    top: list[PlaceOut]
    own: PlaceOut | None
    around: list[PlaceOut]
