"""Files in a bucket of S3, or of anything that speaks its language, with copies on this machine.

For an installation on several machines: whatever one of them has stored, all of them read.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import IO, Any
from urllib.parse import urlsplit

from app.infra.storage import Storage, beside, is_key

_KEYS_AT_ONCE = 1000  # in one request to list or to remove them: the most that S3 takes
_IN_USE_S = 600.0
_TRIMS_PER_CACHE = 16


class BucketStorage(Storage):
    """As `Storage`, its files in a bucket. `root` is a folder of this machine for copies of what
    has been read: as a file never changes once a row names it, a copy is as good.

    url: `s3://bucket` or `s3://bucket/prefix`. Where the service is and who asks comes from the
    environment as for all that is built on boto3: `AWS_ENDPOINT_URL_S3`, `AWS_DEFAULT_REGION`,
    `AWS_ACCESS_KEY_ID` and so on. max_bytes: the copies that were read longest ago are removed when
    they are more, but for those that somebody may be reading. ValueError for an address that is
    none, and where boto3, which only this needs, is not installed.

    Whatever goes wrong there is an OSError that says so.
    """

    def __init__(self, url: str, root: Path, *, max_bytes: int) -> None:
        super().__init__(root)
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise ValueError(f"A bucket is named as s3://bucket/prefix, not as {url}.")
        self._bucket = parts.netloc
        self._prefix = f"{parts.path.strip('/')}/".lstrip("/")
        self._max_bytes = max_bytes
        self._client = _client()
        self._n_fetched = max_bytes  # so that what an earlier process has left is looked at
        self._trimming = Lock()

    def path(self, key: str) -> Path:
        copy = self._place(key)
        try:
            os.utime(copy)
        except FileNotFoundError:
            self._fetch(key, copy)
        return copy

    def _fetch(self, key: str, copy: Path) -> None:
        with beside(copy) as file:
            try:
                self._download(key, file)
            except FileNotFoundError:
                return
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(copy)
            self._n_fetched += file.tell()
        if self._n_fetched > self._max_bytes / _TRIMS_PER_CACHE:
            self._trim()

    def _trim(self) -> None:
        if not self._trimming.acquire(blocking=False):
            return
        try:
            self._n_fetched = 0
            copies = []
            for folder, _, names in os.walk(self.root):
                for name in names:
                    path = Path(folder) / name
                    try:
                        stat = path.stat()
                    except FileNotFoundError:
                        continue
                    copies.append((stat.st_mtime, stat.st_size, path))
            too_many = sum(size for _, size, _ in copies) - self._max_bytes
            unused_since = time.time() - _IN_USE_S
            for read_at, size, path in sorted(copies):
                if too_many <= 0 or read_at > unused_since:
                    break
                path.unlink(missing_ok=True)
                too_many -= size
        finally:
            self._trimming.release()

    @property
    def place(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    @property
    def places(self) -> dict[str, str]:
        return {"Bucket": self.place, "Copies": str(self.root)}

    def check(self) -> None:
        with self._errors():
            self._client.head_bucket(Bucket=self._bucket)

    def _keep(self, written: Path, key: str) -> None:
        with self._errors(), written.open("rb") as file:
            self._client.upload_fileobj(file, self._bucket, self._name(key))
        self._place(key).unlink(missing_ok=True)

    def open(self, key: str) -> IO[bytes]:
        # Whole before anybody reads of it: what breaks off on the way is fetched again here.
        with ExitStack() as failing:
            file = failing.enter_context(tempfile.TemporaryFile())
            self._download(key, file)
            file.seek(0)
            failing.pop_all()
        return file

    def _download(self, key: str, file: IO[bytes]) -> None:
        name = self._name(key)
        with self._errors():
            self._client.download_fileobj(self._bucket, name, file, Config=_one_by_one())

    def exists(self, key: str) -> bool:
        try:
            with self._errors():
                self._client.head_object(Bucket=self._bucket, Key=self._name(key))
        except FileNotFoundError:
            return False
        return True

    def list_keys(self) -> Iterator[str]:
        yield from self._list("")

    def keys(self, folder: str) -> list[str]:
        return list(self._list(f"{self._checked(folder)}/"))

    def delete(self, key: str) -> None:
        with self._errors():
            self._client.delete_object(Bucket=self._bucket, Key=self._name(key))
        super().delete(key)

    def delete_folder(self, folder: str) -> None:
        keys = self.keys(folder)
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            names = [{"Key": self._name(key)} for key in keys[start : start + _KEYS_AT_ONCE]]
            with self._errors():
                self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": names, "Quiet": True}
                )
        super().delete_folder(folder)

    def _list(self, beginning: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2")
        with self._errors():
            for page in pages.paginate(
                Bucket=self._bucket,
                Prefix=self._prefix + beginning,
                PaginationConfig={"PageSize": _KEYS_AT_ONCE},
            ):
                for found in page.get("Contents", ()):
                    key = found["Key"].removeprefix(self._prefix)
                    # Somebody else's bucket may hold more than ours.
                    if is_key(key):
                        yield key

    def _name(self, key: str) -> str:
        return self._prefix + self._checked(key)

    def _checked(self, key: str) -> str:
        self._place(key)
        return key

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise FileNotFoundError(str(error)) from error
            raise OSError(f"The bucket {self._bucket} refuses: {error}") from error
        except BotoCoreError as error:
            raise OSError(f"The bucket {self._bucket} does not answer: {error}") from error


def _one_by_one() -> Any:
    """Most files are small: a pool of threads for each would take longer than the file."""
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(use_threads=False)


def _client() -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise ValueError(
            "Files in a bucket need boto3. Install it with: pip install boto3"
        ) from error
    retries = {"mode": "standard", "total_max_attempts": 4}
    return boto3.client("s3", config=Config(retries=retries, connect_timeout=5, read_timeout=60))
