"""Files by key: in a folder, or in a bucket with copies of what was read."""

import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import IO

import pytest

from app.infra import bucket, health
from app.infra.bucket import BucketStorage
from app.infra.settings import Settings
from app.infra.storage import Storage


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    url = request.getfixturevalue("bucket_url") if request.param == "bucket" else None
    return Settings(home=tmp_path, storage_url=url).open_storage()


class BrokenOffError(Exception):
    pass


def write_half(file: IO[bytes]) -> None:
    file.write(b"half")
    raise BrokenOffError


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


class TestStorage:
    def test_what_was_put_is_read_in_each_way(self, storage: Storage) -> None:
        storage.put("views/a.jpg", b"a picture")
        assert storage.get("views/a.jpg") == b"a picture"
        assert storage.path("views/a.jpg").read_bytes() == b"a picture"
        with storage.open("views/a.jpg") as file:
            assert file.read() == b"a picture"
        assert storage.exists("views/a.jpg")

    def test_a_key_can_be_written_again(self, storage: Storage) -> None:
        storage.put("maps/a.npz", b"first")
        assert storage.get("maps/a.npz") == b"first"
        storage.put("maps/a.npz", b"second")
        assert storage.get("maps/a.npz") == b"second"

    def test_what_is_not_there_is_not_found(self, storage: Storage) -> None:
        assert not storage.exists("views/none.jpg")
        assert not storage.path("views/none.jpg").exists()
        for read in (storage.get, storage.open):
            with pytest.raises(FileNotFoundError):
                read("views/none.jpg")
        storage.delete("views/none.jpg")

    def test_a_write_that_breaks_off_leaves_nothing(self, storage: Storage) -> None:
        with pytest.raises(BrokenOffError):
            storage.put_with("views/a.jpg", write_half)
        assert not storage.exists("views/a.jpg")
        assert files_in(storage.root) == []

    def test_a_write_that_breaks_off_leaves_what_was_there(self, storage: Storage) -> None:
        storage.put("views/a.jpg", b"whole")
        with pytest.raises(BrokenOffError):
            storage.put_with("views/a.jpg", write_half)
        assert storage.get("views/a.jpg") == b"whole"

    @pytest.mark.parametrize("key", ["", "../a", "/a", "a/../b", "a//b", ".a", "a/.b", "a/b/"])
    def test_a_key_cannot_lead_elsewhere(self, storage: Storage, key: str) -> None:
        with pytest.raises(ValueError, match="not a storage key"):
            storage.put(key, b"")
        for act in (storage.path, storage.exists, storage.open, storage.delete):
            with pytest.raises(ValueError, match="not a storage key"):
                act(key)

    def test_keys_are_listed_all_or_by_folder(self, storage: Storage) -> None:
        for key in ("views/b.jpg", "views/a.jpg", "views/more/c.jpg", "viewsof/d.jpg", "e"):
            storage.put(key, b"")
        assert sorted(storage.list_keys()) == sorted(
            ["e", "views/a.jpg", "views/b.jpg", "views/more/c.jpg", "viewsof/d.jpg"]
        )
        assert sorted(storage.keys("views")) == ["views/a.jpg", "views/b.jpg", "views/more/c.jpg"]
        assert storage.keys("nothing") == []

    def test_what_is_deleted_is_gone_and_nothing_else(self, storage: Storage) -> None:
        for key in ("a/1", "a/2", "a/b/3", "ab/4"):
            storage.put(key, b"")
            storage.get(key)
        storage.delete("a/1")
        assert sorted(storage.list_keys()) == ["a/2", "a/b/3", "ab/4"]
        assert not storage.path("a/1").exists()
        storage.delete_folder("a")
        assert list(storage.list_keys()) == ["ab/4"]
        assert not storage.path("a/2").exists()

    def test_what_killed_writers_left_is_cleared_when_it_is_old(self, storage: Storage) -> None:
        folder = storage.root / "exports"
        folder.mkdir(parents=True)
        for name, age_s in ((".old", 7200), (".new", 0)):
            (folder / name).write_bytes(b"half")
            then = time.time() - age_s
            os.utime(folder / name, (then, then))
        storage.clear_unfinished("exports", older_than=timedelta(hours=1))
        assert files_in(folder) == [".new"]

    def test_it_says_that_it_is_well(self, storage: Storage) -> None:
        part = health.storage(storage)
        assert part.is_well
        assert storage.place in part.figures.values()


class TestBucket:
    def open(self, url: str, folder: Path, *, max_bytes: int = 1_000_000) -> BucketStorage:
        return BucketStorage(url, folder, max_bytes=max_bytes)

    def test_the_environment_says_where_it_is(
        self, bucket_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
        client = self.open(bucket_url, tmp_path)._client
        assert client.meta.region_name == "eu-west-3"
        assert client.meta.endpoint_url == os.environ["AWS_ENDPOINT_URL_S3"]

    def test_what_one_machine_stores_another_reads(self, bucket_url: str, tmp_path: Path) -> None:
        one, other = (self.open(bucket_url, tmp_path / name) for name in ("one", "other"))
        one.put("views/a.jpg", b"a picture")
        assert other.get("views/a.jpg") == b"a picture"
        assert files_in(one.root) == [], "who only writes keeps no copy"

    def test_what_was_read_is_read_from_the_copy(self, bucket_url: str, tmp_path: Path) -> None:
        one, other = (self.open(bucket_url, tmp_path / name) for name in ("one", "other"))
        one.put("views/a.jpg", b"a picture")
        other.get("views/a.jpg")
        (other.root / "views/a.jpg").write_bytes(b"the copy")
        assert other.get("views/a.jpg") == b"the copy"

    def test_places_in_one_bucket_do_not_mix(self, bucket_url: str, tmp_path: Path) -> None:
        one = self.open(bucket_url, tmp_path / "one")
        other = self.open(f"{bucket_url}-more", tmp_path / "other")
        one.put("views/a.jpg", b"")
        assert list(other.list_keys()) == []
        other.delete_folder("views")
        assert list(one.list_keys()) == ["views/a.jpg"]

    def test_more_files_than_one_answer_lists(
        self, bucket_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bucket, "_KEYS_AT_ONCE", 3)
        storage = self.open(bucket_url, tmp_path)
        for number in range(7):
            storage.put(f"many/{number}", b"")
        assert len(storage.keys("many")) == 7
        storage.delete_folder("many")
        assert storage.keys("many") == []

    def test_copies_read_longest_ago_make_room_but_for_those_in_use(
        self, bucket_url: str, tmp_path: Path
    ) -> None:
        storage = self.open(bucket_url, tmp_path, max_bytes=3000)
        keys = [f"maps/{number}" for number in range(5)]
        for key in keys:
            storage.put(key, bytes(1000))
        for age, key in enumerate(reversed(keys[:4])):
            path = storage.path(key)
            then = time.time() - bucket._IN_USE_S - 60 * (1 + age)
            os.utime(path, (then, then))
        storage.get(keys[1])  # read again just now
        storage.get(keys[4])
        assert files_in(tmp_path) == ["1", "3", "4"]

    def test_of_copies_in_use_none_goes_however_many_there_are(
        self, bucket_url: str, tmp_path: Path
    ) -> None:
        storage = self.open(bucket_url, tmp_path, max_bytes=1000)
        for number in range(4):
            storage.put(f"maps/{number}", bytes(1000))
            storage.get(f"maps/{number}")
        assert len(files_in(tmp_path)) == 4

    def test_a_bucket_that_is_not_there_is_said(self, bucket_url: str, tmp_path: Path) -> None:
        storage = self.open("s3://nobodys-bucket/files", tmp_path)
        with pytest.raises(OSError, match="nobodys-bucket refuses"):
            storage.put("a", b"")
        assert files_in(tmp_path) == []
        problem = health.storage(storage).problem
        assert problem is not None
        assert problem.startswith("s3://nobodys-bucket/files cannot be reached")

    def test_a_service_that_is_down_is_said(
        self, bucket_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
        storage = self.open(bucket_url, tmp_path)
        for act in (storage.get, storage.exists, storage.path):
            with pytest.raises(OSError, match="does not answer") as caught:
                act("views/a.jpg")
            assert not isinstance(caught.value, FileNotFoundError)

    @pytest.mark.parametrize("url", ["s3:bucket", "https://bucket", "s3://", "s3://b/p?x=1", "b"])
    def test_an_address_that_is_none_is_refused(self, url: str, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="s3://bucket/prefix"):
            self.open(url, tmp_path)

    def test_without_its_library_it_says_what_to_install(
        self, bucket_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "boto3", None)
        with pytest.raises(ValueError, match="pip install boto3"):
            self.open(bucket_url, tmp_path)

    def test_the_settings_name_it(self, bucket_url: str, tmp_path: Path) -> None:
        settings = Settings(home=tmp_path, storage_url=bucket_url)
        assert settings.open_storage().place == bucket_url
        assert Settings(home=tmp_path, storage_url="").open_storage().place == str(
            tmp_path / "storage"
        )
