"""Requests on their way through one frontend of HAProxy, its rules in order, to the servers.

Configuration Manual 2.6, chapters 4.2 and 4.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ollama_audit.exposure.forwarders.clients import ALWAYS, Fork, doubt
from ollama_audit.exposure.forwarders.haproxy.conditions import Conditions, State, names_in
from ollama_audit.exposure.forwarders.haproxy.sections import Line, Section
from ollama_audit.exposure.forwarders.web import Passage, Upstream, guessed, prefixes_in

_MOST_STATES = 64
_ENDING = frozenset(
    {"deny", "reject", "tarpit", "auth", "redirect", "return", "silent-drop", "use-service"}
)
_REWRITING = frozenset(
    {"set-path", "set-uri", "set-pathq", "replace-uri", "replace-pathq", "replace-path"}
)
_PHASES = (
    ("tcp-request", "connection"),
    ("tcp-request", "session"),
    ("tcp-request", "content"),
    ("http-request",),
    ("redirect",),
)
"""Rules in the order in which their kinds are evaluated, wherever they stand."""


@dataclass(slots=True)
class Walk:
    """One frontend and the backends behind it."""

    front: Section
    backends: dict[str, Section]
    resolved: Callable[[str, int], tuple[Upstream, ...]]
    """The address of a server, by how it is written and the usual port."""
    conditions: Conditions

    def _everything(self) -> Iterator[tuple[str, ...]]:
        for section in (self.front, *self.backends.values()):
            yield from (words for acl in section.acls.values() for words in acl)
            yield from (line.words for line in section.lines)

    def prefixes(self) -> list[str]:
        """The literal beginnings of paths that rules speak of."""
        found = [
            prefix
            for words in self._everything()
            for word in words
            if word.lstrip("^").startswith("/") or ",regsub(^/" in word
            for prefix in prefixes_in(_literal(word))
        ]
        return [each for each in dict.fromkeys(found) if re.fullmatch(r"(/[\w.-]+)+", each)]

    def names(self) -> list[str]:
        """Host headers that rules tell apart, and the empty one for any other."""
        found = [name for words in self._everything() for name in names_in(words)]
        return ["", *dict.fromkeys(found)][:_MOST_STATES]

    def follow(self, state: State) -> Iterator[Passage]:
        """Where a request goes."""
        for each in self._ruled(self.front, state):
            rest = each.gate
            for backend, fork, line in self._choices(each):
                taken = replace(each, gate=rest & fork.yes)
                rest &= fork.no
                if not taken.gate.passing:
                    continue
                if backend is None:
                    reason = f"{' '.join(line.words)} ({line.at}) depends on the request"
                    upstream = Upstream(reason=reason)
                    yield Passage(each.asked, each.path, upstream, taken.gate, line.at)
                    continue
                inside = [taken] if backend is self.front else self._ruled(backend, taken)
                for last in inside:
                    yield from self._served(backend, last)

    def _choices(self, state: State) -> Iterator[tuple[Section | None, Fork, Line]]:
        """The backends in the order in which they are tried."""
        fallback: list[tuple[Section | None, Fork, Line]] = []
        for line in self.front.lines:
            if line.words[0] == "use_backend" and len(line.words) > 1:
                backend = self.backends.get(line.words[1])
                if backend is not None or "%" in line.words[1]:
                    fork = self.conditions.holds(self.front, line.words[2:], state)
                    yield backend, fork, line
            elif line.words[0] == "default_backend" and line.words[-1] in self.backends:
                fallback = [(self.backends[line.words[-1]], ALWAYS, line)]
        if not fallback and self.front.kind == "listen":
            fallback = [(self.front, ALWAYS, Line((), ""))]
        yield from fallback

    def _ruled(self, section: Section, state: State) -> list[State]:
        """The requests that get through the rules of a section."""
        states = [state]
        for phase in _PHASES:
            if section.tcp and phase[0] in {"http-request", "redirect"}:
                continue
            states = [replace(each, done=False) for each in states]
            for line in section.lines:
                if line.words[: len(phase)] != phase:
                    continue
                action, *rest = (*line.words[len(phase) :], "")
                if phase == ("redirect",):
                    action, rest = "redirect", list(line.words[1:])
                states = [
                    after
                    for before in states
                    for after in (
                        [before]
                        if before.done
                        else self._rule(section, action, tuple(filter(None, rest)), before, line)
                    )
                    if after.gate.passing
                ]
                if len(states) > _MOST_STATES:
                    why = doubt(f"haproxy: too many rules decide together ({line.at})")
                    return [replace(state, gate=state.gate & why)]
        return states

    def _rule(
        self, section: Section, action: str, rest: tuple[str, ...], state: State, line: Line
    ) -> list[State]:
        start = next((i for i, word in enumerate(rest) if word in {"if", "unless"}), len(rest))
        fork = self.conditions.holds(section, rest[start:], state)
        outside = replace(state, gate=state.gate & fork.no)
        inside = replace(state, gate=state.gate & fork.yes)
        if action.partition("(")[0] in _ENDING and not (rest[:1] and rest[0].startswith("lua.")):
            return [outside]
        if action in {"allow", "accept"}:
            return [replace(inside, done=True), outside]
        return [_changed(action, rest[:start], inside, line), outside]

    # Servers

    def _served(self, backend: Section, state: State) -> Iterator[Passage]:
        servers = [
            line for line in backend.lines if line.words[0] == "server" and len(line.words) > 2
        ]
        first = [line for line in servers if not {"backup", "disabled"} & set(line.words)]
        for line in backend.lines:
            words = line.words
            if words[0] == "server-template":
                upstream = Upstream(reason=f"{' '.join(words[:4])} is looked up while it runs")
                yield Passage(state.asked, state.path, upstream, state.gate, line.at)
            if line not in servers or "disabled" in words:
                continue
            gate = state.gate
            if "backup" in words and first:
                gate &= doubt(f"haproxy: {words[1]} serves when no other does ({line.at})")
            for upstream in self.resolved(words[2], self.conditions.port):
                yield Passage(state.asked, state.path, upstream, gate, line.at, _host(state))


def _host(state: State) -> str | None:
    return state.sent if state.sent is not None else state.name or None


def _literal(word: str) -> str:
    """The literal beginning of a path, of a pattern, or of what `regsub` replaces."""
    found = re.search(r"/[\w./-]*", word)
    return found[0] if found else ""


def _changed(action: str, args: tuple[str, ...], state: State, line: Line) -> State:
    """What a rule that ends nothing makes of a request."""
    name = action.partition("(")[0]
    if name in _REWRITING:
        return _rewritten(name, args, state)
    if name in {"set-header", "replace-header"} and args and args[0].lower() == "host":
        fixed = len(args) == (2 if name == "set-header" else 3) and not re.search(
            r"[%\\]", args[-1]
        )
        return replace(state, sent=args[-1] if fixed else None, name="")
    if name == "set-src":
        return replace(state, says_who=True)
    if name == "set-var":
        variable = action.partition("(")[2].partition(",")[0].rstrip(")")
        return replace(state, variables={**state.variables, variable: " ".join(args)})
    if name.startswith("lua.") or name == "use-service":
        return replace(state, gate=state.gate & doubt(f"haproxy: {action} ({line.at})"))
    return state


def _rewritten(name: str, args: tuple[str, ...], state: State) -> State:
    """`set-path` of a literal or of `%[path,regsub(A,B)]`, `replace-path` and its kin."""
    if name in {"set-path", "set-uri"} and args and "%" not in args[0]:
        return replace(state, path=args[0].partition("?")[0])
    pattern, new = "", ""
    if name.startswith("replace") and len(args) == 2:
        pattern, new = args
    elif found := re.fullmatch(
        r"%\[(?:path|url|pathq),regsub\(\^?([^,()]*),([^,()]*)(?:,\w*)?\)\]",
        args[0] if args else "",
    ):
        pattern, new = f"^{found[1]}", found[2]
    try:
        path = re.sub(pattern, new, state.path, count=1)
    except (re.error, IndexError):
        pattern = ""
        path = state.path
    if not pattern:
        unclear = doubt("haproxy: a rewrite is not followed")
        return replace(state, gate=state.gate & unclear, path=guessed(state.path))
    return replace(state, path=path)
