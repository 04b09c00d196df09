"""Traefik: entry points, the routers behind them in their order, middlewares and services.

doc.traefik.io/traefik (v2.11, v3.5). What its API would tell of the running configuration is not
asked: that API is off, or behind a login, as its documentation advises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import msgspec

from ollama_audit.exposure.forwarders.clients import (
    ALWAYS,
    NEVER,
    OPEN,
    SHUT,
    Gate,
    doubt,
    login,
)
from ollama_audit.exposure.forwarders.document import entries, mapping, word
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.traefik.middlewares import Missing, Passed, through
from ollama_audit.exposure.forwarders.traefik.rules import Request, Rule, addressed
from ollama_audit.exposure.forwarders.traefik.settings import (
    NotUnderstoodError,
    Settings,
    enabled,
    listed,
    settings,
)
from ollama_audit.exposure.forwarders.web import (
    REQUESTS,
    Passage,
    Upstream,
    host_and_port,
    in_force,
    requests,
    resolve,
    stale,
    steps,
)
from ollama_audit.exposure.model import Encryption
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.snapshot.configuration import Configuration
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "host.invalid")
_OWN = "@internal"
_DEEPEST = 8
_CURE = "look for routes to Ollama in Traefik's dashboard"


def traefik(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """The steps of a listener of Traefik, over all names that a client can choose."""
    found = in_force(terrain, listener, process, "sudo systemctl restart traefik", _late)
    if isinstance(found, Onward):
        return (found,)
    try:
        known = settings(found, process, terrain.snapshot.engines)
        point = _entry_point(known, listener)
        if point is None:
            return ()
        result: list[Onward] = []
        for tls in (Encryption.PLAIN, Encryption.TLS):
            entry = _Entry(known, *point, found.names, tls=tls is Encryption.TLS)
            result += steps(terrain, namespace, process, "traefik", entry.passages(), tls)
    except NotUnderstoodError as problem:
        return (unclear(process, str(problem), kind="reverse-proxy", cure=problem.cure),)
    if known.unread and not any(step.namespace for step in result):
        reason = f"traefik: {'; '.join(known.unread)}"
        result.append(unclear(process, reason, kind="reverse-proxy", cure=_CURE))
    return tuple(result)


def _late(found: Configuration) -> str:
    """Whether its static file changed since it started; the others it watches."""
    main = tuple(file for file in found.files if file.path == found.main)
    return stale(msgspec.structs.replace(found, files=main))


def _entry_point(known: Settings, listener: Listener) -> tuple[str, dict[str, Any]] | None:
    """Name and options of the entry point at a listener; None for a listener of another purpose."""
    points = mapping(known.static.get("entrypoints")) or {"http": {"address": ":80"}}
    for name, value in points.items():
        options = mapping(value)
        address, _, protocol = word(options.get("address")).partition("/")
        host, _, port = address.rpartition(":")
        if protocol == "udp" or port != str(listener.port):
            continue
        try:
            here = ip_address(host.strip("[]")) == listener.ip if host else listener.wildcard
        except ValueError:
            here = True  # a name; Traefik resolves it at start
        if here or listener.wildcard:
            return name, options
    return None


class _Entry:
    """One entry point, for encrypted or for plain connections."""

    def __init__(
        self,
        known: Settings,
        name: str,
        options: dict[str, Any],
        names: dict[str, tuple[str, ...]],
        *,
        tls: bool,
    ) -> None:
        self.known, self.name, self.options, self.names, self.tls = known, name, options, names, tls
        self.http = mapping(options.get("http"))
        proxied = mapping(options.get("proxyprotocol"))
        self.believed = bool(proxied.get("trustedips")) or enabled(proxied.get("insecure"))
        self.routers = sorted(self._routers("http"), key=lambda router: -router[0])

    def passages(self) -> Iterator[Passage]:
        """Everything that is passed on: by TCP routers first, then by those of HTTP."""
        for _, full, router, rule in self._routers("tcp"):
            if "hostsni" in rule.text.lower():
                yield from self._tcp(full, router)
                if not self.tls and "hostsni(`*`)" in rule.text.lower().replace('"', "`"):
                    return
        redirections = mapping(mapping(self.http.get("redirections")).get("entrypoint"))
        if redirections.get("to") and not (
            self.tls and word(redirections.get("scheme") or "https") == "https"
        ):
            return
        named = {host for _, _, _, rule in self.routers for host in rule.hosts}
        for host in (*_LOCAL_HOSTS, *sorted(named.difference(_LOCAL_HOSTS))):
            near = [each for each in self.routers if not each[3].hosts or host in each[3].hosts]
            if host not in _LOCAL_HOSTS and not any(each[3].hosts for each in near):
                continue
            prefixes = [prefix for *_, rule in near for prefix in rule.prefixes() if prefix]
            for method, path in requests(prefixes):
                request = Request(method, path, host, self.tls, self.believed)
                yield from self._follow(near, request, None if host in _LOCAL_HOSTS else host)

    def _routers(self, protocol: str) -> Iterator[tuple[int, str, dict[str, Any], Rule]]:
        """Priority, full name, options and rule of each router at this entry point."""
        routers = (self.known.http if protocol == "http" else self.known.tcp)["routers"]
        for full, router in routers.items():
            points = listed(router.get("entrypoints")) or self._default_points()
            if self.name not in {each.lower() for each in points}:
                continue
            if self._encrypted(router, protocol) != self.tls:
                continue
            text = word(router.get("rule"))
            try:
                rule = Rule(text)
            except ValueError as error:
                raise NotUnderstoodError(f"the rule of {full}: {error}") from None
            given = word(router.get("priority"))
            priority = int(given) if re.fullmatch(r"-?[1-9]\d*", given) else len(text)
            yield priority, full, router, rule

    def _encrypted(self, router: dict[str, Any], protocol: str) -> bool:
        """Whether a router takes encrypted connections; all others take plain ones."""
        own = router.get("tls")
        given = isinstance(own, dict) or enabled(own)
        usual = self.http.get("tls")
        return given or (protocol == "http" and (isinstance(usual, dict) or enabled(usual)))

    def _default_points(self) -> list[str]:
        points = mapping(self.known.static.get("entrypoints")) or {"http": {}}
        chosen = [
            name for name, value in points.items() if enabled(mapping(value).get("asdefault"))
        ]
        return chosen or [name for name in points if name != "traefik"]

    def _certificate(self, router: dict[str, Any]) -> Gate:
        """Whether TLS asks clients for a certificate."""
        if not self.tls:
            return OPEN
        own = mapping(router.get("tls")) or mapping(self.http.get("tls"))
        name = word(own.get("options")).partition("@")[0].lower() or "default"
        asked = mapping(mapping(self.known.tls_options.get(name)).get("clientauth"))
        kind = word(asked.get("clientauthtype")).lower()
        if kind == "requireandverifyclientcert":
            return login(f"traefik: clientAuth of the TLS options {name}")
        if name != "default" and name not in self.known.tls_options:
            return doubt(f"traefik: the TLS options {name} are not read")
        return OPEN

    def _follow(
        self,
        near: list[tuple[int, str, dict[str, Any], Rule]],
        request: Request,
        sent: str | None,
    ) -> Iterator[Passage]:
        rest = OPEN
        for _, full, router, rule in near:
            fork = rule.holds(request)
            gate = rest if fork is ALWAYS else rest & fork.yes
            if fork is NEVER or not gate.passing:
                continue
            provider = full.rpartition("@")[2]
            names = [*listed(self.http.get("middlewares")), *listed(router.get("middlewares"))]
            asked = self._certificate(router)
            state = Passed(request.path, gate if asked is OPEN else gate & asked)
            try:
                state = through(names, self.known.http["middlewares"], provider, state, request)
            except Missing:
                continue  # a router whose middleware is missing does not run
            rest = SHUT if fork is ALWAYS else rest & fork.no
            if not state.answered and state.gate.passing:
                service = word(router.get("service"))
                host = sent if state.host is None else state.host
                yield from self._served(service, provider, request, replace(state, host=host))
            if not rest.passing:
                return

    def _served(
        self, name: str, provider: str, request: Request, state: Passed, depth: int = 0
    ) -> Iterator[Passage]:
        """The servers behind a service, through services made of others."""
        full = name.lower() if "@" in name else f"{name.lower()}@{provider}"
        if full.endswith(_OWN) or depth > _DEEPEST:
            return
        service = self.known.http["services"].get(full)
        if service is None:
            if not full.endswith(("@file", "@docker")):
                upstream = Upstream(reason=f"the service {full} is not read", cure=_CURE)
                yield Passage(request.path, state.path, upstream, state.gate, full)
            return
        balancer = mapping(service.get("loadbalancer"))
        keeps = balancer.get("passhostheader")
        keeps = keeps is None or enabled(keeps)
        for server in entries(balancer.get("servers")):
            url = word(mapping(server).get("url"))
            try:
                host, port = host_and_port(url)
            except ValueError:
                upstream = Upstream(reason=f"{url} is no address")
                yield Passage(request.path, state.path, upstream, state.gate, full)
                continue
            for upstream in resolve(host, port, self.names):
                sent = state.host if keeps else host
                yield Passage(request.path, state.path, upstream, state.gate, full, sent)
        for inner in self._parts(service):
            yield from self._served(inner, provider, request, state, depth + 1)

    @staticmethod
    def _parts(service: dict[str, Any]) -> Iterator[str]:
        for kind in ("weighted", "highestrandomweight"):
            for each in entries(mapping(service.get(kind)).get("services")):
                yield word(mapping(each).get("name"))
        failover = mapping(service.get("failover"))
        for name in (
            mapping(service.get("mirroring")).get("service"),
            failover.get("service"),
            failover.get("fallback"),
        ):
            if name is not None:
                yield word(name)

    def _tcp(self, full: str, router: dict[str, Any]) -> Iterator[Passage]:
        """A TCP router: bytes to a server, all requests alike."""
        provider = full.rpartition("@")[2]
        gate = self._certificate(router)
        anyone = Request("GET", "/", "", self.tls, self.believed)
        for name in listed(router.get("middlewares")):
            key = name.lower() if "@" in name else f"{name.lower()}@{provider}"
            for kind, options in mapping(self.known.tcp["middlewares"].get(key)).items():
                if kind in {"ipallowlist", "ipwhitelist"}:
                    ranges = tuple(listed(mapping(options).get("sourcerange")))
                    gate &= addressed(ranges, anyone, f"traefik: {kind} ({key})").yes
        service_name = word(router.get("service")).lower()
        key = service_name if "@" in service_name else f"{service_name}@{provider}"
        service = mapping(self.known.tcp["services"].get(key))
        for server in entries(mapping(service.get("loadbalancer")).get("servers")):
            try:
                host, port = host_and_port(f"tcp://{word(mapping(server).get('address'))}")
            except ValueError:
                continue
            for upstream in resolve(host, port, self.names):
                for _, path in REQUESTS:
                    yield Passage(path, path, upstream, gate, full)
