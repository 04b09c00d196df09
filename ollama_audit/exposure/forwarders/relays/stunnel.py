"""stunnel by its configuration (stunnel(8) 5.68): TLS on one side, bytes on the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from posixpath import join

from ollama_audit.exposure.forwarders.relays.target import literal, toward
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.web import configuration, owners, stale
from ollama_audit.exposure.model import Encryption, Login
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Known, Unknown, known_or
from ollama_audit.snapshot.configuration import Configuration
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process
from ollama_audit.words import authority

_LINE = re.compile(r"\s*(?:\[(?P<service>[^\]]+)\]|(?P<name>\w+)\s*=?\s*(?P<value>.*?))\s*$")
_CHANGES = ("protocol", "exec", "libwrap")
"""Options after which it does more than pass bytes on."""

_Options = dict[str, list[str]]


def stunnel(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """Where the services of a listener lead, with the certificate or key that they ask for."""
    found = configuration(terrain, owners(listener, process))
    if found is None or not found.files:
        return (unclear(process, "the configuration of stunnel was not read", kind="relay"),)
    for file in found.files:
        if isinstance(file.text, Unknown):
            reason = f"{file.path}: {file.text.reason}"
            return (unclear(process, reason, kind="relay", cure=file.text.cure),)
    if late := stale(found):
        return (unclear(process, late, kind="relay", cure="sudo systemctl restart stunnel4"),)
    services = _services(found)
    serving = {name for name, options in services.items() if _accepts(options, listener)}
    steps = [
        step
        for name, options in services.items()
        if name in serving or options.get("sni", [""])[0].partition(":")[0] in serving
        for step in _steps(terrain, namespace, process, name, options)
    ]
    if not steps and not serving:
        reason = f"no service of {found.main} is about {listener}"
        return (unclear(process, reason, kind="relay"),)
    return tuple(steps)


def _lines(found: Configuration, path: str) -> Iterator[str]:
    file = found.file(path)
    text = file.text.value if file and isinstance(file.text, Known) else ""
    for line in text.splitlines():
        included = re.match(r"\s*include\s*=\s*\"?([^\"\s]+)", line)
        if included is None or path != found.main:
            yield line
            continue
        folder = f"{join(found.base, included[1]).rstrip('/')}/"
        for other in sorted(each.path for each in found.files if each.path.startswith(folder)):
            yield from _lines(found, other)


def _services(found: Configuration) -> dict[str, _Options]:
    """The options of each service, by names in lower case; what stands before all holds for all."""
    above: _Options = {}
    services: dict[str, _Options] = {}
    current = above
    for line in _lines(found, found.main):
        match = _LINE.match(line) if line.lstrip()[:1] not in {"#", ";"} else None
        if match is None:
            continue
        if match["service"]:
            current = services.setdefault(match["service"], {**above})
        elif match["name"]:
            name = match["name"].lower()
            if name in above and current is not above and current.get(name) is above[name]:
                current[name] = []
            current.setdefault(name, []).append(match["value"])
    return services


def _accepts(options: _Options, listener: Listener) -> bool:
    for text in options.get("accept", ()):
        host, _, port = text.rpartition(":")
        address = literal(host) if host else "0.0.0.0"  # noqa: S104 - what a text means
        if port == str(listener.port) and address in {listener.address, str(listener.ip), ""}:
            return True
    return False


def _steps(
    terrain: Terrain,
    namespace: NetworkNamespace,
    process: Process,
    name: str,
    options: _Options,
) -> Iterator[Onward]:
    last = {option: values[-1] for option, values in options.items() if values}
    client = last.get("client", "no").lower() == "yes"
    odd = [each for each in _CHANGES if last.get(each, "no").lower() != "no"]
    if odd:
        reason = f"stunnel's [{name}] has {odd[0]}, which is not followed"
        yield unclear(process, reason, kind="relay")
        return
    tls = Encryption.PLAIN if client else Encryption.TLS
    asked = "" if client else _asked(last)
    for place in options.get("connect", ()):
        step = replace(_to(terrain, namespace, process, place), tls=tls)
        if client and _is_ollama(terrain, step):
            continue  # it would speak TLS, which Ollama does not
        if asked:
            because = (f"stunnel's [{name}]: {asked}",)
            step = replace(step, login=Login.REQUIRED, login_because=because)
        yield step
    for place in options.get("redirect", ()) if asked else ():
        yield replace(_to(terrain, namespace, process, place), tls=tls)


def _asked(last: dict[str, str]) -> str:
    """What a client of a server must have: a certificate that is verified, or a key."""
    if last.get("verify", "") in {"2", "3", "4"}:
        return f"verify = {last['verify']}"
    for option in ("verifychain", "verifypeer"):
        if last.get(option, "no").lower() == "yes":
            return f"{option} = yes"
    return "pskSecrets" if "psksecrets" in last else ""


def _to(terrain: Terrain, namespace: NetworkNamespace, process: Process, place: str) -> Onward:
    host, _, port = place.rpartition(":")
    return toward(terrain, namespace, process, authority(host or "localhost", port))


def _is_ollama(terrain: Terrain, step: Onward) -> bool:
    listeners = known_or(step.namespace.listeners, ()) if step.namespace else ()
    return any(
        terrain.servers.keys() & set(known_or(each.owners, ()))
        for each in listeners
        if each.port == step.port
    )
