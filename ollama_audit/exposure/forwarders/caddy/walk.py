"""Requests on their way through the routes of one server of Caddy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ollama_audit.exposure.forwarders.caddy.matchers import Matchers, State, names_in
from ollama_audit.exposure.forwarders.clients import Gate, doubt, login
from ollama_audit.exposure.forwarders.web import (
    Passage,
    Upstream,
    guessed,
    host_and_port,
    prefixes_in,
    resolve,
)

_MOST_STATES = 64
_HANDLING = {"static_response", "acme_server", "metrics"}
_FAILING = {"error", "file_server"}
"""What a request ends with here; of files, none has the name of one that Ollama answers."""
_PASSING = {
    "headers",
    "encode",
    "vars",
    "request_body",
    "templates",
    "tracing",
    "push",
    "copy_response_headers",
    "log_append",
    "map",
    "intercept",
    "invoke",
}


def prefixes(value: Any) -> list[str]:
    """The literal beginnings of all paths that matchers and rewrites speak of."""
    found: list[str] = []
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "path" and isinstance(inner, list):
                for path in inner:
                    found += prefixes_in(str(path).partition("*")[0])
            elif key in {"path_regexp", "uri_substring"}:
                found += _of_patterns(inner)
            elif key == "strip_path_prefix":
                found.append(f"/{str(inner).strip('/')}")
            else:
                found += prefixes(inner)
    elif isinstance(value, list):
        for inner in value:
            found += prefixes(inner)
    return [path for path in dict.fromkeys(found) if path.startswith("/")]


def _of_patterns(value: Any) -> Iterator[str]:
    for each in value if isinstance(value, list) else [value]:
        text = str(each.get("pattern") or each.get("find") or "") if isinstance(each, dict) else ""
        if found := re.match(r"\^?((?:/[\w.-]+)*/?)", text):
            yield from prefixes_in(found[1])


@dataclass(slots=True)
class Walk:
    """One server."""

    server: dict[str, Any]
    names: dict[str, tuple[str, ...]]
    source: str
    matchers: Matchers
    found: list[Passage] = field(default_factory=list)

    def hosts(self) -> list[str]:
        """Host headers that matchers tell apart, and the empty one for any other."""
        found = [name.lower().replace("*", "x") for name in names_in(self.server.get("routes"))]
        return ["", *dict.fromkeys(found)]

    def enter(self, method: str, path: str, gate: Gate, name: str) -> None:
        """Follow one request."""
        self._routes(self.server.get("routes") or [], [State(method, path, path, gate, name)])

    def _routes(self, routes: list[dict[str, Any]], states: list[State]) -> list[State]:
        """Send requests through a list of routes; those that are left go on behind it."""
        for route in routes:
            after: list[State] = []
            for state in states:
                group = str(route.get("group") or "")
                if state.ended or group in state.groups:
                    after.append(state)
                    continue
                fork = self.matchers.matched(route.get("match"), state)
                if (state.gate & fork.no).passing:
                    after.append(replace(state, gate=state.gate & fork.no))
                if (inside := state.gate & fork.yes).passing:
                    groups = state.groups | ({group} if group else set())
                    entered = replace(state, gate=inside, groups=groups)
                    left = self._handled(route.get("handle") or [], [entered])
                    ended = bool(route.get("terminal"))
                    after += [replace(each, ended=each.ended or ended) for each in left]
            if len(after) > _MOST_STATES:
                why = doubt("caddy: too many routes decide together")
                after = [replace(each, gate=each.gate & why) for each in after[:_MOST_STATES]]
            states = after
        return states

    def _handled(self, handlers: list[dict[str, Any]], states: list[State]) -> list[State]:
        for handler in handlers:
            after: list[State] = []
            for state in states:
                after += [state] if state.ended else self._one(handler, state)
            states = after
        return states

    def _one(  # noqa: PLR0911 - a table of handlers
        self, handler: dict[str, Any], state: State
    ) -> list[State]:
        kind = str(handler.get("handler"))
        if kind == "subroute":
            # Groups count within one list of routes.
            inner = self._routes(handler.get("routes") or [], [replace(state, groups=frozenset())])
            return [replace(each, groups=state.groups, ended=False) for each in inner]
        if kind == "authentication":
            providers = ", ".join(handler.get("providers") or {}) or "nobody"
            return [replace(state, gate=state.gate & login(f"caddy: {providers}"))]
        if kind == "rewrite":
            return [self._rewritten(handler, state)]
        if kind == "reverse_proxy":
            return self._proxied(handler, state)
        if kind in _HANDLING:
            return []
        if kind in _FAILING:
            if not state.failed:
                routes = (self.server.get("errors") or {}).get("routes") or []
                failed = replace(state, groups=frozenset(), ended=False, failed=True)
                self._routes(routes, [failed])
            return []
        if kind in _PASSING:
            return [state]
        return [replace(state, gate=state.gate & doubt(f"caddy: what {kind} does is not known"))]

    def _rewritten(self, handler: dict[str, Any], state: State) -> State:
        path = state.path
        if uri := handler.get("uri"):
            path = str(uri).partition("?")[0]
            for name in ("http.request.uri.path", "http.request.uri", "path", "uri"):
                path = path.replace(f"{{{name}}}", state.path)
        if prefix := handler.get("strip_path_prefix"):
            prefix = f"/{str(prefix).lstrip('/')}"
            path = path.removeprefix(prefix) or "/"
        if suffix := str(handler.get("strip_path_suffix") or ""):
            path = path.removesuffix(suffix)
        for each in handler.get("uri_substring") or ():
            path = path.replace(str(each.get("find")), str(each.get("replace", "")))
        for each in handler.get("path_regexp") or ():
            new = re.sub(r"\$\{?(\d+)\}?", r"\\\1", str(each.get("replace", "")))
            try:
                path = re.sub(str(each.get("find")), new, path)
            except (re.error, IndexError):
                path = "{"
        if "{" in path:
            unclear = doubt("caddy: a rewrite is not followed")
            return replace(state, gate=state.gate & unclear, path=guessed(state.path))
        return replace(state, path=path if path.startswith("/") else f"/{path}")

    def _proxied(self, handler: dict[str, Any], state: State) -> list[State]:
        dials = [str(each.get("dial", "")) for each in handler.get("upstreams") or ()]
        answers = handler.get("handle_response") or ()
        if any(2 in ((each.get("match") or {}).get("status_code") or ()) for each in answers):
            # This is what forward_auth is made of: a good answer lets the request go on.
            because = f"caddy: forward_auth to {', '.join(dials)}"
            return [replace(state, gate=state.gate & login(because, *dials))]
        request = ((handler.get("headers") or {}).get("request") or {}).get("set") or {}
        host = next((value[0] for name, value in request.items() if name.lower() == "host"), None)
        if host and "{" in host:
            host = dials[0] if "upstream" in host and dials else None
        host = host or state.name or None
        if rewrite := handler.get("rewrite"):
            state = self._rewritten(rewrite, state)
        for upstream in self._upstreams(handler, dials):
            passage = Passage(state.asked, state.path, upstream, state.gate, self.source, host)
            self.found.append(passage)
        return []

    def _upstreams(self, handler: dict[str, Any], dials: list[str]) -> Iterator[Upstream]:
        if handler.get("dynamic_upstreams"):
            yield Upstream(reason="caddy looks its upstreams up while it runs")
        for dial in dials:
            if dial.startswith("unix") or "{" in dial:
                yield Upstream(reason=f"what answers at {dial} is not followed")
                continue
            try:
                address, port = host_and_port(f"http://{dial.rpartition('/')[2]}")
            except ValueError:
                yield Upstream(reason=f"{dial} is no address")
                continue
            yield from resolve(address, port, self.names)
