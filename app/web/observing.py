"""What is known of each request: its number, a line in the log, how long it took."""

import logging
import re
import time
from uuid import uuid4

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.infra.logging import request_id

_log = logging.getLogger(__name__)
_GIVEN_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
_UNLOGGED = {"/healthz", "/readyz", "/metrics", "static"}  # asked all the time, and of no interest


class Metrics:
    """What is counted for Prometheus, in a registry of the app's own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "layerplay_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "layerplay_request_seconds",
            "Time from a request to the start of its answer.",
            ["route"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )


class ObserveRequests:
    """Numbers requests, logs and measures them. A proxy's own number (X-Request-ID) is kept."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        number = given if _GIVEN_ID.fullmatch(given) else uuid4().hex[:12]
        token = request_id.set(number)
        started = time.perf_counter()

        async def observe(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = number
                self._record(scope, message["status"], time.perf_counter() - started)
            await send(message)

        try:
            await self.app(scope, receive, observe)
        finally:
            request_id.reset(token)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route(scope)
        self.metrics.requests.labels(scope["method"], route, str(status)).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        if route not in _UNLOGGED:
            _log.info(
                "%s %s %d",
                *(scope["method"], route, status),
                extra={
                    "method": scope["method"],
                    "route": route,
                    "status": status,
                    "milliseconds": round(seconds * 1000, 1),
                },
            )


def _route(scope: Scope) -> str:
    """The route, with names in place of what addresses hold: there are as many as we wrote, and no
    one-time link is among them."""
    route = scope.get("route")
    if route is not None:
        return str(route.path)
    return "static" if "endpoint" in scope else "none"
