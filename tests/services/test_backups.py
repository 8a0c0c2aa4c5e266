"""A backup taken while a crowd plays, brought back elsewhere."""

import io
import os
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session, sessionmaker

from app import rules
from app.infra.bucket import BucketStorage
from app.infra.db import make_engine, session_factory
from app.infra.dump import DumpError, dump
from app.infra.embedded import Services
from app.infra.errors import ConflictError, InvalidInputError
from app.infra.schema import schema_revision
from app.infra.storage import Storage
from app.models import Label, PointsEntry, Round
from app.picturebook.scenes import Recipe
from app.services import backups
from app.services.simulation import Simulation
from tests.conftest import create_database, drop_database
from tests.scene_study import add_scene, make_scene_study

SECRET = b"a key for tests"
SCENES = [Recipe("sailboat", 1, 0, "water"), Recipe("sailboat", 1, 1, "water", marked=True)]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "storage")


@pytest.fixture
def factory(database: str, storage: Storage) -> Iterator[sessionmaker[Session]]:
    """An installation with a study of two boats."""
    engine = make_engine(database)
    factory = session_factory(engine)
    with factory.begin() as session:
        study = make_scene_study(session)
        for recipe in SCENES:
            add_scene(session, storage, study, recipe, regions=("sail", "hull"))
    yield factory
    engine.dispose()


@pytest.fixture
def elsewhere(services: Services, template_database: str) -> Iterator[str]:
    """The address of another installation's database, empty but for the schema."""
    url = create_database(services, template=template_database)
    yield url
    drop_database(services, url)


@pytest.fixture
def other_engine(elsewhere: str) -> Iterator[Engine]:
    engine = make_engine(elsewhere)
    yield engine
    engine.dispose()


def back_up(
    path: Path,
    factory: sessionmaker[Session],
    database: str,
    storage: Storage,
    secret_file: Path | None = None,
) -> Path:
    with factory() as session:
        schema = schema_revision(session)
    with path.open("wb") as file:
        backups.write(
            file,
            schema=schema,
            database_url=database,
            storage=storage,
            secret=SECRET,
            secret_file=secret_file,
        )
    return path


def play(factory: sessionmaker[Session], storage: Storage, n_rounds: int) -> Iterator[object]:
    crowd = Simulation(
        factory, storage, study_name="Picture book", n_players=30, seed=0, secret=SECRET
    )
    return crowd.play(n_rounds)


def counts(session: Session) -> tuple[int, int, int]:
    """Finished rounds, labels, and the sum of the points ledger."""
    return (
        session.scalar(select(func.count()).where(Round.status != "open")) or 0,
        session.scalar(select(func.count(Label.id))) or 0,
        session.scalar(select(func.coalesce(func.sum(PointsEntry.points), 0))) or 0,
    )


def test_a_backup_under_load_is_the_game_at_one_moment(
    factory: sessionmaker[Session],
    database: str,
    storage: Storage,
    elsewhere: str,
    other_engine: Engine,
    tmp_path: Path,
) -> None:
    playing = play(factory, storage, 100)
    for _ in range(10):
        next(playing)
    with factory() as session:
        before = counts(session)
    stop = threading.Event()

    def go_on() -> None:
        for _ in playing:
            if stop.is_set():
                return

    crowd = threading.Thread(target=go_on)
    crowd.start()
    try:
        path = back_up(tmp_path / "backup", factory, database, storage)
    finally:
        stop.set()
        crowd.join()
    with factory() as session:
        after = counts(session)
    assert after[0] > before[0], "nobody played meanwhile"

    there = Storage(tmp_path / "elsewhere")
    backups.restore(backups.verify(path), database_url=elsewhere, storage=there, secret_file=None)
    with Session(other_engine) as session:
        restored = counts(session)
        assert all(b <= r <= a for b, r, a in zip(before, restored, after, strict=True))
        assert backups.missing_files(session, there) == []
        # Every point has its round, every right guess its points, and nothing is half there.
        guesses = dict(
            session.execute(
                select(PointsEntry.round_id, PointsEntry.points).where(
                    PointsEntry.reason == "guess"
                )
            ).all()
        )
        won = session.execute(
            select(Round.id, Round.reveal_index).where(Round.status == "won", ~Round.practice)
        ).all()
        assert guesses == {row.id: rules.GUESS_POINTS[row.reveal_index] for row in won}
        orphans = select(Label.id).outerjoin(Label.round).where(Round.status == "open")
        assert session.scalars(orphans).all() == []
    for key in storage.list_keys():
        assert there.get(key) == storage.get(key)


def test_the_game_goes_on_where_it_was_restored(
    factory: sessionmaker[Session],
    database: str,
    storage: Storage,
    elsewhere: str,
    other_engine: Engine,
    tmp_path: Path,
) -> None:
    list(play(factory, storage, 12))
    path = back_up(tmp_path / "backup", factory, database, storage)
    there = Storage(tmp_path / "elsewhere")
    backups.restore(backups.verify(path), database_url=elsewhere, storage=there, secret_file=None)
    other = session_factory(other_engine)
    assert len(list(play(other, there, 20))) == 8
    with other() as session:
        assert counts(session)[0] == 20


def test_a_backup_moves_the_files_into_a_bucket_and_out_of_it(
    factory: sessionmaker[Session],
    database: str,
    storage: Storage,
    elsewhere: str,
    other_engine: Engine,
    tmp_path: Path,
    bucket_url: str,
) -> None:
    path = back_up(tmp_path / "backup", factory, database, storage)
    there = BucketStorage(bucket_url, tmp_path / "copies", max_bytes=1_000_000)
    backups.restore(backups.verify(path), database_url=elsewhere, storage=there, secret_file=None)
    with Session(other_engine) as session:
        assert backups.missing_files(session, there) == []
    other_factory = session_factory(other_engine)
    assert list(play(other_factory, there, 3)), "the game goes on from the bucket"
    again = back_up(tmp_path / "again", other_factory, elsewhere, there)
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(again) as after:
        files = [name for name in before.namelist() if name.startswith("storage/")]
        assert files
        assert {name: before.read(name) for name in files} == {
            name: after.read(name) for name in after.namelist() if name.startswith("storage/")
        }


def test_an_installation_with_data_is_not_overwritten(factory: sessionmaker[Session]) -> None:
    with factory() as session, pytest.raises(ConflictError, match="holds data already"):
        backups.require_empty(session)


def test_an_empty_one_is_found_empty(other_engine: Engine) -> None:
    with Session(other_engine) as session:
        backups.require_empty(session)


def test_the_key_travels_when_it_lies_in_a_file(
    factory: sessionmaker[Session], database: str, storage: Storage, elsewhere: str, tmp_path: Path
) -> None:
    key, new = tmp_path / "secret_key", tmp_path / "new_key"
    key.write_bytes(SECRET)
    found = backups.verify(back_up(tmp_path / "backup", factory, database, storage, key))
    there = Storage(tmp_path / "elsewhere")
    new.write_bytes(b"made when the installation first ran")
    backups.restore(found, database_url=elsewhere, storage=there, secret_file=new)
    assert new.read_bytes() == SECRET
    assert new.stat().st_mode & 0o777 == 0o600
    assert found.has_key(SECRET)
    assert not found.has_key(b"another")


class TestVerify:
    @pytest.fixture
    def backup(
        self, factory: sessionmaker[Session], database: str, storage: Storage, tmp_path: Path
    ) -> Path:
        return back_up(tmp_path / "backup", factory, database, storage)

    def test_a_flipped_bit_is_found(self, backup: Path) -> None:
        content = bytearray(backup.read_bytes())
        content[2000] ^= 1
        backup.write_bytes(content)
        with pytest.raises(InvalidInputError, match="damaged"):
            backups.verify(backup)

    def test_half_a_file_is_found(self, backup: Path) -> None:
        os.truncate(backup, backup.stat().st_size // 2)
        with pytest.raises(InvalidInputError, match="is no backup, or is damaged"):
            backups.verify(backup)

    def test_another_zip_is_no_backup(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
            archive.writestr("cat.jpg", b"")
        with pytest.raises(InvalidInputError, match="is no backup"):
            backups.verify(tmp_path / "photos.zip")

    def test_one_of_a_newer_layerplay_is_refused(
        self, database: str, storage: Storage, tmp_path: Path
    ) -> None:
        with (tmp_path / "backup").open("wb") as file:
            backups.write(
                file,
                schema="9999",
                database_url=database,
                storage=storage,
                secret=SECRET,
                secret_file=None,
            )
        with pytest.raises(InvalidInputError, match="newer than"):
            backups.verify(tmp_path / "backup")


def test_a_restore_that_fails_leaves_an_empty_installation(
    factory: sessionmaker[Session],
    database: str,
    storage: Storage,
    elsewhere: str,
    other_engine: Engine,
    tmp_path: Path,
) -> None:
    path = back_up(tmp_path / "backup", factory, database, storage)
    found = backups.verify(path)
    # Checksums hold, but the dump inside is none: as if pg_restore broke off.
    with zipfile.ZipFile(path) as good, zipfile.ZipFile(tmp_path / "bad", "w") as bad:
        for name in good.namelist():
            bad.writestr(name, b"no dump" if name == "database.dump" else good.read(name))
    broken = backups.Backup(tmp_path / "bad", found.manifest)
    there = Storage(tmp_path / "elsewhere")
    with pytest.raises(DumpError, match="pg_restore failed"):
        backups.restore(broken, database_url=elsewhere, storage=there, secret_file=None)
    with Session(other_engine) as session:
        backups.require_empty(session)
    backups.restore(found, database_url=elsewhere, storage=there, secret_file=None)


def test_a_database_that_does_not_answer_is_an_error_not_an_empty_dump(database: str) -> None:
    gone = database.replace(database.rpartition("/")[2].partition("?")[0], "nowhere")
    with pytest.raises(Exception, match="nowhere"):
        dump(gone, io.BytesIO().write)
