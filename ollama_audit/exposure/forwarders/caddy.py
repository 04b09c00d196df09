"""Caddy: its JSON configuration, as it runs by it or as `caddy adapt` prints it.

Routes and matchers as in caddyserver.com, "JSON Config Structure" (2.10).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

from ollama_audit.exposure.forwarders.clients import (
    ALWAYS,
    CHOICE,
    EVERYONE,
    NEVER,
    NOBODY,
    OPEN,
    Clients,
    Fork,
    Gate,
    among,
    doubt,
    doubted,
    login,
    only,
    proven,
    truth,
)
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.web import (
    Passage,
    Upstream,
    configuration,
    host_and_port,
    owners,
    requests,
    resolve,
    stale,
    steps,
)
from ollama_audit.exposure.model import Encryption
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.zones import own_addresses
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.network import Family, Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process

_SECRET = re.compile(r"(?i)auth|key|token|secret|cookie|jwt")
_PRIVATE = ("192.168.0.0/16", "172.16.0.0/12", "10.0.0.0/8", "127.0.0.1/8", "fd00::/8", "::1")
"""What `private_ranges` stands for."""
_HANDLING = {"static_response", "file_server", "error", "acme_server", "metrics"}
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


def caddy(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """The steps of a listener of Caddy, over every route that a client can choose."""
    found = configuration(terrain, owners(listener, process))
    if found is None or found.running is None:
        return (unclear(process, "its configuration was not read", kind="reverse-proxy"),)
    if isinstance(found.running, Unknown):
        why = f"its configuration was not read: {found.running.reason}"
        cure = found.running.cure or "turn its admin API on, or run `caddy adapt`"
        return (unclear(process, why, kind="reverse-proxy", cure=cure),)
    if late := stale(found):
        return (unclear(process, late, kind="reverse-proxy", cure="sudo systemctl reload caddy"),)
    try:
        servers = json.loads(found.running.value or "{}")
        servers = (
            (servers if servers is not None else {})
            .get("apps", {})
            .get("http", {})
            .get("servers", {})
        )
        own = Clients(own_addresses(namespace, Family.IPV4), own_addresses(namespace, Family.IPV6))
        result: list[Onward] = []
        for server in servers.values():
            near = _listening(server, listener)
            if near is None:
                continue
            tls = _encrypted(server, listener.port)
            gate = only(own if near else EVERYONE) & _certificates(server, tls=tls)
            walk = _Walk(server, found.names, found.running.source, tls=tls)
            for method, path in requests(_prefixes(server)):
                walk.enter(method, path, gate)
            encryption = Encryption.TLS if tls else Encryption.PLAIN
            result += steps(terrain, namespace, process, "caddy", walk.found, encryption)
        return tuple(result)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        why = f"its configuration is not understood: {type(error).__name__}"
        return (unclear(process, why, kind="reverse-proxy"),)


def _listening(server: dict[str, Any], listener: Listener) -> bool | None:
    """Whether a server listens there: None, or whether only for this host."""
    for text in server.get("listen", [":443"]):
        network, _, address = text.rpartition("/")
        if network.startswith(("unix", "udp", "fd")):
            continue
        host, _, ports = address.rpartition(":")
        first, _, last = ports.partition("-")
        if not (first.isdecimal() and int(first) <= listener.port <= int(last or first)):
            continue
        host = host.strip("[]")
        try:
            if not host or ip_address(host) == listener.ip or listener.wildcard:
                return bool(host) and ip_address(host).is_loopback and not listener.on_loopback
        except ValueError:
            return False
    return None


def _hosts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "host" and isinstance(inner, list):
                yield from inner
            else:
                yield from _hosts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _hosts(inner)


def _encrypted(server: dict[str, Any], port: int) -> bool:
    """Caddy encrypts a server that has names of its own, unless told not to ("Automatic HTTPS")."""
    if server.get("tls_connection_policies"):
        return True
    automatic = server.get("automatic_https") or {}
    if automatic.get("disable") or port == 80:
        return False
    return port == 443 or bool(set(_hosts(server.get("routes"))) - set(automatic.get("skip", ())))


def _certificates(server: dict[str, Any], *, tls: bool) -> Gate:
    policies = server.get("tls_connection_policies") or []
    wanted = [policy.get("client_authentication") or {} for policy in policies]
    strict = ("", "require_and_verify", "verify_if_given")
    if not tls or not any(wanted):
        return OPEN
    if not all(wanted) and not _named_by(server, policies):
        return doubt("client_authentication for some names only")
    wanted = [each for each in wanted if each]
    modes = [each.get("mode") or "require_and_verify" for each in wanted]
    if all(mode == "require_and_verify" for mode in modes):
        return login("client_authentication in tls_connection_policies")
    if any(mode in {"request", "require", *strict[2:]} for mode in modes):
        return OPEN
    return doubt("client_authentication in tls_connection_policies")


def _named_by(server: dict[str, Any], policies: list[dict[str, Any]]) -> bool:
    """Whether every route is for names whose policy asks for a certificate.

    With such a policy Caddy serves a name only to who has asked for it in the handshake
    (strict_sni_host).
    """
    named = {
        name
        for policy in policies
        if policy.get("client_authentication")
        for name in (policy.get("match") or {}).get("sni") or ()
    }
    routes = server.get("routes") or []
    hosts = [set(_hosts(route.get("match"))) for route in routes]
    return server.get("strict_sni_host") is not False and all(
        each and each <= named for each in hosts
    )


def _prefixes(value: Any) -> list[str]:
    """The literal beginnings of all path matchers."""
    found: list[str] = []
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "path" and isinstance(inner, list):
                paths = [str(path).partition("*")[0].rstrip("/") for path in inner]
                found += [re.split(r"/(?:api|v1)(?:/|$)", path)[0] for path in paths]
            elif key == "strip_path_prefix":
                found.append(str(inner))
            else:
                found += _prefixes(inner)
    elif isinstance(value, list):
        for inner in value:
            found += _prefixes(inner)
    return [path for path in dict.fromkeys(found) if path.startswith("/")]


@dataclass(frozen=True, slots=True)
class _State:
    method: str
    asked: str
    path: str
    gate: Gate
    groups: frozenset[str] = frozenset()
    ended: bool = False


@dataclass(slots=True)
class _Walk:
    """Requests on their way through the routes of one server."""

    server: dict[str, Any]
    names: dict[str, tuple[str, ...]]
    source: str
    tls: bool
    found: list[Passage] = field(default_factory=list)

    def enter(self, method: str, path: str, gate: Gate) -> None:
        """Follow one request."""
        self._routes(self.server.get("routes") or [], [_State(method, path, path, gate)])

    def _routes(self, routes: list[dict[str, Any]], states: list[_State]) -> list[_State]:
        """Send requests through a list of routes; those that are left go on behind it."""
        for route in routes:
            after: list[_State] = []
            for state in states:
                group = str(route.get("group") or "")
                if state.ended or group in state.groups:
                    after.append(state)
                    continue
                fork = self._matched(route.get("match"), state)
                if (state.gate & fork.no).passing:
                    after.append(replace(state, gate=state.gate & fork.no))
                if (inside := state.gate & fork.yes).passing:
                    groups = state.groups | ({group} if group else set())
                    entered = replace(state, gate=inside, groups=groups)
                    left = self._handled(route.get("handle") or [], [entered])
                    ended = bool(route.get("terminal"))
                    after += [replace(each, ended=each.ended or ended) for each in left]
            states = after[:64]
        return states

    def _handled(self, handlers: list[dict[str, Any]], states: list[_State]) -> list[_State]:
        for handler in handlers:
            after: list[_State] = []
            for state in states:
                after += [state] if state.ended else self._one(handler, state)
            states = after
        return states

    def _one(  # noqa: PLR0911 - a table of handlers
        self, handler: dict[str, Any], state: _State
    ) -> list[_State]:
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
        if kind in _PASSING:
            return [state]
        return [replace(state, gate=state.gate & doubt(f"caddy: what {kind} does is not known"))]

    def _rewritten(self, handler: dict[str, Any], state: _State) -> _State:
        path = state.path
        if uri := handler.get("uri"):
            path = str(uri).partition("?")[0]
            for name in ("http.request.uri.path", "http.request.uri", "path", "uri"):
                path = path.replace(f"{{{name}}}", state.path)
        if prefix := handler.get("strip_path_prefix"):
            prefix = f"/{str(prefix).lstrip('/')}"
            path = path.removeprefix(prefix) or "/"
        for each in handler.get("uri_substring") or ():
            path = path.replace(str(each.get("find")), str(each.get("replace", "")))
        if "{" in path or handler.get("path_regexp") or handler.get("strip_path_suffix"):
            return replace(state, gate=state.gate & doubt("caddy: a rewrite is not followed"))
        return replace(state, path=path if path.startswith("/") else f"/{path}")

    def _proxied(self, handler: dict[str, Any], state: _State) -> list[_State]:
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

    # Matchers

    def _matched(self, sets: Any, state: _State) -> Fork:
        """Any of the sets; in a set, every matcher."""
        if not sets:
            return ALWAYS
        result = NEVER
        for matchers in sets:
            every = ALWAYS
            for name, wanted in matchers.items():
                every &= self._matcher(name, wanted, state)
            result |= every
        return result

    def _matcher(  # noqa: C901, PLR0911 - a table
        self, name: str, wanted: Any, state: _State
    ) -> Fork:
        match name:
            case "host":
                return CHOICE
            case "protocol":
                return truth(value=(wanted == "https") == self.tls)
            case "path":
                return truth(value=any(_fits(str(each), state.path) for each in wanted))
            case "path_regexp":
                try:
                    found = re.search(str(wanted.get("pattern")), state.path)
                except re.error:
                    return doubted("caddy: a path_regexp cannot be tried")
                return truth(value=bool(found))
            case "method":
                return truth(value=state.method in wanted)
            case "remote_ip" | "client_ip":
                return self._addressed(name, wanted)
            case "header" | "query":
                return _keyed(wanted)
            case "not":
                return ~self._matched(wanted, state)
            case "file":
                return NEVER  # no file has the name of a request that Ollama answers
            case _:
                return doubted(f"caddy: the matcher {name}")

    def _addressed(self, name: str, wanted: dict[str, Any]) -> Fork:
        clients = NOBODY
        for text in wanted.get("ranges") or ():
            for network in _PRIVATE if text == "private_ranges" else (str(text),):
                clients |= Clients.within(network)
        if (name == "client_ip" and self.server.get("trusted_proxies")) or wanted.get("forwarded"):
            return among(clients) & CHOICE | doubted("caddy: a header says who the client is")
        return among(clients)


def _fits(pattern: str, path: str) -> bool:
    """A path matcher: exact, or with `*` at an end, or as a glob; letter case does not count."""
    pattern, path = pattern.lower(), path.lower()
    if pattern in {"", "*"}:
        return pattern == "*"
    parts = [re.escape(part) for part in pattern.split("*")]
    across = pattern.count("*") == 1 and (pattern[0] == "*" or pattern[-1] == "*")
    anything = ".*" if across or (pattern[0] == pattern[-1] == "*") else "[^/]*"
    return bool(re.fullmatch(anything.join(parts), path))


def _keyed(wanted: dict[str, Any]) -> Fork:
    """Headers or query parameters: all of them, each with one of its values."""
    result = ALWAYS
    for name, values in wanted.items():
        given = [str(value) for value in values or ()]
        secret = bool(_SECRET.search(name)) and bool(given)
        # `*` and `Bearer *` are met by whoever sends anything.
        loose = any(
            re.sub(r"(?i)bearer|basic|\W", "", value.replace("***", "x")) == "" for value in given
        )
        result &= proven(f"caddy: {name}") if secret and not loose else CHOICE
    return result
