"""Records as files that others read. A record is a dict with the columns of a table."""

from app.formats.text import from_jsonl, to_csv, to_jsonl, write_whole

__all__ = ["from_jsonl", "to_csv", "to_jsonl", "write_whole"]
