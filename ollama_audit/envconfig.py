"""Ollama's environment variables, read exactly as Ollama reads them.

A port of Ollama's `envconfig/config.go` (`Host`, `Var`, `Bool`, `Uint`, `LogLevel`, `KeepAlive`,
`LoadTimeout`, `Remotes`; read at fb30760, August 2026) and of the origin matching in
`gin-contrib/cors` v1.7.2 (`config.go`, `cors.go`, `utils.go`), which Ollama hands OLLAMA_ORIGINS
to. Every function takes the raw value of one variable, None when it is not set.

This says what a value *means*; what a server does is read from its sockets. A value in a user's
shell is the client's, not the server's.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address

import msgspec

DEFAULT_PORT = 11434

# unicode.IsSpace of Go; Python's str.strip also removes U+001C..U+001F.
_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + ("\u2028\u2029\u202f\u205f\u3000")
)
_INT64 = 1 << 64


def var(value: str | None) -> str:
    """A value without surrounding spaces, then without surrounding quotes (`Var`)."""
    return (value or "").strip(_SPACE).strip("\"'")


class BindScope(StrEnum):
    """What a bind address covers."""

    LOOPBACK = "loopback"
    WILDCARD = "wildcard"
    """Every address of the host. Go opens one dual-stack socket: IPv4 and IPv6 both."""
    ADDRESS = "address"
    """One literal address."""
    NAME = "name"
    """A host name; what it means is up to the resolver."""


class Bind(msgspec.Struct, frozen=True, kw_only=True):
    """OLLAMA_HOST as a server reads it."""

    scheme: str
    """`http`, `https` or whatever stood before `://`; the server speaks plain HTTP with any."""
    host: str
    """Without brackets; empty means every address."""
    port: int
    """0..65535; 0 lets the kernel choose."""
    path: str = ""
    """Meaningful to a client only."""
    warnings: tuple[str, ...] = ()

    @property
    def scope(self) -> BindScope:
        """What the server listens on; `localhost` counts as loopback (RFC 6761)."""
        if not self.host:
            return BindScope.WILDCARD
        address = _literal(self.host.partition("%")[0])
        if address is None:
            local = self.host.lower() == "localhost"
            return BindScope.LOOPBACK if local else BindScope.NAME
        if address.is_unspecified:
            return BindScope.WILDCARD
        return BindScope.LOOPBACK if address.is_loopback else BindScope.ADDRESS

    @property
    def authority(self) -> str:
        """`host:port`, as Go's net.JoinHostPort writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        tail = f"/{self.path}" if self.path else ""
        return f"{self.scheme}://{self.authority}{tail}"


def host(value: str | None) -> Bind:
    """Where a server with this OLLAMA_HOST listens (`Host`)."""
    text = var(value).strip(_SPACE)
    scheme, separator, rest = text.partition("://")
    default = DEFAULT_PORT
    if not separator:
        scheme, rest = "http", text
        if text == "ollama.com":
            scheme, rest = "https", "ollama.com:443"
    elif scheme == "http":
        default = 80
    elif scheme == "https":
        default = 443
    hostport, _, path = rest.partition("/")
    split = _split_host_port(hostport)
    if split is not None:
        name, port_text = split
    else:
        port_text = str(default)
        address = _literal(hostport.strip("[]"))
        name = str(address) if address is not None else (hostport or "127.0.0.1")
    warnings: tuple[str, ...] = ()
    port = _integer(port_text)
    if port is None or not 0 <= port <= 65535:
        warnings = (f"invalid port {port_text!r}, using default {default}",)
        port = default
    return Bind(scheme=scheme, host=name, port=port, path=path, warnings=warnings)


def _split_host_port(text: str) -> tuple[str, str] | None:
    """Host and port, or None where Go's net.SplitHostPort reports an error."""
    last = text.rfind(":")
    if last < 0:
        return None
    if text.startswith("["):
        end = text.find("]")
        if end < 0 or end + 1 != last:
            return None
        name, inner, outer = text[1:end], 1, end + 1
    else:
        name, inner, outer = text[:last], 0, 0
        if ":" in name:
            return None
    if "[" in text[inner:] or "]" in text[outer:]:
        return None
    return name, text[last + 1 :]


def _literal(text: str) -> IPv4Address | IPv6Address | None:
    """The address that Go's net.ParseIP sees: no zone, IPv4-mapped as IPv4; None for no address."""
    if "%" in text:
        return None
    try:
        address = ip_address(text)
    except (ValueError, AddressValueError):
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _integer(text: str) -> int | None:
    """The number that Go's strconv.ParseInt base 10 reads, of any size; None for an error."""
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,4000}", text) else None


def _wrapped(number: int) -> int:
    """A number as it comes out of Go's int64 arithmetic."""
    return (number + (_INT64 >> 1)) % _INT64 - (_INT64 >> 1)


def _parse_bool(text: str) -> bool | None:
    """Go's strconv.ParseBool; None for an error."""
    if text in {"1", "t", "T", "TRUE", "true", "True"}:
        return True
    if text in {"0", "f", "F", "FALSE", "false", "False"}:
        return False
    return None


def boolean(value: str | None, *, default: bool = False) -> bool:
    """A switch (`Bool`, `BoolWithDefault`): what is set and not a Go boolean is true."""
    text = var(value)
    if not text:
        return default
    parsed = _parse_bool(text)
    return True if parsed is None else parsed


def unsigned(value: str | None, default: int) -> int:
    """A count (`Uint`): decimal digits that fit 64 bits, else the default."""
    text = var(value)
    if re.fullmatch(r"[0-9]{1,4000}", text) and int(text) < _INT64:
        return int(text)
    return default


_UNITS_NS = {
    "ns": 1,
    "us": 10**3,
    "\u00b5s": 10**3,
    "\u03bcs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_DURATION_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)(?![a-z])")


def _duration_ns(text: str) -> int | None:
    """Go's time.ParseDuration in nanoseconds; None for an error."""
    negative = text.startswith("-")
    rest = text[1:] if text[:1] in {"-", "+"} else text
    if rest == "0":
        return 0
    if not rest or len(rest) > 100:
        return None
    total, at = 0, 0
    while at < len(rest):
        part = _DURATION_PART.match(rest, at)
        if part is None or not (part[1] or part[2]):
            return None
        unit, fraction = _UNITS_NS[part[3]], part[2] or ""
        total += int(part[1] or "0") * unit + int(fraction or "0") * unit // 10 ** len(fraction)
        at = part.end()
    return None if total >= _INT64 >> 1 else -total if negative else total


def _duration_or_seconds(value: str | None, default: timedelta) -> timedelta:
    text = var(value)
    nanoseconds = _duration_ns(text)
    if nanoseconds is None:
        seconds = _integer(text)
        if seconds is None or not -(_INT64 >> 1) <= seconds < _INT64 >> 1:
            return default
        nanoseconds = _wrapped(seconds * 10**9)
    # Away from zero, so that a nanosecond is not nothing.
    microseconds = -(-abs(nanoseconds) // 1000)
    return timedelta(microseconds=microseconds if nanoseconds >= 0 else -microseconds)


def keep_alive(value: str | None) -> timedelta | None:
    """How long a model stays loaded (OLLAMA_KEEP_ALIVE); None for ever, default 5 minutes."""
    duration = _duration_or_seconds(value, timedelta(minutes=5))
    return None if duration < timedelta(0) else duration


def load_timeout(value: str | None) -> timedelta | None:
    """How long loading may stall (OLLAMA_LOAD_TIMEOUT); None for ever, default 5 minutes."""
    duration = _duration_or_seconds(value, timedelta(minutes=5))
    return None if duration <= timedelta(0) else duration


def log_level(value: str | None) -> int:
    """The slog level of OLLAMA_DEBUG (`LogLevel`): 0 INFO, -4 DEBUG, -8 TRACE, positive quieter.

    At TRACE the server logs what models answer (server/routes.go). Servers of before 2025 have a
    plain switch here, for which see `boolean`.
    """
    text = var(value)
    if _parse_bool(text):
        return -4
    number = _integer(text)
    if not number:
        return 0
    limit = _INT64 >> 1
    return _wrapped(max(-limit, min(limit - 1, number)) * -4)


def models(value: str | None, home: str) -> str:
    """The models directory (OLLAMA_MODELS), below HOME when not set."""
    return var(value) or f"{home.rstrip('/')}/.ollama/models"


def remotes(value: str | None) -> tuple[str, ...]:
    """Hosts to which remote models may send prompts (OLLAMA_REMOTES), entries verbatim."""
    text = var(value).strip(_SPACE)
    return tuple(text.split(",")) if text else ("ollama.com",)


def no_cloud(value: str | None, server_json: str | None = None) -> bool:
    """Whether cloud features are off: OLLAMA_NO_CLOUD or `~/.ollama/server.json` (text or None).

    Broken JSON is ignored by the server, so the cloud stays on. Names match without regard to
    case, as in Go's encoding/json.
    """
    if boolean(value):
        return True
    try:
        config = json.loads(server_json or "{}")
    except (ValueError, RecursionError):
        return False
    if not isinstance(config, dict):
        return False
    found = [config[key] for key in config if key.lower() == "disable_ollama_cloud"]
    return bool(found) and found[-1] is True and all(isinstance(each, bool) for each in found)
