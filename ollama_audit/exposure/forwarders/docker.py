"""Docker's userland proxy: a host process that holds a published port.

Most packets never meet it, as the DNAT rules take them first; clients on the host itself, IPv6
clients of an IPv4 container and clients that DNAT skips do.
"""

from __future__ import annotations

from itertools import pairwise

from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.model import Hop
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import known_or
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process


def docker_proxy(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`docker-proxy -container-ip ADDRESS -container-port PORT` (moby cmd/docker-proxy)."""
    del listener
    arguments: tuple[str, ...] = known_or(process.arguments, ())
    options = dict(pairwise(arguments))
    address, port = options.get("-container-ip", ""), options.get("-container-port", "")
    if not address or not port.isdecimal():
        reason = f"the arguments of docker-proxy ({process.pid}) are not understood"
        return (unclear(process, reason, kind="docker-proxy"),)
    names = [terrain.name_of_network(each) for each, _ in terrain.wires.holders(address, namespace)]
    target = f"port {port} of {names[0]}" if len(names) == 1 else f"{address}:{port}"
    hop = Hop(kind="docker-proxy", name=f"docker-proxy to {target}", pid=process.pid)
    return (Onward(hop=hop, namespace=namespace, address=address, port=int(port)),)
