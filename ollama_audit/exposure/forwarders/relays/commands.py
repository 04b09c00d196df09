"""Relays that are told on their command line where to connect."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ollama_audit.exposure.forwarders.clients import EVERYONE, NOBODY, Clients
from ollama_audit.exposure.forwarders.names import Takes
from ollama_audit.exposure.forwarders.relays.target import (
    HOST_PORT,
    arguments,
    not_understood,
    operands,
    socat_takes,
    split,
    through,
    toward,
    values,
)
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.model import Encryption, Login
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process
from ollama_audit.words import authority

_CONNECTS = frozenset({"TCP", "TCP4", "TCP6", "TCP-CONNECT", "TCP4-CONNECT", "TCP6-CONNECT"})
_CONNECTS_TLS = frozenset({"OPENSSL", "SSL", "OPENSSL-CONNECT", "SSL-CONNECT"})
_STARTS = frozenset({"EXEC", "SYSTEM", "SHELL"})


def socat(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`socat TCP-LISTEN:8080,fork TCP:127.0.0.1:11434` (socat(1), ADDRESS SPECIFICATIONS)."""
    del listener
    ends = operands(arguments(process)[1:], frozenset({"-t", "-T", "-b", "-lf", "-lp", "-L", "-W"}))
    if len(ends) != 2:
        return (not_understood(process),)
    listening, connecting = ends if _listens(ends[0]) else ends[::-1]
    if not _listens(listening):
        return (not_understood(process),)
    steps = _socat_target(terrain, namespace, process, connecting)
    encrypted = listening.upper().startswith(("OPENSSL-L", "SSL-L"))
    options = dict(option.partition("=")[::2] for option in listening.split(",")[1:])
    asks = encrypted and options.get("verify", "1") != "0"  # socat(1): verify=1 is the default
    return tuple(
        replace(
            step,
            admits=_range(options.get("range", "")),
            login=Login.REQUIRED if asks else step.login,
            login_because=("socat asks for a client certificate",) if asks else (),
            tls=Encryption.TLS if encrypted else Encryption.PLAIN,
        )
        for step in _wrapped(process, options, steps)
    )


def _listens(end: str) -> bool:
    kind = end.partition(":")[0].upper()
    return "-L" in kind


def _wrapped(
    process: Process, options: dict[str, str], steps: tuple[Onward, ...]
) -> tuple[Onward, ...]:
    """The steps; unclear ones where hosts.allow and hosts.deny decide (socat(1), tcpwrap)."""
    if not {"tcpwrap", "tcpwrapper"}.intersection(options):
        return steps
    reason = f"hosts.allow(5) says whom {process.name} serves, which is not read"
    return (unclear(process, reason, kind="relay", cure="cat /etc/hosts.allow /etc/hosts.deny"),)


def _socat_target(
    terrain: Terrain, namespace: NetworkNamespace, process: Process, connecting: str
) -> tuple[Onward, ...]:
    kind, _, rest = connecting.partition(":")
    kind = kind.upper()
    if kind in _CONNECTS | _CONNECTS_TLS:
        return (toward(terrain, namespace, process, rest.partition(",")[0], socat_takes(kind)),)
    if kind in _STARTS:
        command = split(re.sub(r"^(['\"])(.*)\1.*$", r"\2", rest).partition(",")[0])
        return through(terrain, namespace, process, command)
    if kind in {"-", "STDIO", "STDIN", "STDOUT", "OPEN", "FILE", "CREATE", "PIPE", "GOPEN"}:
        return ()
    return (unclear(process, f"socat passes connections to {connecting}", kind="relay"),)


def _range(text: str) -> Clients | None:
    """The sources that `range=ADDRESS/BITS` or `range=ADDRESS:MASK` admits; None without it."""
    network = text.replace("[", "").replace("]", "")
    if not network:
        return None
    if re.fullmatch(r"[\d.]+:[\d.]+", network):
        network = network.replace(":", "/")
    try:
        return Clients.within(network)
    except ValueError:
        return NOBODY


def redir(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`redir :8080 127.0.0.1:11434` (redir(1) 3.x), `redir --lport=8080 --cport=11434` (2.x)."""
    del listener
    words = arguments(process)[1:]
    ports = values(words, "--cport")
    if ports:
        hosts = values(words, "--caddr") or ["127.0.0.1"]
        return (toward(terrain, namespace, process, authority(hosts[-1], ports[-1]), Takes.IPV4),)
    targets = [word for word in words if HOST_PORT.match(word)]
    if len(targets) != 2 and len(words) > 2 and words[-1].isdecimal():
        # redir 3.x cuts its own arguments at the colons while it reads them (observed with 3.3).
        targets = ["", authority(words[-2], words[-1])]
    if len(targets) != 2:
        return (not_understood(process),)
    return (toward(terrain, namespace, process, targets[1], Takes.IPV4),)


def simpleproxy(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`simpleproxy -L 8080 -R 127.0.0.1:11434` (simpleproxy(1))."""
    del listener
    words = arguments(process)[1:]
    targets = values(words, "-R")
    if not targets or any(word[:2] in {"-S", "-P"} for word in words):
        return (not_understood(process),)  # through an HTTPS proxy, or as one for POP3
    return (toward(terrain, namespace, process, targets[-1], Takes.IPV4),)


def six_tunnel(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`6tunnel 8080 127.0.0.1 11434` (6tunnel(1) 0.13)."""
    words = arguments(process)[1:]
    places = operands(words, frozenset({"-i", "-I", "-l", "-L", "-m", "-p", "-s", "-u"}))
    if values(words, "-i", "-m") or len(places) not in {2, 3}:
        return (not_understood(process),)  # a password first, or servers by a file
    port = places[2] if len(places) == 3 else str(listener.port)
    takes = Takes.IPV4 if any(re.match(r"-[1dfhv]*4", word) for word in words) else Takes.FIRST
    return (toward(terrain, namespace, process, authority(places[1], port), takes),)


def socket_proxyd(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`systemd-socket-proxyd 127.0.0.1:11434` (systemd-socket-proxyd(8))."""
    del listener
    valued = frozenset({"-c", "--connections-max", "--exit-idle-time"})
    targets = operands(arguments(process)[1:], valued)
    if not targets:
        return (not_understood(process),)
    return (toward(terrain, namespace, process, targets[-1], Takes.FIRST),)


def netcat(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`ncat -l -k 8080 --sh-exec "ncat 127.0.0.1 11434"`, `nc -l -p 8080 -e PROGRAM` (ncat(1)).

    Without a command the connection ends at its own input and output, unless those are pipes to
    another netcat, which no command line shows.
    """
    del listener
    words = arguments(process)[1:]
    if any(word.startswith(("--broker", "--chat")) for word in words):
        return ()
    if any(word.startswith("--proxy-type") for word in words):
        reason = f"{process.name} ({process.pid}) is a proxy to anywhere"
        return (unclear(process, reason, kind="relay"),)
    shell = values(words, "--sh-exec", "-c")
    plain = values(words, "--exec", "-e")
    if not shell and not plain:
        reason = (
            f"{process.name} ({process.pid}) passes connections to its own input and output, "
            "which may be pipes to another program"
        )
        return (unclear(process, reason, guess=True),)
    steps = through(terrain, namespace, process, split((shell or plain)[-1]))
    encrypted = any(word in {"--ssl", "--ssl-cert"} for word in words)
    tls = Encryption.TLS if encrypted else Encryption.PLAIN
    clients = _ncat_clients(words)
    if clients is None:
        reason = f"whom {process.name} ({process.pid}) serves depends on names or files"
        return (unclear(process, reason, kind="relay"),)
    admits = None if clients.all else clients
    return tuple(replace(step, admits=admits, tls=tls) for step in steps)


def _ncat_clients(words: Sequence[str]) -> Clients | None:
    """Whom `--allow` and `--deny` let in (ncat(1), ACCESS CONTROL OPTIONS); None: not known."""
    if any(word.startswith(("--allowfile", "--denyfile")) for word in words):
        return None
    try:
        allowed, denied = _named(words, "--allow"), _named(words, "--deny")
    except ValueError:
        return None
    return (EVERYONE if allowed is None else allowed) - (denied or NOBODY)


def _named(words: Sequence[str], option: str) -> Clients | None:
    """The clients that an option lists; None without it.

    While it reads them, ncat cuts its own arguments at the commas (observed with 7.93), so that the
    words that follow may belong to the list; a port is none of it.

    Raises:
        ValueError: Something in it is a name, or may be.
    """
    found: Clients | None = None
    listing = False
    for word in words:
        name, equals, value = word.partition("=")
        if name == option:
            listing, found = True, found or NOBODY
            entries = value.split(",") if equals else []
        else:
            listing = listing and word[:1] != "-"
            entries = [each for each in word.split(",") if not each.isdecimal()] if listing else []
        for entry in filter(None, entries):
            found = (found or NOBODY) | Clients.within(entry)
    return found


_GOST_NODE = re.compile(
    r"(?P<scheme>[\w+]+)://(?P<login>[^/@]*@)?(?P<at>[^/]*?:\d+)(?:/(?P<target>[^?]+))?"
)


def gost(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`gost -L tcp://:8080/127.0.0.1:11434` (gost v2 and v3, "Port Forwarding")."""
    words = arguments(process)[1:]
    if values(words, "-F", "-C"):
        reason = f"{process.name} ({process.pid}) passes connections on through other nodes"
        return (unclear(process, reason, kind="relay"),)
    for node in values(words, "-L"):
        found = _GOST_NODE.match(node if "://" in node else f"auto://{node}")
        if found is None or found["at"].rpartition(":")[2] != str(listener.port):
            continue
        if found["scheme"] in {"tcp", "red", "redirect"} and found["target"]:
            return (toward(terrain, namespace, process, found["target"].partition(",")[0]),)
        reason = f"{process.name} ({process.pid}) is a proxy to anywhere ({found['scheme']})"
        return (unclear(process, reason, kind="relay"),)
    return (not_understood(process),)


def kubectl(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`kubectl port-forward`: where it leads is in a cluster."""
    del terrain, namespace, listener
    cure = "kubectl get pods --all-namespaces -o wide"
    reason = "kubectl port-forward leads into a cluster"
    return (unclear(process, reason, kind="relay", cure=cure),)


def anywhere(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """A forward proxy: where it leads is each client's to ask for, and its own to allow."""
    del terrain, namespace
    reason = f"{process.name} ({process.pid}) is a proxy to anywhere, Ollama on this host included"
    cure = (
        f"curl -m 3 -x http://ADDRESS:{listener.port} http://127.0.0.1:11434/api/version "
        "on another machine"
    )
    return (unclear(process, reason, kind="relay", cure=cure),)
