"""What every request passes before a route sees it, and every answer before it leaves."""

import re
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.infra.errors import AppError, ForbiddenError, NotFoundError
from app.services.honesty import DEVICE_KEPT
from app.services.signs import Signs
from app.web.deps import DEVICE_COOKIE, PLAYER_COOKIE, PLAYER_COOKIE_AGE
from app.web.errors import error_answer, unreadable

MAX_BODY_BYTES = 64 * 1024
"""Forms hold a class and five labels, or a page of names."""

_UPLOADS = re.compile(r"(/api/v1)?/drafts/[0-9a-f-]{36}/(pictures|network-files)")
"""Addresses that take files. `web.uploads` reads those bit by bit, within limits of its own."""

_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

SECURITY_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": browsers then send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


class TooLargeError(AppError):
    status = 413


class SecurityHeaders:
    """Adds the security headers to every answer, error pages and static files included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class RefuseForeignPosts:
    """Refuses requests that another site's page makes in a visitor's name.

    Browsers say where a request comes from; what says nothing is no browser, and has no visitor's
    cookie to misuse.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _SAFE_METHODS:
            headers = Headers(scope=scope)
            if not _is_own(headers):
                error = ForbiddenError("This request came from another site, so it was not done.")
                response = error_answer(Request(scope), error)
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _is_own(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc == headers.get("host")
    except ValueError:
        return False  # no browser's, which write whole addresses


class RefuseZeros:
    """Refuses addresses with a zero character in them: the database holds none in any text, so
    there is no such page, and nothing to find by such a query. Those in forms are left to
    `web.errors`, which answers when the database refuses them."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error: AppError | None = None
        if scope["type"] == "http" and "\x00" in scope["path"]:
            error = NotFoundError("There is no page at this address.")
        elif scope["type"] == "http" and b"%00" in scope["query_string"]:
            error = unreadable()
        if error is None:
            await self.app(scope, receive, send)
        else:
            await error_answer(Request(scope), error)(scope, receive, send)


class LimitBody:
    """Refuses request bodies above `MAX_BODY_BYTES`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] in _SAFE_METHODS
            or _UPLOADS.fullmatch(scope["path"])
        ):
            await self.app(scope, receive, send)
            return
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MAX_BODY_BYTES:
                error = TooLargeError("That was more than a form here can hold.")
                response: Response = error_answer(Request(scope), error)
                # The rest of the body stays unread, so the connection cannot be used again.
                response.headers["Connection"] = "close"
                await response(scope, receive, send)
                return
        given = False

        async def receive_body() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, receive_body, send)


class NewCookies:
    """Gives a guest, or a browser, that is new with this request its cookie, if all went well."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self.app = app
        self.secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_cookies(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                state = scope.get("state", {})
                for cookie, key, age in _NEW_COOKIES:
                    if token := state.get(key):
                        carrier = Response()
                        carrier.set_cookie(
                            cookie,
                            token,
                            max_age=int(age.total_seconds()),
                            httponly=True,
                            samesite="lax",
                            secure=self.secure,
                        )
                        header = carrier.headers["set-cookie"]
                        MutableHeaders(scope=message).append("set-cookie", header)
            await send(message)

        await self.app(scope, receive, send_with_cookies)


_NEW_COOKIES = (
    (PLAYER_COOKIE, "new_player_token", PLAYER_COOKIE_AGE),
    (DEVICE_COOKIE, "new_device_token", DEVICE_KEPT),
)
"""Each cookie, where a request keeps its text, and how long browsers keep it."""


_ANSWERS = re.compile(r"/rounds/[^/]+/(guess|resign)")


class NoteLostAnswers:
    """Notes answers to rounds that end in an error of ours, for the alarm in the studio."""

    def __init__(self, app: ASGIApp, *, signs: Signs) -> None:
        self.app = app
        self.signs = signs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception:
            if scope["type"] == "http" and _ANSWERS.fullmatch(scope["path"]):
                await run_in_threadpool(self.signs.note_lost_answer)
            raise
