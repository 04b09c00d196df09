"""The conditions of lighttpd.conf: for whom of the clients they hold, and for which requests."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from ollama_audit.exposure.forwarders.clients import (
    ALWAYS,
    CHOICE,
    Clients,
    Fork,
    among,
    doubted,
    matching,
    only,
    proven,
    truth,
)
from ollama_audit.exposure.forwarders.keys import is_key
from ollama_audit.exposure.forwarders.lighttpd.syntax import Context, Value
from ollama_audit.snapshot.network import Listener
from ollama_audit.words import authority

_ANY_HOST = "host.invalid"
_LOCAL_HOSTS = ("localhost", "127.0.0.1", _ANY_HOST)


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks, as far as conditions look at it."""

    method: str
    path: str
    host: str
    listener: Listener
    ipv6_default: bool
    """Whether `:80` means `[::]:80` (server.use-ipv6)."""
    tls: bool
    trusted: Clients
    """Whoever may say in a header which client it is (mod_extforward)."""


def hosts(contexts: list[Context]) -> Iterator[tuple[str, str | None]]:
    """The Host headers worth trying, each with what an upstream gets; None if a client chooses."""
    for host in _LOCAL_HOSTS:
        yield host, None
    seen = set(_LOCAL_HOSTS)
    for context in contexts:
        if context.kind == "HTTP host":
            for name in _samples(context):
                if name not in seen:
                    seen.add(name)
                    yield name, name


def _samples(context: Context) -> Iterator[str]:
    """Names that meet a condition on the Host header, one that Ollama admits among them."""
    name = _sample(context)
    if name:
        yield name
        admitted = f"{name.rstrip('.')}.localhost"
        if context.sign == "=^" or (context.sign in {"=~", "!~"} and _fits(context, admitted)):
            yield admitted


def _fits(context: Context, name: str) -> bool:
    try:
        return bool(re.search(context.text, name))
    except re.error:
        return False


def _sample(context: Context) -> str:
    """A name that meets a condition on the Host header; empty when none was found."""
    if context.sign in {"==", "!=", "=^"}:
        return context.text.lower()
    if context.sign == "=$":
        return f"x{context.text.lower()}" if context.text[:1] == "." else context.text.lower()
    text = re.sub(r"\((?:\?:)?([^()|]*)(?:\|[^()]*)?\)\??", r"\1", context.text)
    text = re.sub(r"\[([^\]^])[^\]]*\][+*?]?", r"\1", text)
    text = re.sub(r"\\(.)", r"\1", re.sub(r"\.[*+]\??", "x.", text))
    name = text.strip("^$.").partition("|")[0].replace("..", ".").lower()
    return name if _fits(context, name) else ""


def settled(context: Context) -> bool:
    """Whether a condition is the same for every request to one name at one listener."""
    return context.kind in {"HTTP host", "SERVER socket", "HTTP scheme"}


def condition(context: Context, request: Request) -> Fork:  # noqa: PLR0911 - a table
    """For whom a condition holds, whatever stands around it."""
    if not context.kind:
        return ALWAYS
    if context.kind == "HTTP host" and context.sign == "==":  # a block for each of many sites
        return truth(value=context.text.lower() == request.host)
    area, _, name = context.kind.partition(" ")
    name = name.replace("-", "")
    if area == "SERVER" and name == "socket":
        return _socket(context, request)
    if area == "HTTP" and name == "remoteip":
        return _remote(context, request.trusted)
    known = {
        "url": request.path,
        "host": request.host,
        "scheme": "https" if request.tls else "http",
        "requestmethod": request.method,
        "querystring": "",
    }
    if area == "HTTP" and name in known:
        return _compared(context, known[name])
    if area == "REQUEST_HEADER" or (
        area == "HTTP" and name in {"cookie", "useragent", "referer", "language"}
    ):
        return _header(context, name)
    return doubted(f"lighttpd: ${area}[{name!r}] ({context.at})")


def _compared(context: Context, value: str) -> Fork:
    tests: dict[str, Callable[[str, str], bool]] = {
        "==": operator.eq,
        "=^": str.startswith,
        "=$": str.endswith,
        "=~": lambda given, pattern: bool(re.search(pattern, given)),
    }
    wanted = context.text
    if context.kind == "HTTP host":
        value, wanted = value.lower(), wanted if context.sign in {"=~", "!~"} else wanted.lower()
    sign = {"!=": "==", "!~": "=~"}.get(context.sign, context.sign)
    try:
        met = tests[sign](value, wanted)
    except (re.error, RecursionError, KeyError):
        return doubted(f"lighttpd: {context.kind} {context.sign} {wanted} ({context.at})")
    return truth(value=met != context.sign.startswith("!"))


def _socket(context: Context, request: Request) -> Fork:
    """Against the address that the listener was bound by."""
    listener = request.listener
    token = authority(str(listener.ip), listener.port)
    if context.sign not in {"==", "!="}:
        return _compared(context, token)
    host, _, port = context.text.rpartition(":")
    if not host:
        host = "[::]" if request.ipv6_default else str(IPv4Address(0))
    if port != str(listener.port):
        met = False
    elif re.fullmatch(r"[\d.]+|\[[0-9A-Fa-f:.]+\]", host):
        met = f"{host}:{port}" == token
    else:
        return doubted(f"lighttpd: the address of {host} ({context.at})")
    return truth(value=met == (context.sign == "=="))


def _remote(context: Context, trusted: Clients) -> Fork:
    """Who the client is; whom mod_extforward trusts may say so itself."""
    wanted = _networks(context)
    if wanted is None:
        return doubted(f"lighttpd: remote-ip {context.sign} {context.text} ({context.at})")
    if context.sign.startswith("!"):
        wanted = ~wanted
    if not trusted:
        return among(wanted)
    return Fork(only(wanted | trusted), only(~wanted | trusted))


def _networks(context: Context) -> Clients | None:
    """The clients that a comparison names; None when it cannot be said."""
    if context.sign in {"==", "!="}:
        try:
            return Clients.within(context.text)
        except ValueError:
            return None
    return matching(context.text) if context.sign in {"=~", "!~"} else None


def _header(context: Context, name: str) -> Fork:
    """What a client writes: as it likes, or a secret."""
    if not is_key(name, context.text):
        return CHOICE
    fork = proven(f"lighttpd: {context.kind} {context.sign} ({context.at})")
    return ~fork if context.sign.startswith("!") else fork


def words(value: Value | None) -> tuple[str, ...]:
    """The plain elements of a list."""
    if not isinstance(value, tuple):
        return ()
    return tuple(str(entry.value) for entry in value if not isinstance(entry.value, tuple))


def enabled(value: Value | None) -> bool:
    """Whether a switch is on (src/configfile-glue.c, T_CONFIG_BOOL)."""
    return str(value) in {"enable", "1", "true"}
