"""Configuration documents as plain values: YAML, TOML and JSON, told by the name of the file.

What a document holds is not believed: whoever reads it asks by `mapping`, `entries` and `word`,
which answer with nothing where the document has something else.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

_LARGEST = 1 << 20
"""Characters; a larger document is nobody's, and YAML is slow to read."""


def document(path: str, text: str) -> Any:
    """The value of a document; None for an empty one.

    Raises:
        ValueError: It is not one, or it is too large.
    """
    if len(text) > _LARGEST:
        raise ValueError(f"{path} is too large")
    try:
        if path.endswith(".toml"):
            return tomllib.loads(text)
        return json.loads(text) if path.endswith(".json") else _yaml(text)
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply") from None


def _yaml(text: str) -> Any:
    import yaml  # noqa: PLC0415 - few hosts have such a document, and every start would pay

    # The parser in C is the same one, ten times as fast; not every build of the library has it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506 - both are safe ones
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {str(error).splitlines()[0]}") from error


def mapping(value: Any) -> dict[str, Any]:
    """A mapping with its keys as text; empty for anything else."""
    return {str(key): inner for key, inner in value.items()} if isinstance(value, dict) else {}


def entries(value: Any) -> list[Any]:
    """A list; a single value as a list of one; empty for none."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def word(value: Any) -> str:
    """A text or a number as text; empty for anything else."""
    known = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value).strip() if known else ""
