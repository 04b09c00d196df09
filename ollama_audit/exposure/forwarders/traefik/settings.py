"""What Traefik was told: by one static source, files of its file provider, and container labels.

doc.traefik.io/traefik, "Configuration Introduction", "File" and "Docker" (v2.11, v3.5). Names of
settings do not depend on case, so everything that names is in lower case here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ollama_audit.exposure.forwarders.document import document, entries, mapping, word
from ollama_audit.observed import Known, Unknown, known_or
from ollama_audit.snapshot.configuration import Configuration
from ollama_audit.snapshot.container import Container, ContainerEngine
from ollama_audit.snapshot.process import Process

_KINDS = ("routers", "services", "middlewares")
_BESIDE_ROUTES = frozenset({"file", "docker", "providersthrottleduration", "precedence"})


class NotUnderstoodError(Exception):
    """It cannot be said what Traefik was told."""

    def __init__(self, reason: str, cure: str = "") -> None:
        super().__init__(reason)
        self.cure = cure


@dataclass(slots=True)
class Settings:
    """Everything that is known of one Traefik."""

    static: dict[str, Any]
    source: str
    http: dict[str, dict[str, Any]] = field(default_factory=lambda: {kind: {} for kind in _KINDS})
    """Routers, services and middlewares by `name@provider`."""
    tcp: dict[str, dict[str, Any]] = field(default_factory=lambda: {kind: {} for kind in _KINDS})
    tls_options: dict[str, Any] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    """Where further routes may come from."""

    def add(self, dynamic: Any, provider: str) -> None:
        """Lay the configuration of a provider beside the others."""
        given = mapping(lowered(dynamic))
        for protocol, into in (("http", self.http), ("tcp", self.tcp)):
            section = mapping(given.get(protocol))
            for kind in _KINDS:
                for name, value in mapping(section.get(kind)).items():
                    into[kind][f"{name}@{provider}"] = mapping(value)
        self.tls_options |= mapping(mapping(given.get("tls")).get("options"))


def lowered(value: Any) -> Any:
    """The same with the keys of all mappings in lower case."""
    if isinstance(value, dict):
        return {str(key).lower(): lowered(inner) for key, inner in value.items()}
    return [lowered(inner) for inner in value] if isinstance(value, list) else value


def listed(value: Any) -> list[str]:
    """A list of texts; one text may hold several with commas between them."""
    return [
        part.strip() for each in entries(value) for part in word(each).split(",") if part.strip()
    ]


def enabled(value: Any) -> bool:
    """Whether a switch is on, in YAML or as a text."""
    return value is True or word(value).lower() in {"true", "1"}


def settings(
    found: Configuration, process: Process, engines: Iterable[ContainerEngine]
) -> Settings:
    """What this Traefik was told.

    Raises:
        NotUnderstoodError: A file was not read or is none, or it was told in a way that is not
            followed.
    """
    known = _static(found, process)
    providers = mapping(known.static.get("providers"))
    for path, text in _dynamic_files(found):
        if "{{" in text:
            raise NotUnderstoodError(f"{path} is a template, which is not followed")
        known.add(_document(path, text), "file")
    known.unread += [
        f"routes of its provider {name} are not read"
        for name in providers
        if name not in _BESIDE_ROUTES
    ]
    if "docker" in providers:
        _add_labels(known, mapping(providers["docker"]), engines)
    return known


def _document(path: str, text: str) -> Any:
    try:
        return document(path, text)
    except ValueError as error:
        raise NotUnderstoodError(f"{path}: {error}") from None


def _static(found: Configuration, process: Process) -> Settings:
    """One source alone counts: the file, else arguments, else variables (cmd/traefik)."""
    if found.main:
        file = found.file(found.main)
        if file is None or isinstance(file.text, Unknown):
            unread = file.text if file is not None and isinstance(file.text, Unknown) else None
            raise NotUnderstoodError(
                f"{found.main}: {unread.reason if unread else 'was not read'}",
                unread.cure if unread else "",
            )
        return Settings(mapping(lowered(_document(found.main, file.text.value))), found.main)
    words = known_or(process.arguments, ())[1:]
    if any(each.startswith("-") for each in words):
        return Settings(_tree(_flags(words)), "its arguments")
    named = known_or(found.environment, ()) if found.environment else ()
    if any(each.name.upper().startswith("TRAEFIK_") for each in named):
        raise NotUnderstoodError(
            "it is told by variables, whose values an audit does not read",
            "write them into /etc/traefik/traefik.yml",
        )
    return Settings({}, "its defaults")


def _flags(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """`--name=value`, `--name value` and `--name`."""
    name = ""
    for each in words:
        if each.startswith("-"):
            if name:
                yield name, "true"
            name, sign, value = each.lstrip("-").partition("=")
            if sign:
                yield name, value
                name = ""
        elif name:
            yield name, each
            name = ""
    if name:
        yield name, "true"


def _tree(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """`a.b.c=x` as nested mappings; `a[0].b=x` as one of a list."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        *path, last = re.sub(r"\[(\d+)\]", r".\1", name.lower()).split(".")
        at = root
        for step in path:
            inner = at.get(step)
            if not isinstance(inner, dict):
                inner = at[step] = {}
            at = inner
        if not isinstance(at.get(last), dict):
            at[last] = value
    return {name: _lists(inner) for name, inner in root.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdecimal() for key in value):
        return [_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _lists(inner) for key, inner in value.items()}


def _dynamic_files(found: Configuration) -> Iterator[tuple[str, str]]:
    for file in found.files:
        if file.path == found.main or not file.path.endswith((".yml", ".yaml", ".toml")):
            continue
        if isinstance(file.text, Unknown):
            raise NotUnderstoodError(f"{file.path}: {file.text.reason}", file.text.cure)
        yield file.path, file.text.value


def _add_labels(
    known: Settings, provider: dict[str, Any], engines: Iterable[ContainerEngine]
) -> None:
    """What the labels of running containers say (docs, "Traefik & Docker")."""
    answered = [
        engine.containers.value for engine in engines if isinstance(engine.containers, Known)
    ]
    if not answered:
        known.unread.append("routes by the labels of containers are not read")
        return
    if any(provider.get(name) for name in ("constraints", "defaultrule")):
        known.unread.append("containers with routes are chosen by constraints or a defaultRule")
    shown = provider.get("exposedbydefault")
    by_default = shown is None or enabled(shown)
    running = [each for listed in answered for each in listed if each.running]
    for container in running:
        given = {name.lower(): value for name, value in container.labels.items()}
        wanted = given.get("traefik.enable")
        if by_default if wanted is None else enabled(wanted):
            pairs = [
                (name.removeprefix("traefik."), value)
                for name, value in given.items()
                if name.startswith("traefik.")
            ]
            known.add(_completed(_tree(pairs), container), "docker")


def _completed(dynamic: dict[str, Any], container: Container) -> dict[str, Any]:
    """The labels of one container with what Traefik adds: its address, a service, a router."""
    name = re.sub(r"[^a-z0-9]+", "-", container.name.lower()).strip("-")
    http = dynamic.setdefault("http", {})
    if dynamic.get("tcp") and not http:
        return dynamic
    services = http.setdefault("services", {}) or {name: {}}
    routers = http.setdefault("routers", {}) or {name: {"rule": f"Host(`{name}`)"}}
    http["services"], http["routers"] = services, routers
    addresses = [address for network in container.networks for address in network.addresses]
    for service in services.values():
        balancer = service.setdefault("loadbalancer", {}) if isinstance(service, dict) else {}
        server = mapping(balancer.get("server"))
        if "url" in server:
            balancer["servers"] = [{"url": server["url"]}]
            continue
        ports = [port.port for port in container.ports]
        port = word(server.get("port")) or (str(min(ports)) if ports else "")
        scheme = word(server.get("scheme")) or "http"
        balancer["servers"] = [
            {"url": f"{scheme}://{address}:{port}"} for address in addresses if port
        ]
    for router in routers.values():
        if isinstance(router, dict) and "service" not in router and len(services) == 1:
            router["service"] = next(iter(services))
    return dynamic
