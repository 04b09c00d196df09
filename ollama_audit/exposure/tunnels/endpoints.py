"""The endpoints that tunnels make: each followed from its client to Ollama."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

from msgspec.structs import replace

from ollama_audit.exposure.approach import Arrival, followed
from ollama_audit.exposure.forwarders.web import configuration, stale
from ollama_audit.exposure.model import Endpoint, Extent, Login, Zone, ZoneReach
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.tunnels.cloudflared import cloudflared
from ollama_audit.exposure.tunnels.frp import frp
from ollama_audit.exposure.tunnels.hidden_services import i2pd, tor
from ollama_audit.exposure.tunnels.ngrok import ngrok
from ollama_audit.exposure.tunnels.rathole import rathole
from ollama_audit.exposure.tunnels.ssh import ssh
from ollama_audit.exposure.tunnels.tailscale import tailscaled
from ollama_audit.exposure.tunnels.told_by_arguments import (
    bore,
    chisel,
    devtunnel,
    gost,
    inlets,
    localtunnel,
    playit,
    zrok,
)
from ollama_audit.exposure.tunnels.tunnel import Client, Tunnel
from ollama_audit.observed import Known, known_or
from ollama_audit.snapshot.network import Family

_PROVIDER = (
    "Whoever runs the far end of a tunnel may shut others out or ask them for a login: this host "
    "does not see it."
)

Reader: TypeAlias = Callable[[Client], Iterator[Tunnel]]
"""The tunnels that one kind of client makes.

Raises:
    ValueError, TypeError, AttributeError, KeyError: Its configuration is not understood.
"""

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "bore": bore,
        "chisel": chisel,
        "cloudflared": cloudflared,
        "devtunnel": devtunnel,
        "frp": frp,
        "gost": gost,
        "i2pd": i2pd,
        "inlets": inlets,
        "localtunnel": localtunnel,
        "ngrok": ngrok,
        "playit": playit,
        "rathole": rathole,
        "ssh": ssh,
        "tailscaled": tailscaled,
        "tor": tor,
        "zrok": zrok,
    }
)
"""By `Configuration.program`."""

_RELOADS = frozenset({"rathole", "ssh", "tailscaled"})
"""Clients that follow a change of their configuration by themselves; and ssh, whose files are
changed every day for the sake of other connections."""

_NETWORKS = {
    (Zone.INTERNET, Family.IPV4): ("0.0.0.0/0",),
    (Zone.INTERNET, Family.IPV6): ("::/0",),
    (Zone.VPN, Family.IPV4): ("100.64.0.0/10",),
    (Zone.VPN, Family.IPV6): ("fd7a:115c:a1e0::/48",),
}
"""Whom everybody means; the VPN is a Tailscale network (net/tsaddr/tsaddr.go)."""

_WEAKEST_FIRST = (Login.NONE, Login.UNKNOWN, Login.REQUIRED)


def tunnel_endpoints(terrain: Terrain) -> Iterator[Endpoint]:
    """Every way to Ollama through a tunnel whose client runs."""
    if isinstance(terrain.snapshot.servers, Known) and not terrain.servers:
        return  # there is nothing to lead to
    seen: dict[str, int] = {}
    for client in _clients(terrain):
        for tunnel in _tunnels(client):
            for endpoint in _endpoint(client, tunnel):
                number = seen[endpoint.id] = seen.get(endpoint.id, 0) + 1
                mark = f" ({number})" if number > 1 else ""
                yield replace(endpoint, id=endpoint.id + mark) if mark else endpoint


def provided(tunnels: Iterable[Endpoint]) -> tuple[str, ...]:
    """What is decided at the far ends of these tunnels, where the internet is there."""
    return (_PROVIDER,) if any(each.toward(Zone.INTERNET) for each in tunnels) else ()


def _clients(terrain: Terrain) -> Iterator[Client]:
    for found in terrain.snapshot.configurations:
        process = terrain.processes.get(found.pid)
        if found.program in READERS and process is not None:
            yield Client(terrain, process, configuration(terrain, (found.pid,)) or found)


def _tunnels(client: Client) -> list[Tunnel]:
    late = "" if client.found.program in _RELOADS else stale(client.found)
    if late:
        return [_unclear(client, late, f"restart {client.found.program}, and audit again")]
    try:
        return list(READERS[client.found.program](client))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        said = str(error) if isinstance(error, ValueError) else type(error).__name__
        return [_unclear(client, f"its configuration is not understood: {said}")]


def _unclear(client: Client, reason: str, cure: str = "") -> Tunnel:
    step = client.unclear(reason, cure)
    return Tunnel(
        label=f"{client.title} ({client.process.pid})",
        steps=(step,),
        because=(reason,),
        cure=cure,
    )


def _endpoint(client: Client, tunnel: Tunnel) -> Iterator[Endpoint]:
    """The endpoint of a tunnel, if it leads to Ollama or may."""
    arrivals = [
        arrival
        for step in tunnel.steps
        for arrival in followed(client.terrain, step)
        if not (tunnel.enciphered and _at_ollama(arrival))
    ]
    if not arrivals:
        return
    sure = [arrival for arrival in arrivals if arrival.server and arrival.surely]
    best = next(iter(sure or [each for each in arrivals if each.server]), arrivals[0])
    login = next(each for each in _WEAKEST_FIRST if any(a.login is each for a in sure or [best]))
    weakest = next(each for each in (*sure, best) if each.login is login)
    yield Endpoint(
        id=tunnel.name or tunnel.label,
        address="",
        port=0,
        families=tunnel.families,
        namespace=known_or(client.process.network_namespace, 0),
        name=tunnel.name,
        server=best.server,
        hops=best.hops,
        login=login,
        login_because=weakest.login_because,
        open_paths=weakest.open_paths,
        only_paths=weakest.only_paths,
        tls=best.tls,
        reach=tuple(_reach(tunnel, family, best, sure=bool(sure)) for family in tunnel.families),
        certain=bool(best.server),
    )


def _at_ollama(arrival: Arrival) -> bool:
    """Whether Ollama itself takes the connection, and not a proxy before it."""
    return len(arrival.hops) > 1 and arrival.hops[1].kind == "socket"


def _reach(tunnel: Tunnel, family: Family, arrival: Arrival, *, sure: bool) -> ZoneReach:
    everybody = _NETWORKS.get((tunnel.zone, family), ())
    certain = tunnel.sure and sure
    doubts = () if sure else arrival.because
    return ZoneReach(
        zone=tunnel.zone,
        family=family,
        extent=Extent.ALL if certain else Extent.UNKNOWN,
        networks=everybody if certain else (),
        uncertain=() if certain else everybody,
        because=tuple(dict.fromkeys((*doubts, *tunnel.because))),
        cure="" if certain else (arrival.cure if doubts else "") or tunnel.cure,
    )
