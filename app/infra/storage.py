"""Files that belong to the database's rows: pictures, weights, maps. On disk for now."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")


class Storage:
    """A folder in which each file has a key such as `pictures/3f2a.jpg`.

    A file appears whole or not at all, and stays through a power cut: written beside, flushed,
    then renamed. Writing a key again replaces it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Where a key's file lies. ValueError for a key that could lead out of the folder."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a storage key: {key!r}")
        return self.root / key

    def put(self, key: str, content: bytes) -> None:
        self.put_with(key, lambda file: file.write(content))

    def put_with(self, key: str, write: Callable[[IO[bytes]], object]) -> None:
        """Store what `write` writes to the file it is given."""
        with self.writing(key) as file:
            write(file)

    @contextmanager
    def writing(self, key: str) -> Iterator[IO[bytes]]:
        """A file to write to, for what comes bit by bit; stored once the block ends without an
        error."""
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        # No key begins with a dot, so nobody takes the unfinished file for one.
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, 0o644)
                os.replace(file.name, target)
            except BaseException:
                os.unlink(file.name)
                raise

    def get(self, key: str) -> bytes:
        """The file's content. FileNotFoundError when there is none."""
        return self.path(key).read_bytes()

    def exists(self, key: str) -> bool:
        return self.path(key).is_file()

    def list_keys(self) -> Iterator[str]:
        """Every key there is, sorted within each folder. Files that come meanwhile may be left
        out."""
        for folder, folders, files in os.walk(self.root):
            folders.sort()
            for name in sorted(files):
                key = (Path(folder) / name).relative_to(self.root).as_posix()
                if _KEY.fullmatch(key):
                    yield key

    def delete(self, key: str) -> None:
        """Remove a file; nothing happens when it is gone already."""
        self.path(key).unlink(missing_ok=True)

    def keys(self, folder: str) -> list[str]:
        """The keys that begin with `folder/`, in no order."""
        root = self.path(folder)
        found = (path.relative_to(self.root).as_posix() for path in root.rglob("*"))
        return [key for key in found if (self.root / key).is_file()]

    def clear_unfinished(self, folder: str, *, older_than: timedelta) -> None:
        """Remove what writers that were killed have left in a folder, once nobody can be at it any
        more."""
        oldest = time.time() - older_than.total_seconds()
        for path in self.path(folder).glob(".*"):
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)

    def delete_folder(self, folder: str) -> None:
        """Remove every file whose key begins with `folder/`."""
        shutil.rmtree(self.path(folder), ignore_errors=True)
