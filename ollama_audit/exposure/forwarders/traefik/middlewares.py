"""Traefik's middlewares: what they make of a request, and whom they let through.

doc.traefik.io/traefik, "HTTP Middlewares" (v2.11, v3.5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from ollama_audit.exposure.forwarders.clients import Gate, doubt, login
from ollama_audit.exposure.forwarders.document import entries, mapping, word
from ollama_audit.exposure.forwarders.traefik.rules import Request, addressed
from ollama_audit.exposure.forwarders.traefik.settings import listed

_PASSING = frozenset(
    {"buffering", "circuitbreaker", "compress", "contenttype", "encodedcharacters", "errors"}
    | {"grpcweb", "inflightconn", "inflightreq", "passtlsclientcert", "ratelimit", "retry"}
)
_DEEPEST = 10


@dataclass(frozen=True, slots=True)
class Passed:
    """A request behind some middlewares."""

    path: str
    gate: Gate
    host: str | None = None
    """The Host header that they set; None for the client's."""
    answered: bool = False
    """One of them answers it, as a redirection does."""


class Missing(Exception):  # noqa: N818 - a router with it does not run; that is no error of ours
    """A middleware that is named and not there."""


def through(  # noqa: PLR0913, PLR0917 - what a request brings, and where it goes
    names: list[str],
    known: dict[str, Any],
    provider: str,
    state: Passed,
    request: Request,
    depth: int = 0,
) -> Passed:
    """A request behind these middlewares, in their order.

    Raises:
        Missing: One of them is in no configuration.
    """
    for name in names:
        full = name.lower() if "@" in name else f"{name.lower()}@{provider}"
        if full not in known:
            if full.endswith(("@file", "@docker")):
                raise Missing(full)
            state = replace(state, gate=state.gate & doubt(f"traefik: {full} is not read"))
            continue
        for kind, options in known[full].items():
            if kind == "chain" and depth < _DEEPEST:
                inner = listed(mapping(options).get("middlewares"))
                state = through(inner, known, provider, state, request, depth + 1)
            else:
                state = _one(kind, mapping(options), full, state, request)
    return state


def _one(  # noqa: C901, PLR0911, PLR0912 - a table of middlewares
    kind: str, options: dict[str, Any], name: str, state: Passed, request: Request
) -> Passed:
    match kind:
        case "basicauth" | "digestauth":
            return replace(state, gate=state.gate & login(f"traefik: {kind} ({name})"))
        case "forwardauth":
            where = word(options.get("address"))
            return replace(state, gate=state.gate & login(f"traefik: forwardAuth to {where}"))
        case "ipallowlist" | "ipwhitelist":
            because = f"traefik: {kind} ({name})"
            if options.get("ipstrategy") or options.get("rejectstatuscode") == 200:
                return replace(state, gate=state.gate & doubt(because))
            fork = addressed(tuple(listed(options.get("sourcerange"))), request, because)
            return replace(state, gate=state.gate & fork.yes)
        case "stripprefix":
            for prefix in listed(options.get("prefixes")):
                if state.path.startswith(prefix):
                    rest = state.path.removeprefix(prefix)
                    return replace(state, path=f"/{rest.lstrip('/')}")
            return state
        case "addprefix":
            return replace(state, path=f"{word(options.get('prefix'))}{state.path}")
        case "replacepath":
            return replace(state, path=word(options.get("path")) or state.path)
        case "replacepathregex" | "stripprefixregex":
            return _by_pattern(kind, options, state)
        case "headers":
            return _with_headers(options, state)
        case "redirectscheme":
            here = "https" if request.tls else "http"
            return replace(state, answered=word(options.get("scheme")).lower() != here)
        case _ if kind in _PASSING:
            return state
        case _:
            why = f"traefik: what {kind} ({name}) does is not known"
            return replace(state, gate=state.gate & doubt(why))


def _by_pattern(kind: str, options: dict[str, Any], state: Passed) -> Passed:
    try:
        if kind == "replacepathregex":
            new = re.sub(r"\$\{?(\d)\}?", r"\\\1", word(options.get("replacement")))
            return replace(state, path=re.sub(word(options.get("regex")), new, state.path))
        for pattern in map(word, entries(options.get("regex"))):
            if found := re.match(pattern, state.path):
                return replace(state, path=f"/{state.path[found.end() :].lstrip('/')}")
    except (re.error, IndexError):
        return replace(state, gate=state.gate & doubt(f"traefik: {kind} is not followed"))
    return state


def _with_headers(options: dict[str, Any], state: Passed) -> Passed:
    host = mapping(options.get("customrequestheaders")).get("host")
    return state if host is None else replace(state, host=word(host))
