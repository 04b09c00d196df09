"""SSH's forwards: a client's own listeners (`-L`, `-D`), and a server's for its clients (`-R`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ollama_audit.exposure.forwarders.relays.target import arguments, at, literal, toward
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process

_VALUED = frozenset("BbcDEeFIiJLlmOopQRSWw")
"""The options of ssh(1) that take a value."""


class Forward(NamedTuple):
    """A forward of ssh(1): `[BIND:]PORT:HOST:HOSTPORT`."""

    port: int
    """The listening port; 0 for one that the server chooses."""
    host: str
    """Empty of a SOCKS proxy, which leads anywhere."""
    target: int
    bind: str = ""


class Command(NamedTuple):
    """A command line of ssh(1), as far as it matters here."""

    destination: str
    """`[USER@]HOST` or `ssh://...`; empty when there is none."""
    local: tuple[Forward, ...]
    dynamic: tuple[Forward, ...]
    remote: tuple[Forward, ...]
    jumps: bool
    """Whether it goes by way of other machines, or by a command."""


def parsed(words: Sequence[str]) -> Command:
    """The command line behind the program's name."""
    destination, jumps = "", False
    found: dict[str, list[Forward]] = {"L": [], "D": [], "R": []}
    for name, value in _options(words):
        if name == "":
            destination = destination or value
        elif name in found:
            found[name] += forwards(value)
        elif name == "J":
            jumps = True
        elif name == "o":
            key, _, setting = value.replace("=", " ", 1).partition(" ")
            kind = {"localforward": "L", "remoteforward": "R", "dynamicforward": "D"}
            if key.lower() in kind:
                found[kind[key.lower()]] += forwards(":".join(setting.split()))
            jumps = jumps or key.lower() in {"proxyjump", "proxycommand"}
    return Command(destination, tuple(found["L"]), tuple(found["D"]), tuple(found["R"]), jumps)


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The options by letter with their values, and the operands with none, up to the command."""
    waiting = list(words)
    operands = 0
    while waiting and operands < 2:
        word = waiting.pop(0)
        if word[:1] != "-" or word == "-":
            operands += 1
            yield "", word
            continue
        for place, letter in enumerate(word[1:], start=1):
            if letter in _VALUED:
                value = word[place + 1 :] or (waiting.pop(0) if waiting else "")
                yield letter, value
                break
            yield letter, ""


def forwards(text: str) -> list[Forward]:
    """The forward that a word means; none of one that is not understood, or of Unix sockets."""
    parts: list[str] = []
    rest = text
    while rest:
        if rest.startswith("["):
            inside, _, rest = rest[1:].partition("]")
            parts.append(inside)
            rest = rest.removeprefix(":")
        else:
            part, _, rest = rest.partition(":")
            parts.append(part)
    numbers = [int(part) if part.isdecimal() else -1 for part in parts]
    if len(parts) in {3, 4} and numbers[-1] >= 0 and numbers[-3] >= 0:
        bind = parts[0] if len(parts) == 4 else ""
        return [Forward(numbers[-3], parts[-2] or "localhost", numbers[-1], bind)]
    if len(parts) in {1, 2} and numbers[-1] >= 0:
        return [Forward(numbers[-1], "", 0, parts[0] if len(parts) == 2 else "")]
    return []


def ssh(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`ssh -L`: the other machine decides where it leads (ssh(1)), unless that is this one."""
    del terrain
    command = parsed(arguments(process)[1:])
    host = command.destination.removeprefix("ssh://").rpartition("@")[2].partition("/")[0]
    here = literal(host.partition(":")[0]) if host else ""
    if here and here in {"127.0.0.1", "::1"} and not command.jumps:
        for forward in command.local:
            if forward.port == listener.port:
                return (toward(process, namespace, at(forward.host, forward.target)),)
    where = f" to {host}" if host else ""
    reason = f"an SSH tunnel{where} leads to another machine"
    return (unclear(process, reason, kind="tunnel"),)


def sshd(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """The SSH server itself passes nothing on; a session of it may hold a remote forward.

    sshd(8) titles its processes `sshd: /usr/sbin/sshd -D [listener] ...`, `sshd: user@pts/0` and,
    since OpenSSH 9.8, `sshd-session: user@pts/0`.
    """
    del namespace
    title = " ".join(arguments(process))
    if "[listener]" in title or not title.startswith(("sshd: ", "sshd-session: ")):
        return ()
    session = terrain.sessions.get(process.pid)
    if session is not None and not isinstance(session.client, Unknown):
        client = terrain.processes.get(session.client.value)
        steps = _client_side(terrain, listener, client) if client is not None else ()
        if steps:
            return steps
    peer = f" from {session.peer}" if session and session.peer else ""
    reason = (
        f"an SSH session ({title}{peer}) listens at {listener} for its client (ssh -R), who "
        "decides where it leads"
    )
    cure = "ask the user of that session, or set GatewayPorts no in sshd_config"
    return (unclear(process, reason, kind="tunnel", cure=cure),)


def _client_side(terrain: Terrain, listener: Listener, client: Process) -> tuple[Onward, ...]:
    """Where a client on this very host takes what its server accepts for it."""
    inode = client.network_namespace
    space = None if isinstance(inode, Unknown) else terrain.namespaces.get(inode.value)
    if space is None:
        return ()
    return tuple(
        toward(client, space, at(forward.host, forward.target))
        for forward in parsed(arguments(client)[1:]).remote
        if forward.port == listener.port and forward.host
    )
