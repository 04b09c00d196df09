"""What nginx knows of a request, and what a value of its variables can be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ollama_audit.exposure.forwarders.clients import NOBODY, Clients, Gate


class Symbol(StrEnum):
    """What decides about a value that is not text."""

    CHOICE = "choice"
    """The client, freely."""
    SECRET = "secret"
    """The client, but it is where keys are sent."""
    HEADER = "header"
    """The client, in a header that may be made up for a key."""
    ADDRESS = "address"
    """The client's address."""
    UNKNOWN = "unknown"


Value = str | Symbol
Alternatives = tuple[tuple[Gate, Value], ...]

_BACKTRACKS = re.compile(r"\([^()]*[+*][^()]*\)[+*{]|\)[+*]\)[+*]")
_GROUP = re.compile(r"\(\?<(?=[A-Za-z_])")


@dataclass(frozen=True, slots=True)
class Request:
    """What is known of one request at one server."""

    method: str
    asked: str
    path: str
    tls: bool
    certificates: str
    """ssl_verify_client of the server."""
    variables: Mapping[str, Alternatives]
    believed: Clients = NOBODY
    """The peers whose word nginx takes for who the client is (ngx_http_realip_module)."""


def expression(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str] | None:
    """A regular expression of PCRE, or None when it cannot be tried here."""
    if len(pattern) > 1000 or _BACKTRACKS.search(pattern):
        return None
    try:
        return re.compile(_GROUP.sub("(?P<", pattern), re.IGNORECASE if ignore_case else 0)
    except (re.error, RecursionError, OverflowError):
        return None


def merged(found: list[tuple[Gate, Value]]) -> Alternatives:
    """The alternatives, those of equal value as one."""
    merged: dict[Value, Gate] = {}
    for gate, value in found:
        merged[value] = merged[value] | gate if value in merged else gate
    return tuple((gate, value) for value, gate in merged.items())
