"""What routes ask for in their signatures."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from app.infra.db import transaction
from app.infra.errors import ForbiddenError, NotFoundError, UnauthorizedError
from app.infra.security import keyed_digest, same
from app.infra.settings import Settings
from app.infra.storage import Storage
from app.models import Player
from app.services import players

PLAYER_COOKIE = "layerplay_player"
PLAYER_COOKIE_AGE = timedelta(days=365)
STUDIO_COOKIE = "layerplay_studio"
STUDIO_COOKIE_AGE = timedelta(days=30)


def get_settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def get_storage(request: Request) -> Storage:
    storage: Storage = request.app.state.storage
    return storage


def get_session(request: Request) -> Iterator[Session]:
    """One transaction per request."""
    with transaction(request.app.state.factory, request.app.state.sender) as session:
        yield session


SettingsDep = Annotated[Settings, Depends(get_settings)]
StorageDep = Annotated[Storage, Depends(get_storage)]
# The scope "function" ends the transaction before the answer leaves: the browser's next request
# finds what this one stored, and a commit that fails is an error page, not a success.
SessionDep = Annotated[Session, Depends(get_session, scope="function")]


def get_player(request: Request, session: SessionDep) -> Player:
    """The visitor as a player; one who is new becomes a guest and gets the cookie."""
    player = _find_player(request, session)
    if player is None:
        player, token = players.create_guest(session)
        # The answer is made later, so `web.security.PlayerCookie` adds the cookie to it.
        request.state.new_player_token = token
    return player


def get_known_player(request: Request, session: SessionDep) -> Player:
    """The visitor as a player who has played before."""
    player = _find_player(request, session)
    if player is None:
        raise NotFoundError("There is no such round of yours.")
    return player


def _find_player(request: Request, session: Session) -> Player | None:
    token = request.cookies.get(PLAYER_COOKIE)
    return players.find_player(session, token) if token else None


def get_api_player(request: Request, session: SessionDep) -> Player:
    """Who calls the API: by a bearer token or, in a browser, by the cookie."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme:
        player = players.find_player(session, token) if scheme.lower() == "bearer" else None
    else:
        player = _find_player(request, session)
    if player is None:
        raise UnauthorizedError(
            "Send a player's token as “Authorization: Bearer …”. POST /api/v1/players makes one."
        )
    return player


PlayerDep = Annotated[Player, Depends(get_player, scope="function")]
ApiPlayerDep = Annotated[Player, Depends(get_api_player, scope="function")]
KnownPlayerDep = Annotated[Player, Depends(get_known_player, scope="function")]


def studio_pass(secret: bytes, *, now: datetime) -> str:
    """The value of the studio's cookie: when it ends, and a signature of that."""
    ends_at = int((now + STUDIO_COOKIE_AGE).timestamp())
    return f"{ends_at}.{keyed_digest(secret, 'studio-pass', str(ends_at))}"


def has_studio_pass(request: Request) -> bool:
    """Whether the visitor may see the studio: their cookie is signed by us and not over."""
    ends_at, _, signature = request.cookies.get(STUDIO_COOKIE, "").partition(".")
    secret = get_settings(request).secret()
    return (
        ends_at.isascii()
        and ends_at.isdecimal()
        and same(signature, keyed_digest(secret, "studio-pass", ends_at))
        and int(ends_at) > datetime.now(UTC).timestamp()
    )


def require_researcher(request: Request) -> None:
    """Keep players out: the studio shows whole pictures, which would spoil the game."""
    if not has_studio_pass(request):
        raise ForbiddenError(
            "The studio shows whole pictures, which would spoil the game for players. "
            "To get in, open the studio link that Layerplay printed when it started."
        )


ResearcherDep = Depends(require_researcher)
