"""Moderation of a study: what waits to be looked at, acts on labels and players, undo."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from app.models import AuditEntry, Label, Study
from app.services import audit, moderation, moderation_queue
from app.services.moderation_queue import Case, PlayerRecord
from app.web.deps import ModeratedStudyDep, RowNumber, SessionDep
from app.web.templating import redirect, render

router = APIRouter(prefix="/studio/{slug}/moderation", default_response_class=Response)

Act = Literal["hide", "restore", "dismiss", "warn", "silenced", "excluded", "banned", "lift"]


@dataclass(frozen=True, slots=True)
class ModerationContext:
    """One page of the queue, and what has been set aside.

    n_waiting: rounds on the whole queue, counted as far as max_counted. older_than: the last flag
    on this page, None on the last page. last_acts: those that can be taken back,
    one after the other; told: their words. usual_note: what players are told with a
    warning without words of its own.
    """

    study: Study
    cases: list[Case]
    n_waiting: int
    older_than: int | None
    last_acts: list[AuditEntry]
    told: dict[str, str]
    hidden: list[Label]
    restricted: list[PlayerRecord]
    max_counted: int = moderation_queue.MAX_COUNTED
    usual_note: str = moderation.USUAL_NOTE


@router.get("")
def show(
    request: Request,
    session: SessionDep,
    study: ModeratedStudyDep,
    older_than: RowNumber | None = None,
) -> Response:
    cases = moderation_queue.cases(session, study, older_than=older_than)
    context = ModerationContext(
        study=study,
        cases=cases,
        n_waiting=moderation_queue.n_waiting(session, study),
        older_than=cases[-1].last_flag_id if len(cases) == moderation_queue.PAGE_SIZE else None,
        last_acts=moderation.last_acts(session, study),
        told=dict(audit.ACTS),
        hidden=moderation_queue.hidden_labels(session, study),
        restricted=moderation_queue.restricted_players(session, study),
    )
    return render(request, "moderation/show.html", context)


@router.post("")
def act(
    request: Request,
    session: SessionDep,
    study: ModeratedStudyDep,
    act: Annotated[Act, Form()],
    round_id: Annotated[list[UUID], Form()] = [],  # noqa: B006
    label_id: Annotated[list[RowNumber], Form()] = [],  # noqa: B006
    player_id: Annotated[list[UUID], Form()] = [],  # noqa: B006
    why: Annotated[str, Form(max_length=500)] = "",
    note: Annotated[str, Form(max_length=moderation.MAX_NOTE_CHARACTERS)] = "",
) -> Response:
    """Act on what is ticked: labels, those of whole rounds, or the players of rounds. note: what
    players are told with a warning."""
    if act == "hide":
        chosen = {*label_id, *moderation.labels_of(session, round_id)}
        moderation.hide(session, study, label_ids=chosen, why=why)
    elif act == "restore":
        moderation.restore(session, study, label_ids=set(label_id), why=why)
    elif act == "dismiss":
        moderation.dismiss(session, study, round_ids=set(round_id), why=why)
    else:
        people = {*player_id, *moderation.players_of(session, round_id)}
        if act == "warn":
            moderation.warn(session, study, player_ids=people, words=note, why=why)
        else:
            kind = None if act == "lift" else act
            moderation.restrict(session, study, player_ids=people, kind=kind, why=why)
    return redirect(request, f"/studio/{study.slug}/moderation")


@router.post("/undo")
def undo(
    request: Request,
    session: SessionDep,
    study: ModeratedStudyDep,
    entry_id: Annotated[RowNumber, Form()],
    to: Annotated[Literal["moderation", "concepts"], Form()] = "moderation",
    class_id: Annotated[RowNumber | None, Form()] = None,
) -> Response:
    """Take the last act back. to: the page to go on with, that of a class's concepts or this."""
    moderation.undo(session, study, entry_id=entry_id)
    if to == "concepts" and class_id is not None:
        return redirect(request, f"/studio/{study.slug}/concepts-of/{class_id}")
    return redirect(request, f"/studio/{study.slug}/moderation")
