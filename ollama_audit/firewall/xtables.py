"""The matches and targets of iptables, from the kernel's own structures."""

from __future__ import annotations

from collections.abc import Mapping

from ollama_audit.firewall.instructions import GiveUp, Maybe
from ollama_audit.firewall.machine import Instruction

SetNames = Mapping[int, str]


def decode_match(name: str, revision: int, info: bytes, sets: SetNames) -> Instruction | None:
    """TODO."""
    del revision, info, sets
    return None if name == "comment" else Maybe()


def decode_target(name: str, revision: int, info: bytes, family: str) -> Instruction | None:
    """TODO."""
    del revision, info, family
    return GiveUp(name)
