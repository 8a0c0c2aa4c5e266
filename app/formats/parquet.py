"""Records as Parquet, which pandas, Arrow, DuckDB, Spark and Hugging Face `datasets` read."""

import json
from collections.abc import Iterable
from itertools import islice
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.formats.tables import Kind, Table

_TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
    "moment": pa.timestamp("us", tz="UTC"),
    "integers": pa.list_(pa.int32()),
    "numbers": pa.list_(pa.float32()),
    "picture": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
}


def write_parquet(
    file: IO[bytes], records: Iterable[dict[str, Any]], table: Table, *, rows_per_group: int
) -> None:
    """Write records group by group; no more of them than a group are in memory at once.

    The same records make the same bytes with the same version of pyarrow.
    """
    schema = schema_of(table)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        rest = iter(records)
        while group := list(islice(rest, rows_per_group)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def schema_of(table: Table) -> pa.Schema:
    """The table's columns as Arrow types, and for Hugging Face as its features: by these it shows
    the pictures as pictures."""
    fields = [
        pa.field(c.name, _TYPES[c.kind], metadata={"description": c.meaning}) for c in table.columns
    ]
    features = {c.name: _feature(c.kind) for c in table.columns}
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _feature(kind: Kind) -> dict[str, Any]:
    if kind == "picture":
        return {"_type": "Image"}
    type_ = _TYPES[kind]
    if isinstance(type_, pa.ListType):
        return {"_type": "Sequence", "feature": _value(type_.value_type)}
    return _value(type_)


def _value(type_: pa.DataType) -> dict[str, Any]:
    # Arrow prints its floats by their names in C.
    dtype = {"double": "float64", "float": "float32"}.get(str(type_), str(type_))
    return {"_type": "Value", "dtype": dtype}
