"""Signing up, in and out; one's own account."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.infra.errors import AppError, InvalidInputError
from app.infra.limits import Limits
from app.infra.settings import Settings
from app.models import Account, Player, SignIn
from app.services import accounts, erasure, players
from app.services.players import Standing
from app.web.deps import (
    PLAYER_COOKIE,
    SIGN_IN_COOKIE,
    GuestDep,
    LimitsDep,
    MaybeVisitorDep,
    SessionDep,
    SettingsDep,
    Visitor,
    VisitorDep,
    client_address,
)
from app.web.templating import redirect, render

router = APIRouter(default_response_class=Response)

TextForm = Annotated[str, Form()]

_QUARTER_S, _HOUR_S = 15 * 60, 60 * 60


@dataclass(frozen=True, slots=True)
class SignUpContext:
    """standing: what the visitor has earned as a guest, None before they played."""

    standing: Standing | None
    next: str
    name: str = ""
    email: str = ""
    message: str | None = None


@dataclass(frozen=True, slots=True)
class SignInContext:
    """standing: as in SignUpContext. reset: whether a new password has just been set."""

    standing: Standing | None
    next: str
    name: str = ""
    reset: bool = False
    message: str | None = None


@dataclass(frozen=True, slots=True)
class ForgottenContext:
    """sent: whether a link has been asked for."""

    sent: bool = False


@dataclass(frozen=True, slots=True)
class LinkContext:
    """A one-time link that works. name: the account's. email: the address to confirm, if any."""

    token: str
    name: str
    email: str | None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class AccountContext:
    """done: which change has just been made. wrong: the form that `message` is about."""

    account: Account
    standing: Standing
    sign_ins: list[SignIn]
    here: UUID
    done: str
    wrong: str = ""
    message: str | None = None


@dataclass(frozen=True, slots=True)
class EraseContext:
    name: str
    message: str | None = None


def local_address(address: str) -> str:
    """An address on this site to go on to. One elsewhere, with which somebody's link would lead
    people from our form to a page of theirs, is not taken."""
    is_local = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if is_local and address.isprintable() else ""


def _standing(session: Session, guest: Player | None) -> Standing | None:
    found = players.standing(session, guest) if guest else None
    return found if found and found.n_rounds else None


def _let_in(
    request: Request,
    session: Session,
    settings: Settings,
    visitor: Visitor | None,
    account: Account,
    address: str,
) -> Response:
    """Sign the browser in and send it on. It plays as the account from now on, not as a guest, and
    whoever was signed in before is so no more."""
    if visitor is not None:
        accounts.sign_out(session, visitor.account, visitor.sign_in_id)
    token = accounts.sign_in(
        session,
        account,
        address=client_address(request),
        user_agent=request.headers.get("user-agent", ""),
    )
    response = redirect(request, address)
    response.set_cookie(
        SIGN_IN_COOKIE,
        token,
        max_age=int(accounts.SIGN_IN_AGE.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=settings.secure_cookies,
    )
    response.delete_cookie(PLAYER_COOKIE)
    return response


@router.get("/sign-up")
def show_sign_up(
    request: Request,
    session: SessionDep,
    visitor: MaybeVisitorDep,
    guest: GuestDep,
    next: str = "",  # noqa: A002
) -> Response:
    if visitor is not None:
        return redirect(request, "/account")
    context = SignUpContext(_standing(session, guest), local_address(next))
    return render(request, "accounts/sign_up.html", context)


@router.post("/sign-up")
def sign_up(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    limits: LimitsDep,
    visitor: MaybeVisitorDep,
    guest: GuestDep,
    name: TextForm = "",
    password: TextForm = "",
    email: TextForm = "",
    next: TextForm = "",  # noqa: A002
) -> Response:
    """A new account. Who has played as a guest goes on with all of it."""
    # A class of pupils signs up from one address, all at once.
    limits.take("sign-up", client_address(request), n=60, window_s=_HOUR_S)
    try:
        account = accounts.create(session, name=name, password=password, guest=guest)
        if email.strip():
            accounts.ask_to_confirm(session, account, email)
    except AppError as error:
        session.rollback()
        context = SignUpContext(
            _standing(session, guest), local_address(next), name, email, error.message
        )
        return render(request, "accounts/sign_up.html", context, status_code=error.status)
    done = "signed-up-email" if email.strip() else "signed-up"
    address = local_address(next) or f"/account?done={done}"
    return _let_in(request, session, settings, visitor, account, address)


@router.get("/sign-in")
def show_sign_in(
    request: Request,
    session: SessionDep,
    visitor: MaybeVisitorDep,
    guest: GuestDep,
    next: str = "",  # noqa: A002
    reset: bool = False,
) -> Response:
    if visitor is not None:
        return redirect(request, local_address(next) or "/account")
    context = SignInContext(_standing(session, guest), local_address(next), reset=reset)
    return render(request, "accounts/sign_in.html", context)


@router.post("/sign-in")
def sign_in(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    limits: LimitsDep,
    visitor: MaybeVisitorDep,
    guest: GuestDep,
    name: TextForm = "",
    password: TextForm = "",
    next: TextForm = "",  # noqa: A002
) -> Response:
    """Sign in. What was played on this device as a guest moves to the account."""
    who, where = accounts.as_compared(session, name), client_address(request)
    # The narrow one is for somebody at one place, so that a stranger who tries another's name
    # elsewhere does not lock them out; the wide ones slow down those who come from many places.
    limits.take("sign-in", f"{who} {where}", n=10, window_s=_QUARTER_S)
    limits.take("sign-in-name", who, n=60, window_s=_HOUR_S)
    limits.take("sign-in-address", where, n=300, window_s=_QUARTER_S)
    try:
        account = accounts.check_password(session, name_or_email=name, password=password)
    except AppError as error:
        context = SignInContext(
            _standing(session, guest), local_address(next), name, message=error.message
        )
        return render(request, "accounts/sign_in.html", context, status_code=error.status)
    limits.forget("sign-in", f"{who} {where}")
    if guest is not None:
        players.merge_guest(session, guest=guest, account=account)
    address = local_address(next) or ("/play" if account.role == "player" else "/studio")
    return _let_in(request, session, settings, visitor, account, address)


@router.post("/sign-out")
def sign_out(request: Request, session: SessionDep, visitor: MaybeVisitorDep) -> Response:
    if visitor is not None:
        accounts.sign_out(session, visitor.account, visitor.sign_in_id)
    response = redirect(request, "/")
    response.delete_cookie(SIGN_IN_COOKIE)
    return response


@router.get("/forgotten")
def show_forgotten(request: Request) -> Response:
    return render(request, "accounts/forgotten.html", ForgottenContext())


@router.post("/forgotten")
def ask_for_new_password(
    request: Request, session: SessionDep, limits: LimitsDep, email: TextForm = ""
) -> Response:
    """Send a link to an address that is known, and say the same about any."""
    limits.take("forgotten", accounts.as_compared(session, email), n=3, window_s=_HOUR_S)
    limits.take("forgotten-address", client_address(request), n=30, window_s=_HOUR_S)
    accounts.ask_for_new_password(session, email)
    return render(request, "accounts/forgotten.html", ForgottenContext(sent=True))


@router.get("/reset/{token}")
def show_reset(request: Request, session: SessionDep, token: str) -> Response:
    link = accounts.find_link(session, token, purpose="password")
    context = LinkContext(token, link.account.name, email=None)
    return render(request, "accounts/reset.html", context)


@router.post("/reset/{token}")
def reset(request: Request, session: SessionDep, token: str, password: TextForm = "") -> Response:
    try:
        accounts.reset_password(session, token, password=password)
    except InvalidInputError as error:
        session.rollback()
        link = accounts.find_link(session, token, purpose="password")
        context = LinkContext(token, link.account.name, None, error.message)
        return render(request, "accounts/reset.html", context, status_code=error.status)
    return redirect(request, "/sign-in?reset=true")


@router.get("/confirm/{token}")
def show_confirm(request: Request, session: SessionDep, token: str) -> Response:
    """Asks for a click: programs that check e-mails open their links, and must confirm nothing."""
    link = accounts.find_link(session, token, purpose="email")
    context = LinkContext(token, link.account.name, link.email)
    return render(request, "accounts/confirm.html", context)


@router.post("/confirm/{token}")
def confirm(request: Request, session: SessionDep, token: str) -> Response:
    accounts.confirm_email(session, token)
    return redirect(request, "/account?done=confirmed")


@router.get("/account")
def show_account(
    request: Request, session: SessionDep, visitor: VisitorDep, done: str = ""
) -> Response:
    return _account_page(request, session, visitor, done=done)


def _account_page(
    request: Request,
    session: Session,
    visitor: Visitor,
    *,
    done: str = "",
    wrong: str = "",
    error: AppError | None = None,
) -> Response:
    if error is not None:
        session.rollback()
    context = AccountContext(
        account=visitor.account,
        standing=players.standing(session, session.get_one(Player, visitor.account.player_id)),
        sign_ins=accounts.list_sign_ins(session, visitor.account),
        here=visitor.sign_in_id,
        done=done,
        wrong=wrong,
        message=error.message if error else None,
    )
    status = error.status if error else 200
    return render(request, "accounts/account.html", context, status_code=status)


@router.post("/account/name")
def rename(
    request: Request, session: SessionDep, visitor: VisitorDep, name: TextForm = ""
) -> Response:
    try:
        accounts.rename(session, visitor.account, name)
    except AppError as error:
        return _account_page(request, session, visitor, wrong="name", error=error)
    return redirect(request, "/account?done=name")


@router.post("/account/email")
def change_email(
    request: Request,
    session: SessionDep,
    limits: LimitsDep,
    visitor: VisitorDep,
    email: TextForm = "",
    password: TextForm = "",
) -> Response:
    """Ask to confirm another address. It needs the password, since who has the address can set
    another one."""
    _limit_password(limits, visitor)
    limits.take("email", str(visitor.account.id), n=5, window_s=_HOUR_S)
    try:
        accounts.check_own_password(visitor.account, password)
        accounts.ask_to_confirm(session, visitor.account, email)
    except AppError as error:
        return _account_page(request, session, visitor, wrong="email", error=error)
    return redirect(request, "/account?done=email")


@router.post("/account/password")
def change_password(
    request: Request,
    session: SessionDep,
    limits: LimitsDep,
    visitor: VisitorDep,
    current: TextForm = "",
    password: TextForm = "",
) -> Response:
    _limit_password(limits, visitor)
    try:
        accounts.change_password(
            session,
            visitor.account,
            current=current,
            new=password,
            sign_in_id=visitor.sign_in_id,
        )
    except AppError as error:
        return _account_page(request, session, visitor, wrong="password", error=error)
    return redirect(request, "/account?done=password")


def _limit_password(limits: Limits, visitor: Visitor) -> None:
    """Whoever finds a browser signed in must not be able to try passwords in it for ever."""
    limits.take("password", str(visitor.account.id), n=10, window_s=_QUARTER_S)


@router.post("/account/sign-ins/{sign_in_id}/end")
def end_sign_in(
    request: Request, session: SessionDep, visitor: VisitorDep, sign_in_id: UUID
) -> Response:
    accounts.sign_out(session, visitor.account, sign_in_id)
    return redirect(request, "/account?done=signed-out")


@router.post("/account/sign-out-everywhere")
def sign_out_everywhere(request: Request, session: SessionDep, visitor: VisitorDep) -> Response:
    """End every sign-in but this one, which its own button ends."""
    accounts.sign_out_everywhere(session, visitor.account, but=visitor.sign_in_id)
    return redirect(request, "/account?done=signed-out")


@router.get("/account/erase")
def show_erase(request: Request, visitor: VisitorDep) -> Response:
    return render(request, "accounts/erase.html", EraseContext(visitor.name))


@router.post("/account/erase")
def erase(
    request: Request,
    session: SessionDep,
    limits: LimitsDep,
    visitor: VisitorDep,
    words: Annotated[erasure.Words, Form()],
    password: TextForm = "",
) -> Response:
    _limit_password(limits, visitor)
    try:
        accounts.check_own_password(visitor.account, password)
        erasure.erase(session, visitor.account, words=words)
    except AppError as error:
        session.rollback()
        context = EraseContext(visitor.name, error.message)
        return render(request, "accounts/erase.html", context, status_code=error.status)
    response = redirect(request, "/")
    response.delete_cookie(SIGN_IN_COOKIE)
    return response
