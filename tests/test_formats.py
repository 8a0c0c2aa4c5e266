"""Files that others read: whole or not at all, each value in its shape."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.formats import to_csv, write_whole
from app.formats.packing import FileToWrite, write_zip
from app.formats.parquet import write_parquet
from app.formats.tables import Column, Table


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


def test_a_csv_file_holds_each_kind_in_its_shape() -> None:
    columns = [
        Column("label", "text", ""),
        Column("concept", "text", ""),
        Column("right", "flag", ""),
        Column("channels", "integers", ""),
        Column("given_at", "moment", ""),
    ]
    record = {
        "label": 'a, "b"\nc',
        "concept": None,
        "right": True,
        "channels": [1, 2],
        "given_at": datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1))),
        "not asked for": 1,
    }
    assert "".join(to_csv([record], columns)) == (
        "label,concept,right,channels,given_at\r\n"
        '"a, ""b""\nc",,true,"[1, 2]",2026-03-01T12:00:00.000000+00:00\r\n'
    )


def test_without_records_a_csv_file_still_names_its_columns() -> None:
    assert "".join(to_csv([], [Column("label", "text", "")])) == "label\r\n"


@given(
    st.lists(
        st.tuples(
            st.text("abc/_é", min_size=1, max_size=8).filter(lambda n: not n.startswith("/")),
            st.binary(max_size=2000),
        ),
        unique_by=lambda named: named[0],
        max_size=5,
    )
)
def test_a_zip_gives_back_what_went_in_and_its_checksums(named: list[tuple[str, bytes]]) -> None:
    buffer = io.BytesIO()
    entries = write_zip(
        buffer,
        [
            FileToWrite(name, lambda out, _, content=content: out.write(content))
            for name, content in named
        ],
    )
    with zipfile.ZipFile(buffer) as archive:
        assert [(name, archive.read(name)) for name in archive.namelist()] == named
    assert [(entry.name, entry.size_bytes, entry.sha256) for entry in entries] == [
        (name, len(content), hashlib.sha256(content).hexdigest()) for name, content in named
    ]


def test_a_file_of_a_zip_knows_those_before_it() -> None:
    seen: list[list[str]] = []
    files = [
        FileToWrite(name, lambda _, before: seen.append([entry.name for entry in before]))
        for name in ("a", "b", "c")
    ]
    write_zip(io.BytesIO(), files)
    assert seen == [[], ["a"], ["a", "b"]]


def test_parquet_is_written_group_by_group() -> None:
    """No more records than a group may be waiting in memory when the first ones are written."""
    file = io.BytesIO()
    sizes: list[int] = []

    def records() -> Iterator[dict[str, object]]:
        for number in range(50):
            sizes.append(file.tell())
            yield {"n": number}

    table = Table("numbers", "Numbers", "Numbers.", None, (Column("n", "integer", ""),))
    write_parquet(file, records(), table, rows_per_group=10)
    assert pq.ParquetFile(file).metadata.num_row_groups == 5
    assert len(set(sizes)) == 5
