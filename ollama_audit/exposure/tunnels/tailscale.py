"""Tailscale: `serve` for the tailnet, `funnel` for the internet, and nodes without an interface.

What is served is ServeConfig (tailscale ipn/serve.go), as ipn/ipnlocal/serve.go goes by it
(1.90). tailscaled takes such connections out of the tailnet itself, before any packet filter of
this host. Over HTTPS it chooses the handler by the name in the TLS handshake and passes the Host
header on as it is, which is thus the client's to choose: `Host: localhost` gets past Ollama's
check. Over plain HTTP the Host header chooses, and must be the node's name.

With `--tun=userspace-networking` there is no interface: a connection to any port of the node's
address is one to the same port at 127.0.0.1 (wgengine/netstack/netstack.go, acceptTCP).

Who of the tailnet may come is decided by its access controls, which this host does not see.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ollama_audit.exposure.forwarders import passes_on
from ollama_audit.exposure.forwarders.document import mapping, word
from ollama_audit.exposure.model import Encryption, Zone
from ollama_audit.exposure.tunnels.tunnel import Client, Tunnel, host_port, target
from ollama_audit.observed import Known, Unknown, known_or

_USERSPACE = "userspace-networking"
_TAILNET = "the tailnet's access controls decide who of it gets in"
_CURE = "tailscale serve status; for who may use it, the access controls of the tailnet"


def tailscaled(client: Client) -> Iterator[Tunnel]:
    """What a node serves, unless it is not connected."""
    said = client.found.running
    told = mapping(json.loads(said.value)) if isinstance(said, Known) else {}
    status = mapping(told.get("status"))
    if word(status.get("BackendState")) not in {"", "Running"}:
        return
    node = word(mapping(status.get("Self")).get("DNSName")).rstrip(".")
    shields = mapping(told.get("prefs")).get("ShieldsUp") is True
    if isinstance(said, Unknown):
        yield _unread(client, said)
    for serving in _configurations(mapping(told.get("serve"))):
        yield from _served(client, node, serving, shields=shields)
    devices = client.line().values("tun")
    if not shields and (_USERSPACE in devices or status.get("TUN") is False):
        yield from _without_interface(client, node)


def _unread(client: Client, why: Unknown) -> Tunnel:
    cure = why.cure or _CURE
    return Tunnel(
        label="tailscale serve",
        zone=Zone.VPN,
        steps=(client.unclear(f"what it serves was not read: {why.reason}", cure),),
        because=(f"what tailscaled serves was not read: {why.reason}",),
        cure=cure,
    )


def _configurations(serve: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The configuration itself, those of commands in the foreground, and of services."""
    yield serve
    for part in ("Foreground", "Services"):
        yield from map(mapping, mapping(serve.get(part)).values())


def _served(
    client: Client, node: str, serving: dict[str, Any], *, shields: bool
) -> Iterator[Tunnel]:
    funnelled = {name for name, on in mapping(serving.get("AllowFunnel")).items() if on is True}
    for port, handler in mapping(serving.get("TCP")).items():
        how = mapping(handler)
        if place := word(how.get("TCPForward")):
            host, number = host_port(place)
            secure = bool(how.get("TerminateTLS"))
            steps = client.to(host, number, tls=Encryption.TLS if secure else Encryption.PLAIN)
            name = f"{node}:{port}" if node else ""
            named = {f"{word(how.get('TerminateTLS')) or node}:{port}", name}
            public = bool(funnelled & named) or (
                not node and any(each.endswith(f":{port}") for each in funnelled)
            )
            yield from _open(f"tailscale port {port}", name, steps, shields=shields, public=public)
            continue
        secure = how.get("HTTPS") is True
        for at, web in mapping(serving.get("Web")).items():
            host, _, here = at.rpartition(":")
            if here != port:
                continue
            for mount, leads in mapping(mapping(web).get("Handlers")).items():
                proxy = word(mapping(leads).get("Proxy"))
                if not proxy:
                    continue  # a file or a text
                steps = client.to(
                    *target(proxy, 80),
                    hosts=None if secure else (host, host.partition(".")[0]),
                    tls=Encryption.TLS if secure else Encryption.PLAIN,
                )
                usual = "443" if secure else "80"
                name = f"http{'s' * secure}://{host}{'' if port == usual else f':{port}'}"
                name += "" if mount == "/" else mount
                yield from _open(name, name, steps, shields=shields, public=at in funnelled)


def _open(
    label: str, name: str, steps: tuple[Any, ...], *, shields: bool, public: bool
) -> Iterator[Tunnel]:
    if public:
        yield Tunnel(
            label=f"{label} (funnel)",
            name=name,
            steps=steps,
            sure=True,
            because=("tailscale funnel lets in the whole internet",),
        )
    elif not shields:
        yield Tunnel(
            label=label, name=name, steps=steps, zone=Zone.VPN, sure=True, because=(_TAILNET,)
        )


def _without_interface(client: Client, node: str) -> Iterator[Tunnel]:
    """Every port at 127.0.0.1 of this node that may lead to Ollama."""
    space = client.namespace
    if space is None or isinstance(space.listeners, Unknown):
        reason = "which ports listen beside this node was not read"
        yield Tunnel(
            label="tailscale node",
            zone=Zone.VPN,
            steps=(client.unclear(reason),),
            because=(reason,),
        )
        return
    ports = {
        listener.port: None
        for listener in space.listeners.value
        if listener.wildcard or str(listener.ip) == "127.0.0.1"
        if client.terrain.servers.keys() & set(known_or(listener.owners, ()))
        or passes_on(client.terrain, listener)
    }
    for port in ports:
        yield Tunnel(
            label=f"tailscale node port {port}",
            name=f"{node}:{port}" if node else "",
            steps=client.to("127.0.0.1", port),
            zone=Zone.VPN,
            sure=True,
            because=("a node without an interface passes every port on to 127.0.0.1", _TAILNET),
        )
