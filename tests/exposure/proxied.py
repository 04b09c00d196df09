"""Hosts with a reverse proxy in front of Ollama, for tests of forwarders."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address

import msgspec

from ollama_audit.exposure.forwarders import Onward, onward
from ollama_audit.exposure.hostcheck import refused
from ollama_audit.exposure.model import Login
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Known
from ollama_audit.snapshot.configuration import Configuration, ConfigurationFile
from tests.hosts import host, listener, namespace, namespaces, process

LOADED = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
PROXY = 50


def configured(
    program: str, files: dict[str, str], *, base: str = "", running: str = ""
) -> Configuration:
    """What was read of a proxy; the first file is the main one."""
    main = next(iter(files), "")
    return Configuration(
        program=program,
        pid=PROXY,
        pids=(PROXY,),
        loaded_at=Known(LOADED, "/proc"),
        main=main,
        base=base or main.rpartition("/")[0],
        files=tuple(
            ConfigurationFile(path=path, text=Known(text, path), changed_at=LOADED)
            for path, text in files.items()
        ),
        running=Known(running, "GET /config/") if running else None,
        names={"localhost": ("127.0.0.1", "::1"), "ai-box": ("127.0.1.1",)},
    )


def steps(
    found: Configuration | None, name: str = "nginx", at: str = "0.0.0.0:80"
) -> tuple[Onward, ...]:
    """What the proxy does with connections to a listener of its."""
    own = listener(at, owners=PROXY)
    space = namespace("127.0.0.1:11434", own)
    proxy = process(PROXY, name=name, executable=f"/usr/sbin/{name}")
    given = host(namespaces=namespaces(space), processes=(proxy,)).snapshot
    snapshot = msgspec.structs.replace(given, configurations=(found,) if found else ())
    return onward(Terrain(snapshot), space, own, (PROXY,))


def verdict(found: tuple[Onward, ...], client: str = "203.0.113.9", port: int = 11434) -> str:
    """`open`, `login`, `doubt` or `shut` for a client, towards Ollama on the host."""
    address, snapshot = ip_address(client), host().snapshot
    logins = [
        step.login
        for step in found
        if step.namespace is not None and step.port == port and step.address == "127.0.0.1"
        if step.admits is None or int(address) in step.admits.of(address.version)
        if step.hosts is None or not all(refused(snapshot, name) for name in step.hosts)
    ]
    if any(step.namespace is None and step.reason for step in found) and not logins:
        return "doubt"
    words = {Login.NONE: "open", Login.UNKNOWN: "doubt", Login.REQUIRED: "login"}
    return next((words[each] for each in words if each in logins), "shut")


__all__ = ["PROXY", "configured", "replace", "steps", "verdict"]
