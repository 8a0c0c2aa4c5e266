"""Which language a page is in, and what things are called in it.

A language is a folder of `locale/` with a catalogue; what a catalogue lacks stays English. Players'
pages are translated. Those of the studio are not, so they are English whatever the visitor speaks:
half of one language and half of another is neither.
"""

import gettext
from contextvars import ContextVar
from datetime import datetime
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Final

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.infra.errors import Sentence

FOLDER: Final = Path(__file__).resolve().parents[2] / "locale"
ENGLISH: Final = "en"
LANGUAGE_COOKIE: Final = "layerplay_language"
LANGUAGE_COOKIE_AGE_S: Final = 365 * 24 * 3600

STUDIO: Final = ("/studio", "/drafts", "/explanations", "/compare", "/search", "/admin")
"""How addresses of the studio begin, whose masthead and style sheets are its own."""

_ENGLISH_ONLY: Final = (*STUDIO, "/account/tokens", "/shared", "/docs", "/api")

_language: ContextVar[str] = ContextVar("language", default=ENGLISH)


@cache
def languages() -> dict[str, str]:
    """What there is to choose from: by code, what each language calls itself."""
    codes = [ENGLISH, *sorted(path.parent.parent.name for path in FOLDER.glob("*/*/messages.po"))]
    return {
        code: (Locale.parse(code).get_display_name(code) or code).capitalize() for code in codes
    }


def language() -> str:
    """The code of the language that this request is answered in."""
    return _language.get()


def is_translated(request: Request) -> bool:
    """Whether a page is one of those that speak the visitor's language."""
    return not request.url.path.startswith(_ENGLISH_ONLY)


class ChooseLanguage:
    """Chooses each request's language: what the visitor has chosen, else what the browser asks for,
    else English."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        token = _language.set(_choose(Request(scope)))
        try:
            await self.app(scope, receive, send)
        finally:
            _language.reset(token)


def _choose(request: Request) -> str:
    if not is_translated(request):
        return ENGLISH
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in languages():
        return chosen
    return next((code for code in _asked_for(request.headers) if code in languages()), ENGLISH)


def _asked_for(headers: Headers) -> list[str]:
    """The languages of Accept-Language, the most wanted first, without their countries."""
    wanted: list[tuple[float, str]] = []
    for part in headers.get("accept-language", "").split(","):
        code, _, quality = part.strip().partition(";q=")
        try:
            wanted.append((-float(quality or 1), code.partition("-")[0].lower()))
        except ValueError:
            continue  # a browser that says nonsense about one language may be right about another
    return [code for quality, code in sorted(wanted, key=lambda one: one[0]) if quality < 0]


@cache
def _catalogue(code: str) -> gettext.NullTranslations:
    path = FOLDER / code / "LC_MESSAGES" / "messages.po"
    if not path.exists():
        return gettext.NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=code))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def translated(message: str) -> str:
    """A message in the language of this request; as it is where the catalogue has none."""
    if isinstance(message, Sentence):
        return _catalogue(language()).gettext(message.template) % message.values
    # To gettext, nothing is the catalogue's head.
    return _catalogue(language()).gettext(message) if message else message


def translated_plural(one: str, many: str, n: int) -> str:
    """The form of a message for a number, in the language of this request."""
    return _catalogue(language()).ngettext(one, many, n)


def number(value: float) -> str:
    """1,353 or 1.353."""
    return _number(value, language())


@lru_cache(maxsize=4096)
def _number(value: float, locale: str) -> str:
    return format_decimal(value, locale=locale)


def day(moment: datetime) -> str:
    """26 November 2026."""
    return format_date(moment, "d MMMM y", locale=language())


def moment(at: datetime) -> str:
    """26 Nov, 15:20."""
    return format_datetime(at, "d MMM, HH:mm", locale=language())
