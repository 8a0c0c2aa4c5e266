"""Child processes that live exactly as long as the command that started them."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from app.infra.errors import AppError
from app.infra.settings import Settings

_ROOT = Path(__file__).resolve().parents[2]
_POLL_S = 0.05
# First the polite way, in which a worker finishes the task at hand; then Celery's cold shutdown,
# which gives the task back to the queue; then none.
_STOP_STEPS = ((signal.SIGTERM, 15.0), (signal.SIGQUIT, 5.0))
_TAIL_LINES = 12
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# On Linux the kernel tells a child when its parent is gone, even by kill -9. The child has to ask
# for it itself: a small program does, then becomes the real one. Its first argument is the parent,
# which may have died before it was asked.
_LAUNCHER = """
import ctypes, os, sys
PR_SET_PDEATHSIG, SIGTERM = 1, 15
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent process is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""


# The queues that a worker takes jobs from: the first parts of the jobs' names.
QUEUES = ("drafts", "explanations", "labels", "exports", "accounts", "upkeep")
_MAX_PROCESSES = 8  # each holds a network, and memory runs out before cores do


class ChildDiedError(AppError):
    """A child process ended although nobody had asked it to."""

    status = 503


class Interrupts:
    """Ctrl-C, `kill` and a closed terminal, as a context manager of the main thread.

    The first raises KeyboardInterrupt where the program is. Those that follow do not disturb the
    stopping; they set `hurry`, which asks it to stop waiting.
    """

    def __init__(self) -> None:
        self.stopping = False
        self.hurry = False
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.stopping:
            self.hurry = True
            return
        self.stopping = True
        raise KeyboardInterrupt


@dataclass(frozen=True, slots=True)
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    log_offset: int

    def has_ended(self) -> bool:
        return self.process.poll() is not None


class Supervisor:
    """Starts named child processes and stops them all when it is left, as a context manager.

    Each child has a process group of its own, so that a Ctrl-C in the terminal reaches only this
    process, and its output goes to `logs`/NAME.log. `keep_open`: file descriptors that the children
    inherit. `hurry`: asked while stopping; True stops waiting and kills.
    """

    def __init__(
        self,
        logs: Path,
        *,
        keep_open: Sequence[int] = (),
        hurry: Callable[[], bool] = lambda: False,
    ) -> None:
        self._logs = logs
        self._keep_open = keep_open
        self._hurry = hurry
        self._children: list[_Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], *, environment: Mapping[str, str]) -> None:
        """Start a child with this environment added to our own."""
        if sys.platform == "linux":
            command = [sys.executable, "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
        self._logs.mkdir(parents=True, exist_ok=True)
        path = self._logs / f"{name}.log"
        with path.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=_ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=self._keep_open,
            )
            self._children.append(_Child(name, process, path, log.tell()))

    def check(self) -> None:
        """ChildDiedError, with the end of its log, when a child has ended. None is restarted
        silently: what ended once for a reason that nobody read would end again."""
        for child in self._children:
            if child.has_ended():
                raise ChildDiedError(
                    f"The {child.name} process has ended by itself; "
                    f"its log {child.log} ends with:\n{_tail(child)}"
                )

    def wait_until_healthy(self, host: str, port: int, *, timeout_s: float = 90.0) -> None:
        """Wait until the web server answers /healthz. ChildDiedError when it does not in time."""
        deadline = time.monotonic() + timeout_s
        while not _is_healthy(host, port):
            self.check()
            if time.monotonic() > deadline:
                raise ChildDiedError(
                    f"The web server does not answer after {timeout_s:.0f} seconds; "
                    f"its log is in {self._logs}."
                )
            time.sleep(_POLL_S)

    def watch(self) -> None:
        """Wait for ever, or until a child ends: then ChildDiedError."""
        while True:
            self.check()
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop every child and whatever its process group still holds."""
        for number, seconds in _STOP_STEPS:
            running = [child for child in self._children if not child.has_ended()]
            for child in running:
                # Only the leader: Celery's pool processes would drop their tasks.
                child.process.send_signal(number)
            deadline = time.monotonic() + seconds
            while not all(child.has_ended() for child in running):
                if self._hurry() or time.monotonic() > deadline:
                    break
                time.sleep(_POLL_S)
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):  # nobody is left in the group
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
        self._children.clear()


def _is_healthy(host: str, port: int) -> bool:
    # Not urllib, which would ask the proxy that the environment may name.
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tail(child: _Child) -> str:
    with child.log.open("rb") as log:
        log.seek(child.log_offset)
        lines = log.read().decode(errors="replace").strip().splitlines()
    return "\n".join(lines[-_TAIL_LINES:])


def worker_command(home: Path) -> list[str]:
    """The command of a worker for all queues, which also asks for upkeep in time (Celery beat)."""
    n_processes = max(1, min(os.cpu_count() or 1, _MAX_PROCESSES))
    return [
        *(sys.executable, "-m", "celery", "--app", "workers.celery_app", "worker"),
        *("--queues", ",".join(QUEUES), "--concurrency", str(n_processes), "--loglevel", "INFO"),
        *("--beat", "--schedule", str(home / "run" / "beat")),
        *("--without-gossip", "--without-mingle"),
    ]


def process_environment(settings: Settings, database_url: str, redis_url: str) -> dict[str, str]:
    """The environment in which a web server or a worker finds this installation."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "LAYERPLAY_HOME": str(settings.home.absolute()),
        "LAYERPLAY_STORAGE_DIR": str(settings.storage_path.absolute()),
        "LAYERPLAY_PORT": str(settings.port),
        "PYTHONUNBUFFERED": "1",
    }
