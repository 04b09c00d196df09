"""Hosts with the client of a tunnel beside Ollama, for tests of what such clients make."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from ollama_audit.exposure.assess import assess
from ollama_audit.exposure.model import Endpoint, Extent, Zone
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.configuration import Configuration, ConfigurationFile
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import Family, Interface, InterfaceAddress, Listener
from ollama_audit.snapshot.process import Process
from tests.exposure.proxied import LOADED
from tests.hosts import host, listener, namespace, namespaces, process, server, servers, settings

CLIENT = 60
LO = Interface(
    index=1,
    name="lo",
    type=772,
    loopback=True,
    addresses=(
        InterfaceAddress(family=Family.IPV4, address="127.0.0.1", prefix_length=8),
        InterfaceAddress(family=Family.IPV6, address="::1", prefix_length=128),
    ),
)
ANYWHERE = "0.0.0.0:11434"
LOOPBACK = "127.0.0.1:11434"


def told(
    program: str,
    line: str,
    files: Mapping[str, str | Unknown] | None = None,
    *,
    running: object = None,
    variables: Mapping[str, str | None] | None = None,
) -> tuple[Process, Configuration]:
    """A client with its command line and what it was told."""
    words = tuple(line.split())
    running_process = replace(
        process(CLIENT, name=program[:15], executable=f"/usr/local/bin/{program}"),
        arguments=Known(words, f"/proc/{CLIENT}/cmdline"),
    )
    given = files or {}
    return running_process, Configuration(
        program=program,
        pid=CLIENT,
        pids=(CLIENT,),
        loaded_at=Known(LOADED, "/proc"),
        main=next(iter(given), ""),
        base="/",
        files=tuple(
            ConfigurationFile(
                path=path,
                text=text if isinstance(text, Unknown) else Known(text, path),
                changed_at=LOADED,
            )
            for path, text in given.items()
        ),
        running=None
        if running is None
        else Known(msgspec.json.encode(running).decode(), "GET /config"),
        environment=Known(settings(variables or {}), f"/proc/{CLIENT}/environ"),
        names={"localhost": ("127.0.0.1", "::1"), "ai-box": ("127.0.1.1",)},
    )


def with_tunnel(
    client: tuple[Process, Configuration],
    at: str = LOOPBACK,
    *others: Listener,
    more: tuple[tuple[Process, Configuration], ...] = (),
    version: str = "0.30.0",
) -> HostSnapshot:
    """A host whose Ollama listens at `at`, with a client and further listeners beside it."""
    space = replace(
        namespace(listener(at), *others),
        interfaces=Known((LO,), "rtnetlink"),
        routes=Known((), "rtnetlink"),
    )
    given = host(
        namespaces=namespaces(space),
        processes=(client[0], *(each for each, _ in more)),
        servers=servers(server(version=version)),
    ).snapshot
    return replace(given, configurations=(client[1], *(each for _, each in more)))


def tunnels(snapshot: HostSnapshot) -> list[Endpoint]:
    """The endpoints that tunnels make."""
    return [endpoint for endpoint in assess(snapshot).endpoints if not endpoint.address]


def word(endpoint: Endpoint) -> str:
    """Zone, extent and login of an endpoint, such as `internet all none`."""
    (zone,) = {part.zone for part in endpoint.reach}
    (extent,) = {part.extent for part in endpoint.reach}
    assert isinstance(zone, Zone)
    assert isinstance(extent, Extent)
    return f"{zone} {extent} {endpoint.login}"


def words(
    client: tuple[Process, Configuration], at: str = LOOPBACK, version: str = "0.30.0"
) -> dict[str, str]:
    """What a client makes of an Ollama that listens at `at`, by the endpoint's id."""
    found = tunnels(with_tunnel(client, at, version=version))
    return {endpoint.id: word(endpoint) for endpoint in found}
