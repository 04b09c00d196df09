"""What variables of nginx can hold while a request is served, and who can bring that about.

A value is text, or a symbol for what the client or the outside decides. Each comes with the gate
of the clients for whom it is so: to send the right key is a login, to send any header is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ollama_audit.exposure.forwarders.clients import (
    EVERYONE,
    OPEN,
    SHUT,
    Clients,
    Gate,
    doubt,
    login,
    only,
)
from ollama_audit.exposure.forwarders.nginx.syntax import Directive
from ollama_audit.snapshot.redact import MASK


class Symbol(StrEnum):
    """What decides about a value that is not text."""

    CHOICE = "choice"
    """The client, freely."""
    SECRET = "secret"
    """The client, but it is where keys are sent."""
    ADDRESS = "address"
    """The client's address."""
    UNKNOWN = "unknown"


Value = str | Symbol
Alternatives = tuple[tuple[Gate, Value], ...]

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_KEY_NAME = re.compile(r"auth|key|token|secret|passw|cookie|session|jwt|bearer|credential")
_SCHEMES = re.compile(r"(?i)bearer|basic|token|\\[a-z]|\[[^\]]*\]|\{[^}]*\}")
_BACKTRACKS = re.compile(r"\([^()]*[+*][^()]*\)[+*{]|\)[+*]\)[+*]")
_GROUP = re.compile(r"\(\?<(?=[A-Za-z_])")
_DEEPEST = 8
_MOST = 32


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


def expression(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str] | None:
    """A regular expression of PCRE, or None when it cannot be tried here."""
    if len(pattern) > 1000 or _BACKTRACKS.search(pattern):
        return None
    try:
        return re.compile(_GROUP.sub("(?P<", pattern), re.IGNORECASE if ignore_case else 0)
    except (re.error, RecursionError, OverflowError):
        return None


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
            )[:_MOST]
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
            return _located(self._geos[name])
        return _built_in(name, request)

    def _mapped(  # noqa: C901 - the cases of one directive
        self, definition: Directive, request: Request, depth: int
    ) -> Alternatives:
        """The values of a variable that `map` defines (ngx_http_map_module)."""
        if definition.name != "map":
            return ((OPEN, Symbol.UNKNOWN),)
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
                yes, no = _matches(value, pattern)
                if (left & yes).passing:
                    for inner, text in self.expand(result, request, depth + 1):
                        found.append((left & yes & inner, text))
                left = left & no
                if not left.passing:
                    break
            if left.passing:
                found += [
                    (left & inner, text) for inner, text in self.expand(default, request, depth + 1)
                ]
        return _merged(found)

    def holds(self, words: tuple[str, ...], request: Request) -> tuple[Gate, Gate]:
        """For whom the condition of an `if` holds, and for whom it does not."""
        if not words:
            return OPEN, OPEN
        if words[0].lstrip("!") in {"-f", "-d", "-e", "-x"}:
            # No file has the name of a request that Ollama answers.
            return (OPEN, SHUT) if words[0].startswith("!") else (SHUT, OPEN)
        yes = no = SHUT
        for gate, value in self.expand(words[0], request):
            if len(words) == 1:
                true, false = _truth(value)
                yes, no = yes | (gate & true), no | (gate & false)
                continue
            operator = words[1]
            for inner, literal in self.expand(words[-1] if len(words) > 2 else "", request):
                if "~" in operator:
                    sign = "~*" if "*" in operator else "~"
                    true, false = _matches(value, f"{sign}{words[-1]}")
                elif isinstance(literal, Symbol):
                    true, false = (OPEN, OPEN) if literal is Symbol.CHOICE else _doubts(value)
                else:
                    true, false = _equals(value, literal)
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
    if Symbol.SECRET in kinds and kinds <= {Symbol.SECRET, Symbol.CHOICE}:
        return Symbol.SECRET
    return Symbol.CHOICE if kinds == {Symbol.CHOICE} else Symbol.UNKNOWN


def _merged(found: list[tuple[Gate, Value]]) -> Alternatives:
    """The alternatives, those of equal value as one."""
    merged: dict[Value, Gate] = {}
    for gate, value in found:
        merged[value] = merged[value] | gate if value in merged else gate
    return tuple((gate, value) for value, gate in merged.items())


def _doubts(value: Value) -> tuple[Gate, Gate]:
    because = f"a condition on what only nginx knows ({value})"
    return doubt(because), doubt(because)


def _truth(value: Value) -> tuple[Gate, Gate]:
    """As in nginx, an empty text and `0` are false (ngx_http_rewrite_module, `if`)."""
    if isinstance(value, Symbol):
        return _doubts(value) if value is Symbol.UNKNOWN else (OPEN, OPEN)
    return (OPEN, SHUT) if value not in {"", "0"} else (SHUT, OPEN)


def _equals(value: Value, literal: str) -> tuple[Gate, Gate]:
    if not isinstance(value, Symbol):
        return (OPEN, SHUT) if value == literal else (SHUT, OPEN)
    if value is Symbol.CHOICE or (value is Symbol.SECRET and not literal):
        return OPEN, OPEN
    if value is Symbol.SECRET:
        return login("a key in a header"), OPEN
    if value is Symbol.ADDRESS:
        try:
            clients = Clients.within(literal)
        except ValueError:
            return SHUT, OPEN
        return only(clients), only(~clients)
    return _doubts(value)


def _matches(value: Value, pattern: str) -> tuple[Gate, Gate]:
    """Whether a value matches a key of `map`, or the right side of `~` with its sign."""
    if not pattern.startswith("~"):
        return _equals(value, pattern.removeprefix("\\"))
    ignore_case = pattern.startswith("~*")
    text = pattern[2:] if ignore_case else pattern[1:]
    if value is Symbol.CHOICE:
        return OPEN, OPEN
    if value is Symbol.SECRET:
        # A pattern that asks for a form only is met by whoever knows the form.
        secret = MASK in text or len(re.sub(r"\W", "", _SCHEMES.sub("", text))) >= 8
        return (login("a key in a header"), OPEN) if secret else (OPEN, OPEN)
    if isinstance(value, Symbol):
        return _doubts(value)
    regex = expression(text, ignore_case=ignore_case)
    if regex is None:
        return _doubts(value)
    return (OPEN, SHUT) if regex.search(value) else (SHUT, OPEN)


def _located(definition: Directive) -> Alternatives:
    """The values of a variable that `geo` defines by the client's address.

    The most specific network decides (ngx_http_geo_module).
    """
    if len(definition.args) > 1 and definition.args[0] != "$remote_addr":
        return ((OPEN, Symbol.UNKNOWN),)
    default, networks = "", []
    for each in definition.block or ():
        if each.name == "default" and each.args:
            default = each.args[0]
        elif each.name in {"proxy", "proxy_recursive", "ranges", "delete"}:
            return ((OPEN, Symbol.UNKNOWN),)
        elif each.args:
            try:
                networks.append((Clients.within(each.name), each.name, each.args[0]))
            except ValueError:
                return ((OPEN, Symbol.UNKNOWN),)
    networks.sort(key=lambda each: -int(each[1].partition("/")[2] or 128))
    rest, found = EVERYONE, []
    for clients, _, value in networks:
        found.append((only(clients & rest), value))
        rest -= clients
    found.append((only(rest), default))
    return _merged([(gate, value) for gate, value in found if gate.passing])


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
    if name in {"remote_addr", "realip_remote_addr", "binary_remote_addr"}:
        return ((OPEN, Symbol.ADDRESS),)
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
        secret = name.startswith("cookie_") or _KEY_NAME.search(name)
        return ((OPEN, Symbol.SECRET if secret else Symbol.CHOICE),)
    if name in {"host", "ssl_server_name", "request_body", "content_type", "remote_user"}:
        return ((OPEN, Symbol.CHOICE),)
    if name in {"ssl_client_s_dn", "ssl_client_fingerprint", "ssl_client_serial"}:
        return ((OPEN, Symbol.SECRET),)
    return ((OPEN, Symbol.UNKNOWN),)
