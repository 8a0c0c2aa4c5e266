"""Child processes live exactly as long as the command that started them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from celery import Celery

from app.infra.embedded import free_port
from app.infra.settings import Settings
from app.infra.supervisor import (
    QUEUES,
    ChildDiedError,
    Interrupts,
    Supervisor,
    process_environment,
    worker_command,
)
from workers.celery_app import celery_app

SLEEPER = [sys.executable, "-S", "-c", "import time; print('at work', flush=True); time.sleep(600)"]
# Neither it nor its child cares about being asked to end.
STUBBORN = [
    sys.executable,
    "-S",
    "-c",
    textwrap.dedent(
        """
        import os, signal, time
        for number in (signal.SIGTERM, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        os.fork()
        print("deaf", flush=True)
        time.sleep(600)
        """
    ),
]
WEB = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
COMMAND = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from app.infra.supervisor import Interrupts, Supervisor
    with Interrupts() as interrupts:
        try:
            with Supervisor(Path(sys.argv[1]), hurry=lambda: interrupts.hurry) as supervisor:
                supervisor.start("child", eval(sys.argv[2]), environment={})
                print("started", flush=True)
                supervisor.watch()
        except KeyboardInterrupt:
            print("stopped", flush=True)
    """
)


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def wait_for_text(log: Path, text: str, times: int = 1) -> None:
    wait_until(lambda: log.exists() and log.read_text().count(text) >= times)


def start_command(logs: Path, child: list[str]) -> subprocess.Popen[str]:
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(logs), repr(child)], stdout=subprocess.PIPE, text=True
    )
    assert command.stdout is not None
    assert command.stdout.readline() == "started\n"
    return command


def descendants_of(command: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(command.pid).children(recursive=True)


def none_is_left(processes: list[psutil.Process]) -> bool:
    def lives(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return process.status() != psutil.STATUS_ZOMBIE
        return False

    return not any(map(lives, processes))


def test_it_waits_until_the_web_server_answers(tmp_path: Path) -> None:
    port = free_port()
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("web", [sys.executable, "-c", WEB, str(port)], environment={})
        supervisor.wait_until_healthy("127.0.0.1", port)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass


def test_a_child_that_ends_by_itself_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    dying = [sys.executable, "-c", "raise SystemExit('line one\\nthe reason')"]
    (tmp_path / "worker.log").write_text("an earlier run\n")
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("worker", dying, environment={})
        with pytest.raises(ChildDiedError) as caught:
            supervisor.watch()
    assert caught.value.message == (
        f"The worker process has ended by itself; its log {tmp_path / 'worker.log'} ends with:\n"
        "line one\nthe reason"
    )


def test_a_web_server_that_dies_is_not_waited_for(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("web", [sys.executable, "-c", "raise SystemExit(3)"], environment={})
        with pytest.raises(ChildDiedError, match="The web process has ended by itself"):
            supervisor.wait_until_healthy("127.0.0.1", free_port())


def test_children_have_the_environment_that_was_named(tmp_path: Path) -> None:
    script = "import os, time; print(os.environ['DATABASE_URL'], flush=True); time.sleep(600)"
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(
            "child", [sys.executable, "-c", script], environment={"DATABASE_URL": "somewhere"}
        )
        wait_for_text(tmp_path / "child.log", "somewhere")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_way_to_stop_the_command_stops_the_children(
    tmp_path: Path, number: signal.Signals
) -> None:
    command = start_command(tmp_path, SLEEPER)
    processes = descendants_of(command)
    assert processes
    command.send_signal(number)
    assert command.communicate(timeout=30)[0] == "stopped\n"
    assert command.returncode == 0
    assert none_is_left(processes)


def test_a_second_ctrl_c_hurries(tmp_path: Path) -> None:
    command = start_command(tmp_path, STUBBORN)
    wait_for_text(tmp_path / "child.log", "deaf", times=2)
    processes = descendants_of(command)
    assert len(processes) == 2
    started = time.monotonic()
    command.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert not none_is_left(processes)
    command.send_signal(signal.SIGINT)
    assert command.communicate(timeout=30)[0] == "stopped\n"
    assert none_is_left(processes)
    assert time.monotonic() - started < 10


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of a parent's death")
def test_a_command_that_is_killed_takes_its_children_along(tmp_path: Path) -> None:
    command = start_command(tmp_path, SLEEPER)
    wait_for_text(tmp_path / "child.log", "at work")
    processes = descendants_of(command)
    assert processes
    command.kill()
    command.communicate()
    wait_until(lambda: none_is_left(processes))


def test_an_interrupt_during_the_stopping_only_hurries_it() -> None:
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert not interrupts.hurry
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.hurry
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.fixture
def worker(
    tmp_path: Path, settings: Settings, database: str, redis_url: str
) -> tuple[list[str], dict[str, str]]:
    (settings.home / "run").mkdir(parents=True)
    return worker_command(settings.home), process_environment(settings, database, redis_url)


def test_a_celery_worker_leaves_none_of_its_processes_behind(
    tmp_path: Path, worker: tuple[list[str], dict[str, str]], redis_url: str
) -> None:
    command, environment = worker
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("worker", command, environment=environment)
        with Celery(broker=redis_url) as celery:
            wait_until(lambda: bool(celery.control.ping(timeout=0.5)), seconds=60)
        descendants = psutil.Process().children(recursive=True)
        started = [p for p in descendants if "workers.celery_app" in p.cmdline()]
        # The worker, its pool and the beat.
        assert len(started) >= 3
        supervisor.check()
    assert none_is_left(started)


def test_the_worker_takes_the_jobs_of_every_task() -> None:
    celery_app.loader.import_default_modules()
    tasks = [name for name in celery_app.tasks if not name.startswith("celery.")]
    assert {name.partition(".")[0] for name in tasks} == set(QUEUES)
