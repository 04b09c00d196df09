"""`ssh -R` and RemoteForward to another host: a way in from there (ssh(1), ssh_config(5)).

Who may connect at the far end is for its sshd to say: GatewayPorts, and PermitListen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from ollama_audit.exposure.forwarders.relays.ssh import Forward, forwards, parsed
from ollama_audit.exposure.forwarders.relays.target import literal
from ollama_audit.exposure.tunnels.tunnel import Client, Tunnel, elsewhere
from ollama_audit.observed import Unknown, known_or

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
    for forward in dict.fromkeys((*command.remote, *configured)):
        yield Tunnel(
            label=f"ssh -R {forward.port or 'any port'} at {host}",
            steps=client.to(forward.host, forward.target) if forward.host else client.anywhere(),
            zone=elsewhere(host),
            because=(f"who may connect there is decided by GatewayPorts of sshd at {host}",),
            cure=f"look at GatewayPorts and PermitListen in sshd_config of {host}",
        )


def _is_here(host: str, client: Client) -> bool:
    address = literal(host)
    if not address or client.namespace is None:
        return False
    return client.terrain.interface(client.namespace, address) is not None


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
