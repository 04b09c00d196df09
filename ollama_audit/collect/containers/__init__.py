"""Reads what container engines say of their containers, without starting one.

Names, images and published ports are for people and for programs that pass a port on outside the
kernel; who gets in is decided by the kernel's own tables, which are read whatever is said here.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator

import msgspec

from ollama_audit.collect.cgroups import membership
from ollama_audit.collect.containers.docker import read_docker
from ollama_audit.collect.containers.podman import read_podman
from ollama_audit.collect.read import read_text
from ollama_audit.observed import Known, known_or
from ollama_audit.snapshot.container import Container, ContainerEngine
from ollama_audit.snapshot.network import NetworkNamespace

_RUNTIME = "/run/user"


def read_engines() -> tuple[ContainerEngine, ...]:
    """The engines of the system, and those of users who are logged in or linger."""
    users = list(_users())
    found = [read_docker(0, "/run"), *(read_docker(uid, runtime) for uid, runtime, _ in users)]
    found += [read_podman(0, "/root"), *(read_podman(uid, home) for uid, _, home in users)]
    return tuple(engine for engine in found if engine is not None)


def _users() -> Iterator[tuple[int, str, str]]:
    """User id, runtime folder (pam_systemd(8)) and home of those who may run an engine."""
    try:
        names = os.listdir(_RUNTIME)  # noqa: PTH208 - names, not paths
    except OSError:
        return
    for uid in sorted(int(name) for name in names if name.isdecimal() and name != "0"):
        try:
            yield uid, f"{_RUNTIME}/{uid}", pwd.getpwuid(uid).pw_dir
        except (KeyError, OverflowError):
            continue


def placed(
    engines: Iterable[ContainerEngine], namespaces: Iterable[NetworkNamespace]
) -> tuple[ContainerEngine, ...]:
    """The engines with the network namespaces of their containers.

    The control group of a process in the namespace names the container where its engine gave no
    process id.
    """
    inodes = {
        membership(known_or(read_text(f"/proc/{n.pid}/cgroup"), "")).container: n.inode
        for n in namespaces
        if not n.host
    }
    return tuple(
        msgspec.structs.replace(
            engine,
            containers=Known(
                tuple(_placed(each, inodes) for each in engine.containers.value),
                engine.containers.source,
            )
            if isinstance(engine.containers, Known)
            else engine.containers,
        )
        for engine in engines
    )


def _placed(container: Container, inodes: dict[str, int]) -> Container:
    if container.network_namespace or container.id not in inodes:
        return container
    return msgspec.structs.replace(container, network_namespace=inodes[container.id])
