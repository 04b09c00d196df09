"""What variables of nginx can hold while a request is served, and who can bring that about.

A value is text, or a symbol for what the client or the outside decides. Each comes with the gate
of the clients for whom it is so: to send the right key is a login, to send any header is not.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ollama_audit.exposure.forwarders.clients import (
    LOOPBACK,
    NOBODY,
    OPEN,
    SHUT,
    Gate,
    doubt,
    login,
    only,
)
from ollama_audit.exposure.forwarders.keys import named_so, ordinary
from ollama_audit.exposure.forwarders.nginx.comparing import doubts, equals, matches, truth
from ollama_audit.exposure.forwarders.nginx.geo import located
from ollama_audit.exposure.forwarders.nginx.symbols import (
    Alternatives,
    Request,
    Symbol,
    Value,
    expression,
    merged,
)
from ollama_audit.exposure.forwarders.nginx.syntax import Directive

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_ADDRESSES = frozenset({"remote_addr", "binary_remote_addr", "realip_remote_addr"})
_NAMED = re.compile(r"\(\?P?<([A-Za-z_]\w*)>")
_DEEPEST = 8
_MOST = 32


class Values:
    """The variables that the `http` block defines."""

    def __init__(self, http: tuple[Directive, ...]) -> None:
        self._maps = {
            each.args[1].lstrip("$"): each
            for each in http
            if each.name in {"map", "split_clients"} and len(each.args) == 2
        }
        self._geos = {
            each.args[-1].lstrip("$"): each for each in http if each.name == "geo" and each.args
        }

    def expand(self, text: str, request: Request, depth: int = 0) -> Alternatives:
        """The values of a text with variables."""
        parts: tuple[tuple[Gate, tuple[Value, ...]], ...] = ((OPEN, ()),)
        position = 0
        for found in _VARIABLE.finditer(text):
            literal = text[position : found.start()]
            values = self.variable(found[1] or found[2], request, depth)
            parts = tuple(
                (gate & other, (*before, *([literal] if literal else []), value))
                for gate, before in parts
                for other, value in values
            )
            if len(parts) > _MOST:
                return ((doubt(f"{text} has too many values to follow"), Symbol.UNKNOWN),)
            position = found.end()
        rest = text[position:]
        return tuple(
            (gate, _joined((*before, *([rest] if rest else [])))) for gate, before in parts
        )

    def variable(self, name: str, request: Request, depth: int = 0) -> Alternatives:
        """The values of one variable."""
        if depth > _DEEPEST:
            return ((doubt(f"${name} is defined by itself"), Symbol.UNKNOWN),)
        if name in request.variables:
            return request.variables[name]
        if name in self._maps:
            return self._mapped(self._maps[name], request, depth)
        if name in self._geos:
            return located(self._geos[name], request)
        return _built_in(name, request)

    def _mapped(  # noqa: C901 - the cases of one directive
        self, definition: Directive, request: Request, depth: int
    ) -> Alternatives:
        """The values of a variable that `map` defines (ngx_http_map_module)."""
        if definition.name != "map":
            return ((OPEN, Symbol.UNKNOWN),)
        what = f"map {definition.args[0]} ({definition.at})"
        default = ""
        entries: list[tuple[str, str]] = []
        for each in definition.block or ():
            if each.name == "default" and each.args:
                default = each.args[0]
            elif each.args:
                entries.append((each.name, each.args[0]))
        found: list[tuple[Gate, Value]] = []
        for gate, value in self.expand(definition.args[0], request, depth + 1):
            left = gate
            for pattern, result in entries:
                yes, no = matches(value, pattern, what)
                if (left & yes).passing:
                    knowing = _with_captures(request, value, pattern)
                    for inner, text in self.expand(result, knowing, depth + 1):
                        found.append((left & yes & inner, text))
                left = left & no
                if not left.passing:
                    break
            if left.passing:
                found += [
                    (left & inner, text) for inner, text in self.expand(default, request, depth + 1)
                ]
        return merged(found)

    def holds(self, words: tuple[str, ...], request: Request) -> tuple[Gate, Gate]:
        """For whom the condition of an `if` holds, and for whom it does not."""
        if not words:
            return OPEN, OPEN
        if words[0].lstrip("!") in {"-f", "-d", "-e", "-x"}:
            # No file has the name of a request that Ollama answers.
            return (OPEN, SHUT) if words[0].startswith("!") else (SHUT, OPEN)
        what = f"if ({' '.join(words)})"
        yes = no = SHUT
        for gate, value in self.expand(words[0], request):
            if len(words) == 1:
                true, false = truth(value, what)
                yes, no = yes | (gate & true), no | (gate & false)
                continue
            operator = words[1]
            for inner, literal in self.expand(words[-1] if len(words) > 2 else "", request):
                if "~" in operator:
                    sign = "~*" if "*" in operator else "~"
                    true, false = matches(value, f"{sign}{words[-1]}", what)
                elif isinstance(literal, Symbol):
                    true, false = (OPEN, OPEN) if literal is Symbol.CHOICE else doubts(what)
                else:
                    true, false = equals(value, literal, what)
                if operator.startswith("!"):
                    true, false = false, true
                yes, no = yes | (gate & inner & true), no | (gate & inner & false)
        return yes, no


def _joined(parts: tuple[Value, ...]) -> Value:
    if all(not isinstance(part, Symbol) for part in parts):
        return "".join(parts)
    if len(parts) == 1:
        return parts[0]
    kinds = {part for part in parts if isinstance(part, Symbol)}
    free = {Symbol.HEADER, Symbol.CHOICE}
    if Symbol.SECRET in kinds and kinds <= {Symbol.SECRET, *free}:
        return Symbol.SECRET
    if Symbol.HEADER in kinds and kinds <= free:
        return Symbol.HEADER
    return Symbol.CHOICE if kinds == {Symbol.CHOICE} else Symbol.UNKNOWN


def _with_captures(request: Request, value: Value, pattern: str) -> Request:
    """The request with what the named groups of a pattern have taken from a value."""
    names = _NAMED.findall(pattern) if pattern.startswith("~") else []
    if not names:
        return request
    texts: dict[str, str] = {}
    if not isinstance(value, Symbol):
        regex = expression(pattern.lstrip("~*"), ignore_case=pattern.startswith("~*"))
        found = regex.search(value) if regex else None
        texts = {name: text or "" for name, text in found.groupdict().items()} if found else {}
    captured: dict[str, Alternatives] = {
        name: ((OPEN, texts.get(name, value if isinstance(value, Symbol) else Symbol.UNKNOWN)),)
        for name in names
    }
    return replace(request, variables={**request.variables, **captured})


def _built_in(name: str, request: Request) -> Alternatives:  # noqa: PLR0911 - a table
    """A variable of nginx itself (nginx.org, "Alphabetical index of variables")."""
    certain = {
        "request_method": request.method,
        "uri": request.path,
        "document_uri": request.path,
        "request_uri": request.asked,
        "args": "",
        "query_string": "",
        "is_args": "",
        "scheme": "https" if request.tls else "http",
        "https": "on" if request.tls else "",
    }
    if name in certain:
        return ((OPEN, certain[name]),)
    if name in _ADDRESSES:
        return _address(name, request)
    if name == "ssl_client_verify":
        if request.tls and request.certificates.startswith("optional"):
            proven = request.certificates == "optional"
            gate = login("a client certificate") if proven else OPEN
            return ((gate, "SUCCESS"), (OPEN, "NONE"))
        checked = request.tls and request.certificates == "on"
        return ((OPEN, "SUCCESS" if checked else "NONE" if request.tls else ""),)
    if name == "secure_link":
        return ((login("a signed link"), "1"), (OPEN, ""))
    if name.startswith(("http_", "arg_", "cookie_")):
        header = name.partition("_")[2].replace("_", "-")
        if name.startswith("cookie_") or named_so(header):
            return ((OPEN, Symbol.SECRET),)
        return ((OPEN, Symbol.CHOICE if ordinary(header) else Symbol.HEADER),)
    if name in {
        "invalid_referer",
        "host",
        "ssl_server_name",
        "request_body",
        "content_type",
        "remote_user",
    }:
        return ((OPEN, Symbol.CHOICE),)
    if name in {"ssl_client_s_dn", "ssl_client_fingerprint", "ssl_client_serial"}:
        return ((OPEN, Symbol.SECRET),)
    return ((OPEN, Symbol.UNKNOWN),)


def _address(name: str, request: Request) -> Alternatives:
    """The client's address, or what peers that are believed say it is.

    What another proxy on this host says is not known.
    """
    believed = NOBODY if name == "realip_remote_addr" else request.believed
    said: Alternatives = (
        (only(~believed), Symbol.ADDRESS),
        (only(believed - LOOPBACK), Symbol.CHOICE),
        (only(believed & LOOPBACK), Symbol.UNKNOWN),
    )
    return tuple(each for each in said if each[0].passing)
