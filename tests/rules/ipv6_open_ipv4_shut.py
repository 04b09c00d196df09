"""What `ipv6-open-ipv4-shut` says of which host."""

from __future__ import annotations

from msgspec.structs import replace

from ollama_audit.rule import Extent, Family, Known, Login, Status, Zone
from ollama_audit.snapshot.network import Interface, InterfaceAddress
from tests.cases import Case
from tests.hosts import (
    GAP,
    LOOPBACK,
    endpoint,
    exposure,
    host,
    namespace,
    namespaces,
    part,
    servers,
)

NONE, SOME, ALL, UNKNOWN, ABSENT = (
    Extent.NONE,
    Extent.SOME,
    Extent.ALL,
    Extent.UNKNOWN,
    Extent.ABSENT,
)
ON_THE_LINK = namespaces(
    replace(
        namespace(),
        interfaces=Known(
            (
                Interface(
                    index=2,
                    name="eth0",
                    addresses=(
                        InterfaceAddress(family=Family.IPV4, address="10.55.0.1", prefix_length=24),
                    ),
                ),
            ),
            "rtnetlink",
        ),
    )
)
"""The host with one link, 10.55.0.0/24."""

CASES = [
    Case("as installed", host(), Status.PASS),
    Case("both open", host(exposure=exposure(endpoint(lan=(ALL, ALL)))), Status.PASS),
    Case("both shut", host(exposure=exposure(endpoint(lan=(NONE, NONE)))), Status.PASS),
    Case("IPv4 wider", host(exposure=exposure(endpoint(lan=(ALL, NONE)))), Status.PASS),
    Case("no IPv4 there", host(exposure=exposure(endpoint(lan=(ABSENT, ALL)))), Status.PASS),
    Case("no IPv6 there", host(exposure=exposure(endpoint(lan=(NONE, ABSENT)))), Status.PASS),
    Case(
        "an IPv4 firewall alone: nft table ip",
        host(exposure=exposure(endpoint(lan=(NONE, ALL)))),
        Status.FAIL,
        "IPv6 from your local network: 2001:db8:1::/64",
    ),
    Case(
        "IPv4 scoped to one host, IPv6 to anywhere",
        host(
            exposure=exposure(
                endpoint(
                    lan=(
                        part(Zone.LAN, Family.IPV4, SOME, networks=("192.168.1.5/32",)),
                        part(Zone.LAN, Family.IPV6, ALL),
                    )
                )
            )
        ),
        Status.FAIL,
        "192.168.1.5 gets in",
    ),
    Case(
        "IPv4 for one of two links, IPv6 for the neighbours on it",
        host(
            exposure=exposure(
                endpoint(
                    container=(
                        part(Zone.CONTAINER, Family.IPV4, SOME, networks=("10.55.0.0/24",)),
                        part(Zone.CONTAINER, Family.IPV6, ALL, networks=("fe80::/64",)),
                    )
                )
            ),
            namespaces=ON_THE_LINK,
        ),
        Status.PASS,
    ),
    Case(
        "IPv4 for one neighbour, IPv6 for all of them",
        host(
            exposure=exposure(
                endpoint(
                    lan=(
                        part(Zone.LAN, Family.IPV4, SOME, networks=("10.55.0.7/32",)),
                        part(Zone.LAN, Family.IPV6, ALL, networks=("fe80::/64",)),
                    )
                )
            ),
            namespaces=ON_THE_LINK,
        ),
        Status.FAIL,
        "10.55.0.7 gets in",
    ),
    Case(
        "the neighbours by IPv6, nobody by IPv4",
        host(
            exposure=exposure(
                endpoint(
                    lan=(
                        part(Zone.LAN, Family.IPV4, NONE),
                        part(Zone.LAN, Family.IPV6, SOME, networks=("fe80::/64",)),
                    )
                )
            )
        ),
        Status.FAIL,
        "fe80::/64",
    ),
    Case(
        "from the internet alone",
        host(exposure=exposure(endpoint(internet=(NONE, SOME)))),
        Status.FAIL,
        "IPv6 from the internet",
    ),
    Case(
        "at home: private IPv4 behind a router, and a global IPv6 address",
        host(exposure=exposure(endpoint(lan=(ALL, ALL), internet=(ABSENT, ALL)))),
        Status.FAIL,
        "IPv4 from the internet: nobody gets in (no public IPv4 address leads here)",
    ),
    Case(
        "at home, IPv6 from the internet shut",
        host(exposure=exposure(endpoint(lan=(ALL, ALL), internet=(ABSENT, NONE)))),
        Status.PASS,
    ),
    Case(
        "at home, IPv6 from the internet unclear",
        host(exposure=exposure(endpoint(lan=(ALL, ALL), internet=(ABSENT, UNKNOWN)))),
        Status.UNKNOWN,
        "who of the internet gets to port 11434 by IPv6 is not known: ufw rule 1",
    ),
    Case(
        "a host without IPv4, open to the internet",
        host(exposure=exposure(endpoint(lan=(ABSENT, ALL), internet=(ABSENT, ALL)))),
        Status.PASS,
    ),
    Case(
        "two sockets of one port, the IPv4 one open too",
        host(
            exposure=exposure(
                endpoint("0.0.0.0:11434", lan=(ALL, ABSENT)),
                endpoint("[::]:11434", lan=(ABSENT, ALL)),
            )
        ),
        Status.PASS,
    ),
    Case(
        "two sockets of one port, the IPv4 one shut",
        host(
            exposure=exposure(
                endpoint("0.0.0.0:11434", lan=(NONE, ABSENT)),
                endpoint("[::]:11434", lan=(ABSENT, ALL)),
            )
        ),
        Status.FAIL,
        "port 11434",
    ),
    Case(
        "behind a login",
        host(exposure=exposure(endpoint(login=Login.REQUIRED, lan=(NONE, ALL)))),
        Status.PASS,
    ),
    Case(
        "IPv4 unclear",
        host(exposure=exposure(endpoint(lan=(UNKNOWN, ALL)))),
        Status.UNKNOWN,
        "by IPv4 is not known: ufw rule 1",
    ),
    Case(
        "IPv6 unclear",
        host(exposure=exposure(endpoint(lan=(NONE, UNKNOWN)))),
        Status.UNKNOWN,
        "by IPv6 is not known: ufw rule 1",
    ),
    Case(
        "IPv6 unclear, IPv4 open anyway",
        host(exposure=exposure(endpoint(lan=(ALL, UNKNOWN)))),
        Status.PASS,
    ),
    Case("firewall unread", host(exposure=exposure(LOOPBACK, gaps=(GAP,))), Status.UNKNOWN, "root"),
    Case("processes that hide", host(unseen=2), Status.UNKNOWN, "2 processes"),
    Case("no server", host(servers=servers(), exposure=exposure()), Status.NOT_APPLICABLE),
]
