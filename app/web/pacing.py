"""How fast rounds are finished from one address, a minute at a time."""

from typing import Annotated

from fastapi import Depends, Request

from app import rules
from app.web.deps import LimitsDep, client_address

_MINUTE_S = 60


def count_round(request: Request, limits: LimitsDep) -> bool:
    """Count an answer; whether so many came from this address that they are marked.

    TooManyError where nobody can be so quick. A class of pupils shares an address, so it takes many
    rounds to be marked, and a mark changes nothing.
    """
    n_rounds = limits.take(
        "rounds",
        client_address(request),
        n=rules.SLOWED_ROUNDS,
        window_s=_MINUTE_S,
        message="Very many rounds come from your network at the moment. Nothing is lost: take a "
        "breath and send this again in {wait}.",
    )
    return n_rounds > rules.BURST_ROUNDS


IsBurstDep = Annotated[bool, Depends(count_round)]
