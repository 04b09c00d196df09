"""One tunnel as its client was told to make it, and what readers of such clients share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from typing import Any

from ollama_audit.exposure.command_line import CommandLine, command_line
from ollama_audit.exposure.forwarders import passes_on
from ollama_audit.exposure.forwarders.document import document
from ollama_audit.exposure.forwarders.step import Onward
from ollama_audit.exposure.forwarders.web import Upstream, resolve
from ollama_audit.exposure.model import Encryption, Hop, Login, Zone
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.zones import public
from ollama_audit.observed import Known, Unknown, known_or
from ollama_audit.snapshot.configuration import Configuration, ConfigurationFile
from ollama_audit.snapshot.network import Family, NetworkNamespace
from ollama_audit.snapshot.process import Process
from ollama_audit.words import authority


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """A way in from elsewhere, through one client."""

    label: str
    """What it is called where it has no public name; stable from one audit to the next."""
    steps: tuple[Onward, ...]
    """Where its connections go on this host; several where a name has several addresses."""
    name: str = ""
    """Its public name or address, where that is known."""
    zone: Zone = Zone.INTERNET
    """Who is at its far end."""
    families: tuple[Family, ...] = (Family.IPV4, Family.IPV6)
    sure: bool = False
    """Whether everybody in that zone surely gets into it."""
    because: tuple[str, ...] = ()
    """Why, or why it is not known."""
    cure: str = ""
    enciphered: bool = False
    """It passes on TLS as it is, so that a server that does not speak it is not reached."""


@dataclass(frozen=True)
class Client:
    """The client of a tunnel: a running program with what it was told."""

    terrain: Terrain
    process: Process
    found: Configuration
    product: str = field(default="")

    @cached_property
    def title(self) -> str:
        """What people call the program."""
        return self.product or self.found.program

    @property
    def namespace(self) -> NetworkNamespace | None:
        """The network namespace that it connects from; None when that was not read."""
        return self.terrain.namespaces.get(known_or(self.process.network_namespace, 0))

    def line(self, switches: Iterable[str] = ()) -> CommandLine:
        """Its command line without the program itself.

        Raises:
            ValueError: It could not be read.
        """
        if isinstance(self.process.arguments, Unknown):
            raise ValueError(f"its arguments: {self.process.arguments.reason}")  # noqa: TRY004
        words = list(self.process.arguments.value)
        # An interpreter's script and its options come first.
        named = [n for n, w in enumerate(words) if w.rpartition("/")[2] in self.process.called]
        return command_line(words[max(named, default=0) + 1 :], switches)

    def variable(self, name: str) -> str:
        """The value of an environment variable; empty when it is unset, withheld or unread."""
        settings = known_or(self.found.environment, ()) if self.found.environment else ()
        return next((each.value or "" for each in settings if each.name == name), "")

    def has_variable(self, name: str) -> bool:
        """Whether an environment variable is set, whatever its value."""
        settings = known_or(self.found.environment, ()) if self.found.environment else ()
        return any(each.name == name for each in settings)

    def documents(self) -> Iterator[tuple[str, Any]]:
        """Its files, parsed, in the order in which they were read.

        Raises:
            ValueError: One could not be read, is no document, or changed since it was loaded.
        """
        for file in self.found.files:
            yield file.path, document(file.path, text_of(file))

    def to(self, host: str, port: int, **how: Any) -> tuple[Onward, ...]:
        """The steps to a port of a host that was named in a configuration; `how` as in `Onward`.

        A name that only a resolver knows leads nowhere if nothing here that leads to Ollama
        listens at that port.
        """
        hop = Hop(
            kind="tunnel",
            name=f"{self.title} to {authority(host, port)}",
            pid=self.process.pid,
            detail=how.pop("detail", ""),
        )
        if self.namespace is None:
            reason = "the network namespace of this tunnel's client was not read"
            return (Onward(hop=hop, login=Login.UNKNOWN, tls=Encryption.UNKNOWN, reason=reason),)
        found: list[Onward] = []
        for upstream in self._resolved(host, port):
            if upstream.address:
                found.append(
                    Onward(
                        hop=hop,
                        namespace=self.namespace,
                        address=upstream.address,
                        port=port,
                        **how,
                    )
                )
            elif self._answered(port):
                reason, cure = upstream.reason, upstream.cure
                found.append(Onward(hop=hop, login=Login.UNKNOWN, reason=reason, cure=cure))
        return tuple(found)

    def _resolved(self, host: str, port: int) -> Iterator[Upstream]:
        for upstream in resolve(host or "localhost", port, self.found.names):
            if upstream.address and ip_address(upstream.address).is_unspecified:
                # connect(2) to the unspecified address is one to loopback.
                loopback = "::1" if ":" in upstream.address else "127.0.0.1"
                yield Upstream(loopback, port)
            else:
                yield upstream

    def _answered(self, port: int) -> bool:
        """Whether anything on this host that may lead to Ollama listens at a port."""
        spaces = self.terrain.namespaces.values()
        if not spaces or any(isinstance(each.listeners, Unknown) for each in spaces):
            return True
        return any(
            listener.port == port
            and (
                isinstance(listener.owners, Unknown)
                or self.terrain.servers.keys() & set(listener.owners.value)
                or passes_on(self.terrain, listener)
            )
            for space in spaces
            for listener in known_or(space.listeners, ())
        )

    def anywhere(self, **how: Any) -> tuple[Onward, ...]:
        """The steps of a client that connects to wherever whoever comes through it asks for."""
        places = self.terrain.served(self.namespace) if self.namespace else ()
        return tuple(step for place in places for step in self.to(*place, **dict(how)))

    def unclear(self, reason: str, cure: str = "") -> Onward:
        """The step of a client of which it is not known where it leads."""
        return Onward(
            hop=Hop(kind="tunnel", name=f"{self.title} ({self.process.pid})", pid=self.process.pid),
            login=Login.UNKNOWN,
            tls=Encryption.UNKNOWN,
            reason=reason,
            cure=cure,
        )


def text_of(file: ConfigurationFile) -> str:
    """The text of a file.

    Raises:
        ValueError: It could not be read.
    """
    if isinstance(file.text, Known):
        return file.text.value
    raise ValueError(f"{file.path}: {file.text.reason}")


def host_port(text: str, port: int = 0) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, `[V6]:PORT`, `:PORT`, `PORT` or `HOST`, with a default port.

    Raises:
        ValueError: It has neither.
    """
    bare = text.strip()
    if bare.isdecimal():
        host, found = "localhost", int(bare)
    elif bare.startswith("["):
        host, _, rest = bare[1:].partition("]")
        found = _number(rest.removeprefix(":"), port)
    elif bare.count(":") > 1:
        host, found = bare, port
    else:
        host, _, rest = bare.partition(":")
        found = _number(rest, port)
    if not 0 < found < 65536:
        raise ValueError(f"{text} names no port")
    return host or "localhost", found


def _number(text: str, otherwise: int) -> int:
    if not text:
        return otherwise
    if not text.isdecimal():
        raise ValueError(f"{text} is no port")
    return int(text)


def target(url: str, port: int = 0) -> tuple[str, int]:
    """Host and port of a URL or of what `host_port` knows; without a port that of the scheme.

    Raises:
        ValueError: It names none.
    """
    scheme, separator, rest = url.strip().partition("://")
    if not separator:
        return host_port(url, port)
    authority = rest.partition("/")[0].rpartition("@")[2]
    return host_port(authority, {"https": 443, "http": 80}.get(scheme.partition("+")[0], port))


def elsewhere(server: str) -> Zone:
    """Where the clients of a tunnel's server are, as far as its address tells."""
    try:
        address = ip_address(server.strip("[]"))
    except ValueError:
        return Zone.INTERNET
    return Zone.INTERNET if public(address) or address.is_loopback else Zone.LAN
