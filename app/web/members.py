"""Who works on a study."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.infra.errors import AppError
from app.models import Account, Invitation, Study, StudyMember
from app.services import access, invitations
from app.web.deps import OwnedStudyDep, SessionDep
from app.web.templating import redirect, render

router = APIRouter(prefix="/studio/{slug}/members", default_response_class=Response)


@dataclass(frozen=True, slots=True)
class MembersContext:
    """owner: None when the study is the admins'. invitations: those not accepted yet; invited:
    whether one has just been sent. name: what was typed, when it was refused."""

    study: Study
    owner: Account | None
    members: list[StudyMember]
    invitations: list[Invitation]
    invited: bool = False
    name: str = ""
    message: str | None = None


@router.get("")
def show(
    request: Request, session: SessionDep, study: OwnedStudyDep, invited: bool = False
) -> Response:
    return render(request, "studies/members.html", _context(session, study, invited=invited))


def _context(
    session: Session,
    study: Study,
    *,
    invited: bool = False,
    name: str = "",
    message: str | None = None,
) -> MembersContext:
    return MembersContext(
        study=study,
        owner=session.get(Account, study.owner_id) if study.owner_id else None,
        members=access.members(session, study),
        invitations=invitations.waiting(session, study=study),
        invited=invited,
        name=name,
        message=message,
    )


@router.post("")
def add(
    request: Request,
    session: SessionDep,
    study: OwnedStudyDep,
    role: Annotated[Literal["moderator", "viewer"], Form()],
    name: Annotated[str, Form()] = "",
) -> Response:
    """Let somebody work on the study, or give them another role in it."""
    try:
        access.set_member(session, study, name=name, role=role)
    except AppError as error:
        context = _context(session, study, name=name, message=error.message)
        return render(request, "studies/members.html", context, status_code=error.status)
    return redirect(request, f"/studio/{study.slug}/members")


@router.post("/{account_id}/remove")
def remove(
    request: Request, session: SessionDep, study: OwnedStudyDep, account_id: UUID
) -> Response:
    access.remove_member(session, study, account_id)
    return redirect(request, f"/studio/{study.slug}/members")
