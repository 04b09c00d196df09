"""`ssh -R` and RemoteForward to another host: a way in from there (ssh(1), ssh_config(5)).

Who may connect at the far end is for its sshd to say: GatewayPorts, and PermitListen. Public
services let everybody in: serveo.net and localhost.run choose by the Host header at ports 80 and
443 and send it along; pinggy.io does, too, unless the words of the remote command say otherwise
(`u:Host:localhost`, `b:USER:PASSWORD`, `k:KEY`, `w:NETWORK`; pinggy.io/docs, "Advanced usage").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from ollama_audit.exposure.forwarders.relays.ssh import Forward, forwards, parsed
from ollama_audit.exposure.forwarders.relays.target import arguments, literal
from ollama_audit.exposure.model import Encryption, Login
from ollama_audit.exposure.tunnels.tunnel import Client, Tunnel, elsewhere
from ollama_audit.observed import Unknown, known_or

_PUBLIC = re.compile(r"(?:.+\.)?(?P<service>serveo\.net|localhost\.run|pinggy\.(?:io|online|link))")
_RAW = {"tcp", "tls", "tlstcp", "udp"}
"""What the user name for pinggy may ask for in place of HTTP."""
_SETTING = re.compile(r"^\s*(?P<key>\w+)(?:\s*=\s*|\s+)(?P<value>.*?)\s*$")


def ssh(client: Client) -> Iterator[Tunnel]:
    """The remote forwards of a client whose server is not this host."""
    if isinstance(client.process.arguments, Unknown):
        return
    command = parsed(client.process.arguments.value[1:])
    alias = command.destination.removeprefix("ssh://").rpartition("@")[2].partition("/")[0]
    host, configured = _configured(client, alias.partition(":")[0])
    if not alias or (_is_here(host, client) and not command.jumps):
        return  # the listener is on this host, and is an endpoint of its own
    public = _PUBLIC.fullmatch(host)
    for forward in dict.fromkeys((*command.remote, *configured)):
        if public:
            yield _published(client, forward, public["service"], command.destination)
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


def _is_here(host: str, client: Client) -> bool:
    address = literal(host)
    if not address or client.namespace is None:
        return False
    return client.terrain.wires.interface(client.namespace, address) is not None


def _configured(client: Client, alias: str) -> tuple[str, tuple[Forward, ...]]:
    """The host's name and the forwards that files add for it.

    What a `Match` block asks for is not judged: it counts as if it matched.
    """
    name, found = "", []
    for file in client.found.files:
        applies = True
        for line in known_or(file.text, "").splitlines():
            setting = _SETTING.match(line.partition("#")[0])
            if setting is None:
                continue
            key, value = setting["key"].lower(), setting["value"].strip('"')
            if key == "host":
                applies = _fits(alias, value.split())
            elif key == "match":
                applies = True
            elif applies and key == "hostname":
                name = name or value.replace("%h", alias)
            elif applies and key == "remoteforward":
                found += forwards(":".join(value.split()))
    return name or alias, tuple(found)


def _fits(alias: str, patterns: list[str]) -> bool:
    """Whether a name fits the patterns of `Host`; a `!` one that fits excludes it."""
    if any(fnmatchcase(alias, each[1:]) for each in patterns if each.startswith("!")):
        return False
    return any(fnmatchcase(alias, each) for each in patterns)
