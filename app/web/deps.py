"""What routes ask for in their signatures."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from annotated_types import Ge, Lt
from anyio import CancelScope, CapacityLimiter, to_thread
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from app import rules
from app.infra.db import transaction
from app.infra.errors import (
    ForbiddenError,
    NotFoundError,
    SignInNeededError,
)
from app.infra.jobs import Jobs
from app.infra.limits import Limits
from app.infra.security import keyed_digest, new_token
from app.infra.settings import Settings
from app.infra.storage import Storage
from app.models import Account, Player, Study
from app.services import access, accounts, audit, players, studies
from app.services.access import Level
from app.services.audit import Actor
from app.services.signs import Signs

PLAYER_COOKIE = "layerplay_player"
PLAYER_COOKIE_AGE = timedelta(days=365)
SIGN_IN_COOKIE = "layerplay_sign_in"
DEVICE_COOKIE = "layerplay_device"
"""Stays when people sign in and out, so that it is known when very many do so in one browser."""


RowNumber = Annotated[int, Ge(1), Lt(2**63)]
"""The number of a row, such as a class or a concept, as large as the database can hold."""

Number = Annotated[int, Ge(0), Lt(2**31)]
"""Any other whole number that is looked for: a step, a place in a list, the number of a run."""

_HOUR_S = 60 * 60


def client_address(request: Request) -> str:
    """Where a request comes from. Behind a proxy, uvicorn takes it from the proxy's header."""
    return request.client.host if request.client else "unknown"


# What asks no database is asynchronous: a way to a thread and back would take longer than it does.


async def get_settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def get_storage(request: Request) -> Storage:
    storage: Storage = request.app.state.storage
    return storage


async def get_limits(request: Request) -> Limits:
    limits: Limits = request.app.state.limits
    return limits


async def get_signs(request: Request) -> Signs:
    signs: Signs = request.app.state.signs
    return signs


async def get_jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


async def get_session(request: Request) -> AsyncIterator[Session]:
    """One transaction per request, in a turn.

    There are as many turns as connections at hand. Between its steps a request keeps its connection
    and waits for a thread; if threads could all be waiting for a connection then, nothing would
    move. And requests that compute at once mostly wait for one another.
    """
    state = request.app.state
    async with (
        state.turns,
        _ended_in_thread(transaction(state.factory, state.sender)) as session,
    ):
        yield session


@asynccontextmanager
async def _ended_in_thread(manager: AbstractContextManager[Session]) -> AsyncIterator[Session]:
    """FastAPI's `contextmanager_in_threadpool`, but that the transaction is begun at once: that
    asks no database, and a way to a thread and back would take longer."""
    session = manager.__enter__()

    def end(*error: Any) -> bool:
        return bool(manager.__exit__(*error))

    # Even where nobody waits for the answer any more; and in a thread of its own, for all others
    # may be waiting for what this one holds.
    limiter = CapacityLimiter(1)
    try:
        yield session
    except BaseException as error:
        with CancelScope(shield=True):
            if not await to_thread.run_sync(
                end, type(error), error, error.__traceback__, limiter=limiter
            ):
                raise
    else:
        with CancelScope(shield=True):
            await to_thread.run_sync(end, None, None, None, limiter=limiter)


@asynccontextmanager
async def out_of_turn(request: Request, session: Session) -> AsyncIterator[None]:
    """For an upload, which may take long: the transaction ends, and others have the turn."""
    turns: CapacityLimiter = request.app.state.turns
    await run_in_threadpool(session.commit)
    turns.release()
    try:
        yield
    finally:
        # Even where nobody waits for the answer any more, for `get_session` ends the turn.
        with CancelScope(shield=True):
            await turns.acquire()


SettingsDep = Annotated[Settings, Depends(get_settings)]
StorageDep = Annotated[Storage, Depends(get_storage)]
LimitsDep = Annotated[Limits, Depends(get_limits)]
JobsDep = Annotated[Jobs, Depends(get_jobs)]
SignsDep = Annotated[Signs, Depends(get_signs)]
# The scope "function" ends the transaction before the answer leaves: the browser's next request
# finds what this one stored, and a commit that fails is an error page, not a success.
SessionDep = Annotated[Session, Depends(get_session, scope="function")]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in. in_studio: whether there is anything in the studio for them.

    Name and role are repeated from the account for the masthead, which an error page has as well,
    when the transaction that the account was read in is over.
    """

    account: Account
    name: str
    role: str
    sign_in_id: UUID
    in_studio: bool


async def get_visitor(request: Request, session: SessionDep) -> Visitor | None:
    """Who is signed in, None for nobody. Every page asks, because its masthead says so."""
    request.state.visitor = None
    token = request.cookies.get(SIGN_IN_COOKIE)
    return await run_in_threadpool(_find_visitor, request, session, token) if token else None


def _find_visitor(request: Request, session: Session, token: str) -> Visitor | None:
    found = accounts.find_sign_in(session, token)
    if found is None:
        return None
    visitor = Visitor(
        account=found.account,
        name=found.account.name,
        role=found.account.role,
        sign_in_id=found.id,
        in_studio=access.may_enter_studio(session, found.account),
    )
    request.state.visitor = visitor
    address = request.client.host if request.client else None
    audit.act_as(session, Actor(visitor.name, visitor.account.id, address))
    return visitor


MaybeVisitorDep = Annotated[Visitor | None, Depends(get_visitor, scope="function")]


async def get_signed_in(visitor: MaybeVisitorDep) -> Visitor:
    if visitor is None:
        raise SignInNeededError("Sign in to go on.")
    return visitor


VisitorDep = Annotated[Visitor, Depends(get_signed_in, scope="function")]


async def get_account(visitor: MaybeVisitorDep) -> Account | None:
    return visitor.account if visitor else None


AccountDep = Annotated[Account | None, Depends(get_account, scope="function")]


# Playing


def make_guest(request: Request, session: Session, limits: Limits) -> tuple[Player, str]:
    """A new guest and their token. TooManyError where no school is so large."""
    limits.take(
        "new-guest",
        client_address(request),
        n=rules.NEW_GUESTS,
        window_s=_HOUR_S,
        message="Very many new players come from your network at the moment. Try again in {wait}, "
        "or sign in.",
    )
    return players.create_guest(session)


def get_player(
    request: Request, session: SessionDep, visitor: MaybeVisitorDep, limits: LimitsDep
) -> Player:
    """The visitor as a player; one who is new becomes a guest and gets the cookie."""
    player = find_own_player(request, session, visitor)
    if player is None:
        player, token = make_guest(request, session, limits)
        # The answer is made later, so `web.security.NewCookies` adds the cookie to it.
        request.state.new_player_token = token
    return player


def get_known_player(request: Request, session: SessionDep, visitor: MaybeVisitorDep) -> Player:
    """The visitor as a player who has played before."""
    player = find_own_player(request, session, visitor)
    if player is None:
        raise NotFoundError("There is no such round of yours.")
    return player


def get_guest(request: Request, session: SessionDep) -> Player | None:
    """The guest that this browser has played as, whoever is signed in."""
    token = request.cookies.get(PLAYER_COOKIE)
    return players.find_player(session, token) if token else None


def find_own_player(request: Request, session: Session, visitor: Visitor | None) -> Player | None:
    """Whom a browser plays as: the account that is signed in, or a guest; None before it played."""
    if visitor is not None:
        return session.get_one(Player, visitor.account.player_id)
    return get_guest(request, session)


PlayerDep = Annotated[Player, Depends(get_player, scope="function")]
KnownPlayerDep = Annotated[Player, Depends(get_known_player, scope="function")]
GuestDep = Annotated[Player | None, Depends(get_guest, scope="function")]


async def get_device(request: Request, settings: SettingsDep) -> str:
    """A keyed digest of the browser's long-lived cookie; a new one gets it."""
    token = request.cookies.get(DEVICE_COOKIE)
    if token is None:
        # `web.security.NewCookies` adds it to the answer.
        token = request.state.new_device_token = new_token()
    return keyed_digest(settings.secret(), "device", token[:100])


DeviceDep = Annotated[str, Depends(get_device)]


# Researching and running the site


async def get_researcher(visitor: VisitorDep) -> Visitor:
    """Keep players out: the studio shows whole pictures, which would spoil the game."""
    if not visitor.in_studio:
        raise ForbiddenError(
            "The studio shows whole pictures, which would spoil the game for players. "
            "An admin can make you a researcher, and a researcher can share a study with you."
        )
    return visitor


async def get_maker(visitor: VisitorDep) -> Visitor:
    access.require_maker(visitor.account)
    return visitor


def require_own_draft(request: Request, session: SessionDep, maker: "MakerDep") -> None:
    """Let in whoever makes the study of the draft in the address, if there is one in it."""
    draft_id = request.path_params.get("draft_id")
    if draft_id is not None:
        access.require_own_draft(session, maker.account, draft_id=draft_id)


async def get_admin(visitor: VisitorDep) -> Visitor:
    if visitor.role != "admin":
        raise ForbiddenError("Only admins may do that.")
    return visitor


def _study_for(at_least: Level) -> Callable[..., Study]:
    """The study in the address, for whoever may do that much with it."""

    def get_study(session: SessionDep, visitor: VisitorDep, slug: str) -> Study:
        study = studies.get(session, slug)
        access.require(session, visitor.account, study_id=study.id, at_least=at_least)
        return study

    return get_study


def require_view_of_image(session: SessionDep, visitor: VisitorDep, image_id: UUID) -> None:
    """Let in whoever may look at the study of the picture in the address."""
    study_id = access.study_of_image(session, image_id)
    access.require(session, visitor.account, study_id=study_id, at_least=Level.VIEW)


ResearcherDep = Annotated[Visitor, Depends(get_researcher, scope="function")]
MakerDep = Annotated[Visitor, Depends(get_maker, scope="function")]
AdminDep = Annotated[Visitor, Depends(get_admin, scope="function")]
ViewedStudyDep = Annotated[Study, Depends(_study_for(Level.VIEW), scope="function")]
ModeratedStudyDep = Annotated[Study, Depends(_study_for(Level.MODERATE), scope="function")]
OwnedStudyDep = Annotated[Study, Depends(_study_for(Level.OWN), scope="function")]
DraftOwnerDep = Depends(require_own_draft, scope="function")
ImageViewerDep = Depends(require_view_of_image, scope="function")
