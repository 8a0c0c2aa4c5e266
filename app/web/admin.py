"""What admins do about people (roles, passwords, sign-ins, erasing), and how the site is."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from redis import RedisError
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.infra import health
from app.infra.errors import AppError, InvalidInputError, NotFoundError
from app.infra.health import Part
from app.infra.jobs import FailedJob, Jobs, RunningJob
from app.infra.settings import SettingNow
from app.models import Account, Invitation, Player, SignIn
from app.services import accounts, erasure, failures, invitations, players
from app.services.accounts import Role
from app.services.failures import Failure
from app.services.players import Standing
from app.web.deps import AdminDep, JobsDep, SessionDep, SettingsDep
from app.web.templating import redirect, render, render_part

router = APIRouter(prefix="/admin", default_response_class=Response)

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class UsersContext:
    """One page of accounts by name. words: what was searched for. after: the name after which the
    next page begins, None on the last. invitations: those not accepted yet; invited: whether one
    has just been sent."""

    accounts: list[Account]
    words: str
    after: str | None
    invitations: list[Invitation]
    invited: bool


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


@dataclass(frozen=True, slots=True)
class JobsContext:
    """waiting: jobs by queue; None when Redis does not answer. failures: what the tables say has
    failed; failed: other jobs that have. retried: whether one has just been tried again."""

    waiting: dict[str, int] | None
    running: list[RunningJob]
    failures: list[Failure]
    failed: list[FailedJob]
    retried: bool


@dataclass(frozen=True, slots=True)
class SettingsContext:
    settings: list[SettingNow]


@router.get("/health")
def show_health(request: Request, settings: SettingsDep, admin: AdminDep) -> Response:
    """The parts that the site runs on. The page asks again every ten seconds."""
    assert settings.redis_url is not None
    parts = health.all_parts(
        request.app.state.engine, settings.redis_url, request.app.state.storage
    )
    return render_part(request, "admin/health.html", "admin/_parts.html", HealthContext(parts))


@router.get("/jobs")
def show_jobs(
    request: Request, session: SessionDep, jobs: JobsDep, admin: AdminDep, retried: bool = False
) -> Response:
    """What the queues hold. The page asks again every ten seconds."""
    context = _jobs(session, jobs, retried=retried)
    return render_part(request, "admin/jobs.html", "admin/_jobs.html", context)


def _jobs(session: Session, jobs: Jobs, *, retried: bool) -> JobsContext:
    found = failures.find(session)
    try:
        return JobsContext(jobs.waiting(), jobs.running(), found, jobs.failed(), retried)
    except RedisError:
        return JobsContext(None, [], found, [], retried)


@router.post("/jobs/retry")
def retry(
    request: Request,
    session: SessionDep,
    admin: AdminDep,
    kind: Annotated[failures.Kind, Form()],
    key: Annotated[str, Form()],
) -> Response:
    """Try again what the tables say has failed."""
    failures.retry(session, kind=kind, key=key)
    return redirect(request, "/admin/jobs?retried=true")


@router.post("/jobs/{job_id}/{act}")
def settle_job(
    request: Request,
    session: SessionDep,
    jobs: JobsDep,
    admin: AdminDep,
    job_id: str,
    act: Literal["retry", "forget"],
) -> Response:
    """Send a failed job again, or strike it from the list."""
    job = jobs.take_failed(job_id)
    if job is None:
        raise NotFoundError("Somebody has seen to this job already.")
    if act == "retry":
        failures.send_again(session, job)
    return redirect(request, f"/admin/jobs?retried={'true' if act == 'retry' else 'false'}")


@router.get("/settings")
def show_settings(request: Request, settings: SettingsDep, admin: AdminDep) -> Response:
    return render(request, "admin/settings.html", SettingsContext(settings.described()))


@router.get("/users")
def list_users(
    request: Request,
    session: SessionDep,
    admin: AdminDep,
    q: str = "",
    after: str = "",
    invited: bool = False,
) -> Response:
    found = accounts.search(session, q, after=after, limit=PAGE_SIZE + 1)
    page = found[:PAGE_SIZE]
    context = UsersContext(
        accounts=page,
        words=q,
        after=page[-1].name if len(found) > PAGE_SIZE else None,
        invitations=invitations.waiting(session),
        invited=invited,
    )
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
