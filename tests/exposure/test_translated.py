"""Endpoints at which nobody listens, from which rules of a nat table lead to Ollama."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.assess import assess
from ollama_audit.exposure.model import Endpoint, Exposure, Extent, Zone
from ollama_audit.observed import Known
from ollama_audit.snapshot.network import NetworkNamespace
from tests.exposure.networked import default, link, space
from tests.hosts import host, listener, namespace, namespaces, process

RELAY = 77
WEB = 78


def filtered(found: NetworkNamespace, rules: str, family: int = 4) -> NetworkNamespace:
    """The namespace with these rules of the table nat."""
    saved = "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
    text = Known(f"{saved}{rules}\nCOMMIT\n", "test")
    tables = Known(("nat",), "test")
    capture = (
        replace(found.firewall, legacy_tables=tables, iptables_legacy_save=text)
        if family == 4
        else replace(found.firewall, legacy6_tables=tables, ip6tables_legacy_save=text)
    )
    return replace(found, firewall=capture)


def exposed(
    rules: str,
    *others: str,
    listening: str = "0.0.0.0:11434",
    inner: tuple[NetworkNamespace, ...] = (),
) -> Exposure:
    """A host on a LAN with these rules; what else listens is `OWNER ADDRESS:PORT`."""
    outer = space(
        link("192.168.1.10/24", "2001:db8:1::10/64"),
        *([link("172.17.0.1/16", index=3, name="docker0", kind="bridge")] if inner else []),
        routes=(default("192.168.1.1"),),
        listening=listening,
    )
    more = [
        listener(at, owners={"web": WEB, "relay": RELAY}[who])
        for who, at in (item.split() for item in others)
    ]
    sockets = Known((*outer.listeners.value, *more), "sock_diag")  # type: ignore[union-attr]
    sysctls = {key: "1" if "forward" in key else "0" for key in outer.sysctls.value}  # type: ignore[union-attr]
    outer = replace(outer, listeners=sockets, sysctls=Known(sysctls, "/proc/sys/net"))
    outer = filtered(outer, rules)
    relay = replace(
        process(RELAY, name="socat"),
        arguments=Known(("socat", "TCP-LISTEN:9000", "TCP:127.0.0.1:11434"), "/proc"),
    )
    snapshot = host(
        namespaces=namespaces(outer, *inner), processes=(relay, process(WEB, name="webapp"))
    ).snapshot
    return assess(snapshot)


def translated(exposure: Exposure) -> list[Endpoint]:
    return [endpoint for endpoint in exposure.endpoints if endpoint.id.endswith("(DNAT)")]


REDIRECT = "-A PREROUTING -p tcp -m tcp --dport {} -j REDIRECT --to-ports 11434"


CHANCE = "-A PREROUTING -p tcp -m tcp --dport 80 -m statistic --mode random --probability 0.5"


@pytest.mark.parametrize(("other", "extent"), [("11434", Extent.ALL), ("9", Extent.UNKNOWN)])
def test_by_chance_to_one_of_two_is_sure_where_both_lead_to_a_server(
    other: str, extent: Extent
) -> None:
    """As Kubernetes shares connections out among the pods of a service."""
    (found,) = translated(
        exposed(
            f"{CHANCE} -j DNAT --to-destination 192.168.1.10:{other}\n{REDIRECT.format(80)}",
        )
    )

    assert {part.extent for part in found.toward(Zone.LAN) if part.destinations} == {extent}


def test_a_redirected_port_is_an_endpoint() -> None:
    (found,) = translated(exposed(REDIRECT.format(80)))

    assert found.id == "0.0.0.0:80 (DNAT)"
    assert (found.address, found.port, found.certain) == ("0.0.0.0", 80, True)
    assert (found.hops[0].kind, found.hops[0].name) == ("dnat", "redirect to port 11434")
    assert "--dport 80 -j REDIRECT" in found.hops[0].detail
    assert {part.zone for part in found.reach if part.open} == {Zone.LAN}
    assert {part.family for part in found.reach} == set(found.families)
    (host,) = found.toward(Zone.HOST)
    assert host.because == ("nobody answers for Ollama at port 80",)


def test_a_port_that_is_sent_elsewhere_is_none() -> None:
    rules = "-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080"

    assert translated(exposed(rules, "web 0.0.0.0:8080")) == []


def test_a_port_that_is_sent_to_a_relay_is_one() -> None:
    rules = "-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 9000"

    (found,) = translated(exposed(rules, "relay 0.0.0.0:9000"))

    assert [hop.kind for hop in found.hops] == ["dnat", "relay", "socket"]


def test_a_translation_takes_connections_from_whoever_listens_there() -> None:
    (found,) = translated(exposed(REDIRECT.format(8080), "web 0.0.0.0:8080"))

    assert {part.zone for part in found.reach if part.open} == {Zone.LAN}
    assert not any(part.uncertain for part in found.reach)


def test_ports_that_fare_alike_are_one_endpoint() -> None:
    rules = f"-A PREROUTING -p tcp -m tcp --dport 8500 -j ACCEPT\n{REDIRECT.format('8000:8999')}"

    assert [each.id for each in translated(exposed(rules))] == [
        "0.0.0.0:8000-8499 (DNAT)",
        "0.0.0.0:8501-8999 (DNAT)",
    ]


def test_a_rule_for_every_port_that_keeps_it_matters_where_ollama_listens() -> None:
    rules = "-A PREROUTING -d 192.168.1.99/32 -j DNAT --to-destination 192.168.1.10"

    (found,) = translated(exposed(rules))

    assert found.id == "192.168.1.99:11434 (DNAT)"


def test_an_endpoint_of_its_own_socket_is_not_listed_again() -> None:
    rules = "-A PREROUTING -p tcp -m tcp --dport 9000 -j REDIRECT --to-ports 11434"

    exposure = exposed(rules, "relay 0.0.0.0:9000")

    assert [each.id for each in exposure.endpoints] == ["0.0.0.0:9000", "0.0.0.0:11434"]


def test_a_loopback_server_is_reached_by_dnat_only_where_the_kernel_routes_it() -> None:
    rules = "-A PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to-destination 127.0.0.1:11434"

    assert translated(exposed(rules, listening="127.0.0.1:11434")) == []


def test_another_machine_is_unknown_where_it_may_be_an_ollama() -> None:
    rules = (
        "-A PREROUTING -p tcp -m tcp --dport 8434 -j DNAT --to-destination 192.168.1.77:11434\n"
        "-A PREROUTING -p tcp -m tcp --dport 443 -j DNAT --to-destination 192.168.1.77:443"
    )

    (found,) = translated(exposed(rules))

    assert (found.port, found.certain) == (8434, False)
    assert not any(part.open for part in found.reach)


def test_a_target_that_is_not_modelled_leaves_a_gap_for_all_ports() -> None:
    exposure = exposed("-A PREROUTING -d 192.168.9.0/24 -j NETMAP --to 192.168.1.0/24")

    assert [gap.subject for gap in exposure.gaps] == ["translated ports of the host"]
    assert "ip nat PREROUTING" in exposure.gaps[0].reason


def test_more_ports_than_can_be_asked_leave_a_gap() -> None:
    ports = "\n".join(REDIRECT.format(port) for port in range(20000, 20600, 2))

    exposure = exposed(ports)

    assert len(translated(exposure)) == 256
    assert "300 ports" in exposure.gaps[0].reason


@pytest.mark.parametrize("zone", [Zone.INTERNET, Zone.VPN])
def test_nobody_is_counted_who_is_not_there(zone: Zone) -> None:
    (found,) = translated(exposed(REDIRECT.format(80)))

    assert not any(part.open for part in found.toward(zone))


def test_a_container_that_only_rules_publish_is_an_endpoint() -> None:
    inner = replace(
        space(link("172.17.0.2/16"), routes=(default("172.17.0.1"),)), inode=4026532600, host=False
    )
    rules = "-A PREROUTING -p tcp -m tcp --dport {} -j DNAT --to-destination 172.17.0.2:{}"
    both = f"{rules.format(8080, 11434)}\n{rules.format(8081, 80)}"

    found = translated(exposed(both, listening="127.0.0.1:1", inner=(inner,)))

    assert [each.id for each in found] == ["0.0.0.0:8080 (DNAT)"]
    assert found[0].hops[0].name.startswith("DNAT to 172.17.0.2:11434")
    # Answers to a broadcast address are not forwarded, and nobody has one: it is all of them.
    open_to = {part.zone: part for part in found[0].reach if part.open}
    assert set(open_to) == {Zone.LAN, Zone.CONTAINER}
    assert open_to[Zone.LAN].extent is Extent.ALL
    assert open_to[Zone.LAN].networks == ("192.168.1.0/24",)


def test_an_unread_namespace_has_no_endpoints_and_no_crash() -> None:
    assert translated(assess(host(namespaces=namespaces(namespace())).snapshot)) == []
