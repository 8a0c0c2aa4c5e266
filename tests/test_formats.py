"""Files that others read are there whole or not at all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.formats import write_whole


def test_what_breaks_off_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text("as it was")

    def rows() -> Iterator[str]:
        yield "half\n"
        raise RuntimeError("the source is gone")

    with pytest.raises(RuntimeError):
        write_whole(path, rows())

    assert path.read_text() == "as it was"


def test_a_whole_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text("as it was")

    write_whole(path, ["ü\n", "b\n"])

    assert path.read_text(encoding="utf-8") == "ü\nb\n"
    assert list(tmp_path.iterdir()) == [path]
