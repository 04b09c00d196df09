"""inetd and xinetd by their configuration (inetd.conf(5), xinetd.conf(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

from ollama_audit.exposure.forwarders.clients import EVERYONE, NOBODY, Clients
from ollama_audit.exposure.forwarders.relays.target import literal, through, toward
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.web import configuration, owners, stale
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Unknown, known_or
from ollama_audit.snapshot.configuration import Configuration
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process
from ollama_audit.words import authority

_INTERNAL = frozenset({"INTERNAL", "TCPMUX", "TCPMUXPLUS"})


def _read(
    terrain: Terrain, listener: Listener, process: Process
) -> tuple[Configuration, str] | Onward:
    """The configuration and its whole text; or why there is none."""
    found = configuration(terrain, owners(listener, process))
    if found is None or not found.files:
        reason = f"the configuration of {process.name} was not read"
        return unclear(process, reason, kind="relay")
    files = [file for file in found.files if file.path == found.main or _taken(file.path)]
    hidden = next((f.text for f in files if isinstance(f.text, Unknown)), None)
    if hidden is not None:
        return unclear(process, hidden.reason, kind="relay", cure=hidden.cure)
    if late := stale(found):
        return unclear(process, late, kind="relay", cure=f"systemctl restart {process.name}")
    return found, "\n".join(known_or(file.text, "") for file in files)


def _taken(path: str) -> bool:
    """Whether `includedir` takes a file of this name (xinetd.conf(5))."""
    name = path.rpartition("/")[2]
    return "." not in name and not name.endswith("~")


# inetd


def inetd(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`[ADDRESS:]PORT stream tcp nowait USER PROGRAM NAME ARGUMENTS` (inetd.conf(5))."""
    read = _read(terrain, listener, process)
    if isinstance(read, Onward):
        return (read,)
    for line in read[1].splitlines():
        words = line.partition("#")[0].split()
        if len(words) < 6 or words[1] != "stream":
            continue
        if words[0].rpartition(":")[2] != str(listener.port):
            continue
        program, argv = words[5], words[6:]
        if program.rpartition("/")[2] == "tcpd":
            reason = f"hosts.allow(5) says whom {process.name} serves, which is not read"
            return (unclear(process, reason, kind="relay"),)
        if program == "internal":
            return ()
        return through(terrain, namespace, process, [program, *argv[1:]])
    reason = f"{process.name} names the service of {listener}, and is not followed by name"
    return (unclear(process, reason, guess=True),)


# xinetd


@dataclass(slots=True)
class _Section:
    """A `service` or the `defaults`, attributes by name."""

    name: str
    values: dict[str, list[str]] = field(default_factory=dict)

    def one(self, name: str) -> str:
        """The first word of an attribute, empty without it."""
        return next(iter(self.values.get(name, [])), "")


_OPENING = re.compile(r"^(?:service\s+(\S+)|(defaults))$")
_ASSIGNMENT = re.compile(r"^(\w+)\s*(\+=|-=|=)\s*(.*)$")


def xinetd(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`redirect = HOST PORT` of the service at this port, for those of `only_from`."""
    read = _read(terrain, listener, process)
    if isinstance(read, Onward):
        return (read,)
    sections = list(_sections(read[1]))
    defaults = next((each for each in sections if each.name == "defaults"), _Section("defaults"))
    for section in sections:
        if section is not defaults and _is_for(section, listener):
            return _service(terrain, namespace, process, section, defaults)
    reason = f"{process.name} names the service of {listener}, and is not followed by name"
    return (unclear(process, reason, guess=True),)


def _sections(text: str) -> Iterator[_Section]:
    current: _Section | None = None
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if opened := _OPENING.match(line.removesuffix("{").strip()):
            current = _Section(opened[1] or "defaults")
        elif line == "}" and current is not None:
            yield current
            current = None
        elif current is not None and (found := _ASSIGNMENT.match(line)):
            _assign(current.values, found[1].lower(), found[2], found[3].split())


def _assign(values: dict[str, list[str]], name: str, sign: str, words: list[str]) -> None:
    if sign == "=":
        values[name] = words
    elif sign == "+=":
        values.setdefault(name, []).extend(words)
    else:
        values[name] = [word for word in values.get(name, []) if word not in words]


def _is_for(section: _Section, listener: Listener) -> bool:
    if section.one("disable").lower() == "yes" or section.one("port") != str(listener.port):
        return False
    bound = literal(section.one("bind") or section.one("interface"))
    named = bool(section.values.get("bind") or section.values.get("interface"))
    return not named or bound in {"", listener.address, str(listener.ip)}


def _service(
    terrain: Terrain,
    namespace: NetworkNamespace,
    process: Process,
    section: _Section,
    defaults: _Section,
) -> tuple[Onward, ...]:
    if section.values.get("access_times"):
        reason = f"{process.name} serves {section.name} at some hours only"
        return (unclear(process, reason, kind="relay"),)
    if _INTERNAL.intersection(section.values.get("type", ())):
        return ()
    redirect = section.values.get("redirect", [])
    if len(redirect) == 2 and redirect[1].isdecimal():
        steps: tuple[Onward, ...] = (
            toward(terrain, namespace, process, authority(redirect[0], redirect[1])),
        )
    elif redirect:
        reason = f"{process.name} redirects {section.name} to {' '.join(redirect)}"
        return (unclear(process, reason, kind="relay"),)
    else:
        command = [section.one("server"), *section.values.get("server_args", [])]
        steps = through(terrain, namespace, process, command)
    clients = _clients(section, defaults)
    if clients is None:
        reason = f"whom {process.name} serves at {section.name} depends on names"
        return (unclear(process, reason, kind="relay", cure="look at only_from and no_access"),)
    return tuple(replace(step, admits=None if clients.all else clients) for step in steps)


def _clients(section: _Section, defaults: _Section) -> Clients | None:
    """Whom `only_from` and `no_access` let in; of both the closer match decides.

    xinetd.conf(5): what a service does not set is taken from the defaults; an empty `only_from`
    lets nobody in.
    """
    only, none = (
        section.values.get(name, defaults.values.get(name)) for name in ("only_from", "no_access")
    )
    entries = [(word, True) for word in only or ()] + [(word, False) for word in none or ()]
    try:
        found = sorted(
            ((ip_network(_network(word)), lets) for word, lets in entries),
            key=lambda entry: entry[0].prefixlen,
        )
    except ValueError:
        return None
    served = EVERYONE if only is None else NOBODY
    for network, lets in found:
        clients = Clients.within(str(network))
        served = served | clients if lets else served - clients
    return served


def _network(word: str) -> str:
    """An address of only_from; zeros at its end stand for any octet."""
    if "/" in word or not re.fullmatch(r"\d+(?:\.\d+){3}", word):
        return word
    octets = word.split(".")
    while octets and octets[-1] == "0":
        octets.pop()
    return f"{word}/{8 * len(octets)}"
