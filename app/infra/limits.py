"""How often somebody may try: counted in Redis, for all web servers together."""

import hashlib
import logging
import math

import redis

from app.infra.errors import TooManyError

_log = logging.getLogger(__name__)

# One step for Redis, so that two tries at once count as two, and a count never outlives its window.
_COUNT = """
local n = redis.call('incr', KEYS[1])
if n == 1 then redis.call('expire', KEYS[1], ARGV[1]) end
return {n, redis.call('ttl', KEYS[1])}
"""


_MESSAGE = "That was tried too often. Wait {wait}, then try again."


class Limits:
    """Counts tries in windows of a fixed length, each beginning with its first try.

    While Redis cannot be reached nothing is limited: a queue that is down must not lock people out,
    and passwords are slow to try anyway.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis = redis.Redis.from_url(redis_url, socket_timeout=1, socket_connect_timeout=1)
        self._count = self._redis.register_script(_COUNT)

    def take(self, what: str, who: str, *, n: int, window_s: int, message: str = _MESSAGE) -> int:
        """Count a try of `what` by `who`; the number of it in its window, 0 when nobody counts.

        TooManyError from the (n + 1)th in a window on. message: what it says, where {wait} is how
        long to wait.
        """
        try:
            n_tried, wait_s = self._count(keys=[_key(what, who)], args=[window_s])
        except redis.RedisError as error:
            _log.error("%s is not limited, Redis does not answer: %s", what, error)
            return 0
        if n_tried > n:
            raise TooManyError(message.format(wait=_in_words(wait_s)), wait_s=wait_s)
        return int(n_tried)

    def forget(self, what: str, who: str) -> None:
        """Start counting anew: it went well."""
        try:
            self._redis.delete(_key(what, who))
        except redis.RedisError as error:
            _log.error("tries of %s are not forgotten, Redis does not answer: %s", what, error)

    def close(self) -> None:
        self._redis.close()


def _key(what: str, who: str) -> str:
    """Names and addresses do not stand in Redis as they are."""
    return f"limit:{what}:{hashlib.sha256(who.lower().encode()).hexdigest()[:32]}"


def _in_words(wait_s: int) -> str:
    minutes = math.ceil(wait_s / 60)
    return "a minute" if minutes <= 1 else f"{minutes} minutes"
