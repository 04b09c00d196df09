"""nginx, Angie and OpenResty: which requests a listener passes on, to where, and for whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address

from ollama_audit.exposure.forwarders.clients import EVERYONE, OPEN, Clients, Gate, only
from ollama_audit.exposure.forwarders.nginx import access
from ollama_audit.exposure.forwarders.nginx.locations import prefixes
from ollama_audit.exposure.forwarders.nginx.symbols import Request, Symbol
from ollama_audit.exposure.forwarders.nginx.syntax import Directive, SyntaxProblemError, tree
from ollama_audit.exposure.forwarders.nginx.values import Values
from ollama_audit.exposure.forwarders.nginx.walk import End, Server
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.web import (
    Passage,
    Upstream,
    host_and_port,
    in_force,
    requests,
    resolve,
    steps,
)
from ollama_audit.exposure.model import Encryption
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.zones import own_addresses
from ollama_audit.snapshot.configuration import Configuration
from ollama_audit.snapshot.network import Family, Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process

Block = tuple[Directive, ...]


def nginx(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """The steps of a listener of nginx, over all its servers: a client chooses the Host header."""
    found = in_force(terrain, listener, process, "sudo nginx -t && sudo systemctl reload nginx")
    if isinstance(found, Onward):
        return (found,)
    try:
        directives = tree(found)
    except SyntaxProblemError as problem:
        return (unclear(process, str(problem), kind="reverse-proxy", cure=problem.cure),)
    own = Clients(own_addresses(namespace, Family.IPV4), own_addresses(namespace, Family.IPV6))
    passages: dict[Encryption, list[Passage]] = {}
    for tls, passage in [
        *_http(found, directives, listener, own),
        *_stream(found, directives, listener, own),
    ]:
        passages.setdefault(tls, []).append(passage)
    return tuple(
        step
        for tls, group in passages.items()
        for step in steps(terrain, namespace, process, process.name, group, tls)
    )


def _http(
    found: Configuration, directives: Block, listener: Listener, own: Clients
) -> Iterator[tuple[Encryption, Passage]]:
    http = _within(directives, "http")
    values = Values(http)
    upstreams = _upstreams(http)
    # What servers inherit; a block is nobody's to inherit.
    resolved: dict[str, tuple[Upstream, ...]] = {}
    around = tuple(each for each in http if each.block is None)
    for block, socket, default in _servers(http, listener):
        server = Server(around, block, values, tls=socket.tls)
        encryption = Encryption.TLS if socket.tls else Encryption.PLAIN
        names = None if default else _names(block)
        clients = only(own if socket.near else EVERYONE) & socket.gate
        for method, path in requests(prefixes(block)):
            for end in server.ends(method, path):
                for passage in _passages(found, upstreams, path, end, clients, resolved):
                    yield from ((encryption, each) for each in _named(passage, names))


def _servers(block: Block, listener: Listener) -> list[tuple[Block, _Socket, bool]]:
    """The servers of a listener, and whether each is the default of one of its addresses.

    Only a default server takes names that no server has (ngx_http_core_module, `listen`).
    """
    found = [
        (each.block, sockets)
        for each in block
        if each.name == "server" and each.block is not None
        if (sockets := _listening(each.block, listener))
    ]
    defaults: dict[str, int] = {}
    for flagged in (True, False):
        for index, (_, sockets) in enumerate(found):
            for socket in sockets:
                if socket.default or not flagged:
                    defaults.setdefault(socket.address, index)
    return [
        (server, _together(sockets), any(defaults[each.address] == index for each in sockets))
        for index, (server, sockets) in enumerate(found)
    ]


def _together(sockets: list[_Socket]) -> _Socket:
    return _Socket(
        tls=any(each.tls for each in sockets),
        near=all(each.near for each in sockets),
        gate=next((each.gate for each in sockets if each.gate != OPEN), OPEN),
    )


def _names(server: Block) -> tuple[str, ...] | None:
    """The Host headers that lead to a server; None where they cannot be told."""
    names = [name for each in server if each.name == "server_name" for name in each.args]
    if not names or any(name.startswith("~") or name in {"", '""'} for name in names):
        return None
    return tuple(name.lower().lstrip(".").replace("*", "x") for name in names)


def _named(passage: Passage, names: tuple[str, ...] | None) -> Iterator[Passage]:
    """A passage, for each name that may be sent along if it is the client's."""
    if passage.host is not None or names is None:
        yield passage
        return
    for name in names:
        yield replace(passage, host=name)


def _passages(  # noqa: PLR0913, PLR0917 - what all servers share comes along
    found: Configuration,
    upstreams: dict[str, Directive],
    asked: str,
    end: End,
    clients: Gate,
    known: dict[str, tuple[Upstream, ...]],
) -> Iterator[Passage]:
    gate = end.gate if clients == OPEN else end.gate & clients
    if end.status:
        return
    if end.reason:
        yield Passage(asked, asked, Upstream(reason=end.reason), gate, end.detail)
        return
    if end.target not in known:
        known[end.target] = tuple(_resolved(found, upstreams, end.target))
    for upstream in known[end.target]:
        yield Passage(asked, end.path, upstream, gate, end.detail, end.host)


def _resolved(
    found: Configuration, upstreams: dict[str, Directive], target: str
) -> Iterator[Upstream]:
    """The addresses behind what proxy_pass names: an upstream group, or a host."""
    scheme, _, authority = target.rpartition("://")
    named = upstreams.get(authority)
    members = [authority]
    if named is not None:
        serving = [
            each.args
            for each in named.block or ()
            if each.name == "server" and each.args and "down" not in each.args
        ]
        first = [args for args in serving if "backup" not in args]
        for args in serving if first else ():
            if "backup" in args:
                yield Upstream(reason=f"{args[0]} serves when no other server of {authority} does")
        members = [args[0] for args in first or serving]
    for member in members:
        if member.startswith("unix:"):
            yield Upstream(reason=f"what listens at {member} is not followed")
            continue
        try:
            host, port = host_and_port(f"{'http' if named else scheme or 'http'}://{member}")
        except ValueError:
            yield Upstream(reason=f"{member} is no address")
            continue
        yield from resolve(host, port, found.names)


def _stream(
    found: Configuration, directives: Block, listener: Listener, own: Clients
) -> Iterator[tuple[Encryption, Passage]]:
    """Servers of the `stream` block: they pass on bytes, all paths alike."""
    stream = _within(directives, "stream")
    values, upstreams = Values(stream), _upstreams(stream)
    for block, socket, _ in _servers(stream, listener):
        tls = socket.tls
        layers = (stream, block)
        request = Request("", "", "", tls, _setting(layers, "ssl_verify_client"), {})
        gate = access.gate(layers, values, request, OPEN) & access.certificate(request)
        gate &= only(own if socket.near else EVERYONE) & socket.gate
        for handler in (d for d in block if d.name == "proxy_pass" and d.args):
            for more, target in values.expand(handler.args[0], request):
                known = [Upstream(reason=f"proxy_pass {handler.args[0]} depends on the client")]
                if not isinstance(target, Symbol):
                    known = list(_resolved(found, upstreams, target))
                for upstream in known:
                    for _, path in requests(()):
                        passage = Passage(path, path, upstream, gate & more, handler.at)
                        yield Encryption.TLS if tls else Encryption.PLAIN, passage


def _setting(layers: tuple[Block, ...], name: str) -> str:
    found = [d.args[0] for block in layers for d in block if d.name == name and d.args]
    return found[-1] if found else "off"


def _within(directives: Block, name: str) -> Block:
    return tuple(inner for each in directives if each.name == name for inner in each.block or ())


def _upstreams(block: Block) -> dict[str, Directive]:
    return {each.args[0]: each for each in block if each.name == "upstream" and each.args}


@dataclass(frozen=True, slots=True)
class _Socket:
    """How a server listens at a listener."""

    address: str = ""
    tls: bool = False
    near: bool = False
    """Only on a loopback address."""
    default: bool = False
    gate: Gate = OPEN


def _listening(server: Block, listener: Listener) -> list[_Socket]:
    """How a server listens there.

    nginx binds only the wildcard where both it and one address are asked for with one port, and
    tells them apart by where a connection arrived.
    """
    listens = [each for each in server if each.name == "listen" and each.args]
    listens = listens or [Directive("listen", ("80",), "")]
    old_ssl = any(each.name == "ssl" and each.args == ("on",) for each in server)
    found: list[_Socket] = []
    for each in listens:
        words = each.args
        address, port = _address(words[0])
        if port != listener.port or "quic" in words:
            continue
        try:
            bound = ip_address(address)
        except ValueError:
            bound = ip_address("127.0.0.1")  # a name; nginx resolves it at start
        if bound != ip_address(listener.address) and not (
            listener.wildcard and bound.version == ip_address(listener.address).version
        ):
            continue
        told = f"listen {words[0]} proxy_protocol ({each.at}) takes no plain HTTP"
        found.append(
            _Socket(
                address=str(bound),
                tls="ssl" in words or old_ssl,
                near=bound.is_loopback and not listener.on_loopback,
                default="default_server" in words or "default" in words,
                gate=access.unclear(told) if "proxy_protocol" in words else OPEN,
            )
        )
    return found


def _address(text: str) -> tuple[str, int]:
    """Address and port of `listen` (ngx_http_core_module); the wildcard and 80 where left out."""
    if text.startswith("unix:"):
        return "", 0
    host, _, port = text.rpartition(":")
    if text.endswith("]") or (not host and not port.isdecimal()):
        host, port = text, "80"
    host = host.strip("[]")
    host = "0.0.0.0" if host in {"", "*"} else host  # noqa: S104 - what a text means
    return host, int(port) if port.isdecimal() else 0
