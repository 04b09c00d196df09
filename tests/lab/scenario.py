"""What a scenario is, and the addresses that every scenario has."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache

from tests.lab import scenarios

OPEN = "open"
LOGIN = "login"
OTHER = "other"
NOTHING = "nothing"
OUTCOMES = (OPEN, LOGIN, OTHER, NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A client: where it sits and what the host sees of it."""

    name: str
    address: str
    namespace: str
    """`world`, `box` or `host`, as keeper.sh makes them."""
    interface: str
    """The host's interface that its packets come in by; empty for the host itself."""


SOURCES = (
    Source(name="lan4", address="192.168.77.20", namespace="world", interface="eth0"),
    Source(name="lan6", address="2001:db8:77::20", namespace="world", interface="eth0"),
    Source(name="internet4", address="203.0.113.50", namespace="world", interface="eth0"),
    Source(name="internet6", address="2001:db8:f00d::50", namespace="world", interface="eth0"),
    Source(name="near4", address="198.51.100.20", namespace="world", interface="eth1"),
    Source(name="uplink4", address="203.0.113.60", namespace="world", interface="eth1"),
    Source(name="uplink6", address="2001:db8:f00d::60", namespace="world", interface="eth1"),
    Source(name="vpn4", address="10.99.0.2", namespace="world", interface="tun0"),
    Source(name="vpn6", address="fd99::2", namespace="world", interface="tun0"),
    Source(name="box4", address="172.30.0.2", namespace="box", interface="br0"),
    Source(name="box6", address="fd30::2", namespace="box", interface="br0"),
    Source(name="self4", address="127.0.0.1", namespace="host", interface=""),
    Source(name="self6", address="::1", namespace="host", interface=""),
    Source(name="own4", address="192.168.77.10", namespace="host", interface=""),
    Source(name="own6", address="2001:db8:77::10", namespace="host", interface=""),
)

ADDRESSES = {
    "lo4": "127.0.0.1",
    "lo6": "::1",
    "lan4": "192.168.77.10",
    "lan6": "2001:db8:77::10",
    "public4": "198.51.100.10",
    "public6": "2001:db8:100::10",
    "vpn4": "10.99.0.1",
    "vpn6": "fd99::1",
    "box4": "172.30.0.1",
    "box6": "fd30::1",
}
"""The host's own addresses by the name that scenarios call them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A TCP port that is asked about on every address."""

    number: int
    tls: bool = False
    host: str = ""
    """The Host header, where a proxy has virtual hosts."""
    prefix: str = ""
    """What comes before `/api/...`, as in Open WebUI's `/ollama`."""
    paths: tuple[str, ...] = ("GET /api/version", "GET /api/tags", "POST /api/generate")
    """What is asked: what Ollama answers, as far as it comes by here."""
    sign_in: str = ""
    """Where an application hands out a token, asked for first with an empty name and password."""
    login: tuple[int, ...] = (401,)
    """The statuses that mean "who are you?" here; client certificates have their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A host in a state that people have theirs in, and what must be true of it.

    `setup` is bash, run as root in the booted host with errors fatal. `truth` holds what is known
    beforehand, `"SOURCE -> ADDRESS:PORT": outcome` with shell wildcards, port optional: it is there
    to notice a set-up that does not do what it says. Every other cell is measured all the same.
    """

    name: str
    about: str
    setup: str = ""
    ports: tuple[int | Port, ...] = (11434,)
    truth: Mapping[str, str] = field(default_factory=dict)
    findings: Mapping[str, str] = field(default_factory=dict)
    """Rule name: status that the audit must give it."""
    pending: str = ""
    """Why the audit is expected to be wrong here: the subject of the open issue. It must be wrong
    then, or this line is out of date."""
    suite: str = "bookworm"
    user: str = "root"
    """Who runs the audit."""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """More addresses of the host than `ADDRESSES`, made by `setup`."""
    sources: tuple[Source, ...] = ()
    """More clients than `SOURCES`. A namespace of theirs that starts with `/` is a file in the
    host: `/run/lab/NAME` holds the process id of one in that network namespace."""

    without: tuple[str, ...] = ()
    """Clients and addresses of the host that `setup` takes away, with their link or family."""

    def port(self, number: int) -> Port:
        """What to know of asking this port."""
        return next(port for port in self.asked() if port.number == number)

    def asked(self) -> tuple[Port, ...]:
        """The ports, all in the long form."""
        return tuple(port if isinstance(port, Port) else Port(number=port) for port in self.ports)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One question of a scenario: does this client reach Ollama there?"""

    source: Source
    name: str
    """What the scenario calls the address."""
    address: str
    port: Port

    def __str__(self) -> str:
        return f"{self.source.name} -> {self.name}:{self.port.number}"

    def matches(self, pattern: str) -> bool:
        """Whether a key of `Scenario.truth` speaks of this cell."""
        with_port = pattern if ":" in pattern else f"{pattern}:*"
        return fnmatchcase(str(self), with_port)


def cells(scenario: Scenario) -> list[Cell]:
    """Every source x address x port of a scenario, the two of one family."""
    return [
        Cell(source=source, name=name, address=address, port=port)
        for source in (*SOURCES, *scenario.sources)
        if source.name not in scenario.without
        for name, address in {**ADDRESSES, **scenario.addresses}.items()
        if name not in scenario.without
        for port in scenario.asked()
        if (":" in source.address) == (":" in address)
        # A container's own loopback is not the host's.
        if not (source.namespace.startswith("/") and name.startswith("lo"))
    ]


@cache
def all_scenarios() -> dict[str, Scenario]:
    """Every scenario by name, in the order of the modules and in them as written."""
    found: dict[str, Scenario] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(scenarios.__path__)):
        for scenario in importlib.import_module(f"{scenarios.__name__}.{module}").SCENARIOS:
            assert scenario.name not in found, f"two scenarios are called {scenario.name}"
            found[scenario.name] = scenario
    return found
