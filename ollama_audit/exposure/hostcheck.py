"""The check of the Host header that Ollama makes when it listens on loopback.

Ollama server/routes.go, allowedHostsMiddleware and allowedHost, since 0.1.29: without it, a web
page could rebind its own name to 127.0.0.1. A proxy that sends another name along gets 403, and
so does everybody who comes through it.
"""

from __future__ import annotations

from ipaddress import ip_address

from packaging.version import InvalidVersion, Version

from ollama_audit.observed import Known, known_or
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import Listener
from ollama_audit.snapshot.process import OllamaServer

_SINCE = Version("0.1.29")
_ENDINGS = (".localhost", ".local", ".internal")


def checks_host(server: OllamaServer, listener: Listener) -> bool:
    """Whether this socket of the server surely refuses foreign names."""
    if not listener.on_loopback or not isinstance(server.api.version, Known):
        return False
    try:
        return Version(server.api.version.value) >= _SINCE
    except InvalidVersion:
        return False


def refused(snapshot: HostSnapshot, host: str) -> bool:
    """Whether a Host header is surely answered with 403."""
    name = host.lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    if not name or name == "localhost" or name.endswith(_ENDINGS):
        return False
    try:
        address = ip_address(name)
    except ValueError:
        return name != snapshot.platform.hostname.lower()
    if address.is_loopback or address.is_private or address.is_unspecified:
        return False
    return all(
        own.address != name
        for namespace in known_or(snapshot.namespaces, ())
        for interface in known_or(namespace.interfaces, ())
        for own in interface.addresses
    )
