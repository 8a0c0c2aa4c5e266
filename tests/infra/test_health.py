"""How the parts of an installation are found to be, on real engines."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis
from sqlalchemy import Engine, create_engine

from app.infra import health
from app.infra.storage import Storage


def test_a_database_that_answers_tells_of_itself(worker_engine: Engine) -> None:
    part = health.database(worker_engine)
    assert part.is_well
    assert part.figures["Version"].startswith("PostgreSQL 1")
    assert part.figures["Answers in"].endswith(" ms")


def test_one_that_does_not_is_said(tmp_path: Path) -> None:
    engine = create_engine(f"postgresql+psycopg://nobody@/x?host={tmp_path}")
    assert "does not answer" in (health.database(engine).problem or "")
    engine.dispose()


def test_jobs_that_wait_are_counted_by_queue(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.rpush("labels", "a", "b")
    part = health.queue(redis_url)
    assert part.is_well
    assert part.figures["Waiting: labels"] == "2"
    assert part.figures["Waiting: explanations"] == "0"


def test_a_queue_that_is_gone_is_said() -> None:
    assert not health.queue("redis://127.0.0.1:1/0").is_well
    assert not health.workers("redis://127.0.0.1:1/0").is_well


def test_without_a_worker_it_says_to_start_one(redis_url: str) -> None:
    assert "Start one" in (health.workers(redis_url).problem or "")


def test_a_disk_that_is_nearly_full_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(tmp_path / "not" / "there yet")
    assert health.storage(storage).is_well
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=7_000_000))
    assert "nearly full" in (health.storage(storage).problem or "")
