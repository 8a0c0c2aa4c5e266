"""Exports and snapshots as jobs: written once, cancelled, begun anew."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import redis
from sqlalchemy import delete, select, update

from app import rules
from app.infra.errors import ConflictError
from app.infra.settings import get_settings
from app.installation import Installation
from app.models import Export, Label, Snapshot, Study
from app.services import export_jobs, snapshots, studies
from app.services.exports import ExportSpec
from tests.services.conftest import make_game
from tests.services.played import play_all_kinds
from workers.context import only_one
from workers.exports import make_snapshot, write
from workers.upkeep import ask_again


@pytest.fixture
def slug(inst: Installation) -> str:
    """A study in which eight labels of people count."""
    with inst.transaction() as session:
        game = make_game(session, inst.storage)
        play_all_kinds(session, game)
        return game.study.slug


def ask(inst: Installation, slug: str, spec: ExportSpec | None = None) -> str:
    with inst.transaction() as session:
        study = studies.get(session, slug)
        return str(export_jobs.request(session, study=study, spec=spec or ExportSpec()).id)


def change(inst: Installation, slug: str, export_id: str, verb: Callable[..., None]) -> None:
    with inst.transaction() as session:
        study = studies.get(session, slug)
        verb(session, export_jobs.get(session, study, UUID(export_id), lock=True))


def row(inst: Installation, export_id: str) -> Export:
    with inst.transaction() as session:
        return session.get_one(Export, UUID(export_id))


def queue_length(inst: Installation) -> int:
    with redis.Redis.from_url(inst.redis_url) as client:
        return int(client.llen("exports"))


class TestExport:
    def test_a_written_export_has_its_file(self, inst: Installation, slug: str) -> None:
        export_id = ask(inst, slug)
        assert queue_length(inst) == 1
        write(export_id=export_id)
        done = row(inst, export_id)
        assert (done.status, done.n_written, done.n_rows) == ("done", 8, 8)
        assert done.file_name == "cats-and-dogs-labels.jsonl"
        lines = inst.storage.get(done.file_key or "").decode().splitlines()
        assert [json.loads(line)["label"] for line in lines][:1] == ["ears"]
        assert len(lines) == 8

    def test_running_it_twice_changes_nothing(self, inst: Installation, slug: str) -> None:
        export_id = ask(inst, slug)
        write(export_id=export_id)
        first = row(inst, export_id)
        write(export_id=export_id)
        second = row(inst, export_id)
        assert (first.finished_at, first.sha256) == (second.finished_at, second.sha256)

    def test_while_another_worker_is_at_it_nothing_is_done(
        self, inst: Installation, slug: str
    ) -> None:
        export_id = ask(inst, slug)
        with only_one(UUID(export_id)):
            write(export_id=export_id)
        assert row(inst, export_id).status == "waiting"

    def test_a_worker_that_died_is_asked_again_for_and_begins_anew(
        self, inst: Installation, slug: str
    ) -> None:
        export_id = ask(inst, slug)
        with inst.transaction() as session:
            export_jobs.start(session, UUID(export_id))
        with redis.Redis.from_url(inst.redis_url) as client:
            client.flushdb()
        ask_again()
        assert queue_length(inst) == 1
        write(export_id=export_id)
        assert row(inst, export_id).status == "done"

    def test_one_that_is_cancelled_half_way_stops_and_leaves_no_file(
        self, inst: Installation, slug: str
    ) -> None:
        export_id = ask(inst, slug, ExportSpec("huggingface", "both"))
        with inst.transaction() as session:
            started = export_jobs.start(session, UUID(export_id))
        assert started is not None

        def cancel_then_report(n_written: int, n_rows: int) -> None:
            change(inst, slug, export_id, export_jobs.cancel)
            with inst.transaction() as session:
                export_jobs.report(session, started.id, n_written=n_written, n_rows=n_rows)

        with pytest.raises(export_jobs.CancelledError):
            export_jobs.write(
                inst.factory, inst.storage, started, secret=b"k", on_progress=cancel_then_report
            )
        assert row(inst, export_id).status == "cancelled"
        assert list((inst.storage.root / "exports").iterdir()) == []

    def test_a_cancelled_one_is_not_written_until_it_is_asked_for_again(
        self, inst: Installation, slug: str
    ) -> None:
        export_id = ask(inst, slug)
        change(inst, slug, export_id, export_jobs.cancel)
        write(export_id=export_id)
        assert row(inst, export_id).status == "cancelled"
        change(inst, slug, export_id, export_jobs.resume)
        write(export_id=export_id)
        assert row(inst, export_id).status == "done"
        with pytest.raises(ConflictError):
            change(inst, slug, export_id, export_jobs.resume)

    def test_its_file_goes_after_a_while_and_it_can_be_written_again(
        self, inst: Installation, slug: str
    ) -> None:
        export_id, fresh_id = ask(inst, slug), ask(inst, slug)
        write(export_id=export_id)
        write(export_id=fresh_id)
        make_snapshot(study_slug=slug, licence="cc0-1.0")
        key = row(inst, export_id).file_key or ""
        long_ago = datetime.now(UTC) - rules.EXPORT_FILES_KEPT - timedelta(minutes=1)
        with inst.transaction() as session:
            session.get_one(Export, UUID(export_id)).finished_at = long_ago
        left = inst.storage.root / "exports" / ".half-written"
        left.write_text("by a worker that was killed")
        os.utime(left, (long_ago.timestamp(), long_ago.timestamp()))
        ask_again()
        assert (row(inst, export_id).status, row(inst, fresh_id).status) == ("expired", "done")
        assert not inst.storage.exists(key)
        assert not left.exists()
        with inst.transaction() as session:
            (snapshot,) = session.scalars(select(Snapshot))
            assert snapshots.verify(inst.storage, snapshot) == []
        change(inst, slug, export_id, export_jobs.resume)
        write(export_id=export_id)
        assert inst.storage.exists(key)

    def test_what_went_wrong_stands_in_the_row(self, inst: Installation, slug: str) -> None:
        for view in (inst.storage.root / "views").iterdir():
            view.unlink()
        export_id = ask(inst, slug, ExportSpec("coco"))
        write(export_id=export_id)
        failed = row(inst, export_id)
        assert (failed.status, failed.file_key) == ("failed", None)
        assert "FileNotFoundError" in (failed.failure or "")
        change(inst, slug, export_id, export_jobs.resume)
        assert row(inst, export_id).failure is None

    def test_all_of_a_file_is_the_study_at_one_moment(self, inst: Installation, slug: str) -> None:
        """Labels that vanish while a file is written are in all of its tables still."""
        export_id = ask(inst, slug, ExportSpec("huggingface", "both"))
        with inst.transaction() as session:
            started = export_jobs.start(session, UUID(export_id))
        assert started is not None
        told: list[tuple[int, int]] = []

        def delete_labels(n_written: int, n_rows: int) -> None:
            told.append((n_written, n_rows))
            with inst.transaction() as session:
                session.execute(delete(Label))

        export_jobs.write(
            inst.factory, inst.storage, started, secret=b"k", on_progress=delete_labels
        )
        assert told[0][0] == 1
        assert told[-1][0] == told[-1][1]

    def test_one_of_a_study_that_is_gone_is_no_error(self, inst: Installation) -> None:
        write(export_id=str(uuid4()))


def test_a_spec_survives_the_database(inst: Installation, slug: str) -> None:
    spec = ExportSpec("coco", "both", reveal_index=3, licence="cc0-1.0")
    export_id = ask(inst, slug, spec)
    assert ExportSpec.from_json(row(inst, export_id).spec) == spec


class TestSnapshot:
    def take(self, inst: Installation, slug: str) -> Snapshot:
        make_snapshot(study_slug=slug, licence="cc-by-4.0")
        with inst.transaction() as session:
            return snapshots.of_study(session, studies.get(session, slug))[0]

    def test_made_twice_from_the_same_data_it_has_the_same_bytes(
        self, inst: Installation, slug: str
    ) -> None:
        def prepared() -> tuple[str, bytes]:
            made = snapshots.prepare(
                inst.factory,
                inst.storage,
                study_slug=slug,
                secret=get_settings().secret(),
                licence="cc-by-4.0",
            )
            content = inst.storage.get(made.file_key)
            inst.storage.delete(made.file_key)
            return made.sha256, content

        assert prepared() == prepared()

    def test_the_same_data_gets_no_second_number(self, inst: Installation, slug: str) -> None:
        first, second = self.take(inst, slug), self.take(inst, slug)
        assert (first.id, first.number) == (second.id, 1)

    def test_changed_data_gets_the_next_number_and_the_old_stays(
        self, inst: Installation, slug: str
    ) -> None:
        first = self.take(inst, slug)
        with inst.transaction() as session:
            session.execute(update(Label).where(Label.text == "tail").values(text="tails"))
        second = self.take(inst, slug)
        assert (first.number, second.number) == (1, 2)
        assert first.sha256 != second.sha256
        assert snapshots.verify(inst.storage, first) == []
        assert snapshots.verify(inst.storage, second) == []

    def test_it_says_what_made_it(self, inst: Installation, slug: str) -> None:
        made_by = self.take(inst, slug).made_by
        with inst.transaction() as session:
            network = studies.get(session, slug).network
        assert made_by["network"]["weights_sha256"] == network.weights_sha256
        assert made_by["network"]["fingerprint"] == network.fingerprint
        assert made_by["explanations"]["clusterer"] == "paper"
        assert [run["method"] for run in made_by["concepts"]] == ["paper"]
        assert made_by["export"]["licence"] == "cc-by-4.0"
        assert made_by["code"]["layerplay"]

    @pytest.mark.parametrize(
        "statement",
        [
            update(Snapshot).values(sha256="0" * 64),
            delete(Snapshot),
            delete(Study),
        ],
        ids=["update", "delete", "delete its study"],
    )
    def test_the_database_refuses_to_change_it(
        self, inst: Installation, slug: str, statement: object
    ) -> None:
        snapshot = self.take(inst, slug)
        with pytest.raises(Exception, match=r"never changes|foreign key"), inst.transaction() as s:
            s.execute(statement)  # type: ignore[call-overload]
        with inst.transaction() as session:
            assert session.scalars(select(Snapshot.sha256)).all() == [snapshot.sha256]

    def test_a_damaged_archive_is_found_out(self, inst: Installation, slug: str) -> None:
        snapshot = self.take(inst, slug)
        path = inst.storage.path(snapshot.file_key)
        content = bytearray(path.read_bytes())
        content[200] ^= 1
        path.write_bytes(content)
        wrong = snapshots.verify(inst.storage, snapshot)
        assert wrong[0].startswith("The archive's SHA-256 is")
        assert "data/labels.parquet is not as it was made." in wrong
        path.unlink()
        assert snapshots.verify(inst.storage, snapshot) == ["The archive is gone."]
