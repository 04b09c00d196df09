"""Facts that may have gone unobserved.

A fact is `Known` with the place it was read from, or `Unknown` with the reason it could not be
read. "Could not look" is thereby a different type from "nothing there", and the type checker
makes every reader decide. This module is not for facts that are absent: an empty tuple is known.
"""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar, assert_never

import msgspec

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
D = TypeVar("D")


class Known(msgspec.Struct, Generic[T_co], frozen=True, tag_field="observed", tag="known"):
    """A fact, and where it was read: a path, a command line, or an API name."""

    value: T_co
    source: str


class Unknown(msgspec.Struct, frozen=True, tag_field="observed", tag="unknown"):
    """A fact that could not be read: why, where it was looked for, and what would settle it."""

    reason: str
    source: str
    cure: str = ""
    """A command or an action for the reader, such as `sudo ollama-audit`; empty if unknown."""


Observed: TypeAlias = Known[T] | Unknown


class UnobservedError(Exception):
    """A fact was needed that had not been observed; carries the `Unknown`."""

    def __init__(self, fact: Unknown) -> None:
        super().__init__(fact.reason)
        self.fact = fact


def need(fact: Known[T] | Unknown) -> T:
    """Return an observed value.

    Raises:
        UnobservedError: The fact is `Unknown`; the engine turns this into an `unknown` outcome,
            so a rule reads straight through and never mistakes "cannot see" for "not there".
    """
    match fact:
        case Known(value=value):
            return value
        case Unknown():
            raise UnobservedError(fact)
        case _:
            assert_never(fact)


def known_or(fact: Known[T] | Unknown, default: D) -> T | D:
    """Return an observed value, or `default`: only where that cannot make a verdict better."""
    return fact.value if isinstance(fact, Known) else default
