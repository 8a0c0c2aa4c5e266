"""A database as one file and back, by PostgreSQL's own pg_dump and pg_restore."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import make_url

from app.infra.embedded import postgres_program
from app.infra.errors import AppError

_COPY_BYTES = 1 << 20


class DumpError(AppError):
    """The database cannot be written to a file, or read from one."""

    status = 503


def dump(url: str, write: Callable[[bytes], object]) -> None:
    """Hand the database's content to `write`, piece by piece, in pg_dump's custom format.

    It is the database at one moment, and those who work with it meanwhile notice nothing.
    """
    with tempfile.TemporaryFile() as said:
        process = _start(url, "pg_dump", ["--format=custom", "--no-owner", "--no-acl"], said)
        assert process.stdout is not None
        try:
            while piece := process.stdout.read(_COPY_BYTES):
                write(piece)
        except BaseException:
            process.kill()
            raise
        finally:
            process.stdout.close()
            status = process.wait()
        _check("pg_dump", status, said)


def load(url: str, path: Path) -> None:
    """Put what `dump` wrote in the place of everything that the database holds."""
    with psycopg.connect(_address(url), autocommit=True) as connection:
        connection.execute("set lock_timeout = '5s'")
        connection.execute("drop schema public cascade")
        connection.execute("create schema public")
        # A dump of one schema has its tables, but not the extension that their columns are of.
        connection.execute("create extension if not exists vector")
    options = ["--no-owner", "--no-acl", "--single-transaction", "--exit-on-error"]
    # The schema is there already; a dump that makes it as well must not stumble over that.
    options += ["--schema=public"]
    with tempfile.TemporaryFile() as said:
        process = _start(url, "pg_restore", [*options, str(path)], said)
        assert process.stdout is not None
        process.stdout.close()
        _check("pg_restore", process.wait(), said)


def _start(
    url: str, program: str, options: Sequence[str], said: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a program on the database. The password goes by the environment, since every account
    of the machine may read a command line."""
    parts: dict[str, Any] = conninfo_to_dict(_address(url))
    password = parts.pop("password", None)
    environment = dict(os.environ) | ({"PGPASSWORD": str(password)} if password else {})
    return subprocess.Popen(
        [_program(url, program), f"--dbname={make_conninfo(**parts)}", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=said,
        env=environment,
    )


def _program(url: str, name: str) -> str:
    """The program that comes with Layerplay; that of the machine when the server is newer."""
    with psycopg.connect(_address(url)) as connection:
        server = connection.info.server_version // 10_000
    for program in (str(postgres_program(name)), shutil.which(name)):
        if program is not None and _major_version(program) >= server:
            return program
    raise DumpError(
        f"There is no {name} for PostgreSQL {server} here: install its client programs."
    )


def _major_version(program: str) -> int:
    """18 of "pg_dump (PostgreSQL) 18.4", 0 of anything else."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
    return int(found[1]) if found else 0


def _check(program: str, status: int, said: IO[bytes]) -> None:
    if status:
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
        raise DumpError(f"{program} failed: " + " ".join(lines[-3:]))


def _address(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
