"""Real workers, killed without a word: what is done stays done, and the rest is done once."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select, text

from app.infra.supervisor import Supervisor
from app.infra.workers import process_environment, worker_command
from app.installation import Installation
from app.models import ClusterMap, Export, Image, LayerExplanation
from app.services import export_jobs, studies
from app.services.exports import ExportSpec
from tests.services.conftest import make_game
from tests.services.played import play_all_kinds
from workers.upkeep import ask_again

# Each picture takes the worker a moment at least, so that it can be killed in the middle of one.
N_LAYERS = 2


@pytest.fixture
def worker(inst: Installation, tmp_path: Path) -> Iterator[Supervisor]:
    (tmp_path / "home" / "run").mkdir(parents=True, exist_ok=True)
    with Supervisor(tmp_path / "logs") as supervisor:
        start(supervisor, inst, tmp_path)
        yield supervisor


def start(supervisor: Supervisor, inst: Installation, tmp_path: Path) -> None:
    environment = process_environment(inst.settings, inst.database_url, inst.redis_url)
    command = worker_command(tmp_path / "home")
    command[command.index("--concurrency") + 1] = "2"
    supervisor.start("worker", command, environment={**environment, "OMP_NUM_THREADS": "1"})


def statuses(inst: Installation) -> dict[str, int]:
    with inst.transaction() as session:
        query = select(Image.status, func.count()).group_by(Image.status)
        return dict(session.execute(query).all())


def wait_until(is_so: Callable[[], bool], *, seconds: float = 150) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def workers() -> list[psutil.Process]:
    """This test's worker processes: the parents, and the children that compute."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if "workers.celery_app" in process.cmdline()]


def children() -> list[psutil.Process]:
    """Those of the workers that compute, one picture at a time."""
    everyone = workers()
    parents = {process.pid for process in everyone}
    return [p for p in everyone if p.ppid() in parents and "beat" not in p.name()]


def at_hand(inst: Installation) -> bool:
    """Whether a worker is at a picture: it holds a lock from before it asks whether the picture is
    wanted until the result is stored."""
    locks = text(
        """
        select exists (
            select from pg_locks join pg_database on pg_database.oid = pg_locks.database
            where locktype = 'advisory' and datname = current_database()
        )
        """
    )
    with inst.transaction() as session:
        return bool(session.scalar(locks))


def done(inst: Installation) -> dict[str, object]:
    with inst.transaction() as session:
        query = select(Image.file_name, Image.computed_at).where(Image.status == "done")
        return dict(session.execute(query).all())


def test_killed_children_cost_at_most_the_pictures_at_hand(
    inst: Installation, drawn_study: str, worker: Supervisor
) -> None:
    wait_until(lambda: statuses(inst).get("done", 0) >= 2 and at_hand(inst))
    before = done(inst)
    for child in children():
        os.kill(child.pid, signal.SIGKILL)
    wait_until(lambda: statuses(inst) == {"done": 9})
    after = done(inst)
    assert {name: after[name] for name in before} == before, "nothing was computed twice"
    assert_each_is_stored_once(inst)


def test_a_killed_worker_is_taken_over_by_the_next(
    inst: Installation, drawn_study: str, worker: Supervisor, tmp_path: Path
) -> None:
    wait_until(lambda: statuses(inst).get("done", 0) >= 2 and at_hand(inst))
    for process in workers():
        os.kill(process.pid, signal.SIGKILL)
    before = done(inst)
    assert len(before) < 9
    worker.stop()
    start(worker, inst, tmp_path)
    with inst.transaction() as session:
        studies.ask_to_resume(session, studies.get(session, drawn_study))
    wait_until(lambda: statuses(inst) == {"done": 9})
    after = done(inst)
    assert {name: after[name] for name in before} == before
    assert_each_is_stored_once(inst)


def assert_each_is_stored_once(inst: Installation) -> None:
    with inst.transaction() as session:
        per_image = select(func.count()).select_from(LayerExplanation)
        per_image = per_image.group_by(LayerExplanation.image_id)
        assert session.scalars(per_image).all() == [N_LAYERS] * 9
        ranks = select(
            ClusterMap.image_id, ClusterMap.layer_id, func.count(), func.max(ClusterMap.rank) + 1
        ).group_by(ClusterMap.image_id, ClusterMap.layer_id)
        assert all(n == top for _, _, n, top in session.execute(ranks))


def test_a_stop_ends_after_the_pictures_at_hand_and_loses_none(
    inst: Installation, drawn_study: str, worker: Supervisor
) -> None:
    wait_until(lambda: statuses(inst).get("done", 0) >= 1)
    with inst.transaction() as session:
        studies.stop(session, studies.get(session, drawn_study))
    wait_until(lambda: not at_hand(inst))
    n_done = statuses(inst)["done"]
    time.sleep(1.5)
    assert statuses(inst) == {"done": n_done, "pending": 9 - n_done}
    with inst.transaction() as session:
        studies.ask_to_resume(session, studies.get(session, drawn_study))
    wait_until(lambda: statuses(inst) == {"done": 9})


def test_an_export_whose_worker_is_killed_is_written_once(
    inst: Installation, worker: Supervisor, tmp_path: Path
) -> None:
    def export() -> Export:
        with inst.transaction() as session:
            return session.scalars(select(Export)).one()

    with inst.transaction() as session:
        game = make_game(session, inst.storage)
        play_all_kinds(session, game)
    with inst.transaction() as session:
        # Nobody reads labels while this lasts, so the worker is stopped in the middle of the job.
        session.execute(text("lock table labels in access exclusive mode"))
        with inst.transaction() as other:
            study = studies.get(other, game.study.slug)
            export_jobs.request(other, study=study, spec=ExportSpec())
        wait_until(lambda: export().status == "running")
        for process in workers():
            os.kill(process.pid, signal.SIGKILL)
        worker.stop()
    start(worker, inst, tmp_path)
    ask_again()
    wait_until(lambda: export().status == "done")
    done = export()
    assert (done.n_written, done.n_rows) == (8, 8)
    assert [key for key in inst.storage.keys("exports") if "/." not in key] == [done.file_key]
    assert len(inst.storage.get(done.file_key or "").splitlines()) == 8
