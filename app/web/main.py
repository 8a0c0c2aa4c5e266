"""The web application: `uvicorn app.web.main:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.infra.db import make_engine, session_factory
from app.infra.errors import AppError
from app.infra.queue import CelerySender
from app.infra.settings import Settings, get_settings
from app.infra.storage import Storage
from app.web import api, errors, explanations, play, profile, studies
from app.web.security import LimitBody, PlayerCookie, RefuseForeignPosts, SecurityHeaders
from app.web.templating import STATIC_FOLDERS


class StartError(AppError):
    """The web server lacks something that it needs to start."""


def create_app(settings: Settings) -> FastAPI:
    """The application on the database and queue that the settings name. StartError when a part is
    missing; nothing is connected to yet."""
    if settings.database_url is None or settings.redis_url is None:
        raise StartError("The web server needs DATABASE_URL and REDIS_URL to be set.")
    for folder in STATIC_FOLDERS.values():
        if not folder.is_dir():
            raise StartError(f"{folder} is missing: run `npm ci` in the project's folder.")
    engine = make_engine(settings.database_url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        engine.dispose()
        app.state.redis.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.engine = engine
    app.state.factory = session_factory(engine)
    app.state.sender = CelerySender(settings.redis_url)
    app.state.storage = Storage(settings.storage_path)
    app.state.redis = redis.Redis.from_url(
        settings.redis_url, socket_timeout=1, socket_connect_timeout=1
    )
    for module in (play, profile, studies, explanations, api):
        app.include_router(module.router)
    app.add_api_route("/healthz", healthz, methods=["GET"])
    app.add_api_route("/readyz", readyz, methods=["GET"])
    for address, folder in STATIC_FOLDERS.items():
        app.mount(address, _StaticFiles(directory=folder))
    errors.install(app)
    # The last one added is the first to see a request.
    app.add_middleware(PlayerCookie, secure=settings.secure_cookies)
    app.add_middleware(LimitBody)
    app.add_middleware(RefuseForeignPosts)
    app.add_middleware(errors.CatchErrors)
    app.add_middleware(SecurityHeaders)
    return app


def healthz() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


def readyz(request: Request) -> JSONResponse:
    """Whether the database and the queue answer too; 503 when one does not."""
    state = request.app.state
    answers = {"database": "ok", "queue": "ok"}
    try:
        with state.engine.connect() as connection:
            connection.execute(text("select 1"))
    except SQLAlchemyError:
        answers["database"] = "does not answer"
    try:
        with redis.Redis.from_url(state.settings.redis_url, socket_timeout=3) as client:
            client.ping()
    except redis.RedisError:
        answers["queue"] = "does not answer"
    ready = set(answers.values()) == {"ok"}
    return JSONResponse(answers, status_code=200 if ready else 503)


class _StaticFiles(StaticFiles):
    """Static files that browsers keep for good when the address carries a hash of the content."""

    async def get_response(self, path: str, scope: Scope) -> Any:
        response = await super().get_response(path, scope)
        if scope["query_string"].startswith(b"v=") and response.status_code == 200:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def __getattr__(name: str) -> FastAPI:
    # `app` is made when a server asks for it, so that importing this module needs no settings.
    if name != "app":
        raise AttributeError(name)
    try:
        return create_app(get_settings())
    except StartError as error:
        raise SystemExit(error.message) from None
