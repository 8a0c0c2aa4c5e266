"""An installation as one file, and back: the database and the files that its rows name."""

import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from app.formats.packing import FileEntry, FileToWrite, copy, digest, write_zip
from app.infra.dump import dump, load
from app.infra.errors import ConflictError, InvalidInputError
from app.infra.schema import has_revision, migrate
from app.infra.security import keyed_digest
from app.infra.storage import Storage
from app.models import Export, Image, Network, Player, Snapshot, Study

FORMAT = 1
_MANIFEST = "manifest.json"
_DATABASE = "database.dump"
_SECRET = "secret_key"
_STORAGE = "storage/"


def write(
    file: IO[bytes],
    *,
    schema: str,
    database_url: str,
    storage: Storage,
    secret: bytes,
    secret_file: Path | None,
) -> list[FileEntry]:
    """Write a backup while the game runs; the files in it with their checksums.

    The database goes first, as it is at one moment. Its rows name only files that are there by
    then, and a file never changes, so whatever is stored meanwhile does no harm. Jobs that wait
    are left out: the upkeep task asks for them again by the rows. schema: the last migration that
    has run. secret_file: where the key of pseudonyms and signatures lies, None when the environment
    holds it, which is then not in the backup.
    """
    manifest = {
        "format": FORMAT,
        "layerplay": version("layerplay"),
        "schema": schema,
        "key_check": _key_check(secret),
    }
    return write_zip(file, _files(manifest, database_url, storage, secret_file))


def _files(
    manifest: dict[str, Any], database_url: str, storage: Storage, secret_file: Path | None
) -> Iterator[FileToWrite]:
    def write_manifest(file: IO[bytes], before: Sequence[FileEntry]) -> None:
        content = {**manifest, "files": [asdict(entry) for entry in before]}
        file.write(json.dumps(content, indent=1).encode())

    yield FileToWrite(_DATABASE, lambda file, _: dump(database_url, file.write))
    if secret_file is not None:
        yield FileToWrite(_SECRET, partial(_copy_file, lambda: secret_file.open("rb")))
    for key in storage.list_keys():
        # One that was deleted since the list was made belongs to no row any more.
        if storage.exists(key):
            yield FileToWrite(_STORAGE + key, partial(_copy_file, partial(storage.open, key)))
    yield FileToWrite(_MANIFEST, write_manifest)


def _copy_file(
    open_source: Callable[[], IO[bytes]], file: IO[bytes], _: Sequence[FileEntry]
) -> None:
    with closing(open_source()) as source:
        copy(source, file)


def _key_check(secret: bytes) -> str:
    """Tells whether two keys are the same, and nothing else of them."""
    return keyed_digest(secret, "backup", "key")


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup whose checksums hold."""

    path: Path
    manifest: dict[str, Any]

    @property
    def names(self) -> list[str]:
        return [entry["name"] for entry in self.manifest["files"]]

    def has_key(self, secret: bytes) -> bool:
        """Whether this is the key that the installation had: else pseudonyms come out different."""
        return bool(self.manifest["key_check"] == _key_check(secret))


def verify(path: Path) -> Backup:
    """Compare everything in a backup with its checksums. InvalidInputError when it is damaged, is
    no backup, or comes from a newer Layerplay; nothing has been touched then."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read(_MANIFEST))
            if manifest["format"] != FORMAT or not has_revision(manifest["schema"]):
                raise InvalidInputError(
                    f"{path} was made by Layerplay {manifest['layerplay']}, which is newer than "
                    f"this {version('layerplay')}."
                )
            for entry in manifest["files"]:
                with archive.open(entry["name"]) as file:
                    if digest(file) != (entry["size_bytes"], entry["sha256"]):
                        raise InvalidInputError(f"{path} is damaged: {entry['name']}.")
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise InvalidInputError(f"{path} is no backup, or is damaged: {error}") from error
    return Backup(path, manifest)


def require_empty(session: Session) -> None:
    """ConflictError unless nobody has made or done anything in this installation yet."""
    if any(session.scalar(select(exists().select_from(t))) for t in (Study, Player, Network)):
        raise ConflictError(
            "This installation holds data already. A backup is restored into an empty one only: "
            "name a new folder by LAYERPLAY_HOME, or a new database by DATABASE_URL."
        )


def restore(
    backup: Backup, *, database_url: str, storage: Storage, secret_file: Path | None
) -> None:
    """Bring a verified backup back into an empty installation, and its schema up to date.

    secret_file: where the backup's key goes, None to leave it. Files go first, so that no row is
    ever there without its file. When it breaks off the installation is empty still, and the same
    call can be made again.
    """
    with zipfile.ZipFile(backup.path) as archive, tempfile.TemporaryDirectory() as folder:
        for name in backup.names:
            if name.startswith(_STORAGE):
                with archive.open(name) as file:
                    storage.put_with(name.removeprefix(_STORAGE), partial(copy, file))
        dumped = Path(folder) / _DATABASE
        with archive.open(_DATABASE) as file, dumped.open("wb") as out:
            copy(file, out)
        try:
            load(database_url, dumped)
        except BaseException:
            migrate(database_url)
            raise
        migrate(database_url)
        if secret_file is not None and _SECRET in backup.names:
            secret_file.unlink(missing_ok=True)
            secret_file.touch(mode=0o600)
            secret_file.write_bytes(archive.read(_SECRET))


def missing_files(session: Session, storage: Storage) -> list[str]:
    """Keys that rows name and storage has not."""
    columns = (
        *(Image.original_key, Image.view_key, Image.maps_key, Network.description_key),
        *(Export.file_key, Snapshot.file_key),
    )
    named = {key for column in columns for key in session.scalars(select(column).distinct())}
    return sorted(key for key in named if key is not None and not storage.exists(key))
