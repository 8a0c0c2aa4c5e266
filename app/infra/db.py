"""The database: engine, and the edge at which a transaction commits."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from app.infra.queue import JobSender, send_jobs


def make_engine(url: str, *, pool_size: int = 10) -> Engine:
    """An engine on PostgreSQL. Broken connections are replaced before they are used."""
    return create_engine(url, pool_pre_ping=True, pool_size=pool_size, max_overflow=10)


def session_factory(engine: Engine) -> sessionmaker[Session]:
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def transaction(factory: sessionmaker[Session], sender: JobSender) -> Iterator[Session]:
    """One transaction: commit at the end, then send the jobs that were asked for in it.

    Every request, task and command goes through here. Jobs leave after the commit, so that a
    worker never looks for a row that is not there yet, and a rolled-back request starts nothing.
    """
    with factory() as session:
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise
        send_jobs(session, sender)


@contextmanager
def reading(factory: sessionmaker[Session]) -> Iterator[Session]:
    """A session that only reads, and sees the database as it is at its first query, however long
    it reads and whatever others commit meanwhile."""
    with factory() as session:
        session.connection(
            execution_options={
                "isolation_level": "REPEATABLE READ",
                "postgresql_readonly": True,
            }
        )
        # What reads like this reads to the end: plans for the first rows only would be slower.
        session.execute(text("set local cursor_tuple_fraction = 1"))
        yield session
