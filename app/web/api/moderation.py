"""What waits to be looked at in a study, acts on labels and players, and taking them back."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from app.models import Label
from app.services import audit, moderation, moderation_queue
from app.services.moderation import MAX_AT_ONCE
from app.services.moderation_queue import Case, PlayerRecord
from app.web.api.callers import ModeratedStudyDep
from app.web.api.paging import Cursor, Limit, page, read_cursor, row_number
from app.web.api.shapes import ActOut, Page, Shape, Text, Why, example
from app.web.deps import RowNumber, SessionDep

_ROOT = "/studies/{slug}/moderation"

router = APIRouter(tags=["moderation"])

_ROUND = "7f0c2a52-6a31-4a3e-9a0c-3f8f5a0f2b11"
_PLAYER = "c1d2e3f4-5a6b-4c7d-8e9f-0a1b2c3d4e5f"


class TypedOut(Shape):
    """A label as it was typed. remark: why it can earn nothing. hidden_at: since when it is
    hidden."""

    model_config = example(id=77, text="asdf", remark="mash", hidden_at=None)

    id: int
    text: str
    remark: str | None
    hidden_at: datetime | None


class ReasonOut(Shape):
    """Why a round is on the queue, with the figure or the word."""

    model_config = example(reason="too fast", detail="0.31 s for 2 labels")

    reason: str
    detail: str


class PlayerOut(Shape):
    """How a player has done in the study. name: what moderators call them. n_notes, n_unread:
    notes that they got, and those not read yet. restriction: silenced, excluded or banned, if they
    are."""

    model_config = example(
        id=_PLAYER,
        name="player c1d2e3",
        n_rounds=31,
        n_right=12,
        n_practice=4,
        n_named=1,
        n_flags=3,
        n_notes=1,
        n_unread=0,
        restriction=None,
    )

    id: UUID
    name: str
    n_rounds: int
    n_right: int
    n_practice: int
    n_named: int
    n_flags: int
    n_notes: int
    n_unread: int
    restriction: str | None


class CaseOut(Shape):
    """A round that somebody should look at."""

    model_config = example(
        round_id=_ROUND,
        image_id="a2c9c1d4-7c1f-4ad0-9a52-9c6f2f4f1e77",
        class_name="sailboat",
        guessed_class="windmill",
        finished_at="2026-11-26T17:40:00Z",
        reasons=[{"reason": "too fast", "detail": "0.31 s for 2 labels"}],
        labels=[{"id": 77, "text": "asdf", "remark": "mash", "hidden_at": None}],
        player={
            "id": _PLAYER,
            "name": "player c1d2e3",
            "n_rounds": 31,
            "n_right": 12,
            "n_practice": 4,
            "n_named": 1,
            "n_flags": 3,
            "n_notes": 1,
            "n_unread": 0,
            "restriction": None,
        },
    )

    round_id: UUID
    image_id: UUID
    class_name: str
    guessed_class: str | None
    finished_at: datetime | None
    reasons: list[ReasonOut]
    labels: list[TypedOut]
    player: PlayerOut


class Labels(Shape):
    """Labels by their ids, and why."""

    model_config = example(label_ids=[77, 78], why="no words")

    label_ids: Annotated[list[RowNumber], Field(min_length=1, max_length=MAX_AT_ONCE)]
    why: Why = ""


class Rounds(Shape):
    """Rounds by their ids, and why."""

    model_config = example(round_ids=[_ROUND], why="")

    round_ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_AT_ONCE)]
    why: Why = ""


class Restrict(Shape):
    """Players by their ids, and what they may no longer do. silenced: from now on their answers do
    not count. excluded: none of their answers does. banned: they are dealt no more rounds either.
    null lifts it."""

    model_config = example(player_ids=[_PLAYER], kind="silenced", why="types at random")

    player_ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_AT_ONCE)]
    kind: Literal["silenced", "excluded", "banned"] | None
    why: Why = ""


class Warn(Shape):
    """Players by their ids, and what they are told; without words it is the usual note."""

    model_config = example(
        player_ids=[_PLAYER], words="Please type what you see, or nothing.", why="types at random"
    )

    player_ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_AT_ONCE)]
    words: Annotated[Text, Field(max_length=moderation.MAX_NOTE_CHARACTERS)] = ""
    why: Why = ""


def _typed(label: Label) -> TypedOut:
    return TypedOut(id=label.id, text=label.text, remark=label.remark, hidden_at=label.hidden_at)


def _player(record: PlayerRecord) -> PlayerOut:
    return PlayerOut(
        id=record.id,
        name=record.name,
        n_rounds=record.n_rounds,
        n_right=record.n_right,
        n_practice=record.n_practice,
        n_named=record.n_named,
        n_flags=record.n_flags,
        n_notes=record.n_notes,
        n_unread=record.n_unread,
        restriction=record.restriction,
    )


def _case(case: Case) -> CaseOut:
    return CaseOut(
        round_id=case.round_id,
        image_id=case.image_id,
        class_name=case.class_name,
        guessed_class=case.guessed_class,
        finished_at=case.finished_at,
        reasons=[ReasonOut(reason=reason, detail=detail) for reason, detail in case.reasons],
        labels=[_typed(label) for label in case.labels],
        player=_player(case.player),
    )


@router.get(_ROOT + "/cases", summary="What waits to be looked at")
def list_cases(
    session: SessionDep, study: ModeratedStudyDep, limit: Limit = 25, cursor: Cursor = None
) -> Page[CaseOut]:
    """Rounds with a flag that nobody has looked at, the last flagged first."""
    older_than = read_cursor(cursor, row_number)
    found = moderation_queue.cases(session, study, older_than=older_than, limit=limit + 1)
    return page(found, limit, key=lambda case: (case.last_flag_id,), shape=_case)


@router.post(_ROOT + "/hide", summary="Hide labels")
def hide(session: SessionDep, study: ModeratedStudyDep, asked: Labels) -> ActOut:
    """Nobody else sees them, and they are in no result."""
    moderation.hide(session, study, label_ids=set(asked.label_ids), why=asked.why)
    return ActOut.of(audit.last_recorded(session))


@router.post(_ROOT + "/restore", summary="Show labels again")
def restore(session: SessionDep, study: ModeratedStudyDep, asked: Labels) -> ActOut:
    """Hidden labels are shown and count as before."""
    moderation.restore(session, study, label_ids=set(asked.label_ids), why=asked.why)
    return ActOut.of(audit.last_recorded(session))


@router.post(_ROOT + "/dismiss", summary="Take rounds off the queue")
def dismiss(session: SessionDep, study: ModeratedStudyDep, asked: Rounds) -> ActOut:
    """Nothing is wrong with them."""
    moderation.dismiss(session, study, round_ids=set(asked.round_ids), why=asked.why)
    return ActOut.of(audit.last_recorded(session))


@router.post(_ROOT + "/warn", summary="Warn players")
def warn(session: SessionDep, study: ModeratedStudyDep, asked: Warn) -> ActOut:
    """They read a note with their next round, and say that they have. Nothing else changes."""
    moderation.warn(
        session, study, player_ids=set(asked.player_ids), words=asked.words, why=asked.why
    )
    return ActOut.of(audit.last_recorded(session))


@router.post(_ROOT + "/restrict", summary="Silence, exclude or ban players")
def restrict(session: SessionDep, study: ModeratedStudyDep, asked: Restrict) -> ActOut:
    """Restrict players in this study, or lift what restricts them."""
    moderation.restrict(
        session, study, player_ids=set(asked.player_ids), kind=asked.kind, why=asked.why
    )
    return ActOut.of(audit.last_recorded(session))


@router.get(_ROOT + "/acts", summary="What can be taken back")
def list_acts(session: SessionDep, study: ModeratedStudyDep) -> list[ActOut]:
    """The last five acts about labels, players and concepts that stand. The first can be taken back
    now; what came later may rest on what came before."""
    return [ActOut.of(entry) for entry in moderation.last_acts(session, study)]


@router.post(_ROOT + "/acts/{act_id}/undo", summary="Take the last act back")
def undo(session: SessionDep, study: ModeratedStudyDep, act_id: RowNumber) -> ActOut:
    """Refused once something else has been done since."""
    moderation.undo(session, study, entry_id=act_id)
    return ActOut.of(audit.last_recorded(session))
