"""Reading a zip that somebody handed in, and may have made to do harm."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from app.infra.errors import InvalidInputError

_END_RECORD: Final = b"PK\x05\x06"
_END_RECORD_BYTES: Final = 22
_LONGEST_COMMENT: Final = 65_535
_LOCATOR_64: Final = b"PK\x06\x07"
_LOCATOR_64_BYTES: Final = 20
_LINK, _KIND_MASK = 0o120000, 0o170000
_MADE_BY_SYSTEMS: Final = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


class ArchiveError(InvalidInputError):
    """A zip, or a file in it, cannot be used; a sentence for people."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a zip."""

    path: str
    info: ZipInfo


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip does, whatever it is called."""
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", _END_RECORD)


def open_zip(path: Path, *, max_entries: int, max_bytes: int) -> ZipFile:
    """A zip of no more than so many files and so many bytes unpacked. ArchiveError for any other.

    Nothing is unpacked for that. What a file says of its own size can be relied on as a limit:
    `read_entry` unpacks no more of it.
    """
    with path.open("rb") as file:
        n_entries = _count_entries(file)
    if n_entries > max_entries:
        raise ArchiveError(
            f"It holds {n_entries:,} files, more than the {max_entries:,} that we take at once."
        )
    try:
        # NotImplementedError is what it raises for a zip of a kind that it cannot read.
        archive = ZipFile(path)
    except (BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ArchiveError(f"The zip is damaged or cut short ({error}).") from error
    unpacked = sum(info.file_size for info in archive.infolist())
    if len(archive.infolist()) > max_entries or unpacked > max_bytes:
        archive.close()
        raise ArchiveError(
            f"It unpacks to {unpacked / 1e6:,.0f} MB, more than the {max_bytes / 1e6:,.0f} MB that "
            "we take at once."
        )
    return archive


def _count_entries(file: IO[bytes]) -> int:
    """How many files the zip's own end record names, before a list of them is read into memory."""
    file.seek(0, 2)
    size = file.tell()
    start = max(0, size - _END_RECORD_BYTES - _LONGEST_COMMENT - _LOCATOR_64_BYTES)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(_END_RECORD)
    if at < 0 or len(tail) - at < _END_RECORD_BYTES:
        raise ArchiveError("The zip is damaged or cut short (its end is missing).")
    if tail[max(0, at - _LOCATOR_64_BYTES) : at].startswith(_LOCATOR_64):
        raise ArchiveError("It is a zip of more than 65,535 files or 4 GB. Make several of it.")
    # Every file takes at least 46 bytes of the list, whose length stands here too.
    n_bytes = int.from_bytes(tail[at + 12 : at + 16], "little")
    return max(int.from_bytes(tail[at + 10 : at + 12], "little"), n_bytes // 512)


def list_entries(archive: ZipFile) -> Iterator[Entry]:
    """The files that somebody put in, in the archive's order. Folders, and what operating systems
    add by themselves, are passed over."""
    for info in archive.infolist():
        parts = PurePosixPath(info.filename.replace("\\", "/")).parts
        # Not `is_dir`, which takes it that there is a name.
        if not info.filename.endswith("/") and not any(
            part in _MADE_BY_SYSTEMS or (part.startswith(".") and part != "..") for part in parts
        ):
            yield Entry(info.filename, info)


def read_entry(archive: ZipFile, entry: Entry, *, max_bytes: int) -> bytes:
    """A file's content. ArchiveError when it is no plain file inside the archive, has no name, is
    too large, or cannot be unpacked."""
    info = entry.info
    path = PurePosixPath(entry.path.replace("\\", "/"))
    if not path.parts:
        raise ArchiveError("It has no name.")
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise ArchiveError("Its path leads out of the zip.")
    if (info.external_attr >> 16) & _KIND_MASK == _LINK:
        raise ArchiveError("It is a link, not a file.")
    if info.flag_bits & 1:
        raise ArchiveError("It is locked with a password.")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        # The others may ask for as much memory as they like to unpack.
        raise ArchiveError("It is packed in an unusual way. Make the zip anew the ordinary way.")
    if info.file_size > max_bytes:
        raise ArchiveError(f"It is larger than {max_bytes // 1_000_000} MB.")
    try:
        # Not `read` without a size: it unpacks all there is, and only then keeps to what was said.
        # One byte more is asked for, so that the end is reached and the checksum looked at.
        with archive.open(info) as file:
            return file.read(info.file_size + 1)
    except (BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise ArchiveError(f"It cannot be unpacked ({error}).") from error
