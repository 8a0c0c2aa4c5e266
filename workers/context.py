"""What a task needs: transactions, storage, the embedding model. One per worker process."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from uuid import UUID

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from app.infra.db import make_engine, session_factory, transaction
from app.infra.queue import CelerySender
from app.infra.settings import get_settings
from app.infra.storage import Storage
from app.services.signs import Signs


@lru_cache(maxsize=1)
def engine() -> Engine:
    url = get_settings().database_url
    if url is None:
        raise RuntimeError("a worker needs DATABASE_URL; `layerplay worker` sets it")
    return make_engine(url, pool_size=2)


@lru_cache(maxsize=1)
def session_maker() -> sessionmaker[Session]:
    return session_factory(engine())


@lru_cache(maxsize=1)
def _sender() -> CelerySender:
    url = get_settings().redis_url
    if url is None:
        raise RuntimeError("a worker needs REDIS_URL; `layerplay worker` sets it")
    return CelerySender(url)


def task_transaction() -> AbstractContextManager[Session]:
    return transaction(session_maker(), _sender())


@lru_cache(maxsize=1)
def signs() -> Signs:
    url = get_settings().redis_url
    if url is None:
        raise RuntimeError("a worker needs REDIS_URL; `layerplay worker` sets it")
    return Signs(url)


@lru_cache(maxsize=1)
def storage() -> Storage:
    return get_settings().open_storage()


@contextmanager
def only_one(name: UUID) -> Iterator[bool]:
    """True for the one worker that is at `name` now, False for any other.

    An advisory lock of PostgreSQL: it ends with the connection, so a worker that was killed leaves
    nothing behind that somebody would have to clean up.
    """
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        key = {"key": name.int % 2**63}
        mine = bool(connection.scalar(text("select pg_try_advisory_lock(:key)"), key))
        try:
            yield mine
        finally:
            if mine:
                connection.execute(text("select pg_advisory_unlock(:key)"), key)
