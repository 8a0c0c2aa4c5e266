"""Croissant metadata (MLCommons, version 1.0) of a folder of Parquet files, as JSON-LD."""

from collections.abc import Sequence
from typing import Any

from app.formats.packing import FileEntry
from app.formats.tables import Column, Kind, Table

CROISSANT_FILE = "croissant.json"

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

_DATA_TYPES: dict[Kind, str] = {
    "text": "sc:Text",
    "integer": "sc:Integer",
    "number": "sc:Float",
    "flag": "sc:Boolean",
    "moment": "sc:DateTime",
    "integers": "sc:Integer",
    "numbers": "sc:Float",
    "picture": "sc:ImageObject",
}


def croissant(
    *,
    name: str,
    description: str,
    licence: str,
    citation: str,
    published: str,
    version: str,
    tables: Sequence[tuple[Table, FileEntry]],
) -> dict[str, Any]:
    """The metadata of tables that lie in Parquet files beside it. published: a date, ISO 8601."""
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": description,
        "license": licence,
        "citeAs": citation,
        "datePublished": published,
        "version": version,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": entry.name,
                "name": entry.name,
                "description": table.meaning,
                "contentUrl": entry.name,
                "contentSize": f"{entry.size_bytes} B",
                "encodingFormat": "application/x-parquet",
                "sha256": entry.sha256,
            }
            for table, entry in tables
        ],
        "recordSet": [_record_set(table, entry) for table, entry in tables],
    }


def _record_set(table: Table, entry: FileEntry) -> dict[str, Any]:
    record_set: dict[str, Any] = {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "description": table.meaning,
        "field": [_field(table, column, entry) for column in table.columns],
    }
    if table.key is not None:
        record_set["key"] = {"@id": f"{table.name}/{table.key}"}
    return record_set


def _field(table: Table, column: Column, entry: FileEntry) -> dict[str, Any]:
    source: dict[str, Any] = {
        "fileObject": {"@id": entry.name},
        "extract": {"column": column.name},
    }
    if column.kind == "picture":
        source["transform"] = {"jsonPath": "bytes"}
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{table.name}/{column.name}",
        "name": f"{table.name}/{column.name}",
        "description": column.meaning,
        "dataType": _DATA_TYPES[column.kind],
        "source": source,
    }
    if column.kind in ("integers", "numbers"):
        field["repeated"] = True
    return field
