"""Values out of JSON whose shape is somebody else's promise: of the wrong type is not there."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any


def text(value: object) -> str:
    """A text, or the empty one."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int:
    """A number, or 0; texts of digits are numbers."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and 0 <= value < 1 << 62 else 0


def address(value: object) -> str:
    """An address of the host; empty for the wildcard of a family, and for what is none."""
    try:
        found = ip_address(text(value))
    except ValueError:
        return ""
    return "" if found.is_unspecified else str(found)


def mapping(value: object) -> dict[str, Any]:
    """An object, or the empty one."""
    return value if isinstance(value, dict) else {}


def records(value: object) -> Iterator[dict[str, Any]]:
    """The objects in a list."""
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield item


def at(value: object, *path: str) -> Any:
    """What stands in nested objects at a path; None when a step is missing."""
    for step in path:
        value = mapping(value).get(step)
    return value
