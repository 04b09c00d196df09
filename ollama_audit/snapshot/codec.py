"""A snapshot as JSON and back, with errors that know their path.

The JSON is deterministic: fields in the order of their records, sets and mappings sorted, two
spaces of indentation; the same host read twice diffs clean.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from ollama_audit.snapshot.host import SCHEMA, HostSnapshot


class SnapshotError(Exception):
    """A text is no snapshot that this program reads: where in it, and why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        """As JSONPath writes it, `$` for the whole."""
        self.reason = reason


class _Header(msgspec.Struct):
    schema: str


class _DuplicateKeyError(ValueError):
    pass


_ENCODER = msgspec.json.Encoder(order="deterministic")


def encode(snapshot: HostSnapshot) -> bytes:
    """A snapshot as indented UTF-8 JSON that ends in a newline."""
    return msgspec.json.format(_ENCODER.encode(snapshot), indent=2) + b"\n"


def decode(data: bytes) -> HostSnapshot:
    """The snapshot in `data`.

    Raises:
        SnapshotError: Not JSON, cut short, of another schema, or of other shapes than ours.
    """
    try:
        _refuse_duplicates(data)
        header = msgspec.json.decode(data, type=_Header)
        if header.schema != SCHEMA:
            raise SnapshotError(
                "$.schema", f"is {_short(header.schema)}, this program reads {SCHEMA!r}"
            )
        return msgspec.json.decode(data, type=HostSnapshot)
    except RecursionError:
        raise SnapshotError("$", "is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise SnapshotError("$", f"is not UTF-8: {error.reason} at byte {error.start}") from None
    except msgspec.ValidationError as error:
        path, reason = _split(str(error))
        raise SnapshotError(path, reason) from None
    except (msgspec.DecodeError, ValueError) as error:
        raise SnapshotError("$", f"is not JSON: {_short(str(error))}") from None


def _split(message: str) -> tuple[str, str]:
    """Path and reason of msgspec's "REASON - at `$.path`"."""
    found = re.fullmatch(r"(?s)(.*) - at `(.*)`", message)
    reason, path = (found[1], found[2]) if found else (message, "$")
    return path, _short(reason)


def _short(reason: str) -> str:
    return reason if len(reason) <= 200 else f"{reason[:200]}..."


def _refuse_duplicates(data: bytes) -> None:
    """Refuse a text that readers may read differently: one of two equal keys would be hidden."""

    def pairs(found: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in found}) != len(found):
            raise _DuplicateKeyError("an object has two equal keys")

    json.loads(data.decode(), object_pairs_hook=pairs, parse_int=len, parse_float=len)
