"""Endpoints and who reaches them: the records that rules judge and reports print."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ollama_audit.observed import Observed
from ollama_audit.snapshot.network import Family
from ollama_audit.words import authority


class Zone(StrEnum):
    """Where a client is, as seen from the host."""

    HOST = "host"
    CONTAINER = "container"
    LAN = "lan"
    VPN = "vpn"
    INTERNET = "internet"

    @property
    def who(self) -> str:
        """Who is there, for people."""
        return _WHO[self]


_WHO = {
    Zone.HOST: "programs on this machine",
    Zone.CONTAINER: "the containers on this machine",
    Zone.LAN: "your local network",
    Zone.VPN: "your VPN",
    Zone.INTERNET: "the internet",
}


class Extent(StrEnum):
    """How much of a zone gets through."""

    ALL = "all"
    SOME = "some"
    NONE = "none"
    UNKNOWN = "unknown"
    """At least one address may get through, and none surely does."""
    ABSENT = "absent"
    """The host has no way to that zone in that family."""


class Login(StrEnum):
    """Whether a request without credentials is answered."""

    NONE = "none"
    REQUIRED = "required"
    """All of the API is behind a login."""
    UNKNOWN = "unknown"


class Encryption(StrEnum):
    """Whether the connection is encrypted on the client's side."""

    PLAIN = "plain"
    TLS = "tls"
    UNKNOWN = "unknown"


class Check(StrEnum):
    """Whether an endpoint looks at what only a browser cannot be made to say."""

    NONE = "none"
    ENFORCED = "enforced"
    UNKNOWN = "unknown"


class ZoneReach(msgspec.Struct, frozen=True, kw_only=True):
    """Who of one zone opens a TCP connection to an endpoint in one family."""

    zone: Zone
    family: Family
    extent: Extent
    networks: tuple[str, ...] = ()
    """CIDRs that surely get through: the zone's own networks for `all`, else whoever does.

    At most 32. The host's own addresses are not taken out, as they would only tear holes."""
    more_networks: int = 0
    """How many more there are than `networks` lists."""
    uncertain: tuple[str, ...] = ()
    """CIDRs for which it is not known."""
    interfaces: tuple[str, ...] = ()
    """Through which interfaces, by name."""
    destinations: tuple[str, ...] = ()
    """Addresses of the host at which clients of this zone reach the endpoint."""
    external: tuple[str, ...] = ()
    """Address and port at which clients ask where a translation beyond the host leads to it."""
    because: tuple[str, ...] = ()
    """The deciding rules or facts, as the tool that owns them prints them."""
    cure: str = ""
    """What would settle the unknown part."""

    @property
    def open(self) -> bool:
        """Whether at least one client surely gets through."""
        return self.extent in (Extent.ALL, Extent.SOME)

    @property
    def uncertain_only(self) -> bool:
        """Whether it is not known that anybody gets through, nor that nobody does."""
        return self.extent is Extent.UNKNOWN


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """One step on the way from an endpoint to an Ollama server."""

    kind: str
    """`socket`, `dnat`, `docker-proxy`, `reverse-proxy`, `relay`, `tunnel`, `application`."""
    name: str
    """For people: `nginx`, `container web`, `DNAT to 172.17.0.2:11434`."""
    pid: int = 0
    detail: str = ""
    """File and line or rule that makes the hop."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where something answers that leads to Ollama: address and port, or a tunnel's name."""

    id: str
    """Stable name within a host: address and port, with the namespace when it is not the host's."""
    address: str
    """The bind or published address; `0.0.0.0` or `::` for every address; empty for a tunnel."""
    port: int
    families: tuple[Family, ...]
    """Families of the clients it serves."""
    namespace: int = 0
    """Inode of the network namespace that the endpoint is in."""
    name: str = ""
    """A tunnel's public name, where one is known."""
    server: int = 0
    """The pid of the Ollama server it leads to; 0 when that is not known."""
    hops: tuple[Hop, ...]
    """From the endpoint to the server; one `socket` hop for the server's own listener."""
    login: Login
    login_because: tuple[str, ...] = ()
    open_paths: tuple[str, ...] = ()
    """API paths answered without a login where only part of the API asks for one."""
    only_paths: tuple[str, ...] = ()
    """The API paths that it lets through, where it is not all of them."""
    tls: Encryption
    reach: tuple[ZoneReach, ...]
    """By zone and family, in the order of their enums; a pair that is missing is `absent`."""
    certain: bool = True
    """Whether it surely leads to Ollama; False for, say, a tunnel that only its provider knows."""
    host_check: Check = Check.UNKNOWN
    """Whether it refuses requests for names that are not its own, as DNS rebinding makes them."""
    origin_check: Check = Check.UNKNOWN
    """Whether it refuses requests of pages from other sites, as it answered one on this host."""

    @property
    def shown(self) -> str:
        """Where it answers, for people: `*:11434`, `[::1]:443 in container web`, a tunnel's name.

        As the id says, but for a socket of both families, which goes by what ss(8) calls it.
        """
        if not self.address:
            return self.name or self.id
        if self.address == "::" and len(self.families) > 1:
            return self.id.replace("[::]", "*", 1)
        return self.id

    @property
    def at_hand(self) -> str:
        """Address and port that somebody may try: the first that leads there, else as bound."""
        reached = (to for part in self.reach for to in part.destinations)
        return self.at(next(reached, self.address))

    def at(self, address: str) -> str:
        """One of its addresses, with its port."""
        return authority(address, self.port)

    @property
    def loopback_only(self) -> bool:
        """Whether nobody outside the host surely or possibly gets to it."""
        return all(
            part.zone is Zone.HOST or part.extent in (Extent.NONE, Extent.ABSENT)
            for part in self.reach
        )

    def toward(self, zone: Zone) -> tuple[ZoneReach, ...]:
        """What is known of one zone, one entry a family."""
        return tuple(part for part in self.reach if part.zone is zone)


class PacketFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What the packet filter of a network namespace does with new connections in one family."""

    namespace: int
    """Inode of the network namespace."""
    host: bool = True
    """Whether that is the host's own."""
    family: Family
    active: Observed[bool]
    """Whether some rule or policy drops or rejects new connections to this machine at all."""
    default_deny: Observed[bool]
    """Whether another machine's new TCP connection to a port that no rule names is denied, on
    every interface but loopback."""
    owners: tuple[str, ...] = ()
    """Who made the rules: `ufw`, `firewalld`, `docker`, `nftables`, `iptables`."""
    because: tuple[str, ...] = ()
    """The deciding rules or policies, as the tool that owns them prints them."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A way in that may exist and could not be looked at."""

    subject: str
    reason: str
    cure: str = ""


class JudgedBy(msgspec.Struct, frozen=True, kw_only=True):
    """A ruleset that was judged in place of the host's own packet filter."""

    file: str
    """Its file, as it was given."""
    kind: str
    """The command that prints such files."""


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """Every endpoint of a host, and where it was not possible to look."""

    endpoints: tuple[Endpoint, ...]
    gaps: tuple[Gap, ...] = ()
    beyond_host: tuple[str, ...] = ()
    """What decides beside this host and cannot be seen from it, such as a router's forwarding."""
    filters: tuple[PacketFilter, ...] = ()
    """The host's packet filter first, one entry a family; empty when nobody evaluated it."""
    rulesets: tuple[JudgedBy, ...] = ()
    """Empty when the host's own packet filter was judged."""

    @property
    def local_only(self) -> bool:
        """Whether it is proven that nobody outside the host gets to any endpoint."""
        return not self.gaps and all(endpoint.loopback_only for endpoint in self.endpoints)

    def open_to(self, *zones: Zone) -> tuple[tuple[Endpoint, ZoneReach], ...]:
        """The endpoints that somebody in these zones surely reaches, each with its entry."""
        return tuple(
            (endpoint, part)
            for endpoint in self.endpoints
            for part in endpoint.reach
            if part.zone in zones and part.open
        )

    def maybe_open_to(self, *zones: Zone) -> tuple[tuple[Endpoint, ZoneReach], ...]:
        """The endpoints of which it is not known whether somebody in these zones reaches them."""
        return tuple(
            (endpoint, part)
            for endpoint in self.endpoints
            for part in endpoint.reach
            if part.zone in zones and (part.uncertain_only or part.uncertain)
        )
