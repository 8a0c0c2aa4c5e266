"""The web application: `uvicorn app.web.main:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio import CapacityLimiter
from fastapi import Depends, FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.infra import health
from app.infra.db import make_engine, session_factory
from app.infra.errors import AppError, NotFoundError
from app.infra.jobs import Jobs
from app.infra.limits import Limits
from app.infra.logging import configure_logging
from app.infra.queue import CelerySender
from app.infra.security import same
from app.infra.settings import Settings, get_settings
from app.services import honesty
from app.services.signs import Signs
from app.web import (
    accounts,
    admin,
    api,
    concept_runs,
    concepts,
    contrasts,
    drafts,
    errors,
    explanations,
    exports,
    global_explanations,
    invitations,
    live,
    log,
    members,
    moderation,
    overview,
    play,
    profile,
    search,
    sharing,
    studies,
    tokens,
)
from app.web.deps import get_visitor
from app.web.languages import ChooseLanguage
from app.web.observing import Metrics, ObserveRequests
from app.web.security import (
    LimitBody,
    NewCookies,
    NoteLostAnswers,
    RefuseForeignPosts,
    RefuseZeros,
    SecurityHeaders,
)
from app.web.templating import STATIC_FOLDERS

_TURNS: Final = 6
"""Requests with a session at once, in one process: see `deps.get_session`. Four to eight are as
quick (benchmarks/play.py): more mostly wait for one another, with fewer a slow one holds up all."""


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
    # Few requests have no turn, and want a connection for moments only: the rest are for them.
    engine = make_engine(settings.database_url, pool_size=_TURNS)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(honesty.prepare)
        yield
        app.state.limits.close()
        app.state.jobs.close()
        engine.dispose()

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.engine = engine
    app.state.factory = session_factory(engine)
    app.state.turns = CapacityLimiter(_TURNS)
    app.state.sender = CelerySender(settings.redis_url)
    app.state.storage = settings.open_storage()
    app.state.metrics = Metrics()
    app.state.limits = Limits(settings.redis_url)
    app.state.jobs = Jobs(settings.redis_url)
    app.state.signs = Signs(settings.redis_url)
    visitor = Depends(get_visitor, scope="function")
    pages = (
        *(play, live, profile, drafts, overview, studies, members, accounts, tokens, invitations),
        *(explanations, contrasts, global_explanations, sharing, search, exports),
        *(admin, log, moderation, concepts, concept_runs, api),
    )
    for module in pages:
        app.include_router(module.router, dependencies=[visitor])
    app.add_api_route("/healthz", healthz, methods=["GET"])
    app.add_api_route("/readyz", readyz, methods=["GET"])
    app.add_api_route("/metrics", metrics, methods=["GET"])
    for address, folder in STATIC_FOLDERS.items():
        app.mount(address, _StaticFiles(directory=folder))
    errors.install(app)
    # The last one added is the first to see a request.
    app.add_middleware(NewCookies, secure=settings.secure_cookies)
    app.add_middleware(LimitBody)
    app.add_middleware(RefuseForeignPosts)
    app.add_middleware(RefuseZeros)
    app.add_middleware(NoteLostAnswers, signs=app.state.signs)
    app.add_middleware(errors.CatchErrors)
    app.add_middleware(ChooseLanguage)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(ObserveRequests, metrics=app.state.metrics)
    return app


def healthz() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


def readyz(request: Request) -> JSONResponse:
    """Whether the database and the queue answer too; 503 when one does not."""
    state = request.app.state
    parts = {
        "database": health.database(state.engine),
        "queue": health.queue(state.settings.redis_url),
    }
    answers = {name: "ok" if part.is_well else "does not answer" for name, part in parts.items()}
    ready = all(part.is_well for part in parts.values())
    return JSONResponse(answers, status_code=200 if ready else 503)


def metrics(request: Request) -> Response:
    """What Prometheus reads, for whoever knows the token of the settings."""
    state = request.app.state
    token = state.settings.metrics_token
    if not token or not same(request.headers.get("authorization", ""), f"Bearer {token}"):
        raise NotFoundError("There is no page at this address.")
    return Response(generate_latest(state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


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
    settings = get_settings()
    configure_logging(settings.log_format)
    try:
        return create_app(settings)
    except StartError as error:
        raise SystemExit(error.message) from None
