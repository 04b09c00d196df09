"""Processes that pass connections on: what a listener that is not Ollama's leads to.

Each kind of program has a function of type `Forwarder`, listed in `FORWARDERS` by the names of
its processes. A program that is known to be no way to Ollama has no steps; one of which it cannot
be said has a step without a target, which makes the answer `unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from types import MappingProxyType

import msgspec

from ollama_audit.exposure.forwarders.chisel import chisel
from ollama_audit.exposure.forwarders.docker import docker_proxy
from ollama_audit.exposure.forwarders.relays import holds_only
from ollama_audit.exposure.forwarders.relays.activated import alone, started_for
from ollama_audit.exposure.forwarders.relays.balancers import pen, sslh
from ollama_audit.exposure.forwarders.relays.commands import (
    anywhere,
    gost,
    kubectl,
    netcat,
    redir,
    simpleproxy,
    six_tunnel,
    socat,
    socket_proxyd,
)
from ollama_audit.exposure.forwarders.relays.inetd import inetd, xinetd
from ollama_audit.exposure.forwarders.relays.rinetd import rinetd
from ollama_audit.exposure.forwarders.relays.ssh import ssh, sshd
from ollama_audit.exposure.forwarders.relays.target import arguments, through
from ollama_audit.exposure.forwarders.rootless import (
    machine,
    passt,
    pasta,
    rootlesskit,
    rootlessport,
)
from ollama_audit.exposure.forwarders.step import Forwarder, Onward, unclear
from ollama_audit.exposure.model import Hop, Login
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Unknown, known_or
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process

__all__ = ["FORWARDERS", "Onward", "forwarder", "no_way", "onward", "passes_on"]


def _activated(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """A socket that systemd holds for a service: it leads where the service will lead."""
    started = started_for(terrain, listener, process)
    if isinstance(started, Onward):
        return (started,)
    service = started.process
    if no_way(terrain, service):
        return ()
    follow = forwarder(service)
    if started.accepted and follow is not sshd:
        steps = through(terrain, namespace, service, arguments(service))
        return _from_its_network(terrain, namespace, service, steps)
    if follow is not None and follow is not _activated:
        steps = follow(terrain, namespace, listener, service)
        return _from_its_network(terrain, namespace, service, steps)
    reason = f"systemd starts {service.name} for whoever connects to {listener.shown}"
    return (unclear(service, reason, guess=True),)


def _later(module: str, name: str) -> Forwarder:
    """A forwarder whose module is imported when a program of its kind is met.

    Those that read a language are large, and few hosts have more than one of them.
    """

    def follow(
        terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
    ) -> tuple[Onward, ...]:
        found: Forwarder = getattr(import_module(f"{__name__}.{module}"), name)
        return found(terrain, namespace, listener, process)

    return follow


_APPLICATIONS = (
    *("anything-llm/server/index", "api/server/index", "app/server/index", "code-server"),
    *("flowise", "jupyter-lab", "jupyter-labhub", "jupyter-notebook", "jupyter-server"),
    *("jupyterlab", "langflow", "litellm", "n8n", "open-webui", "open_webui", "openclaw"),
    "openclaw-gateway",
)
_TO_ANYWHERE = ("3proxy", "danted", "microsocks", "privoxy", "sockd", "squid", "tinyproxy")
_MACHINES = (
    "VBoxHeadless",
    "VirtualBoxVM",
    "qemu-kvm",
    "qemu-system-aarch64",
    "qemu-system-x86_64",
)
_apache = _later("apache", "apache")
_nginx = _later("nginx", "nginx")
_stunnel = _later("relays.stunnel", "stunnel")

FORWARDERS: Mapping[str, Forwarder] = MappingProxyType(
    {
        **dict.fromkeys(_APPLICATIONS, _later("applications", "application")),
        **dict.fromkeys(_TO_ANYWHERE, anywhere),
        "6tunnel": six_tunnel,
        **dict.fromkeys(_MACHINES, machine),
        "angie": _nginx,
        "apache2": _apache,
        "caddy": _later("caddy", "caddy"),
        "chisel": chisel,
        "conmon": holds_only,
        "docker-proxy": docker_proxy,
        "dockerd": holds_only,
        "haproxy": _later("haproxy", "haproxy"),
        "httpd": _apache,
        "gost": gost,
        "inetd": inetd,
        "kubectl": kubectl,
        "lighttpd": _later("lighttpd", "lighttpd"),
        "nginx": _nginx,
        "openresty": _nginx,
        "nc": netcat,
        "nc.openbsd": netcat,
        "nc.traditional": netcat,
        "ncat": netcat,
        "netcat": netcat,
        "openbsd-inetd": inetd,
        "passt": passt,
        "pen": pen,
        "pasta": pasta,
        "redir": redir,
        "rinetd": rinetd,
        "rootlessport": rootlessport,
        "rootlesskit": rootlesskit,
        "slirp4netns": rootlessport,
        "simpleproxy": simpleproxy,
        "socat": socat,
        "ssh": ssh,
        "sshd": sshd,
        "sshd-session": sshd,
        "sslh": sslh,
        "sslh-select": sslh,
        "stunnel": _stunnel,
        "stunnel4": _stunnel,
        "stunnel5": _stunnel,
        "systemd-socket-": socket_proxyd,
        "systemd-socket-proxyd": socket_proxyd,
        "systemd": _activated,
        "traefik": _later("traefik", "traefik"),
        "xinetd": xinetd,
    }
)
"""By a name that the process goes by (`Process.called`); /proc/PID/comm has 15 characters."""

_NO_WAY = frozenset(
    {"avahi-daemon", "chronyd", "cupsd", "dnsmasq", "dovecot", "exim4", "master", "mariadbd"}
    | {"memcached", "mongod", "mosquitto", "mysqld", "named", "node_exporter", "nrpe", "ntpd"}
    | {"pipewire", "postgres", "redis-server", "rpc.mountd", "rpc.statd", "rpcbind", "slapd"}
    | {"smbd", "snmpd", "systemd-resolve", "systemd-resolved", "unbound", "zabbix_agentd"}
)
"""Programs that serve something else and pass nothing on without a login of their own."""


def passes_on(terrain: Terrain, listener: Listener) -> bool:
    """Whether the listener's owner is of a kind that is worth following, or hidden from us.

    A program that merely might pass connections on is a matter for a question about its port,
    and not for the list of endpoints.
    """
    if isinstance(listener.owners, Unknown):
        return listener.port == 11434
    owners = (terrain.processes.get(pid) for pid in listener.owners.value)
    return any(process and forwarder(process) for process in owners)


def forwarder(process: Process) -> Forwarder | None:
    """What a program of this kind does with connections, if it is one that passes them on."""
    return next((FORWARDERS[name] for name in process.called if name in FORWARDERS), None)


def onward(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, owners: tuple[int, ...]
) -> tuple[Onward, ...]:
    """The steps that the owners of a listener may take with a connection, worked out once."""
    return terrain.memo.once(
        "onward",
        (namespace.inode, listener),
        lambda: _onward(terrain, namespace, listener, owners),
    )


def _onward(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, owners: tuple[int, ...]
) -> tuple[Onward, ...]:
    processes = [terrain.processes[pid] for pid in owners if pid in terrain.processes]
    processes.sort(key=lambda process: (forwarder(process) is None, process.pid == 1))
    if not processes:
        at = listener.shown
        hop = Hop(kind="socket", name=f"the owner of {at}", pid=owners[0] if owners else 0)
        return (Onward(hop=hop, login=Login.UNKNOWN, reason=f"who listens at {at} is gone"),)
    process = processes[0]
    if no_way(terrain, process):
        return ()
    if follow := forwarder(process):
        steps = follow(terrain, namespace, listener, process)
        steps = _from_its_network(terrain, namespace, process, steps)
        return tuple(_placed(terrain, process, step) for step in steps)
    reason = (
        f"{process.name} ({process.pid}) listens at {listener.shown}; whether it passes requests "
        "on to Ollama is not known"
    )
    return (_placed(terrain, process, unclear(process, reason, guess=True)),)


def _from_its_network(
    terrain: Terrain, namespace: NetworkNamespace, process: Process, steps: tuple[Onward, ...]
) -> tuple[Onward, ...]:
    """The steps from the network that the process is in, which need not be that of its socket.

    A socket stays where it was made, whoever inherits it (network_namespaces(7)).
    """
    inode = known_or(process.network_namespace, namespace.inode)
    if inode == namespace.inode:
        return steps
    if (own := terrain.namespaces.get(inode)) is not None:
        here = [step.namespace is namespace for step in steps]
        return tuple(
            replace(s, namespace=own) if h else s for s, h in zip(steps, here, strict=True)
        )
    away = tuple(step for step in steps if step.namespace is not namespace)
    if len(away) == len(steps) or alone(terrain, process):
        return away
    reason = f"{process.name} ({process.pid}) connects from another network, which was not read"
    return (*away, unclear(process, reason, kind="relay"))


def _placed(terrain: Terrain, process: Process, step: Onward) -> Onward:
    """The step with the container that the process is in, if it is in one."""
    where = terrain.containers.name_of(process)
    if not where or where in step.hop.name:
        return step
    return replace(step, hop=msgspec.structs.replace(step.hop, name=f"{step.hop.name} in {where}"))


def no_way(terrain: Terrain, process: Process) -> bool:
    """Whether a program is known to pass nothing on: it serves something else, or runs models."""
    runners = (runner.pid for server in terrain.servers.values() for runner in server.runners)
    return process.name in _NO_WAY or process.pid in runners or _serves_files(process)


def _serves_files(process: Process) -> bool:
    """Whether it is `python3 -m http.server`, without programs of its own to run (`--cgi`)."""
    words = known_or(process.arguments, ())
    module = any(pair == ("-m", "http.server") for pair in pairwise(words))
    return module and "python" in process.name and "--cgi" not in words
