"""A player's own pages: profile, points and why, boards, the language."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from app import rules
from app.infra.errors import InvalidInputError
from app.models import Study
from app.services import boards, ledger, names, players, studies, words
from app.services.boards import BoardPage, Period
from app.services.ledger import Entry
from app.services.players import Standing
from app.services.words import Lesson, Word
from app.web.accounts import local_address
from app.web.deps import (
    AccountDep,
    KnownPlayerDep,
    PlayerDep,
    RowNumber,
    SessionDep,
    SettingsDep,
)
from app.web.languages import LANGUAGE_COOKIE, LANGUAGE_COOKIE_AGE_S, languages
from app.web.templating import redirect, render

router = APIRouter(default_response_class=Response)

N_LINES = 30
N_ROUNDS = 30
N_LESSONS = 12


@dataclass(frozen=True, slots=True)
class ProfileContext:
    """earned: since when the player has each badge, by its key. news: points that came while the
    player was away; last_news: the last line of them, None when there are none."""

    name: str
    standing: Standing
    badges: tuple[rules.Badge, ...]
    earned: dict[str, datetime]
    badge_titles: dict[str, str]
    news: list[tuple[str, str, int]]
    last_news: int | None
    history: list[Entry]
    words: list[Word]
    lessons: list[Lesson]


@dataclass(frozen=True, slots=True)
class BoardContext:
    """study: None for the board of all studies. own_id: whose place to mark."""

    page: BoardPage
    period: Period
    study: Study | None
    games: list[Study]
    own_id: UUID


@router.get("/me")
def profile(request: Request, session: SessionDep, player: PlayerDep) -> Response:
    news = ledger.news(session, player.id)
    context = ProfileContext(
        name=names.public_name(session, player.id),
        standing=players.standing(session, player),
        badges=rules.BADGES,
        earned=ledger.badges(session, player.id),
        badge_titles={badge.key: badge.title for badge in rules.BADGES},
        news=[(entry.reason, entry.detail, entry.points) for entry in news],
        last_news=news[-1].id if news else None,
        history=ledger.history(session, player.id, n=N_LINES),
        words=words.of_player(session, player.id, n_rounds=N_ROUNDS),
        lessons=words.lessons(session, player.id, n=N_LESSONS),
    )
    return render(request, "profile/show.html", context)


@router.post("/me/news")
def news_seen(
    request: Request,
    session: SessionDep,
    player: KnownPlayerDep,
    up_to: Annotated[RowNumber, Form()],
) -> Response:
    """The player has read their news."""
    ledger.mark_news_seen(session, player.id, up_to=up_to)
    return redirect(request, "/me")


@router.post("/language")
def choose_language(
    request: Request,
    settings: SettingsDep,
    language: Annotated[str, Form()],
    next: Annotated[str, Form()] = "/",  # noqa: A002
) -> Response:
    """next: the page to come back to."""
    if language not in languages():
        raise InvalidInputError("That language is not one of those to choose from.")
    response = redirect(request, local_address(next) or "/")
    response.set_cookie(
        LANGUAGE_COOKIE,
        language,
        max_age=LANGUAGE_COOKIE_AGE_S,
        httponly=True,
        samesite="lax",
        secure=settings.secure_cookies,
    )
    return response


@router.get("/boards")
def today(request: Request) -> Response:
    return redirect(request, "/boards/today")


@router.get("/boards/{period}")
def board(
    request: Request,
    session: SessionDep,
    player: PlayerDep,
    account: AccountDep,
    period: Period,
    study: str | None = None,
) -> Response:
    chosen = studies.enter(session, study, player=player, account=account) if study else None
    context = BoardContext(
        page=boards.read(session, period, study=chosen, player_id=player.id),
        period=period,
        study=chosen,
        games=studies.list_open(session, player=player),
        own_id=player.id,
    )
    return render(request, "boards/show.html", context)
