"""Containers that systemd would start: podman's unit files (podman-systemd.unit(5), "Quadlet")."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from ollama_audit.collect.containers.document import address, number
from ollama_audit.collect.containers.labels import settings
from ollama_audit.collect.read import read_text
from ollama_audit.collect.systemd_syntax import unit_assignments, words
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.container import Container, PublishedPort

_MOST = 256
_PUBLISH = re.compile(
    r"(?:(?P<host>\[[^\]]*\]|\d+(?:\.\d+){3}):)?(?:(?P<from>\d*)(?:-\d+)?:)?"
    r"(?P<to>\d+)(?:-\d+)?(?:/tcp)?"
)


def read_quadlets(uid: int, home: str) -> tuple[Container, ...]:
    """What one user's, or the system's, quadlets would run, by the name of the file."""
    if uid:
        folders = [f"{home}/.config/containers/systemd", f"/etc/containers/systemd/users/{uid}"]
        folders.append("/etc/containers/systemd/users")
    else:
        folders = ["/etc/containers/systemd", "/usr/share/containers/systemd"]
    paths = [path for folder in folders for path in _files(folder)]
    found = (_quadlet(path) for path in paths[:_MOST])
    return tuple(container for container in found if container is not None)


def _files(folder: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names, not paths
    except OSError:
        return
    yield from (f"{folder}/{name}" for name in names if name.endswith(".container"))


def _quadlet(path: str) -> Container | None:
    text = read_text(path, limit=1 << 20)
    if isinstance(text, Unknown):
        return None
    values: dict[str, list[str]] = {}
    for each in unit_assignments(text.value):
        if each.section == "Container":
            values.setdefault(each.name, []).append(each.value)
    stem = path.rpartition("/")[2].removesuffix(".container")
    return Container(
        id=path,
        name=values.get("ContainerName", [f"systemd-{stem}"])[-1],
        image=values.get("Image", [""])[-1],
        running=False,
        state="quadlet",
        network_mode=values.get("Network", [""])[-1],
        ports=tuple(port for value in values.get("PublishPort", ()) for port in published(value)),
        environment=settings(w for value in values.get("Environment", ()) for w in words(value)),
        labels={"PODMAN_SYSTEMD_UNIT": f"{stem}.service"},
    )


def published(value: str) -> Iterator[PublishedPort]:
    """`[[ADDRESS:][HOST_PORT]:]PORT[/PROTOCOL]`, as `podman run --publish` has it; TCP only."""
    found = _PUBLISH.fullmatch(value.strip())
    if found is not None:
        yield PublishedPort(
            address=address((found["host"] or "").strip("[]")),
            host_port=number(found["from"] or ""),
            port=number(found["to"]),
        )
