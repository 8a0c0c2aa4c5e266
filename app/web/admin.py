"""What admins do about people (roles, passwords, sign-ins, erasing), and how the site is."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.infra import health
from app.infra.errors import AppError, InvalidInputError
from app.infra.health import Part
from app.models import Account, Player, SignIn
from app.services import accounts, erasure, players
from app.services.accounts import Role
from app.services.players import Standing
from app.web.deps import AdminDep, SessionDep, SettingsDep
from app.web.templating import redirect, render, render_part

router = APIRouter(prefix="/admin", default_response_class=Response)

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class UsersContext:
    """One page of accounts by name. words: what was searched for. after: the name after which the
    next page begins, None on the last."""

    accounts: list[Account]
    words: str
    after: str | None


@dataclass(frozen=True, slots=True)
class UserContext:
    """An account. is_self: whether it is the admin's own. done: which change has just been made.
    link: a one-time link for a new password, to hand over."""

    account: Account
    standing: Standing
    sign_ins: list[SignIn]
    is_self: bool
    done: str = ""
    link: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class HealthContext:
    parts: list[Part]


@router.get("/health")
def show_health(request: Request, settings: SettingsDep, admin: AdminDep) -> Response:
    """The parts that the site runs on. The page asks again every ten seconds."""
    assert settings.redis_url is not None
    parts = health.all_parts(request.app.state.engine, settings.redis_url, settings.storage_path)
    return render_part(request, "admin/health.html", "admin/_parts.html", HealthContext(parts))


@router.get("/users")
def list_users(
    request: Request, session: SessionDep, admin: AdminDep, q: str = "", after: str = ""
) -> Response:
    found = accounts.search(session, q, after=after, limit=PAGE_SIZE + 1)
    page = found[:PAGE_SIZE]
    context = UsersContext(page, q, page[-1].name if len(found) > PAGE_SIZE else None)
    return render(request, "admin/users.html", context)


@router.get("/users/{account_id}")
def show(
    request: Request, session: SessionDep, admin: AdminDep, account_id: UUID, done: str = ""
) -> Response:
    context = _context(session, admin.account, account_id, done=done)
    return render(request, "admin/user.html", context)


def _context(
    session: Session,
    admin: Account,
    account_id: UUID,
    *,
    done: str = "",
    link: str | None = None,
    message: str | None = None,
) -> UserContext:
    account = accounts.get(session, account_id)
    return UserContext(
        account=account,
        standing=players.standing(session, session.get_one(Player, account.player_id)),
        sign_ins=accounts.list_sign_ins(session, account),
        is_self=account.id == admin.id,
        done=done,
        link=link,
        message=message,
    )


@router.post("/users/{account_id}/role")
def change_role(
    request: Request,
    session: SessionDep,
    admin: AdminDep,
    account_id: UUID,
    role: Annotated[Role, Form()],
) -> Response:
    try:
        accounts.change_role(session, accounts.get(session, account_id), role)
    except AppError as error:
        return _refused(request, session, admin.account, account_id, error)
    return redirect(request, f"/admin/users/{account_id}?done=role")


def _refused(
    request: Request, session: Session, admin: Account, account_id: UUID, error: AppError
) -> Response:
    session.rollback()
    context = _context(session, admin, account_id, message=error.message)
    return render(request, "admin/user.html", context, status_code=error.status)


@router.post("/users/{account_id}/link")
def make_link(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    admin: AdminDep,
    account_id: UUID,
) -> Response:
    """A link for a new password, for somebody who has no e-mail address here. It is shown once."""
    token = accounts.make_link(session, accounts.get(session, account_id), purpose="password")
    link = f"{settings.site}/reset/{token}"
    context = _context(session, admin.account, account_id, link=link)
    return render(request, "admin/user.html", context)


@router.post("/users/{account_id}/sign-out")
def sign_out(request: Request, session: SessionDep, admin: AdminDep, account_id: UUID) -> Response:
    """End every sign-in of somebody; of one's own all but this."""
    account = accounts.get(session, account_id)
    here = admin.sign_in_id if account.id == admin.account.id else None
    accounts.sign_out_everywhere(session, account, but=here)
    return redirect(request, f"/admin/users/{account_id}?done=signed-out")


@router.post("/users/{account_id}/erase")
def erase(
    request: Request,
    session: SessionDep,
    admin: AdminDep,
    account_id: UUID,
    words: Annotated[erasure.Words, Form()],
    name: Annotated[str, Form()] = "",
) -> Response:
    """Erase somebody whose name the admin has typed, so that no slip of the hand can."""
    account = accounts.get(session, account_id)
    try:
        if name.strip().lower() != account.name.lower():
            raise InvalidInputError("Nothing was erased: the name that you typed is another one.")
        erasure.erase(session, account, words=words)
    except AppError as error:
        return _refused(request, session, admin.account, account_id, error)
    return redirect(request, "/admin/users")
