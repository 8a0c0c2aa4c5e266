"""The embedded engines: started once, joined, stopped with the last user, never losing data."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import psycopg
import pytest
import redis
from sqlalchemy import make_url

from app.infra import embedded
from app.infra.embedded import Embedded, EmbeddedError, Services

USER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from app.infra.embedded import Embedded
    with Embedded(Path(sys.argv[1])) as services:
        print(services.database_url, services.redis_url, flush=True)
        sys.stdin.read()
    """
)


def start_user(home: Path) -> subprocess.Popen[str]:
    """Another process that uses the engines until its standard input is closed."""
    return subprocess.Popen(
        [sys.executable, "-W", "always", "-c", USER, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def addresses(user: subprocess.Popen[str]) -> Services:
    assert user.stdout is not None
    return Services(*user.stdout.readline().split())


@contextlib.contextmanager
def connected(services: Services) -> Iterator[psycopg.Connection]:
    url = make_url(services.database_url).set(drivername="postgresql")
    connection = psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
    with contextlib.closing(connection):
        yield connection


def write_something(services: Services) -> None:
    with connected(services) as connection:
        connection.execute("CREATE TABLE note (body text)")
        connection.execute("INSERT INTO note VALUES ('kept')")
    with redis.Redis.from_url(services.redis_url) as client:
        client.set("note", "kept")


def read_something(services: Services) -> tuple[object, object]:
    with connected(services) as connection:
        row = connection.execute("SELECT body FROM note").fetchone()
    with redis.Redis.from_url(services.redis_url, decode_responses=True) as client:
        return row[0] if row else None, client.get("note")


def processes_of(home: Path) -> list[psutil.Process]:
    """Everything that runs for this home: engines, which work in it, and keepers, which name it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_engine = Path(process.cwd()).is_relative_to(home)
            is_keeper = process.cmdline()[-3:] == ["-m", "app.infra.embedded", str(home)]
            if is_engine or is_keeper:
                found.append(process)
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def home() -> Iterator[Path]:
    """Not in pytest's own temporary folder: each pytest that starts on this machine closes that to
    others, and as root PostgreSQL runs as another user."""
    folder = Path(tempfile.mkdtemp(prefix="layerplay-home-"))
    yield folder / "home"
    left = processes_of(folder / "home")
    shutil.rmtree(folder)
    assert left == []


def test_users_share_the_engines_and_the_last_one_stops_them(home: Path) -> None:
    with Embedded(home, durable=False) as first:
        write_something(first)
        other = start_user(home)
        assert addresses(other) == first
    # The one who started them has left; the other still works with them.
    assert read_something(first) == ("kept", "kept")
    other.communicate()
    assert other.returncode == 0
    assert processes_of(home) == []


def test_whoever_leaves_before_others_says_nothing(home: Path) -> None:
    starter = start_user(home)
    services = addresses(starter)
    with Embedded(home, durable=False) as joined:
        assert joined == services
        _, complaints = starter.communicate()
        assert complaints == ""


def test_two_who_start_at_once_get_the_same_engines(home: Path) -> None:
    users = [start_user(home) for _ in range(3)]
    found = {addresses(user) for user in users}
    assert len(found) == 1
    running = processes_of(home)
    postmasters = [p for p in running if p.name() == "postgres" and p.parent() not in running]
    assert len(postmasters) == 1
    assert len([p for p in running if p.name() == "redis-server"]) == 1
    for user in users:
        user.communicate()


def test_engines_stop_when_their_only_user_is_killed_and_keep_the_data(home: Path) -> None:
    user = start_user(home)
    write_something(addresses(user))
    user.kill()
    user.communicate()
    wait_until(lambda: processes_of(home) == [])
    with Embedded(home, durable=False) as services:
        assert read_something(services) == ("kept", "kept")


def test_engines_that_were_killed_start_again_with_the_data(home: Path) -> None:
    user = start_user(home)
    write_something(addresses(user))
    for process in [user, *processes_of(home)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    user.communicate()
    assert (home / "postgres" / "postmaster.pid").exists()
    with Embedded(home, durable=False) as services:
        assert read_something(services) == ("kept", "kept")


def test_a_stale_process_number_that_now_is_somebody_elses_is_no_obstacle(home: Path) -> None:
    with Embedded(home, durable=False):
        stale = (home / "postgres" / "postmaster.pid").read_text()
    lines = stale.split("\n")
    (home / "postgres" / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]))
    (home / "redis" / "redis.pid").write_text(f"{os.getpid()}\n")
    with Embedded(home, durable=False) as services, connected(services) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_path_too_long_for_a_socket_works(home: Path) -> None:
    home = home / ("long folder name " * 4) / ("another one " * 6)
    with Embedded(home, durable=False) as services, connected(services) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("layerplay",)
    assert processes_of(home) == []


def test_nobody_else_on_the_machine_can_connect(home: Path) -> None:
    with Embedded(home, durable=False) as services:
        socket = home / "run" / "postgres" / ".s.PGSQL.5432"
        assert socket.stat().st_mode & 0o077 == 0
        without_password = make_url(services.redis_url).set(password=None)
        client = redis.Redis.from_url(str(without_password))
        with client, pytest.raises(redis.AuthenticationError):
            client.ping()
        for secret in (home / "run" / "redis.url", home / "redis" / "redis.conf"):
            assert secret.stat().st_mode & 0o077 == 0


def test_fsync_is_on_unless_a_test_says_otherwise(home: Path) -> None:
    with Embedded(home) as services, connected(services) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        with redis.Redis.from_url(services.redis_url) as client:
            assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_little_space_is_said_in_one_sentence_and_nothing_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=123_456_789))
    with pytest.raises(EmbeddedError) as caught, Embedded(home):
        pass
    assert caught.value.message == (
        f"Only 123 MB are free on the disk of {home}, and Layerplay needs 500 MB: "
        "make room, or name another folder with LAYERPLAY_HOME."
    )


def test_a_disk_that_fills_up_meanwhile_is_said_in_one_sentence(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "initdb"
    program.write_text("#!/bin/sh\necho 'initdb: could not write: No space left on device'; exit 1")
    program.chmod(0o755)
    monkeypatch.setattr(embedded, "postgres_program", lambda _: program)
    with pytest.raises(EmbeddedError) as caught, Embedded(home):
        pass
    assert caught.value.message == (
        f"The disk of {home} is full: make room, or name another folder with LAYERPLAY_HOME."
    )


def test_a_folder_without_permission_is_said_in_one_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    # Permissions do not hold for root, who may run the tests.
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(EmbeddedError) as caught, Embedded(home):
        pass
    assert caught.value.message.startswith(f"Layerplay may not write in {home}: change its")


def test_a_file_in_place_of_the_folder_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sentence = r"cannot be used \(File exists\): name another one"
    with pytest.raises(EmbeddedError, match=sentence), Embedded(tmp_path / "file"):
        pass


def test_an_engine_that_does_not_start_shows_the_end_of_its_log(home: Path) -> None:
    with Embedded(home, durable=False):
        pass
    (home / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError) as caught, Embedded(home, durable=False):
        pass
    assert caught.value.message.startswith("PostgreSQL did not start; its log")
    assert "initialized by PostgreSQL version 9" in caught.value.message


def test_an_unfinished_first_start_is_begun_anew(home: Path) -> None:
    (home / "postgres.new" / "base").mkdir(parents=True)
    with Embedded(home, durable=False) as services, connected(services) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not (home / "postgres.new").exists()


def test_ctrl_c_in_the_terminal_does_not_reach_the_engines(home: Path) -> None:
    with Embedded(home, durable=False):
        groups = {os.getpgid(process.pid) for process in processes_of(home)}
        assert groups
        assert os.getpgrp() not in groups
