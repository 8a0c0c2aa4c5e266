"""Who calls the API, and what their token is for.

A browser calls by its cookies, as somebody who may do there whatever they may do on the pages. A
program sends a token: that of a guest, who plays, or of an account, which does what its scopes say.
Beside the scope, the account must be allowed to: both are asked for in a route's signature.
"""

from collections.abc import Callable
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Request
from fastapi.params import Security
from fastapi.security import HTTPBearer, SecurityScopes
from sqlalchemy.orm import Session

from app.infra.errors import ForbiddenError, UnauthorizedError
from app.models import Account, Player, Study, StudyDraft
from app.services import access, audit, drafts, players, studies, tokens
from app.services.access import Level
from app.services.audit import Actor
from app.services.tokens import Scope
from app.web.deps import MaybeVisitorDep, SessionDep, find_own_player

_bearer: Final = Depends(
    HTTPBearer(
        scheme_name="token",
        description="A token from your account page, or, for play alone, from POST "
        "/api/v1/players.",
        auto_error=False,
    )
)
"""Reads nothing: OpenAPI says by it which calls need a token, and with which scopes."""


def _sent_token(request: Request) -> str | None:
    """The bearer token of a request; None where it has no such header, "" where it has another."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _use_token(request: Request, session: Session, text: str, needed: str) -> Account | None:
    """The account of a token, which acts from now on; None where the token is unknown."""
    token = tokens.find(session, text)
    if token is None:
        return None
    if needed not in token.scopes:
        raise ForbiddenError(
            f"This token is not for that: it lacks the scope “{needed}”. Make another one on your "
            "account page."
        )
    address = request.client.host if request.client else None
    audit.act_as(session, Actor(token.account.name, token.account.id, address))
    return token.account


def get_account(
    request: Request,
    session: SessionDep,
    visitor: MaybeVisitorDep,
    needed: SecurityScopes,
    bearer: Annotated[object, _bearer],
) -> Account:
    """Whose account is asking, by a token with the scope needed or, in a browser, by the cookie."""
    text = _sent_token(request)
    account: Account | None = visitor.account if visitor else None
    if text is not None:
        account = _use_token(request, session, text, needed.scopes[0])
    if account is None:
        raise UnauthorizedError(
            "Send a token as “Authorization: Bearer …”. You make one on your account page."
        )
    return account


def get_player(
    request: Request,
    session: SessionDep,
    visitor: MaybeVisitorDep,
    bearer: Annotated[object, _bearer],
) -> Player:
    """Who plays: by a guest's token, an account's with the scope to play, or the cookie."""
    text = _sent_token(request)
    if text is None:
        player = find_own_player(request, session, visitor)
    elif account := _use_token(request, session, text, "play"):
        player = session.get_one(Player, account.player_id)
    else:
        player = players.find_player(session, text)
    if player is None:
        raise UnauthorizedError(
            "Send a player's token as “Authorization: Bearer …”. POST /api/v1/players makes one."
        )
    return player


def get_player_account(
    request: Request, session: SessionDep, visitor: MaybeVisitorDep
) -> Account | None:
    """The account of whoever plays, if they have one."""
    text = _sent_token(request)
    if text is None:
        return visitor.account if visitor else None
    token = tokens.find(session, text)
    return token.account if token else None


PlayerDep = Annotated[Player, Security(dependency=get_player, scope="function", scopes=["play"])]
PlayerAccountDep = Annotated[Account | None, Depends(get_player_account, scope="function")]


def _by(scope: Scope) -> Security:
    return Security(dependency=get_account, scope="function", scopes=[scope])


ReaderDep = Annotated[Account, _by("read")]
ManagerDep = Annotated[Account, _by("manage")]


def _study(scope: Scope, at_least: Level) -> Callable[..., Study]:
    """The study in the address, for whoever has the scope and may do that much with it."""

    def get_study(session: SessionDep, account: Annotated[Account, _by(scope)], slug: str) -> Study:
        study = studies.get(session, slug)
        access.require(session, account, study_id=study.id, at_least=at_least)
        return study

    return get_study


def require_image(session: SessionDep, account: ReaderDep, image_id: UUID) -> None:
    """Let in whoever may look at the study of the picture in the address."""
    study_id = access.study_of_image(session, image_id)
    access.require(session, account, study_id=study_id, at_least=Level.VIEW)


def get_maker(account: ManagerDep) -> Account:
    access.require_maker(account)
    return account


MakerDep = Annotated[Account, Depends(get_maker, scope="function")]


def get_draft(session: SessionDep, maker: MakerDep, draft_id: UUID) -> StudyDraft:
    """The draft in the address, for whoever makes it."""
    access.require_own_draft(session, maker, draft_id=draft_id)
    return drafts.get(session, draft_id)


ReadStudyDep = Annotated[Study, Depends(_study("read", Level.VIEW), scope="function")]
ModeratedStudyDep = Annotated[Study, Depends(_study("moderate", Level.MODERATE), scope="function")]
ManagedStudyDep = Annotated[Study, Depends(_study("manage", Level.OWN), scope="function")]
ExportedStudyDep = Annotated[Study, Depends(_study("export", Level.OWN), scope="function")]
DraftDep = Annotated[StudyDraft, Depends(get_draft, scope="function")]
ImageReaderDep = Depends(require_image, scope="function")
