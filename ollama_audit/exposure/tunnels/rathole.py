"""rathole's client: services that a server elsewhere listens for (src/config.rs, 0.5).

At which address and port it does is in the server's file alone (`bind_addr`).
"""

from __future__ import annotations

from collections.abc import Iterator

from ollama_audit.exposure.forwarders.document import mapping, word
from ollama_audit.exposure.tunnels.tunnel import Client, Tunnel, elsewhere, host_port


def rathole(client: Client) -> Iterator[Tunnel]:
    """Each TCP service of the client's part of its files."""
    for path, value in client.documents():
        told = mapping(mapping(value).get("client"))
        server = word(told.get("remote_addr"))
        for name, given in mapping(told.get("services")).items():
            service = mapping(given)
            if word(service.get("type")) not in {"", "tcp"}:
                continue
            place = host_port(word(service.get("local_addr")))
            yield Tunnel(
                label=f"rathole service {name}",
                steps=client.to(*place, detail=path),
                zone=elsewhere(host_port(server, 1)[0]),
                because=(f"who gets to service {name} is decided at the server {server}",),
                cure=f"look at bind_addr of {name} on {server}, and at its firewall",
            )
