"""Snapshots of any shape, for hypothesis."""

from __future__ import annotations

import types
import typing
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import msgspec
from hypothesis import strategies as st

from ollama_audit.snapshot.host import SCHEMA, HostSnapshot

_V4 = st.ip_addresses(v=4).map(str)
# The schema checks addresses; what is written there must be one.
_BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "schema": st.just(SCHEMA),
    "address": _V4,
    "destination": _V4,
    "peer": st.just(""),
    "prefix_length": st.integers(0, 32),
    "port": st.integers(0, 65535),
}
_WORD = st.text(st.characters(codec="utf-8"), max_size=4)


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type that occurs in a record."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return st.one_of(*map(of_type, args))
    if origin in {tuple, frozenset}:
        return st.lists(of_type(args[0]), max_size=3).map(origin)
    if origin is dict:
        return st.dictionaries(of_type(args[0]), of_type(args[1]), max_size=2)
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: _WORD,
        int: st.integers(-(2**63), 2**64 - 1),
        bool: st.booleans(),
        bytes: st.binary(max_size=4),
        datetime: st.datetimes(
            datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis wants bounds without a zone
            timezones=st.just(UTC),
        ),
        types.NoneType: st.none(),
    }
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    return plain[hint] if hint in plain else _record(hint)


def _record(hint: Any) -> st.SearchStrategy[Any]:
    fields = {
        field.name: _BY_NAME.get(field.name, of_type(field.type))
        if not isinstance(field.type, typing.TypeVar)
        else of_type(typing.get_args(hint)[0])
        for field in msgspec.structs.fields(typing.get_origin(hint) or hint)
    }
    if (typing.get_origin(hint) or hint).__name__ in {"InterfaceAddress", "Listener", "Route"}:
        fields["address" if "address" in fields else "destination"] = _V4
    return st.builds(typing.get_origin(hint) or hint, **fields)


snapshots: st.SearchStrategy[HostSnapshot] = st.deferred(lambda: of_type(HostSnapshot))
