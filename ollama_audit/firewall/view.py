"""A packet as the rules of one place see it."""

from __future__ import annotations

from ollama_audit.firewall.bits import Value
from ollama_audit.firewall.context import Context
from ollama_audit.firewall.match import Part
from ollama_audit.firewall.state import State


class View:
    """A packet at one place of its way, and what rules have read of it so far."""

    __slots__ = ("choice", "chosen", "context", "phase", "state", "values", "version")

    def __init__(self, context: Context, state: State) -> None:
        self.context = context
        self.state = state
        self.version = context.version
        self.phase = context.phase
        self.values: dict[object, Value | bytes | None] = {}
        """By what was read; bytes where all of it is known, None where the packet has none."""
        self.chosen = False
        """The condition judged last looks at what the client chooses; who sees it clears it."""
        self.choice: Part = False
        """The sources for which the rule judged last looks at that."""
