"""Where a relay leads: what its manual lets one write for the place that it connects to."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from ipaddress import ip_address

from ollama_audit.exposure.forwarders.names import Takes, taken
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.web import configuration
from ollama_audit.exposure.model import Hop
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.network import NetworkNamespace
from ollama_audit.snapshot.process import Process
from ollama_audit.words import authority

HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]*)):(?P<port>\d{1,5})$")

NETCATS = frozenset({"nc", "ncat", "netcat", "nc.openbsd", "nc.traditional"})
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "busybox"})


def literal(host: str) -> str:
    """The address that a host names without a resolver: a literal, or localhost; else empty."""
    if host in {"", "localhost", "localhost4", "ip4-localhost"}:
        return "127.0.0.1"
    if host in {"localhost6", "ip6-localhost", "ip6-loopback"}:
        return "::1"
    try:
        return str(ip_address(host))
    except ValueError:
        return ""


def toward(
    terrain: Terrain,
    namespace: NetworkNamespace,
    process: Process,
    where: str,
    takes: Takes = Takes.EACH,
) -> Onward:
    """The step to `HOST:PORT` or `[V6]:PORT`; an unclear one when the host needs a resolver.

    A name is looked for in the /etc/hosts that the relay sees, or in the host's own.
    """
    found = HOST_PORT.match(where)
    host = (found["v6"] or found["host"]) if found else ""
    port = int(found["port"]) if found else 0
    address = taken(terrain, namespace, _addresses(terrain, process, host), port, takes)
    if found is None or not address or port > 65535:
        reason = f"{process.name} leads to {where}, a name that was not looked up"
        return unclear(process, reason, kind="relay", cure=f"getent hosts {host}" if host else "")
    return Onward(
        hop=Hop(kind="relay", name=f"{process.name} to {where}", pid=process.pid),
        namespace=namespace,
        address=address,
        port=port,
    )


def _addresses(terrain: Terrain, process: Process, host: str) -> tuple[str, ...]:
    """The addresses that a host stands for, as far as no resolver is needed."""
    own = configuration(terrain, (process.pid,))
    names = (own.names if own else {}) or terrain.snapshot.names
    given = names.get(host.lower(), ()) or (host,)
    return tuple(filter(None, map(literal, given)))


def through(
    terrain: Terrain, namespace: NetworkNamespace, process: Process, command: Sequence[str]
) -> tuple[Onward, ...]:
    """The steps of a program that gets the connection as its input and output.

    `nc HOST PORT` (nc(1), ncat(1)) and `socat - TCP:HOST:PORT` pass it on; what else a relay may
    start, such as a shell or a server of its own, merely might.
    """
    words = _unwrapped(list(command))
    name = words[0].rpartition("/")[2] if words else ""
    if name in NETCATS:
        operands = [word for word in words[1:] if word[:1] != "-"]
        if len(operands) == 2 and not any(word[:2] == "-l" for word in words[1:]):
            takes = Takes.IPV4 if name == "nc.traditional" else Takes.EACH
            return (toward(terrain, namespace, process, authority(*operands), takes),)
    if name == "socat":
        ends = [word for word in words[1:] if not word.startswith("-") or word == "-"]
        for word in ends:
            kind, _, where = word.partition(",")[0].partition(":")
            if kind.upper() in {"TCP", "TCP4", "TCP6", "TCP-CONNECT"}:
                return (toward(terrain, namespace, process, where, socat_takes(kind)),)
    if name in NETCATS or name == "socat":
        reason = f"{process.name} starts `{shlex.join(words)}`, which is not understood"
        return (unclear(process, reason, kind="relay"),)
    reason = f"{process.name} starts {name or 'a program'} for whoever connects"
    return (unclear(process, reason, guess=True),)


def socat_takes(kind: str) -> Takes:
    """The addresses that an address type of socat(1) is for, such as `TCP4-CONNECT`."""
    chosen = {"4": Takes.IPV4, "6": Takes.IPV6}
    return next(
        (chosen[letter] for letter in kind.partition("-")[0] if letter in chosen), Takes.EACH
    )


def _unwrapped(words: list[str]) -> list[str]:
    """The command behind `sh -c "..."`, `exec` and `/usr/bin/env`."""
    while words:
        name = words[0].rpartition("/")[2]
        if name in _SHELLS and len(words) > 2 and words[1] == "-c":
            words = split(words[2])
        elif name in {"exec", "env", "stdbuf"}:
            words = words[1:]
        else:
            break
    return words


def split(command: str) -> list[str]:
    """The words of a shell command; none when it is more than one simple command."""
    if re.search(r"[|;&<>`$()]", command):
        return []
    try:
        return shlex.split(command)
    except ValueError:
        return []


def arguments(process: Process) -> tuple[str, ...]:
    """The command line; empty when it was not read."""
    return () if isinstance(process.arguments, Unknown) else process.arguments.value


def operands(words: Sequence[str], valued: frozenset[str]) -> list[str]:
    """The words that are no options, nor values of these options."""
    found = []
    skip = False
    for word in words:
        if skip or (word[:1] == "-" and len(word) > 1):
            skip = not skip and word in valued
        else:
            found.append(word)
    return found


def values(words: Sequence[str], *names: str) -> list[str]:
    """The values of an option: `--name VALUE`, `--name=VALUE`, `-n VALUE`, `-nVALUE`."""
    found = []
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if word in names and index + 1 < len(words):
            found.append(words[index + 1])
        elif equals and name in names and name.startswith("--"):
            found.append(value)
        else:
            short = [each for each in names if len(each) == 2 and word.startswith(each)]
            found += [word[2:].removeprefix("=") for _ in short if word not in names]
    return found


def not_understood(process: Process) -> Onward:
    """The step of a relay whose command line says nothing that is known here."""
    reason = f"the arguments of {process.name} ({process.pid}) are not understood"
    if isinstance(process.arguments, Unknown):
        reason = process.arguments.reason
    return unclear(process, reason, kind="relay")
