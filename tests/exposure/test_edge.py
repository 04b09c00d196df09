"""Kinds of addresses, and who decides where the host does not."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.assess import assess
from ollama_audit.exposure.edge import AddressKind, described, kind
from ollama_audit.exposure.model import Exposure, Extent, Zone
from ollama_audit.exposure.path import answer
from ollama_audit.exposure.zones import public
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.edge import Cloud, Edge, Forwarding, Router
from ollama_audit.snapshot.network import Family
from tests.exposure.networked import address, default, link, networked

HOME = link("192.168.1.10/24")
ROUTER = default("192.168.1.1")
CAUGHT = "192.168.1.10: this host would not stop it"


@pytest.mark.parametrize(
    ("text", "expected", "reached"),
    [
        ("8.8.4.4", AddressKind.GLOBAL, True),
        ("10.1.2.3", AddressKind.PRIVATE, False),
        ("172.15.255.255", AddressKind.GLOBAL, True),
        ("172.16.0.1", AddressKind.PRIVATE, False),
        ("172.31.255.255", AddressKind.PRIVATE, False),
        ("172.32.0.1", AddressKind.GLOBAL, True),
        ("192.168.0.1", AddressKind.PRIVATE, False),
        ("100.63.255.255", AddressKind.GLOBAL, True),
        ("100.64.0.1", AddressKind.SHARED, False),
        ("100.127.255.255", AddressKind.SHARED, False),
        ("100.128.0.1", AddressKind.GLOBAL, True),
        ("169.254.1.1", AddressKind.LINK_LOCAL, False),
        ("127.0.0.53", AddressKind.LOOPBACK, False),
        ("203.0.113.7", AddressKind.DOCUMENTATION, True),
        ("240.0.0.1", AddressKind.OTHER, False),
        ("2a01:4f8::1", AddressKind.GLOBAL, True),
        ("2001:db8::1", AddressKind.DOCUMENTATION, True),
        ("3fff:123::1", AddressKind.DOCUMENTATION, True),
        ("2002:c000:204::1", AddressKind.SIX_TO_FOUR, True),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", AddressKind.TEREDO, True),
        ("64:ff9b::808:808", AddressKind.NAT64, False),
        ("fd00::1", AddressKind.UNIQUE_LOCAL, False),
        ("fe80::1", AddressKind.LINK_LOCAL, False),
        ("::1", AddressKind.LOOPBACK, False),
    ],
)
def test_kinds_of_addresses(text: str, expected: AddressKind, *, reached: bool) -> None:
    assert kind(ip_address(text)) is expected
    assert public(ip_address(text)) is reached


def test_what_is_said_of_an_address() -> None:
    # RFC 4291, appendix A: 34-56-78-9A-BC-DE becomes 3656:78ff:fe9a:bcde.
    assert described(address("2a01:4f8::3656:78ff:fe9a:bcde/64")).endswith(
        " (made of the link's MAC address)"
    )
    assert described(address("2a01:4f8::1/64", temporary=True, deprecated=True)).endswith(
        " (temporary, deprecated)"
    )
    assert described(address("2001:db8::1/64")) == "2001:db8::1 (a documentation range)"
    assert described(address("192.168.1.10/24")) == "192.168.1.10"


def internet(exposure: Exposure, family: Family) -> Extent:
    found = [
        part.extent
        for endpoint in exposure.endpoints
        for part in endpoint.toward(Zone.INTERNET)
        if part.family is family
    ]
    return found[0] if found else Extent.ABSENT


def test_behind_a_router_it_is_the_router_that_decides() -> None:
    exposure = assess(networked(HOME, routes=(ROUTER,)))
    assert internet(exposure, Family.IPV4) is Extent.ABSENT
    (said,) = exposure.beyond_host
    assert said.startswith("Your router (192.168.1.1)")
    assert CAUGHT in said


def test_on_loopback_nobody_else_decides() -> None:
    assert assess(networked(HOME, routes=(ROUTER,), listening="127.0.0.1:11434")).beyond_host == ()


def test_without_a_way_to_the_internet_nobody_decides() -> None:
    assert assess(networked(HOME, routes=())).beyond_host == ()


def test_a_public_ipv4_address_has_no_router_before_it() -> None:
    exposure = assess(networked(link("198.51.100.10/24"), routes=(default("198.51.100.1"),)))
    assert internet(exposure, Family.IPV4) is Extent.ALL
    (said,) = exposure.beyond_host
    assert "public IPv4 address 198.51.100.10 (a documentation range)" in said


def test_a_global_ipv6_address_is_not_translated() -> None:
    home = link(
        "192.168.1.10/24", "2a01:4f8:1::10/64", address("2a01:4f8:1::99/64", temporary=True)
    )
    exposure = assess(networked(home, routes=(ROUTER, default("fe80::1"))))
    assert internet(exposure, Family.IPV4) is Extent.ABSENT
    assert internet(exposure, Family.IPV6) is Extent.ALL
    router, global6 = exposure.beyond_host
    assert CAUGHT in router
    assert "2a01:4f8:1::10 and 2a01:4f8:1::99 (temporary)" in global6
    assert "an IPv6 firewall in your router" in global6


def test_an_ipv4_listener_has_no_ipv6_sentence() -> None:
    home = link("192.168.1.10/24", "2a01:4f8:1::10/64")
    routes = (ROUTER, default("fe80::1"))
    exposure = assess(networked(home, routes=routes, listening="0.0.0.0:11434"))
    assert [said.partition(" ")[0] for said in exposure.beyond_host] == ["Your"]


def test_a_carriers_translation_is_told_from_a_routers() -> None:
    exposure = assess(networked(link("100.70.1.2/24"), routes=(default("100.70.1.1"),)))
    assert internet(exposure, Family.IPV4) is Extent.ABSENT
    (said,) = exposure.beyond_host
    assert "unlikely to get to 100.70.1.2" in said
    assert "your carrier translates it" in said


def test_an_address_of_tailscale_is_not_a_carriers() -> None:
    mesh = link("100.101.102.103/32", index=3, name="tailscale0", kind="tun")
    exposure = assess(networked(HOME, mesh, routes=(ROUTER,)))
    assert len(exposure.beyond_host) == 1
    assert CAUGHT in exposure.beyond_host[0]


def test_all_traffic_through_a_vpn_leaves_its_far_end_to_decide() -> None:
    tunnel = link("10.8.0.2/24", index=3, name="wg0", kind="wireguard")
    exposure = assess(networked(HOME, tunnel, routes=(default("10.8.0.1", 3),)))
    assert exposure.beyond_host == (
        "The far end of wg0 decides whether the IPv4 internet gets to 10.8.0.2: this host would "
        "not stop it.",
    )


def test_a_cloud_is_named_with_what_it_filters_by() -> None:
    amazon = Edge(cloud=Known(Cloud.AMAZON, "DMI"))
    vm = link("10.0.0.5/24", "2a05:d014::5/128")
    routes = (default("10.0.0.1"), default("fe80::1"))
    translated, global6 = assess(networked(vm, routes=routes, edge=amazon)).beyond_host
    assert "(1:1 NAT) and Amazon EC2's security groups decide" in translated
    assert "only Amazon EC2's security groups could keep the internet out" in global6


VM = link("10.0.0.5/24")
VM_ROUTES = (default("10.0.0.1"),)


def amazon(*told: Forwarding) -> Edge:
    return Edge(cloud=Known(Cloud.AMAZON, "DMI"), public_addresses=Known(told, "the service"))


def to_vm(external: str = "203.0.113.5", **changes: object) -> Forwarding:
    given = {"external": external, "internal": "10.0.0.5", "protocol": "any", **changes}
    return Forwarding(**given)  # type: ignore[arg-type]


def test_what_the_cloud_translates_is_reached_by_the_internet() -> None:
    exposure = assess(networked(VM, routes=VM_ROUTES, edge=amazon(to_vm())))
    (part,) = exposure.endpoints[0].toward(Zone.INTERNET)
    assert (part.extent, part.destinations) == (Extent.ALL, ("10.0.0.5",))
    assert part.external == ("203.0.113.5:11434",)
    (said,) = exposure.beyond_host
    assert "from 203.0.113.5:11434 to 10.0.0.5:11434: only Amazon EC2's security groups" in said


@pytest.mark.parametrize(
    "told",
    [
        to_vm(protocol="udp"),
        to_vm(internal="10.0.0.6"),
        to_vm(internal_port=22, external_port=22),
        to_vm("100.64.3.4"),
        to_vm(enabled=False),
    ],
    ids=["UDP", "a neighbour", "another port", "not public", "off"],
)
def test_what_leads_elsewhere_brings_nobody(told: Forwarding) -> None:
    exposure = assess(networked(VM, routes=VM_ROUTES, edge=amazon(told)))
    assert internet(exposure, Family.IPV4) is Extent.ABSENT
    assert "(1:1 NAT)" in exposure.beyond_host[0]


def test_a_translated_port_is_reached_by_its_outer_number() -> None:
    edge = amazon(to_vm(external_port=80, internal_port=11434, protocol="tcp"))
    exposure = assess(networked(VM, routes=VM_ROUTES, edge=edge))
    (part,) = exposure.endpoints[0].toward(Zone.INTERNET)
    assert part.external == ("203.0.113.5:80",)


def test_a_translation_for_one_client_lets_in_that_one() -> None:
    exposure = assess(networked(VM, routes=VM_ROUTES, edge=amazon(to_vm(remote="198.51.100.7"))))
    (part,) = exposure.endpoints[0].toward(Zone.INTERNET)
    assert (part.extent, part.networks) == (Extent.SOME, ("198.51.100.7/32",))
    assert "(for 198.51.100.7)" in exposure.beyond_host[0]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, "`ollama-audit --cloud-metadata` asks"),
        (Unknown("no answer", "the service"), "Asked, it told nothing: no answer."),
        (
            Known((), "the service"),
            "named nothing that brings the internet there, which is no proof",
        ),
    ],
)
def test_what_the_provider_did_not_tell_stays_open(told: object, words: str) -> None:
    edge = Edge(cloud=Known(Cloud.AMAZON, "DMI"), public_addresses=told)  # type: ignore[arg-type]
    assert words in assess(networked(VM, routes=VM_ROUTES, edge=edge)).beyond_host[0]


@pytest.mark.parametrize(
    ("client", "port", "expected"),
    [
        ("198.51.100.7", 80, "yes"),
        ("198.51.100.8", 80, "no"),
        ("198.51.100.7", 11434, "unknown"),
        ("198.51.100.7", 81, "unknown"),
    ],
)
def test_one_path_may_be_asked_by_its_outer_address(client: str, port: int, expected: str) -> None:
    edge = amazon(
        to_vm(external_port=80, internal_port=11434, protocol="tcp", remote="198.51.100.7")
    )
    snapshot = networked(VM, routes=VM_ROUTES, edge=edge)
    targets = ((ip_address("203.0.113.5"), port),)
    (found,) = answer(snapshot, (ip_address(client),), targets).answers
    assert found.reach == expected
    if expected == "yes":
        assert found.path[0] == "eth0 to 203.0.113.5:80"
        assert "10.0.0.5:11434" in found.path[1]


def home_router(
    *told: Forwarding, external: str = "203.0.113.9", address: str = "192.168.1.1"
) -> Edge:
    """A home whose router was asked; `external` is empty where it did not tell its own address."""
    own: Known[str] | Unknown = Known(external, "GetExternalIPAddress")
    router = Router(
        address=address,
        external_address=own if external else Unknown("it has none now", "UPnP"),
        forwardings=Known(told, "WANIPConnection:1"),
        protocols=("UPnP-IGD",),
    )
    return Edge(cloud=Known(Cloud.NONE, "DMI"), router=Known(router, address))


def mapping(external: str = "203.0.113.9", **changes: object) -> Forwarding:
    given = {
        "external": external,
        "external_port": 8080,
        "internal": "192.168.1.10",
        "internal_port": 11434,
        **changes,
    }
    return Forwarding(**given)  # type: ignore[arg-type]


def test_what_the_router_forwards_is_reached_by_the_internet() -> None:
    exposure = assess(networked(HOME, routes=(ROUTER,), edge=home_router(mapping())))
    (part,) = exposure.endpoints[0].toward(Zone.INTERNET)
    assert (part.extent, part.external) == (Extent.ALL, ("203.0.113.9:8080",))
    (said,) = exposure.beyond_host
    assert "leads from 203.0.113.9:8080 to 192.168.1.10:11434" in said
    assert exposure.gaps == ()


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (Known(value=True, source="UPnP"), "only the IPv6 firewall in your router, which it says"),
        (Known(value=False, source="UPnP"), "your router says that its IPv6 firewall is off"),
        (Unknown("no such service", "UPnP"), "an IPv6 firewall in your router, if it has one"),
    ],
)
def test_what_the_router_says_of_ipv6_is_named_and_never_believed(told: object, words: str) -> None:
    edge = home_router()
    assert isinstance(edge.router, Known)
    router = replace(edge.router.value, ipv6_firewall=told)
    edge = replace(edge, router=Known(router, "192.168.1.1"))
    here = link("192.168.1.10/24", "2a01:4f8:1::10/64")
    exposure = assess(networked(here, routes=(ROUTER, default("fe80::1")), edge=edge))
    assert internet(exposure, Family.IPV6) is Extent.ALL
    assert words in exposure.beyond_host[1]


def test_a_router_that_lists_nothing_is_no_proof() -> None:
    exposure = assess(networked(HOME, routes=(ROUTER,), edge=home_router()))
    assert internet(exposure, Family.IPV4) is Extent.ABSENT
    (said,) = exposure.beyond_host
    assert said.startswith("Your router (192.168.1.1)")
    assert "which is no proof." in said
    assert said.endswith("Programs may have it open a port, by UPnP-IGD.")


def test_behind_two_translations_the_outer_one_decides() -> None:
    edge = home_router(mapping("100.64.3.4"), external="100.64.3.4")
    exposure = assess(networked(HOME, routes=(ROUTER,), edge=edge))
    assert internet(exposure, Family.IPV4) is Extent.ABSENT
    assert (
        "from 100.64.3.4:8080 to 192.168.1.10:11434, and not from a public"
        in (exposure.beyond_host[1])
    )


def test_a_forwarding_of_a_router_without_an_address_leaves_a_gap() -> None:
    edge = home_router(mapping(""), external="")
    exposure = assess(networked(HOME, routes=(ROUTER,), edge=edge))
    assert internet(exposure, Family.IPV4) is Extent.ABSENT
    (gap,) = exposure.gaps
    assert gap.subject == "the router 192.168.1.1"
    assert "port 8080 to 192.168.1.10:11434" in gap.reason
    assert "it has none now" in gap.reason


def test_a_forwarding_to_a_port_that_nobody_listens_on_brings_nobody() -> None:
    told = home_router(mapping(internal_port=22))
    exposure = assess(networked(HOME, routes=(ROUTER,), edge=told))
    assert internet(exposure, Family.IPV4) is Extent.ABSENT


def test_on_loopback_a_forwarding_brings_nobody() -> None:
    told = home_router(mapping())
    exposure = assess(networked(HOME, routes=(ROUTER,), edge=told, listening="127.0.0.1:11434"))
    assert internet(exposure, Family.IPV4) is not Extent.ALL
    assert exposure.local_only
