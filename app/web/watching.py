"""Server-sent events for pages that wait for a sign."""

from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic
from typing import Final
from uuid import UUID

from redis.exceptions import RedisError
from starlette.responses import Response, StreamingResponse

from app.services.signs import Signs

HEARTBEAT_S: Final = 15.0
"""Seconds of silence after which a watcher hears that we are still here; where that cannot be sent
any more, the line is gone and the watching ends."""

WATCH_S: Final = 600.0
"""Seconds after which a watcher has to ask again, as browsers do by themselves: whoever may not
look any more, sees no more."""


def watch(signs: Signs, key: UUID) -> Response:
    """Server-sent events: `sign` whenever there is something new about a study or a player.

    What is new the page asks for itself. One that gets no events asks every few seconds all the
    same, so a Redis that does not answer, or a proxy that holds events back, hides nothing.
    """

    async def events() -> AsyncIterator[str]:
        ends_at = monotonic() + WATCH_S
        with suppress(RedisError):
            async for is_sign in signs.changes(key, every_s=HEARTBEAT_S):
                yield "event: sign\ndata:\n\n" if is_sign else ": still here\n\n"
                if monotonic() > ends_at:
                    return

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)
