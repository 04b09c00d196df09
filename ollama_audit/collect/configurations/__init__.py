"""Reads what the programs that run and pass requests on were told to do, as each would read it.

Nothing is run for it: `nginx -T` and its like create missing logs, pid files and folders, and
unlink sockets. The files are followed through their includes instead, below the program's own
root. A kind of program is one module here and its names in `PROGRAMS`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

from ollama_audit.collect.configurations.apache import APACHE
from ollama_audit.collect.configurations.applications import APPLICATIONS
from ollama_audit.collect.configurations.caddy import CADDY
from ollama_audit.collect.configurations.cloudflared import CLOUDFLARED
from ollama_audit.collect.configurations.frpc import FRPC
from ollama_audit.collect.configurations.haproxy import HAPROXY
from ollama_audit.collect.configurations.hidden_services import I2PD, TOR
from ollama_audit.collect.configurations.inetd import INETD, XINETD
from ollama_audit.collect.configurations.lighttpd import LIGHTTPD
from ollama_audit.collect.configurations.nginx import NGINX
from ollama_audit.collect.configurations.ngrok import NGROK
from ollama_audit.collect.configurations.rathole import RATHOLE
from ollama_audit.collect.configurations.rinetd import RINETD
from ollama_audit.collect.configurations.ssh import SSH
from ollama_audit.collect.configurations.start import Program, Start
from ollama_audit.collect.configurations.stunnel import STUNNEL
from ollama_audit.collect.configurations.tailscaled import TAILSCALED
from ollama_audit.collect.configurations.told_by_arguments import (
    BORE,
    CHISEL,
    DEVTUNNEL,
    GOST,
    INLETS,
    LOCALTUNNEL,
    PLAYIT,
    ZROK,
)
from ollama_audit.collect.configurations.traefik import TRAEFIK
from ollama_audit.collect.names import names_in
from ollama_audit.collect.proc import describe, environment_of, namespace_of
from ollama_audit.collect.rooted import Rooted
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot import masking
from ollama_audit.snapshot.configuration import Configuration, ConfigurationFile
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process

_MOST_FILES = 4000
_MOST_BYTES = 32 << 20

PROGRAMS: Mapping[str, Program] = MappingProxyType(
    {
        **APPLICATIONS,
        "angie": NGINX,
        "apache2": APACHE,
        "bore": BORE,
        "caddy": CADDY,
        "chisel": CHISEL,
        "cloudflared": CLOUDFLARED,
        "devtunnel": DEVTUNNEL,
        "frpc": FRPC,
        "gost": GOST,
        "haproxy": HAPROXY,
        "httpd": APACHE,
        "i2pd": I2PD,
        "inetd": INETD,
        "inlets": INLETS,
        "inlets-pro": INLETS,
        "lighttpd": LIGHTTPD,
        "localtunnel": LOCALTUNNEL,
        "lt": LOCALTUNNEL,
        "nginx": NGINX,
        "ngrok": NGROK,
        "openresty": NGINX,
        "playit": PLAYIT,
        "playit-agent": PLAYIT,
        "playitd": PLAYIT,
        "rathole": RATHOLE,
        "rinetd": RINETD,
        "ssh": SSH,
        "stunnel": STUNNEL,
        "stunnel4": STUNNEL,
        "stunnel5": STUNNEL,
        "tailscaled": TAILSCALED,
        "tor": TOR,
        "traefik": TRAEFIK,
        "xinetd": XINETD,
        "zrok": ZROK,
        "zrok2": ZROK,
    }
)
"""By a name that the process goes by (`Process.called`)."""


def program_of(process: Process) -> Program | None:
    """The kind of program that a process is, if its configuration is read."""
    return next((PROGRAMS[name] for name in process.called if name in PROGRAMS), None)


def read_configurations(
    processes: Iterable[Process],
    namespaces: Iterable[NetworkNamespace] = (),
    *,
    probe: bool = True,
) -> tuple[Configuration, ...]:
    """The configuration of every such program among these processes.

    Without `probe` none of them is asked; `namespaces` have the sockets at which some are.
    """
    known = {process.pid: process for process in processes if program_of(process)}
    families: dict[int, list[Process]] = {}
    for process in list(known.values()):
        master = process
        while parent := _parent(master, known):
            master = parent
        families.setdefault(master.pid, []).append(process)
    spaces = tuple(namespaces) if probe else None
    return tuple(_read(known[pid], families[pid], spaces) for pid in sorted(families))


def _parent(process: Process, known: dict[int, Process]) -> Process | None:
    """The process that started this one, if it is of the same program.

    HAProxy's master holds no listening socket: its workers do.
    """
    program = program_of(process)
    if program is None or not program.workers:
        return None
    parent = known.get(process.parent) or describe(process.parent)
    if parent is None or program_of(parent) is not program:
        return None
    return known.setdefault(parent.pid, parent)


def _read(
    master: Process, family: list[Process], spaces: tuple[NetworkNamespace, ...] | None
) -> Configuration:
    program = program_of(master)
    assert program is not None, "only such processes are kept"
    # One that has changed its root, as HAProxy does, read its files before.
    changed_root = known_or(master.mount_namespace, 0) == known_or(namespace_of("self", "mnt"), 1)
    rooted = Rooted(master, ours=changed_root)
    start = program.start(master, rooted)
    if program.ask and spaces is not None:
        asked = program.ask(master, rooted, _sockets(master, spaces))
        if isinstance(asked, Known) or not isinstance(start.running, Known):
            start.running = asked  # what it says beats what is written, and that not knowing
    return Configuration(
        program=program.kind,
        pid=master.pid,
        pids=tuple(sorted({master.pid, *(process.pid for process in family)})),
        loaded_at=_loaded_at(family),
        main=start.main,
        base=start.base,
        files=tuple(_files(program, rooted, start)),
        running=start.running,
        environment=environment_of(master.pid) if program.environment else None,
        names=names_in(known_or(rooted.text("/etc/hosts", 1 << 20), "")),
    )


def _sockets(process: Process, spaces: Iterable[NetworkNamespace]) -> tuple[Listener, ...]:
    """The listening sockets of a process."""
    return tuple(
        listener
        for space in spaces
        for listener in known_or(space.listeners, ())
        if process.pid in known_or(listener.owners, ())
    )


def _loaded_at(family: list[Process]) -> Observed[datetime]:
    """When the newest of them started: a reload starts new workers."""
    times = [process.started_at for process in family]
    found = [time.value for time in times if isinstance(time, Known)]
    return Known(max(found), "/proc/PID/stat") if found else times[0]


def _files(program: Program, rooted: Rooted, start: Start) -> Iterator[ConfigurationFile]:
    waiting = [path for path in (start.main, *start.more) if path]
    seen: set[str] = set()
    size = 0
    while waiting:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        text = rooted.text(path)
        if isinstance(text, Known):
            size += len(text.value)
            if size > _MOST_BYTES or len(seen) > _MOST_FILES:
                text = Unknown("the configuration is too large to read", path)
        if isinstance(text, Known):
            waiting += _included(program, rooted, start, path, text.value)
            text = Known(masking.configuration(program.kind, text.value), path)
        yield ConfigurationFile(path=path, text=text, changed_at=rooted.changed_at(path))


def _included(
    program: Program, rooted: Rooted, start: Start, path: str, text: str
) -> Iterator[str]:
    base = posixpath.dirname(path) if program.include_beside else start.base
    for name in _named(program, start, text):
        wanted = posixpath.join(base, name)
        if rooted.folder(wanted) is not None:
            wanted = f"{wanted.rstrip('/')}/*"
        if re.search(r"[*?\[]", wanted):
            yield from rooted.glob(wanted)
        elif not program.include_beside or rooted.exists(wanted):
            yield wanted


def _named(program: Program, start: Start, text: str) -> Iterator[str]:
    """The names of included files, as this text has them."""
    if program.included is not None:
        yield from program.included(text, start.variables)
    elif program.include is not None:
        for found in program.include.finditer(text):
            yield _expanded(found[2].strip(), start.variables)


def _expanded(text: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: variables.get(found[1], found[0]), text)
