"""Links, addresses, sysctls, routes and rules against what ip(8) and /proc/sys/net show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ollama_audit.collect.network import read_links
from ollama_audit.collect.routing import read_policy_rules, read_routes
from ollama_audit.snapshot.network import Family, Interface, PolicyRule, Route
from tests.collect.netns import Netns, needs_root, value_of

pytestmark = needs_root


@pytest.fixture(scope="module")
def busy() -> Iterator[Netns]:
    """A namespace with something of every kind that is read."""
    with Netns() as peer, Netns() as namespace:
        namespace(
            "ip link add br0 type bridge",
            "ip link add port0 type ifb",
            "ip link set port0 master br0 group 7",
            f"ip link add veth0 type veth peer name far0 netns {peer.name}",
            "ip link add name eth0.5 type veth peer name far5",
            "ip tuntap add tun0 mode tun",
            "ip link set br0 up",
            "ip link set veth0 up mtu 1400",
            "ip link set eth0.5 up",
            "ip link set far5 up",
            "ip link set tun0 up",
            "sysctl -qw net.ipv6.conf.eth0/5.accept_dad=0 net.ipv6.conf.tun0.addr_gen_mode=1",
            "ip addr add 192.0.2.10/24 dev br0",
            "ip addr add 192.0.2.11/24 dev br0",
            "ip addr add 198.51.100.1 peer 198.51.100.2/32 dev tun0",
            "ip addr add 203.0.113.9/25 dev eth0.5 scope link",
            "ip addr add 2001:db8:1::1/64 dev eth0.5 nodad",
            "ip addr add 2001:db8:2::1/128 dev br0",
            "ip addr add 2001:db8:3::1 peer 2001:db8:3::2/128 dev tun0 nodad",
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.eth0/5.rp_filter=2",
            "sysctl -qw net.ipv4.conf.eth0/5.accept_local=1 net.ipv4.conf.br0.route_localnet=1",
            "sysctl -qw net.ipv4.conf.br0.forwarding=0 net.ipv4.conf.tun0.src_valid_mark=1",
            "sysctl -qw net.ipv6.conf.br0.forwarding=1 net.ipv6.conf.port0.disable_ipv6=1",
            "ip route add 10.0.0.0/8 via 192.0.2.1 metric 20 src 192.0.2.11",
            "ip route add 10.1.0.0/16 dev tun0 table 100 tos 0x10",
            "ip route add blackhole 10.2.0.0/16",
            "ip route add unreachable 10.3.0.0/16 table 1000",
            "ip route add 10.4.0.0/16 nexthop via 192.0.2.1 weight 1 nexthop dev tun0 weight 2",
            "ip route add 10.5.0.0/16 via inet6 2001:db8:1::9 dev eth0.5",
            "ip -6 route add 2001:db8:9::/48 via 2001:db8:1::2 metric 5",
            "ip -6 route add prohibit 2001:db8:a::/48",
            "ip -6 route add 2001:db8:b::/48 from 2001:db8:c::/48 dev eth0.5",
            "ip rule add from 192.0.2.0/24 to 10.0.0.0/8 lookup 100 prio 100",
            "ip rule add fwmark 0x10/0xff lookup 1000 prio 101",
            "ip rule add not fwmark 0xca6c lookup 51820 prio 102",
            "ip rule add lookup main suppress_prefixlength 0 prio 103",
            "ip rule add iif tun0 oif br0 goto 200 prio 104",
            "ip rule add blackhole from 203.0.113.0/24 prio 200",
            "ip rule add uidrange 0-99 ipproto tcp dport 22 lookup 100 prio 201",
            "ip -6 rule add to 2001:db8:d::/48 prohibit prio 300",
        )
        yield namespace


def links(namespace: Netns) -> dict[str, Interface]:
    interfaces, _ = namespace.call(read_links)
    return {interface.name: interface for interface in value_of(interfaces)}


def test_links_are_those_of_ip(busy: Netns) -> None:
    seen = links(busy)
    shown: list[dict[str, Any]] = busy.json("ip -j -d link")
    names = {link["ifindex"]: link["ifname"] for link in shown}
    indexes = {name: index for index, name in names.items()}
    assert sorted(seen) == sorted(names.values())
    arphrd = {"loopback": 772, "ether": 1, "none": 65534}
    for link in shown:
        interface = seen[link["ifname"]]
        info = link.get("linkinfo", {})
        assert interface.index == link["ifindex"]
        assert interface.kind == info.get("info_kind", "")
        assert interface.master_kind == info.get("info_slave_kind", "")
        assert names.get(interface.master, "") == link.get("master", "")
        assert interface.type == arphrd[link["link_type"]]
        assert interface.up == ("UP" in link["flags"])
        assert interface.loopback == ("LOOPBACK" in link["flags"])
        assert interface.point_to_point == ("POINTOPOINT" in link["flags"])
        assert interface.mtu == link["mtu"]
        assert str(interface.group) == link["group"].replace("default", "0")
        assert interface.peer_namespace == link.get("link_netnsid", -1)
        # Of a link within the namespace `ip` prints the name, of one out of it the index.
        assert interface.parent == link.get("link_index", indexes.get(link.get("link", ""), 0))
    assert seen["veth0"].peer_namespace >= 0
    assert [interface.index for interface in seen.values()] == sorted(names)


def test_addresses_are_those_of_ip(busy: Netns) -> None:
    seen = links(busy)
    for link in busy.json("ip -j addr"):
        shown = [
            (
                {"inet": "ipv4", "inet6": "ipv6"}[address["family"]],
                address["local"],
                address["prefixlen"],
                address.get("address", ""),
                address["scope"],
                bool(address.get("tentative")),
            )
            for address in link["addr_info"]
        ]
        assert sorted(shown) == sorted(
            (a.family, a.address, a.prefix_length, a.peer, a.scope, a.tentative)
            for a in seen[link["ifname"]].addresses
        )


def test_the_peers_network_is_that_of_a_point_to_point_address(busy: Netns) -> None:
    address = next(a for a in links(busy)["tun0"].addresses if a.family is Family.IPV4)
    assert (address.address, address.peer) == ("198.51.100.1", "198.51.100.2")
    assert str(address.network) == "198.51.100.2/32"


def test_an_address_under_duplicate_detection_is_tentative() -> None:
    with Netns() as namespace:
        namespace(
            "ip link add near type veth peer name far",
            "ip link set far up",
            "sysctl -qw net.ipv6.conf.near.dad_transmits=100",
            "ip link set near up",
            "ip addr add 2001:db8::1/64 dev near",
            "ip addr add 2001:db8::2/64 dev near nodad",
        )
        found = {a.address: a.tentative for a in links(namespace)["near"].addresses}
    assert found["2001:db8::1"]
    assert not found["2001:db8::2"]


def test_an_address_without_preferred_lifetime_is_deprecated() -> None:
    with Netns() as namespace:
        namespace(
            "ip link add near type veth peer name far",
            "ip addr add 2001:db8::1/64 dev near nodad preferred_lft 0",
            "ip addr add 2001:db8::2/64 dev near nodad",
        )
        found = {a.address: a.deprecated for a in links(namespace)["near"].addresses}
        shown = namespace.json("ip -j -6 addr show dev near")[0]["addr_info"]
    assert {a["local"]: bool(a.get("deprecated")) for a in shown} == found
    assert found == {"2001:db8::1": True, "2001:db8::2": False}


def test_a_secondary_ipv4_address_is_not_temporary(busy: Netns) -> None:
    assert [a.temporary for a in links(busy)["br0"].addresses if a.family is Family.IPV4] == [
        False,
        False,
    ]


def test_a_privacy_address_is_temporary() -> None:
    with Netns() as namespace:
        namespace(
            "sysctl -qw net.ipv6.conf.default.use_tempaddr=2",
            "ip link add near type veth peer name far",
            "ip link set far up",
            "ip link set near up",
            "ip addr add 2001:db8::1/64 dev near nodad mngtmpaddr",
        )
        found = {a.address: a.temporary for a in links(namespace)["near"].addresses}
        shown = namespace.json("ip -j -6 addr show dev near scope global")[0]["addr_info"]
    assert {a["local"]: bool(a.get("temporary")) for a in shown if a} == {
        address: temporary for address, temporary in found.items() if address[:4] == "2001"
    }
    assert any(found.values())


def test_sysctls_are_those_that_the_namespace_shows(busy: Netns) -> None:
    _, sysctls = busy.call(read_links)
    values = value_of(sysctls)
    names = [link["ifname"] for link in busy.json("ip -j link")]
    expected = {f"ipv4.conf.{n}.{k}" for n in (*names, "all", "default") for k in CONF4}
    expected |= {f"ipv6.conf.{n}.{k}" for n in (*names, "all", "default") for k in CONF6}
    assert expected <= values.keys()
    for key, value in values.items():
        assert value == busy(f"cat {sysctl_path(key, names)}").strip(), key
    assert values["ipv4.ip_forward"] == "1"
    assert values["ipv4.conf.eth0.5.rp_filter"] == "2"
    assert values["ipv6.conf.port0.disable_ipv6"] == "1"
    # Reading another namespace leaves nothing behind in our own.
    own = Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()
    assert value_of(read_links()[1])["ipv4.ip_forward"] == own


CONF4 = ("forwarding", "rp_filter", "accept_local", "route_localnet", "src_valid_mark")
CONF6 = ("forwarding", "disable_ipv6")


def sysctl_path(key: str, names: list[str]) -> str:
    family, _, rest = key.partition(".conf.")
    for name in sorted([*names, "all", "default"], key=len, reverse=True):
        if rest.startswith(f"{name}."):
            return f"/proc/sys/net/{family}/conf/{name}/{rest[len(name) + 1 :]}"
    return f"/proc/sys/net/{key.replace('.', '/')}"


def shown_routes(namespace: Netns) -> list[tuple[object, ...]]:
    names = {link["ifname"]: link["ifindex"] for link in namespace.json("ip -j link")}
    tables = {"main": 254, "local": 255, "default": 253}
    found = []
    for family, flag in (("ipv4", "-4"), ("ipv6", "-6")):
        for route in namespace.json(f"ip -j {flag} -d route show table all"):
            default = "0.0.0.0/0" if family == "ipv4" else "::/0"
            text = default if route["dst"] == "default" else route["dst"]
            address, _, length = text.partition("/")
            table = route.get("table", "main")
            several = tuple(names[hop["dev"]] for hop in route.get("nexthops", ()))
            via = route.get("via", {})
            found.append(
                (
                    family,
                    address,
                    int(length or (32 if family == "ipv4" else 128)),
                    int(tables.get(table, table)),
                    route["type"],
                    0 if several else names.get(route.get("dev", ""), 0),
                    route.get("gateway", via.get("host", "")),
                    route.get("prefsrc", ""),
                    route.get("metric", 0),
                    int(route.get("tos", "0"), 16),
                    several,
                    route.get("from", ""),
                )
            )
    return sorted(found)


def as_shown(route: Route) -> tuple[object, ...]:
    return (
        str(route.family),
        route.destination,
        route.prefix_length,
        route.table,
        route.type,
        route.interface,
        route.gateway,
        route.source,
        route.metric,
        route.tos,
        route.hops,
        route.only_from,
    )


def test_routes_of_all_tables_are_those_of_ip(busy: Netns) -> None:
    seen = value_of(busy.call(read_routes))
    assert sorted(as_shown(route) for route in seen) == shown_routes(busy)
    assert {100, 254, 255, 1000} <= {route.table for route in seen}
    assert {"unicast", "local", "broadcast", "blackhole", "unreachable", "prohibit"} <= {
        route.type for route in seen
    }


def test_a_route_whose_link_is_down_and_ignored_is_dead() -> None:
    with Netns() as namespace:
        namespace(
            "ip link add near type veth peer name far",
            "ip link set near up",
            "ip link set far up",
            "sysctl -qw net.ipv4.conf.near.ignore_routes_with_linkdown=1",
            "ip addr add 192.0.2.1/24 dev near",
            "ip link set far down",
        )
        connected = [
            route
            for route in value_of(namespace.call(read_routes))
            if str(route.network) == "192.0.2.0/24"
        ]
        assert [route.dead for route in connected] == [True]
        assert "dead" in namespace("ip route show 192.0.2.0/24")


def rules(namespace: Netns) -> dict[tuple[str, int], PolicyRule]:
    found = value_of(namespace.call(read_policy_rules))
    assert len(found) == len(namespace.json("ip -j -4 rule")) + len(namespace.json("ip -j -6 rule"))
    return {(str(rule.family), rule.priority): rule for rule in found}


def test_policy_rules_are_those_that_were_made(busy: Netns) -> None:
    def rule(priority: int, family: Family = Family.IPV4, **values: Any) -> PolicyRule:
        return PolicyRule(family=family, priority=priority, **values)

    expected = [
        rule(0, table=255),
        rule(100, source="192.0.2.0/24", destination="10.0.0.0/8", table=100),
        rule(101, mark=0x10, mark_mask=0xFF, table=1000),
        rule(102, mark=0xCA6C, mark_mask=0xFFFFFFFF, invert=True, table=51820),
        rule(103, table=254, suppress_prefix_length=0),
        rule(104, in_interface="tun0", out_interface="br0", action="goto", goto=200),
        rule(200, source="203.0.113.0/24", action="blackhole"),
        rule(201, table=100, other=("uidrange", "ipproto", "dport")),
        rule(32766, table=254),
        rule(32767, table=253),
        rule(0, Family.IPV6, table=255),
        rule(300, Family.IPV6, destination="2001:db8:d::/48", action="prohibit"),
        rule(32766, Family.IPV6, table=254),
    ]
    assert rules(busy) == {(str(item.family), item.priority): item for item in expected}
