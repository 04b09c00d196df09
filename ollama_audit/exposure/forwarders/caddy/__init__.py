"""Caddy: its JSON configuration, as it runs by it or as `caddy adapt` prints it.

Routes and matchers as in caddyserver.com, "JSON Config Structure" (2.10).
"""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Any

from ollama_audit.exposure.forwarders.caddy.matchers import Matchers, names_in
from ollama_audit.exposure.forwarders.caddy.walk import Walk, prefixes
from ollama_audit.exposure.forwarders.clients import (
    EVERYONE,
    OPEN,
    Clients,
    Gate,
    doubt,
    login,
    only,
)
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.web import (
    configuration,
    owners,
    requests,
    stale,
    steps,
)
from ollama_audit.exposure.model import Encryption
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.zones import own_addresses
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.network import Family, Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process


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
            matchers = Matchers(tls=tls, believes=bool(server.get("trusted_proxies")))
            walk = Walk(server, found.names, found.running.source, matchers)
            hosts = walk.hosts()
            for method, path in requests(prefixes(server)):
                for host in hosts:
                    walk.enter(method, path, gate, host)
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


def _encrypted(server: dict[str, Any], port: int) -> bool:
    """Caddy encrypts a server that has names of its own, unless told not to ("Automatic HTTPS")."""
    if server.get("tls_connection_policies"):
        return True
    automatic = server.get("automatic_https") or {}
    if automatic.get("disable") or port == 80:
        return False
    return port == 443 or bool(set(names_in(server.get("routes"))) - set(automatic.get("skip", ())))


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
    hosts = [set(names_in(route.get("match"))) for route in routes]
    return server.get("strict_sni_host") is not False and all(
        each and each <= named for each in hosts
    )
