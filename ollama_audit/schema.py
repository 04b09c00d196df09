"""JSON Schema of every document this program writes, made from the records that write it.

The files in `ollama_audit/schemas/` are these schemas, for people and programs that read the
documents; `python -m ollama_audit.schema` writes them again, and a test compares them.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import msgspec

from ollama_audit.exposure import answer
from ollama_audit.report import SCHEMA as REPORT
from ollama_audit.report import Report
from ollama_audit.snapshot.host import SCHEMA as SNAPSHOT
from ollama_audit.snapshot.host import HostSnapshot

DOCUMENTS: dict[str, tuple[type[msgspec.Struct], str]] = {
    "report-1.json": (Report, REPORT),
    "reach-1.json": (answer.ReachReport, answer.SCHEMA),
    "snapshot-1.json": (HostSnapshot, SNAPSHOT),
}
"""File name: the record at the root, and the name that a document gives as its `schema`."""

FOLDER = Path(__file__).parent / "schemas"


def schema(name: str) -> dict[str, Any]:
    """The schema of a document as JSON Schema 2020-12.

    A field with a default may be missing from a document: a later version may add such fields
    without a new schema name. Documents of this version carry every field.
    """
    record, identity = DOCUMENTS[name]
    (root,), parts = msgspec.json.schema_components([record], ref_template="#/$defs/{name}")
    body = parts.pop(root["$ref"].rpartition("/")[2])
    body["properties"]["schema"] = {"const": identity}
    body["required"] = ["schema", *(field for field in body["required"] if field != "schema")]
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{identity.replace('/', ':')}",
        **body,
        "title": identity,
        "$defs": {_readable(each): part for each, part in parts.items()},
    }
    cleaned = _cleaned(whole)
    assert isinstance(cleaned, dict)
    return cleaned


def _readable(name: str) -> str:
    """`Known_tuple_NetworkNamespace` for what msgspec calls a generic record with its module."""
    bare = re.sub(r"ollama_audit\.[a-z_.]+\.", "", name)
    return re.sub(r"[^A-Za-z0-9]+", "_", bare).strip("_")


def _cleaned(value: Any) -> Any:
    """References by readable names, and docstrings as they read: Python 3.13 dedents them."""
    if isinstance(value, dict):
        return {key: _cleaned(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    if isinstance(value, str):
        head, found, name = value.partition("#/$defs/")
        return f"{head}{found}{_readable(name)}" if found else inspect.cleandoc(value)
    return value


def text(name: str) -> str:
    """The schema file's text."""
    return msgspec.json.format(msgspec.json.encode(schema(name)), indent=2).decode() + "\n"


if __name__ == "__main__":
    for each in DOCUMENTS:
        (FOLDER / each).write_text(text(each), encoding="utf-8")
