"""The reach answer (`ollama-audit/reach/1`): one client, one address and port, yes or no."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

import msgspec

from ollama_audit.exposure.model import JudgedBy, Login

SCHEMA = "ollama-audit/reach/1"


class Verdict(StrEnum):
    """Whether a new TCP connection ends at an Ollama server."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one source reaches Ollama at one address and port."""

    source: str = msgspec.field(name="from")
    in_interface: str
    """Through which interface the packet arrives; `lo` for a client on the host itself."""
    to: str
    port: int
    reach: Verdict
    login: Login
    """`none` when Ollama is not reached: there is nobody to ask for one."""
    path: tuple[str, ...]
    """What the connection passes, for people, from the interface to the server."""
    because: tuple[str, ...]
    """The deciding rules as the tool that owns them prints them, or the reason for an unknown."""


class ReachReport(msgspec.Struct, frozen=True, kw_only=True):
    """The answers in the order of the questions: each source, then each target."""

    schema: str = SCHEMA
    answers: tuple[Answer, ...]
    rulesets: tuple[JudgedBy, ...] = ()
    """On whose word the answers stand; empty when it is the host's own packet filter."""


def scope(address: IPv4Address | IPv6Address) -> str:
    """The link of `fe80::1%eth0` (RFC 4007, 11); empty for an address without."""
    return getattr(address, "scope_id", None) or ""
