"""Access tokens on one's own account: made, shown once, taken back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.infra.errors import AppError
from app.models import Account, ApiToken
from app.services import tokens
from app.services.tokens import Scope
from app.web.deps import Number, SessionDep, VisitorDep
from app.web.templating import redirect, render

router = APIRouter(prefix="/account/tokens", default_response_class=Response)

_DAYS = (7, 30, 90, 365)


@dataclass(frozen=True, slots=True)
class TokensContext:
    """tokens: those that open something. new: the text of the one that has just been made, shown
    this once. revoked: whether one has just been taken back. name, chosen, days: the form as it was
    sent, with what is wrong with it."""

    tokens: list[ApiToken]
    scopes: Mapping[Scope, str]
    choices: tuple[int, ...] = _DAYS
    new: str | None = None
    revoked: bool = False
    name: str = ""
    chosen: list[Scope] = field(default_factory=lambda: ["read"])
    days: int = 90
    message: str | None = None


@router.get("")
def show(
    request: Request, session: SessionDep, visitor: VisitorDep, revoked: bool = False
) -> Response:
    context = _context(session, visitor.account, revoked=revoked)
    return render(request, "tokens/show.html", context)


def _context(session: Session, account: Account, **form: object) -> TokensContext:
    return TokensContext(tokens.list_valid(session, account), tokens.SCOPES, **form)  # type: ignore[arg-type]


@router.post("")
def create(
    request: Request,
    session: SessionDep,
    visitor: VisitorDep,
    name: Annotated[str, Form()] = "",
    scope: Annotated[list[Scope], Form()] = [],  # noqa: B006
    days: Annotated[Number, Form()] = 90,
) -> Response:
    try:
        _, text = tokens.create(session, visitor.account, name=name, scopes=scope, days=days)
    except AppError as error:
        session.rollback()
        context = _context(
            session,
            visitor.account,
            name=name[:60],
            chosen=scope,
            days=days,
            message=error.message,
        )
        return render(request, "tokens/show.html", context, status_code=error.status)
    context = _context(session, visitor.account, new=text)
    headers = {"Cache-Control": "no-store"}
    return render(request, "tokens/show.html", context, headers=headers)


@router.post("/{token_id}/revoke")
def revoke(request: Request, session: SessionDep, visitor: VisitorDep, token_id: UUID) -> Response:
    tokens.revoke(session, visitor.account, token_id)
    return redirect(request, "/account/tokens?revoked=true")
