"""Signs of life: what workers are at this moment, told through Redis to those who watch.

Nothing depends on a sign. What is done stands in the database; a sign that is lost is followed by
another.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import redis
import redis.asyncio

_log = logging.getLogger(__name__)

_KEPT: Final = timedelta(minutes=10)
"""How long a sign is kept that nobody took away, as of a worker that was killed."""

_LOST: Final = "layerplay:lost-answers"
_LOST_KEPT: Final = timedelta(minutes=30)

_GATHER_S: Final = 0.4
"""Signs that follow one another within this time are told as one: more often nobody can read."""


@dataclass(frozen=True, slots=True)
class AtWork:
    """A picture that a worker has at hand, and when it last gave a sign."""

    file_name: str
    n_layers_done: int
    n_layers: int
    at: datetime


class Signs:
    """The signs about studies' pictures, on one Redis."""

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        self._redis = redis.Redis.from_url(redis_url, socket_timeout=3, socket_connect_timeout=3)

    def give(self, study_id: UUID, image_id: UUID, at: AtWork) -> None:
        """Say how far a worker is with a picture. Computing goes on when Redis does not answer."""
        told = json.dumps({**asdict(at), "at": at.at.timestamp()})
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.hset(_key(study_id), str(image_id), told)
                pipe.expire(_key(study_id), _KEPT)
                pipe.publish(_channel(study_id), "")
                pipe.execute()
        except redis.RedisError as error:
            _log.warning("no sign given: %s", error)

    def ring(self, key: UUID) -> None:
        """Give a sign to whoever watches this key: a player, say, whose partner has come."""
        try:
            self._redis.publish(_channel(key), "")
        except redis.RedisError as error:
            _log.warning("no sign given: %s", error)

    def take_away(self, study_id: UUID, image_id: UUID) -> None:
        """Say that no worker is at a picture any more."""
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.hdel(_key(study_id), str(image_id))
                pipe.publish(_channel(study_id), "")
                pipe.execute()
        except redis.RedisError as error:
            _log.warning("no sign taken away: %s", error)

    def read(self, study_id: UUID) -> list[AtWork]:
        """The pictures at hand, by file name; none when Redis does not answer."""
        try:
            told = self._redis.hvals(_key(study_id))
        except redis.RedisError as error:
            _log.warning("no signs read: %s", error)
            return []
        found = []
        for one in told:
            entries = json.loads(one)
            at = datetime.fromtimestamp(entries.pop("at"), UTC)
            if datetime.now(UTC) - at < _KEPT:
                found.append(AtWork(**entries, at=at))
        return sorted(found, key=lambda one: one.file_name)

    def note_lost_answer(self) -> None:
        """Keep in mind that an answer to a round could not be stored, whatever the reason."""
        now = time.time()
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.zadd(_LOST, {uuid4().hex: now})
                pipe.zremrangebyscore(_LOST, "-inf", now - _LOST_KEPT.total_seconds())
                pipe.expire(_LOST, _LOST_KEPT)
                pipe.execute()
        except redis.RedisError as error:
            _log.error("a lost answer could not be noted either: %s", error)

    def lost_answers(self) -> int:
        """How many answers could not be stored in the last half hour."""
        since = time.time() - _LOST_KEPT.total_seconds()
        try:
            return int(self._redis.zcount(_LOST, since, "+inf"))
        except redis.RedisError as error:
            _log.warning("lost answers not counted: %s", error)
            return 0

    async def changes(self, key: UUID, *, every_s: float) -> AsyncIterator[bool]:
        """True whenever there has been a sign about a study or a player, False after `every_s`
        seconds without. Ends with a RedisError when Redis does not answer."""
        async with (
            redis.asyncio.Redis.from_url(self._url, socket_connect_timeout=3) as client,
            client.pubsub() as pubsub,
        ):
            await pubsub.subscribe(_channel(key))
            while True:
                first = await pubsub.get_message(timeout=every_s)
                if first is None:
                    yield False
                    continue
                if first["type"] != "message":
                    continue  # that we listen now
                await asyncio.sleep(_GATHER_S)
                while await pubsub.get_message(timeout=0) is not None:
                    pass
                yield True


def _key(study_id: UUID) -> str:
    return f"layerplay:at-work:{study_id}"


def _channel(key: UUID) -> str:
    return f"layerplay:signs:{key}"
