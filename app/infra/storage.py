"""Files that belong to the database's rows: pictures, weights, maps. On disk; `bucket` for S3."""

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


def is_key(key: str) -> bool:
    """Whether a file can go by this name: no part of it begins with a dot, so none leads out of the
    folder."""
    return _KEY.fullmatch(key) is not None


@contextmanager
def beside(target: Path) -> Iterator[IO[bytes]]:
    """A file in the folder of `target`, to be renamed to it. Gone after the block if it was not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # No key has a part that begins with a dot, so nobody takes the unfinished file for one.
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as file:
        try:
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)


class Storage:
    """A folder in which each file has a key such as `pictures/3f2a.jpg`.

    A file appears whole or not at all, and stays through a power cut: written beside, flushed,
    then renamed. Writing a key again replaces it, which is only done before a row names the key:
    from then on its file never changes, so that copies of it stay true.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """A file with a key's content, to be read soon; there is none at that path when the key has
        none. ValueError for a key that could lead out of the folder."""
        return self._place(key)

    def _place(self, key: str) -> Path:
        if not is_key(key):
            raise ValueError(f"not a storage key: {key!r}")
        return self.root / key

    @property
    def place(self) -> str:
        """Where an admin finds the files: the folder in which a key is a path."""
        return str(self.root)

    @property
    def places(self) -> dict[str, str]:
        """Where files lie, each place with its name, for those who look after the installation."""
        return {"Folder": self.place}

    def check(self) -> None:
        """OSError when files cannot be reached now."""

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
        with beside(self._place(key)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            self._keep(Path(file.name), key)

    def _keep(self, written: Path, key: str) -> None:
        """Store a file that is written to its end."""
        written.chmod(0o644)
        written.replace(self._place(key))

    def get(self, key: str) -> bytes:
        """The file's content. FileNotFoundError when there is none."""
        return self.path(key).read_bytes()

    def open(self, key: str) -> IO[bytes]:
        """The file's content from its beginning to its end, for a reader that needs it once.
        FileNotFoundError when there is none."""
        return self._place(key).open("rb")

    def exists(self, key: str) -> bool:
        return self._place(key).is_file()

    def list_keys(self) -> Iterator[str]:
        """Every key there is, sorted within each folder. Files that come meanwhile may be left
        out."""
        for folder, folders, files in os.walk(self.root):
            folders.sort()
            for name in sorted(files):
                key = (Path(folder) / name).relative_to(self.root).as_posix()
                if is_key(key):
                    yield key

    def delete(self, key: str) -> None:
        """Remove a file; nothing happens when it is gone already."""
        self._place(key).unlink(missing_ok=True)

    def keys(self, folder: str) -> list[str]:
        """The keys that begin with `folder/`, in no order."""
        root = self._place(folder)
        found = (path.relative_to(self.root).as_posix() for path in root.rglob("*"))
        return [key for key in found if (self.root / key).is_file()]

    def clear_unfinished(self, folder: str, *, older_than: timedelta) -> None:
        """Remove what writers that were killed have left in a folder, once nobody can be at it any
        more."""
        oldest = time.time() - older_than.total_seconds()
        for path in self._place(folder).glob(".*"):
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)

    def delete_folder(self, folder: str) -> None:
        """Remove every file whose key begins with `folder/`."""
        shutil.rmtree(self._place(folder), ignore_errors=True)
