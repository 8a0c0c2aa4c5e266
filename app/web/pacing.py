"""How fast rounds are finished from one address: counted in Redis, a minute at a time."""

import logging
from typing import Annotated

import redis
from fastapi import Depends, Request

from app import rules
from app.infra.errors import AppError

_log = logging.getLogger(__name__)
_MINUTE_S = 60


class TooFastError(AppError):
    """More rounds than people can play come from one address."""

    status = 429


def count_round(request: Request) -> bool:
    """Count an answer; whether so many came from this address that they are marked.

    TooFastError where nobody can be so quick. A class of pupils shares an address, so it takes many
    rounds to be marked, and a mark changes nothing. Without Redis nothing is counted: a queue that
    is down must not stop the game.
    """
    address = request.client.host if request.client else "unknown"
    key = f"layerplay:rounds:{address}"
    try:
        with request.app.state.redis.pipeline() as pipeline:
            pipeline.set(key, 0, ex=_MINUTE_S, nx=True)
            pipeline.incr(key)
            _, n_rounds = pipeline.execute()
    except redis.RedisError as error:
        _log.warning("rounds from %s are not counted: %s", address, error)
        return False
    if n_rounds > rules.SLOWED_ROUNDS:
        raise TooFastError(
            "Very many rounds come from your network at the moment. Nothing is lost: take a breath "
            "and send this again in a minute."
        )
    return bool(n_rounds > rules.BURST_ROUNDS)


IsBurstDep = Annotated[bool, Depends(count_round)]
