"""The database's schema: the migrations that make it.

Apart from `db`, for the web server starts without it.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.orm import Session

_MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def migrate(url: str) -> None:
    """Bring the schema up to date by running every migration that has not run yet."""
    config = _config()
    config.attributes["url"] = url
    command.upgrade(config, "head")


def schema_revision(session: Session) -> str:
    """The last migration that has run."""
    return str(session.scalar(text("select version_num from alembic_version")))


def has_revision(revision: str) -> bool:
    """Whether a schema of this revision is one that `migrate` can bring up to date."""
    scripts = ScriptDirectory.from_config(_config())
    return any(script.revision == revision for script in scripts.walk_revisions())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
