"""Inviting people, and accepting an invitation."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from app.services import invitations
from app.services.accounts import Role
from app.services.invitations import StudyRole
from app.web.deps import (
    AdminDep,
    LimitsDep,
    MaybeVisitorDep,
    OwnedStudyDep,
    SessionDep,
    VisitorDep,
)
from app.web.templating import redirect, render

router = APIRouter(default_response_class=Response)

_PER_DAY, _DAY_S = 100, 24 * 60 * 60

EmailForm = Annotated[str, Form()]


@dataclass(frozen=True, slots=True)
class InvitedContext:
    """An invitation that waits. by: who invites; does: to what. name: of whoever is signed in."""

    token: str
    by: str
    does: str
    name: str | None


@router.post("/studio/{slug}/invitations")
def invite_to_study(
    request: Request,
    session: SessionDep,
    limits: LimitsDep,
    visitor: VisitorDep,
    study: OwnedStudyDep,
    role: Annotated[StudyRole, Form()],
    email: EmailForm = "",
) -> Response:
    limits.take("invite", str(visitor.account.id), n=_PER_DAY, window_s=_DAY_S)
    invitations.invite(session, by=visitor.account, email=email, role=role, study=study)
    return redirect(request, f"/studio/{study.slug}/members?invited=true")


@router.post("/studio/{slug}/invitations/{invitation_id}/revoke")
def revoke_of_study(
    request: Request, session: SessionDep, study: OwnedStudyDep, invitation_id: UUID
) -> Response:
    invitations.revoke(session, invitation_id, study=study)
    return redirect(request, f"/studio/{study.slug}/members")


@router.post("/admin/invitations")
def invite_to_site(
    request: Request,
    session: SessionDep,
    limits: LimitsDep,
    admin: AdminDep,
    role: Annotated[Role, Form()],
    email: EmailForm = "",
) -> Response:
    limits.take("invite", str(admin.account.id), n=_PER_DAY, window_s=_DAY_S)
    invitations.invite(session, by=admin.account, email=email, role=role)
    return redirect(request, "/admin/users?invited=true")


@router.post("/admin/invitations/{invitation_id}/revoke")
def revoke_of_site(
    request: Request, session: SessionDep, admin: AdminDep, invitation_id: UUID
) -> Response:
    invitations.revoke(session, invitation_id)
    return redirect(request, "/admin/users")


@router.get("/invited/{token}")
def show(request: Request, session: SessionDep, visitor: MaybeVisitorDep, token: str) -> Response:
    """Asks for a click: programs that check e-mails open their links, and must accept nothing."""
    invitation = invitations.find(session, token)
    context = InvitedContext(
        token=token,
        by=invitation.invited_by.name,
        does=invitations.does(invitation),
        name=visitor.name if visitor else None,
    )
    return render(request, "accounts/invited.html", context)


@router.post("/invited/{token}")
def accept(request: Request, session: SessionDep, visitor: VisitorDep, token: str) -> Response:
    study = invitations.accept(session, token, visitor.account)
    return redirect(request, f"/studio/{study.slug}" if study else "/account?done=invited")
