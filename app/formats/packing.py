"""Several files as one archive or folder, each with its checksum."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

_COPY_BYTES = 1 << 20
# Already compressed: to compress them again takes time and gains nothing.
_STORED = {".parquet", ".jpg", ".npz", ".dump", ".safetensors"}


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file that was written. sha256: of its content, in hex."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class FileToWrite:
    """A file to be written. `write` is given the open file and those written before it."""

    name: str
    write: Callable[[IO[bytes], Sequence[FileEntry]], object]


def write_zip(file: IO[bytes], files: Iterable[FileToWrite]) -> list[FileEntry]:
    """Write files to a zip archive, one after the other.

    Names, contents and their order decide its bytes: it holds no clock and no owner.
    """
    entries: list[FileEntry] = []
    with zipfile.ZipFile(file, "w") as archive:
        for one in files:
            info = zipfile.ZipInfo(one.name)  # dated 1980
            info.create_system = 3  # Unix, wherever it is made
            info.external_attr = 0o644 << 16
            stored = Path(one.name).suffix in _STORED
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as member:
                entries.append(_write(one, member, entries))
    return entries


def write_folder(folder: Path, files: Iterable[FileToWrite]) -> list[FileEntry]:
    """Write files below a folder, which is made where there is none."""
    entries: list[FileEntry] = []
    for one in files:
        path = folder / one.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            entries.append(_write(one, out, entries))
    return entries


def write_file(file: IO[bytes], one: FileToWrite) -> FileEntry:
    """Write a single file."""
    return _write(one, file, [])


def _write(one: FileToWrite, out: IO[bytes], before: Sequence[FileEntry]) -> FileEntry:
    digesting = _Digesting(out)
    one.write(cast(IO[bytes], digesting), tuple(before))
    return FileEntry(one.name, digesting.n_bytes, digesting.sha256.hexdigest())


def digest(file: IO[bytes]) -> tuple[int, str]:
    """Size in bytes and SHA-256 of what is left of a file."""
    digesting = _Digesting(None)
    copy(file, cast(IO[bytes], digesting))
    return digesting.n_bytes, digesting.sha256.hexdigest()


def copy(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy piece by piece."""
    while piece := source.read(_COPY_BYTES):
        target.write(piece)


class _Digesting(io.RawIOBase):
    """Passes on what is written, counting and digesting it."""

    def __init__(self, out: IO[bytes] | None) -> None:
        self._out = out
        self.n_bytes = 0
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.n_bytes

    def write(self, piece: Any) -> int:
        if self._out is not None:
            self._out.write(piece)
        self.sha256.update(piece)
        self.n_bytes += len(piece)
        return len(piece)
