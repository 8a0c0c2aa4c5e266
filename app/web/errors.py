"""The one place where errors become pages, a short alert for HTMX, or a problem for the API."""

import logging
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.infra.errors import (
    AppError,
    InvalidInputError,
    NotFoundError,
    SignInNeededError,
    TooManyError,
)
from app.infra.logging import request_id
from app.web.templating import is_htmx, redirect, render

API_PREFIX = "/api/"
"""Addresses that answer in JSON, errors included."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """message: a sentence for people. status: the HTTP status, which the page's title goes by.
    request_id: what to quote when reporting an error of ours, and what the log has; else None."""

    message: str
    status: int
    request_id: str | None = None


class _StatusError(AppError):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def error_answer(request: Request, error: AppError, *, number: str | None = None) -> Response:
    """The page for an error, the alert alone when HTMX asks, or the JSON API's problem."""
    if request.url.path.startswith(API_PREFIX):
        return _problem(error, number)
    return render(
        request,
        "_alert.html" if is_htmx(request) else "error.html",
        ErrorContext(error.message, error.status, number),
        status_code=error.status,
        headers={"Cache-Control": "no-store"},
    )


def _problem(error: AppError, request_id: str | None) -> Response:
    """The one shape of the API's errors: problem details (RFC 9457)."""
    content: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
    }
    if request_id is not None:
        content["instance"] = f"urn:layerplay:request:{request_id}"
    headers = {"Cache-Control": "no-store"}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        content, error.status, headers=headers, media_type="application/problem+json"
    )


def install(app: FastAPI) -> None:
    """Have the app answer every error in the one shape."""
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(DataError, _data_error)


def _app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    if isinstance(error, SignInNeededError) and request.method == "GET" and not is_htmx(request):
        address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return redirect(request, f"/sign-in?{urlencode({'next': address})}")
    response = error_answer(request, error)
    if isinstance(error, TooManyError):
        response.headers["Retry-After"] = str(error.wait_s)
    return response


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    places = {str(problem["loc"][0]) for problem in error.errors()}
    if "path" in places:
        return error_answer(request, NotFoundError("There is no page at this address."))
    fields = sorted({str(problem["loc"][-1]) for problem in error.errors()})
    error_of_fields = InvalidInputError(
        "What was sent could not be used. Missing or not understood: %(fields)s.",
        fields=", ".join(fields),
    )
    return error_answer(request, error_of_fields)


_HTTP_MESSAGES = {
    400: "What was sent could not be read.",
    404: "There is no page at this address.",
    405: "This address answers to buttons and forms only. Go back and use those.",
}


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = _HTTP_MESSAGES.get(error.status_code, "This request could not be answered.")
    response = error_answer(request, _StatusError(error.status_code, message))
    response.headers.update(error.headers or {})
    return response


def unreadable() -> InvalidInputError:
    return InvalidInputError(
        "What was sent holds a character that nobody can read. Type it anew, then send it again."
    )


_UNREADABLE = {None, "22021", "22P05"}
"""How PostgreSQL calls a character that it holds in no text; its driver, which sees most of them
first, gives no code."""


def _data_error(request: Request, error: Exception) -> Response:
    """Text with a zero character in it. Whatever else the database refuses is a mistake of ours."""
    assert isinstance(error, DataError)
    if getattr(error.orig, "sqlstate", "") not in _UNREADABLE:
        raise error
    _log.warning(
        "request %s: %s %s: %s", request_id.get(), request.method, request.url.path, error.orig
    )
    return error_answer(request, unreadable())


class CatchErrors:
    """Turns an error that nobody expected into a page with a number, and logs it under that."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception:
            if started:
                raise
            number = request_id.get() or uuid4().hex[:12]
            _log.exception("request %s: %s %s", number, scope["method"], scope["path"])
            error = _StatusError(500, "Something went wrong on our side. What you did is not lost.")
            response = error_answer(Request(scope, receive), error, number=number)
            await response(scope, receive, send)
