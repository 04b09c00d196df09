"""Reads the configuration of the reverse proxies that run, as each of them would read it.

Nothing is run for it: `nginx -T` and its like create missing logs, pid files and folders, and
unlink sockets. The files are followed through their includes instead, below the proxy's own root.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ollama_audit.collect import caddy_admin
from ollama_audit.collect.proc import describe, namespace_of, raw_arguments, raw_environment
from ollama_audit.collect.rooted import Rooted
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot import masking
from ollama_audit.snapshot.process import Process
from ollama_audit.snapshot.proxies import ConfigurationFile, ProxyConfiguration

_MOST_FILES = 4000
_MOST_BYTES = 32 << 20

PROGRAMS = {
    "angie": "nginx",
    "apache2": "apache",
    "caddy": "caddy",
    "haproxy": "haproxy",
    "httpd": "apache",
    "lighttpd": "lighttpd",
    "nginx": "nginx",
    "openresty": "nginx",
    "traefik": "traefik",
}
"""Which kind of proxy a process is, by /proc/PID/comm."""


@dataclass(slots=True)
class _Start:
    """Where a program starts to read."""

    main: str
    base: str
    more: tuple[str, ...] = ()
    running: Observed[str] | None = None
    variables: dict[str, str] = field(default_factory=dict)


def read_proxies(processes: Iterable[Process]) -> tuple[ProxyConfiguration, ...]:
    """The configuration of every proxy among the holders of listening sockets."""
    known = {process.pid: process for process in processes if process.name in PROGRAMS}
    families: dict[int, list[Process]] = {}
    for process in list(known.values()):
        master = process
        while parent := _parent(master, known):
            master = parent
        families.setdefault(master.pid, []).append(process)
    return tuple(_read(known[pid], families[pid]) for pid in sorted(families))


def _parent(process: Process, known: dict[int, Process]) -> Process | None:
    """The process that started this one, if it is of the same program.

    HAProxy's master holds no listening socket: its workers do.
    """
    parent = known.get(process.parent) or describe(process.parent)
    if parent is None or parent.name != process.name:
        return None
    return known.setdefault(parent.pid, parent)


def _read(master: Process, family: list[Process]) -> ProxyConfiguration:
    program = PROGRAMS[master.name]
    # One that has changed its root, as HAProxy does, read its files before.
    changed_root = known_or(master.mount_namespace, 0) == known_or(namespace_of("self", "mnt"), 1)
    rooted = Rooted(master, ours=changed_root)
    start = _STARTS[program](master, rooted)
    return ProxyConfiguration(
        program=program,
        pid=master.pid,
        pids=tuple(sorted({master.pid, *(process.pid for process in family)})),
        loaded_at=_loaded_at(family),
        main=start.main,
        base=start.base,
        files=tuple(_files(program, rooted, start)),
        running=start.running,
        names=_names(rooted),
    )


def _loaded_at(family: list[Process]) -> Observed[datetime]:
    """When the newest of them started: a reload starts new workers."""
    times = [process.started_at for process in family]
    found = [time.value for time in times if isinstance(time, Known)]
    return Known(max(found), "/proc/PID/stat") if found else times[0]


def _files(program: str, rooted: Rooted, start: _Start) -> Iterator[ConfigurationFile]:
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
            text = Known(masking.configuration(program, text.value), path)
        yield ConfigurationFile(path=path, text=text, changed_at=rooted.changed_at(path))


_INCLUDES = {
    "nginx": re.compile(r"(?m)(?:^|[;{}\s])include\s+([\"']?)([^;\"'{}]+)\1\s*;"),
    "apache": re.compile(r"(?mi)^\s*Include(?:Optional)?\s+([\"']?)([^\"'\n]+?)\1\s*$"),
    "caddy": re.compile(r"(?m)^\s*import\s+([\"']?)([^\s\"']+)\1"),
    "lighttpd": re.compile(r"(?m)^\s*include\s+([\"']?)([^\"'\n]+)\1"),
}


def _included(program: str, rooted: Rooted, start: _Start, path: str, text: str) -> Iterator[str]:
    pattern = _INCLUDES.get(program)
    if pattern is None:
        return
    base = posixpath.dirname(path) if program == "caddy" else start.base
    for found in pattern.finditer(text):
        name = _expanded(found[2].strip(), start.variables)
        wanted = posixpath.join(base, name)
        if rooted.folder(wanted) is not None:
            wanted = f"{wanted.rstrip('/')}/*"
        if re.search(r"[*?\[]", wanted):
            yield from rooted.glob(wanted)
        elif program != "caddy" or rooted.exists(wanted):
            yield wanted


def _expanded(text: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: variables.get(found[1], found[0]), text)


def _names(rooted: Rooted) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in known_or(rooted.text("/etc/hosts", 1 << 20), "").splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        for name in names:
            found[name.lower()] = (*found.get(name.lower(), ()), address)
    return found


def _option(process: Process, *names: str) -> str:
    """The value of an option: `-c FILE`, `-cFILE`, `--config FILE` or `--config=FILE`."""
    return next(iter(_options(process, *names)), "")


def _options(process: Process, *names: str) -> list[str]:
    words = known_or(raw_arguments(process.pid), ())
    if len(words) == 1 or (words and " " in words[0]):
        # nginx writes its title over its arguments: "nginx: master process nginx -c FILE".
        words = tuple(" ".join(words).split())
    found = []
    for index, word in enumerate(words[1:], start=1):
        name, equals, value = word.partition("=")
        if word in names and index + 1 < len(words):
            found.append(words[index + 1])
        elif equals and name in names:
            found.append(value)
        else:
            short = [n for n in names if len(n) == 2 and word.startswith(n) and word != n]
            found += [word[2:] for _ in short]
    return found


_NGINX = (
    ("/etc/nginx/nginx.conf", "/etc/nginx"),
    ("/etc/angie/angie.conf", "/etc/angie"),
    ("/usr/local/openresty/nginx/conf/nginx.conf", "/usr/local/openresty/nginx"),
    ("/usr/local/nginx/conf/nginx.conf", "/usr/local/nginx"),
    ("/usr/local/etc/nginx/nginx.conf", "/usr/local/etc/nginx"),
)


def _nginx(process: Process, rooted: Rooted) -> _Start:
    """`-c FILE` and `-p PREFIX`; else where its packages have it (nginx(8))."""
    prefix = _option(process, "-p")
    built_in = next((pair for pair in _NGINX if rooted.exists(pair[0])), _NGINX[0])
    main = _option(process, "-c") or built_in[0]
    main = posixpath.join(prefix or built_in[1], main)
    return _Start(main, posixpath.dirname(main))


def _apache(process: Process, rooted: Rooted) -> _Start:
    """`-f FILE` and `-d ROOT`; Debian's names are in the environment (httpd(8))."""
    debian = process.name == "apache2"
    root = _option(process, "-d") or ("/etc/apache2" if debian else "/etc/httpd")
    name = "apache2.conf" if debian else "conf/httpd.conf"
    main = posixpath.join(root, _option(process, "-f") or name)
    text = known_or(rooted.text(main), "")
    if found := re.search(r"(?mi)^\s*ServerRoot\s+\"?([^\"\n]+)\"?", text):
        root = found[1].strip()
    variables = dict(known_or(raw_environment(process.pid), ()))
    return _Start(main, root, variables=variables)


def _haproxy(process: Process, rooted: Rooted) -> _Start:
    """`-f FILE`, several of them, folders as their `*.cfg` files (haproxy(1))."""
    words = list(known_or(raw_arguments(process.pid), ()))
    named = _options(process, "-f")
    if "--" in words:
        named += words[words.index("--") + 1 :]
    base = _option(process, "-C") or "/"
    paths: list[str] = []
    for path in (posixpath.join(base, name) for name in named or ["/etc/haproxy/haproxy.cfg"]):
        inside = rooted.folder(path)
        paths += [path] if inside is None else [f"{path}/{n}" for n in inside if n[-4:] == ".cfg"]
    return _Start(paths[0] if paths else "", base, tuple(paths[1:]))


def _caddy(process: Process, _: Rooted) -> _Start:
    """The running configuration by the admin API, else the Caddyfile."""
    main = _option(process, "--config", "-c", "-config") or "/etc/caddy/Caddyfile"
    environment = dict(known_or(raw_environment(process.pid), ()))
    running = caddy_admin.running(process.pid, environment.get("CADDY_ADMIN", ""))
    if isinstance(running, Known):
        text = masking.json_configuration(running.value)
        return _Start("", "/", running=Known(text, running.source))
    return _Start(main, posixpath.dirname(main), running=running)


def _traefik(process: Process, rooted: Rooted) -> _Start:
    names = [
        f"{folder}/traefik.{ext}"
        for folder in ("/etc/traefik", "/root/.config")
        for ext in ("yml", "yaml", "toml")
    ]
    main = _option(process, "--configfile", "--configFile", "-configfile")
    main = main or next(filter(rooted.exists, names), "")
    text = known_or(rooted.text(main), "") if main else ""
    words = " ".join(known_or(raw_arguments(process.pid), ()))
    more: list[str] = []
    for found in re.finditer(
        r"(?i)(directory|filename)\"?\s*[:=]\s*\"?([^\s\"']+)", f"{text}\n{words}"
    ):
        inside = rooted.folder(found[2])
        more += [found[2]] if inside is None else [f"{found[2]}/{name}" for name in inside]
    return _Start(main, posixpath.dirname(main), tuple(more))


def _lighttpd(process: Process, _: Rooted) -> _Start:
    """`-f FILE` (lighttpd(8))."""
    main = _option(process, "-f") or "/etc/lighttpd/lighttpd.conf"
    return _Start(main, posixpath.dirname(main))


_STARTS: dict[str, Callable[[Process, Rooted], _Start]] = {
    "apache": _apache,
    "caddy": _caddy,
    "haproxy": _haproxy,
    "lighttpd": _lighttpd,
    "nginx": _nginx,
    "traefik": _traefik,
}
