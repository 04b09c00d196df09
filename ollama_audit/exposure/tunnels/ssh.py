"""`ssh -R` and RemoteForward to another host: a way in from there (ssh(1), ssh_config(5)).

Who may connect at the far end is for its sshd to say: GatewayPorts, and PermitListen. Public
services let everybody in: serveo.net and localhost.run choose by the Host header at ports 80 and
443 and send it along; pinggy.io does, too, unless the words of the remote command say otherwise
(`u:Host:localhost`, `b:USER:PASSWORD`, `k:KEY`, `w:NETWORK`; pinggy.io/docs, "Advanced usage").
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ollama_audit.exposure.forwarders.relays.ssh_client import Forward, Told, told
from ollama_audit.exposure.forwarders.relays.target import arguments
from ollama_audit.exposure.model import Encryption, Login
from ollama_audit.exposure.tunnels.tunnel import Client, Tunnel, elsewhere
from ollama_audit.observed import Unknown

_PUBLIC = re.compile(r"(?:.+\.)?(?P<service>serveo\.net|localhost\.run|pinggy\.(?:io|online|link))")
_RAW = {"tcp", "tls", "tlstcp", "udp"}
"""What the user name for pinggy may ask for in place of HTTP."""


def ssh(client: Client) -> Iterator[Tunnel]:
    """The remote forwards of a client whose server is not this host."""
    if isinstance(client.process.arguments, Unknown):
        return
    said = told(client.process.arguments.value[1:], client.found)
    if not said.host or (_is_here(said, client) and not said.jumps):
        return  # the listener is on this host, and is an endpoint of its own
    host = said.host
    public = _PUBLIC.fullmatch(host)
    for forward in dict.fromkeys(said.remote):
        if public:
            yield _published(client, forward, public["service"], said.destination)
            continue
        yield Tunnel(
            label=f"ssh -R {forward.port or 'any port'} at {host}",
            steps=client.to(forward.host, forward.target) if forward.host else client.anywhere(),
            zone=elsewhere(host),
            because=(f"who may connect there is decided by GatewayPorts of sshd at {host}",),
            cure=f"look at GatewayPorts and PermitListen in sshd_config of {host}",
        )


def _published(client: Client, forward: Forward, service: str, destination: str) -> Tunnel:
    """A forward to a service that is there to let everybody in."""
    words = arguments(client.process)
    asked = " ".join(words[words.index(destination) + 1 :])
    pinggy = service.startswith("pinggy")
    user = destination.removeprefix("ssh://").rpartition("@")[0]
    raw = _RAW.intersection(user.split("+")) if pinggy else forward.port not in {0, 80, 443}
    sent = re.search(r"(?<!\S)u:Host:(\S+)", asked, re.IGNORECASE) if pinggy else None
    locked = pinggy and re.search(r"(?<!\S)[bk]:\S", asked)
    limited = pinggy and re.search(r"(?<!\S)w:\S", asked)
    doubt = f"{service} lets in the networks that it was told (w:)"
    how = {
        "hosts": None if raw else (sent[1] if sent else f"any.{service}",),
        "login": Login.REQUIRED if locked else Login.NONE,
        "login_because": ("pinggy asks for a password or key",) if locked else (),
        "tls": Encryption.PLAIN if raw else Encryption.TLS,
    }
    to = client.to(forward.host, forward.target, **how) if forward.host else client.anywhere(**how)
    return Tunnel(
        label=f"ssh -R {forward.port or 'any port'} at {service}",
        steps=to,
        sure=not limited,
        because=(doubt,) if limited else (f"{service} lets in whoever has the address",),
    )


def _is_here(said: Told, client: Client) -> bool:
    if not said.address or client.namespace is None:
        return False
    return client.terrain.wires.interface(client.namespace, said.address) is not None
