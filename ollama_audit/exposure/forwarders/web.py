"""From the requests that a reverse proxy passes on to the steps that a connection takes.

A proxy's configuration is judged by what it would do with the requests that Ollama answers: each
reader of a configuration says for each of them where it goes and past which gate, and what is
common to all proxies is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from msgspec.structs import replace

from ollama_audit.exposure.forwarders.clients import NOBODY, Clients, Gate
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.hostcheck import checks_host, refused
from ollama_audit.exposure.model import Encryption, Hop, Login
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Known, known_or
from ollama_audit.snapshot.configuration import Configuration
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import OllamaServer, Process

REQUESTS = tuple(
    line.split()
    for line in """
    GET /api/version
    GET /api/tags
    POST /api/generate
    POST /api/chat
    POST /api/embed
    POST /api/embeddings
    GET /api/ps
    GET /api/status
    POST /api/show
    POST /api/pull
    POST /api/push
    POST /api/create
    POST /api/copy
    DELETE /api/delete
    POST /api/blobs/sha256:0
    POST /api/me
    POST /api/signout
    GET /v1/models
    POST /v1/chat/completions
    POST /v1/completions
    POST /v1/embeddings
    POST /v1/responses
    POST /v1/messages
    """.strip().splitlines()
)
"""What Ollama answers (server/routes.go, August 2026), as method and path; an open set."""

_API = {path for _, path in REQUESTS}
_MOST_NAMED = 6
_FULLY_TRIED = 24
_MAIN = 4


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a proxy connects to."""

    address: str = ""
    """Empty when it is not known."""
    port: int = 0
    reason: str = ""
    """Why it is not known."""
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """One request that is passed on."""

    asked: str
    """The path as the client writes it."""
    path: str
    """The path as the upstream gets it."""
    upstream: Upstream
    gate: Gate
    detail: str = ""
    """File and line."""
    host: str | None = None
    """The Host header that the upstream gets; None when the client chooses it."""


def requests(prefixes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The requests to try, as method and path: Ollama's own, and the same below each prefix.

    Of many prefixes, the later are tried with the main requests only.
    """
    kept = dict.fromkeys(["", *(prefix.rstrip("/") for prefix in prefixes)])
    for number, prefix in enumerate(kept):
        for method, path in REQUESTS if number < _FULLY_TRIED else REQUESTS[:_MAIN]:
            yield method, prefix + path


def prefixes_in(path: str) -> tuple[str, ...]:
    """Below which prefixes a literal path, or the beginning of one, may stand for Ollama's own.

    `/ai/api/tags` is one of its own below `/ai`; `/ai/` may be taken away from anything behind it.
    """
    cut = [
        path[:at]
        for at, letter in enumerate(path)
        if letter == "/" and any(_begins(path[at:], own) for own in _API)
    ]
    return tuple(dict.fromkeys([*cut[:1], path.rstrip("/")]))


def guessed(path: str) -> str:
    """What a rewrite that is not followed may make of a path: Ollama's own path at its end."""
    return next((own for own in _API if path.endswith(own)), path)


def _begins(path: str, own: str) -> bool:
    return own.startswith(path) or path.startswith(own)


def configuration(terrain: Terrain, pids: Iterable[int]) -> Configuration | None:
    """The configuration of the proxy that has one of these processes."""
    wanted = set(pids)
    for found in terrain.snapshot.configurations:
        pids = {found.pid, *found.pids}
        if not wanted.isdisjoint(pids):
            beside = terrain.containers.names_for(pids, terrain.processes.values())
            return replace(found, names={**beside, **found.names}) if beside else found
    return None


def owners(listener: Listener, process: Process) -> tuple[int, ...]:
    """Everyone who holds the listener."""
    return (process.pid, *known_or(listener.owners, ()))


def stale(found: Configuration) -> str:
    """Why the files may not be what the program runs by; empty when they are.

    Start times count from the boot time, of which the kernel tells whole seconds.
    """
    if not isinstance(found.loaded_at, Known):
        return ""
    loaded = found.loaded_at.value
    late = [
        file.path
        for file in found.files
        if file.changed_at and (file.changed_at - loaded).total_seconds() > 2
    ]
    return f"{late[0]} changed after {found.program} loaded it" if late else ""


def in_force(
    terrain: Terrain,
    listener: Listener,
    process: Process,
    cure: str,
    late: Callable[[Configuration], str] = stale,
) -> Configuration | Onward:
    """The configuration that the holder of a listener runs by, or the step of one not known.

    `cure` loads it anew, where `late` tells that it may be another than its files have.
    """
    found = configuration(terrain, owners(listener, process))
    if found is None:
        return unclear(process, "its configuration was not read", kind="reverse-proxy")
    if why := late(found):
        return unclear(process, why, kind="reverse-proxy", cure=cure)
    return found


def resolve(host: str, port: int, names: dict[str, tuple[str, ...]]) -> tuple[Upstream, ...]:
    """The addresses that an upstream's host name stands for."""
    bare = host.strip("[]").lower().rstrip(".")
    try:
        return (Upstream(str(ip_address(bare)), port),)
    except ValueError:
        pass
    if found := names.get(bare, ()):
        return tuple(Upstream(address, port) for address in found)
    if bare == "localhost" or bare.endswith(".localhost"):
        return (Upstream("127.0.0.1", port), Upstream("::1", port))
    reason = f"the address of {host} is only in DNS, which an audit does not ask"
    return (Upstream(reason=reason, cure=f"write its address in place of {host}"),)


def host_and_port(url: str) -> tuple[str, int]:
    """Host and port of `http://HOST:PORT/...`; without a port that of the scheme.

    Raises:
        ValueError: Not such a URL.
    """
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError(f"{url} names no host")
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def steps(  # noqa: PLR0913, PLR0917 - the ends of a step are where a connection comes from and goes to
    terrain: Terrain,
    namespace: NetworkNamespace,
    process: Process,
    name: str,
    passages: Iterable[Passage],
    tls: Encryption,
) -> tuple[Onward, ...]:
    """The steps that these passages make, for each upstream and each kind of client one."""
    grouped: dict[Upstream, list[Passage]] = {}
    passing: dict[int, Gate] = {}
    for passage in passages:
        gate = passage.gate
        if id(gate) not in passing and gate.passing:
            passing[id(gate)] = gate
        if id(gate) in passing:
            grouped.setdefault(passage.upstream, []).append(passage)
    found: list[Onward] = []
    for upstream, everything in grouped.items():
        group = everything
        if sockets := _ollamas(terrain, namespace, upstream):
            # Its other paths are answered with 404.
            group = [passage for passage in everything if passage.path in _API]
            if all(checks_host(server, listener) for server, listener in sockets):
                # Foreign names are answered with 403; a step with no others is refused as a whole.
                group = [
                    passage
                    for passage in group
                    if not (passage.host and refused(terrain.snapshot, passage.host))
                ] or group
        if group:
            found += _of_upstream(namespace, process, name, upstream, group, tls)
    return tuple(found)


def _ollamas(
    terrain: Terrain, namespace: NetworkNamespace, upstream: Upstream
) -> list[tuple[OllamaServer, Listener]]:
    """The sockets that listen there, if they are surely all Ollama's own."""
    found: list[tuple[OllamaServer, Listener]] = []
    for listener in known_or(namespace.listeners, ()):
        if listener.port == upstream.port:
            held = terrain.servers.keys() & set(known_or(listener.owners, ()))
            if not held:
                return []
            found.append((terrain.servers[min(held)], listener))
    return found


def _of_upstream(  # noqa: PLR0913, PLR0917 - as above
    namespace: NetworkNamespace,
    process: Process,
    name: str,
    upstream: Upstream,
    group: list[Passage],
    tls: Encryption,
) -> Iterator[Onward]:
    free = locked = doubtful = NOBODY
    # Many passages share one gate.
    for gate in {id(passage.gate): passage.gate for passage in group}.values():
        free |= gate.free
        locked |= gate.locked
        doubtful |= gate.doubtful
    doubtful -= free
    locked = locked - free - doubtful
    for clients, login in (
        (free, Login.NONE),
        (doubtful, Login.UNKNOWN),
        (locked, Login.REQUIRED),
    ):
        if not clients:
            continue
        meant = {
            id(passage.gate)
            for passage in {id(each.gate): each for each in group}.values()
            if passage.gate.passing & clients
        }
        concerned = [passage for passage in group if id(passage.gate) in meant]
        hosts = {passage.host for passage in concerned}
        yield Onward(
            hop=Hop(kind="reverse-proxy", name=name, pid=process.pid, detail=concerned[0].detail),
            namespace=namespace if upstream.address else None,
            address=upstream.address,
            port=upstream.port,
            admits=clients,
            login=login,
            login_because=() if login is Login.NONE else _because(concerned, clients, login),
            services=tuple({service: None for each in concerned for service in each.gate.services}),
            open_paths=_open_paths(concerned, clients) if login is Login.NONE else (),
            tls=tls,
            hosts=None
            if None in hosts
            else tuple(sorted(host for host in hosts if host is not None)),
            reason=upstream.reason,
            cure=upstream.cure,
        )


def _because(group: list[Passage], clients: Clients, login: Login) -> tuple[str, ...]:
    said: dict[str, None] = {}
    for gate in {id(passage.gate): passage.gate for passage in group}.values():
        part = gate.doubtful if login is Login.UNKNOWN else gate.locked
        if part & clients:
            said.update(dict.fromkeys(gate.because))
    return tuple(said)[:_MOST_NAMED]


def _open_paths(group: list[Passage], clients: Clients) -> tuple[str, ...]:
    """The paths answered freely, where others ask for a login; in the order of `REQUESTS`."""
    gates = {id(passage.gate): passage.gate for passage in group}.values()
    if not any((gate.locked | gate.doubtful) & clients for gate in gates):
        return ()
    opened = [passage.asked for passage in group if passage.gate.free & clients]
    return tuple(dict.fromkeys(opened))
