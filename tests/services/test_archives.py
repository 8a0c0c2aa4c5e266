"""Zips that were made to do harm, or are damaged: refused in a sentence, and nothing unpacked."""

import io
import stat
import struct
import tracemalloc
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_LZMA, ZipFile, ZipInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services import archives
from app.services.archives import ArchiveError

KB = 1000


def make_zip(path: Path, files: dict[str, bytes], method: int = ZIP_DEFLATED) -> Path:
    with ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def open_small(path: Path) -> ZipFile:
    return archives.open_zip(path, max_entries=10, max_bytes=100 * KB)


def read_all(path: Path) -> dict[str, bytes | str]:
    """Every file's content, or why it was refused."""
    found: dict[str, bytes | str] = {}
    with open_small(path) as archive:
        for entry in archives.list_entries(archive):
            try:
                found[entry.path] = archives.read_entry(archive, entry, max_bytes=50 * KB)
            except ArchiveError as error:
                found[entry.path] = error.message
    return found


def test_files_are_read_in_the_archives_order(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"b/2.png": b"two", "a/1.png": b"one"})
    assert list(read_all(path).items()) == [("b/2.png", b"two"), ("a/1.png", b"one")]


def test_folders_and_what_systems_add_are_passed_over(tmp_path: Path) -> None:
    names = ["cat/", "cat/.DS_Store", "__MACOSX/cat/._1.png", "Thumbs.db", "cat/1.png"]
    path = make_zip(tmp_path / "a.zip", dict.fromkeys(names, b""))
    assert list(read_all(path)) == ["cat/1.png"]


@pytest.mark.parametrize(
    "name", ["../up.png", "a/../../up.png", "/etc/passwd.png", "..\\up.png", "C:\\up.png"]
)
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    path = make_zip(tmp_path / "a.zip", {"a/in.png": b"in"})
    with ZipFile(path, "a") as archive:
        archive.writestr(ZipInfo("placeholder"), b"out")
        archive.filelist[-1].filename = name  # as no honest program would write it
    found = read_all(path)
    assert found["a/in.png"] == b"in"
    assert set(found.values()) == {b"in", "Its path leads out of the zip."}


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert read_all(tmp_path / "a.zip") == {"link.png": "It is a link, not a file."}


def test_a_locked_file_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"1.png": b"secret"})
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    assert read_all(path) == {"1.png": "It is locked with a password."}


def test_an_unusual_packing_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"1.png": b"x" * KB}, ZIP_LZMA)
    assert "unusual way" in str(read_all(path)["1.png"])


def test_a_large_file_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"large.png": bytes(60 * KB), "small.png": b"small"})
    found = read_all(path)
    assert "larger than" in str(found["large.png"])
    assert found["small.png"] == b"small"


def test_a_bomb_is_refused_by_what_it_would_unpack_to(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {f"{i}.png": bytes(40 * KB) for i in range(5)})
    assert path.stat().st_size < 2 * KB
    with pytest.raises(ArchiveError, match="unpacks to"):
        open_small(path)


@pytest.fixture
def liar(tmp_path: Path) -> Path:
    """A zip with a file of 20 MB that calls itself 10 bytes."""
    path = make_zip(tmp_path / "a.zip", {"1.png": bytes(20_000 * KB)})
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(signature) + offset
        content[at : at + 4] = struct.pack("<I", 10)
    path.write_bytes(content)
    return path


def test_a_file_that_lies_about_its_size_is_refused(liar: Path) -> None:
    assert "cannot be unpacked" in str(read_all(liar)["1.png"])


def test_a_file_that_lies_about_its_size_is_not_unpacked_beyond_it(liar: Path) -> None:
    tracemalloc.start()
    try:
        read_all(liar)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1000 * KB


@pytest.mark.parametrize("name", ["", ".", "./."])
def test_a_file_without_a_name_is_refused_and_the_rest_is_read(tmp_path: Path, name: str) -> None:
    path = make_zip(tmp_path / "a.zip", {"a/in.png": b"in"})
    with ZipFile(path, "a") as archive:
        archive.writestr(ZipInfo("placeholder"), b"out")
        archive.filelist[-1].filename = name  # as no honest program would write it
    assert read_all(path) == {"a/in.png": b"in", name: "It has no name."}


def test_too_many_files_are_refused_before_they_are_listed(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {f"{i}.png": b"" for i in range(11)})
    with pytest.raises(ArchiveError, match=r"11 files, more than the 10"):
        open_small(path)


def test_an_end_record_that_names_few_files_hides_no_long_list(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {f"{i}" * 200: b"" for i in range(60)})
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x05\x06")
    content[at + 8 : at + 12] = struct.pack("<HH", 1, 1)
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="more than the 10"):
        open_small(path)


def test_a_zip_of_64_bit_sizes_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"1.png": b""})
    content = path.read_bytes()
    at = content.rindex(b"PK\x05\x06")
    path.write_bytes(content[:at] + b"PK\x06\x07" + bytes(16) + content[at:])
    with pytest.raises(ArchiveError, match="Make several"):
        open_small(path)


@given(cut=st.integers(0, 400), noise=st.binary(max_size=8))
def test_whatever_is_done_to_a_zip_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, cut: int, noise: bytes
) -> None:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as archive:
        archive.writestr("a/1.png", b"one" * 30)
        archive.writestr("b/2.png", b"two" * 30)
    whole = buffer.getvalue()
    path = tmp_path_factory.getbasetemp() / "broken.zip"
    path.write_bytes(whole[:cut] + noise + whole[cut + len(noise) :])
    try:
        found = read_all(path)
    except ArchiveError:
        return
    assert all(isinstance(content, bytes | str) for content in found.values())
