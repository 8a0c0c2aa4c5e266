"""Runs the migrations against the address that `app.infra.schema.migrate` hands over, or, from
alembic's own command line, against `DATABASE_URL`."""

import os

from alembic import context
from sqlalchemy import create_engine, pool, text

from app.models import Base

url = context.config.attributes.get("url") or os.environ["DATABASE_URL"]
engine = create_engine(url, poolclass=pool.NullPool)
with engine.connect() as connection:
    # A migration that waits for a lock blocks everybody behind it: rather give up and try again.
    connection.execute(text("SET lock_timeout = '5s'"))
    connection.commit()
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
