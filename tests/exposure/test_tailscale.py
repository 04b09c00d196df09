"""What a Tailscale node serves, as `tailscale serve status --json` prints it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.assess import assess
from ollama_audit.exposure.model import Encryption, Extent, Zone
from ollama_audit.exposure.path import answer
from ollama_audit.observed import Unknown
from tests.exposure.networked import link, space
from tests.exposure.tunnelled import ANYWHERE, LOOPBACK, told, tunnels, with_tunnel, words
from tests.hosts import namespaces

LINE = "/usr/sbin/tailscaled --state=/var/lib/tailscale/tailscaled.state --port=41641"
NODE = "box.tail1234.ts.net"
OPEN, PUBLIC = "vpn all none", "internet all none"
DOUBT = "vpn unknown unknown"


def web(port: int, proxy: str, mount: str = "/", *, secure: bool = True) -> dict[str, Any]:
    """`tailscale serve --bg --https=PORT PROXY`."""
    return {
        "TCP": {str(port): {"HTTPS" if secure else "HTTP": True}},
        "Web": {f"{NODE}:{port}": {"Handlers": {mount: {"Proxy": proxy}}}},
    }


def tcp(port: int, where: str, **more: str) -> dict[str, Any]:
    """`tailscale serve --bg --tcp=PORT WHERE`."""
    return {"TCP": {str(port): {"TCPForward": where, **more}}}


def said(
    serve: dict[str, Any],
    *,
    state: str = "Running",
    shields: bool = False,
    tun: bool = True,
    name: str = f"{NODE}.",
) -> dict[str, Any]:
    return {
        "serve": serve,
        "status": {"BackendState": state, "TUN": tun, "Self": {"DNSName": name}},
        "prefs": {"ShieldsUp": shields},
    }


def funnelled(serve: dict[str, Any], port: int = 443, *, on: bool = True) -> dict[str, Any]:
    """`tailscale funnel`."""
    return serve | {"AllowFunnel": {f"{NODE}:{port}": on}}


HTTPS = web(443, "http://127.0.0.1:11434")
FUNNEL = funnelled(HTTPS)
TLS = tcp(443, "localhost:11434", TerminateTLS=NODE)
FILES = web(443, "") | {"Web": {f"{NODE}:443": {"Handlers": {"/": {"Path": "/srv"}}}}}


@pytest.mark.parametrize(
    ("running", "at", "expected"),
    [
        # The client chooses the Host header behind TLS.
        (said(HTTPS), LOOPBACK, {f"https://{NODE}": OPEN}),
        (said(web(443, "11434")), LOOPBACK, {f"https://{NODE}": OPEN}),
        (said(web(8443, "localhost:11434")), LOOPBACK, {f"https://{NODE}:8443": OPEN}),
        (said(web(443, "http://127.0.0.1:3000")), ANYWHERE, {}),
        (said(web(443, "http://127.0.0.1:11434", "/ai")), LOOPBACK, {f"https://{NODE}/ai": OPEN}),
        # Without TLS the Host header must be the node's name, which Ollama refuses on loopback.
        (said(web(80, "11434", secure=False)), LOOPBACK, {}),
        (said(web(80, "11434", secure=False)), ANYWHERE, {f"http://{NODE}": OPEN}),
        (said(tcp(11434, "127.0.0.1:11434")), LOOPBACK, {f"{NODE}:11434": OPEN}),
        (said(TLS), LOOPBACK, {f"{NODE}:443": OPEN}),
        (said(FUNNEL), LOOPBACK, {f"https://{NODE}": PUBLIC}),
        (said(funnelled(HTTPS, on=False)), LOOPBACK, {f"https://{NODE}": OPEN}),
        (said(funnelled(HTTPS, 8443)), LOOPBACK, {f"https://{NODE}": OPEN}),
        (said(funnelled(TLS)), LOOPBACK, {f"{NODE}:443": PUBLIC}),
        (said({"Foreground": {"ab12": FUNNEL}}), LOOPBACK, {f"https://{NODE}": PUBLIC}),
        (said({"Services": {"svc:ai": HTTPS}}), LOOPBACK, {f"https://{NODE}": OPEN}),
        (said(HTTPS, shields=True), LOOPBACK, {}),
        (said(FUNNEL, shields=True), LOOPBACK, {f"https://{NODE}": PUBLIC}),
        (said(HTTPS, state="Stopped"), LOOPBACK, {}),
        (said(HTTPS, state="NeedsLogin"), LOOPBACK, {}),
        (said({}), ANYWHERE, {}),
        # From the state file, nothing is known of the connection.
        ({"serve": HTTPS}, LOOPBACK, {f"https://{NODE}": OPEN}),
        (said(FILES), ANYWHERE, {}),
    ],
)
def test_what_is_served(running: object, at: str, expected: dict[str, str]) -> None:
    assert words(told("tailscaled", LINE, running=running), at) == expected


def test_a_funnel_is_encrypted_and_reached_from_everywhere() -> None:
    (found,) = tunnels(with_tunnel(told("tailscaled", LINE, running=said(FUNNEL))))
    assert found.tls is Encryption.TLS
    assert [part.networks for part in found.reach] == [("0.0.0.0/0",), ("::/0",)]


@pytest.mark.parametrize(
    ("line", "running", "expected"),
    [
        (f"{LINE} --tun=userspace-networking", said({}), {f"{NODE}:11434": OPEN}),
        (f"{LINE} --tun userspace-networking", {"serve": {}}, {"tailscale node port 11434": OPEN}),
        (LINE, said({}, tun=False), {f"{NODE}:11434": OPEN}),
        (LINE, said({}, tun=False, shields=True), {}),
        (LINE, said({}, tun=False, state="Stopped"), {}),
        (f"{LINE} --tun=tailscale0", said({}), {}),
    ],
)
def test_a_node_without_an_interface_passes_every_port_on(
    line: str, running: object, expected: dict[str, str]
) -> None:
    assert words(told("tailscaled", line, running=running)) == expected


def test_what_was_not_read_may_be_anything() -> None:
    process, found = told("tailscaled", LINE)
    hidden = replace(found, running=Unknown("only root may look at it", "state", "sudo x"))
    assert words((process, hidden)) == {"tailscale serve": DOUBT}


@pytest.mark.parametrize(
    "serve",
    [{"TCP": 1}, {"TCP": {"x": {"TCPForward": "nowhere"}}}, {"Web": {"a": 1}}, {"Foreground": []}],
)
def test_odd_configurations_are_unclear_or_nothing(serve: dict[str, Any]) -> None:
    found = words(told("tailscaled", LINE, running=said(serve)), ANYWHERE)
    assert all("unknown" in each for each in found.values())


@pytest.mark.parametrize(
    ("line", "shields", "device", "expected"),
    [
        (LINE, False, "tailscale0", "yes"),
        (LINE, True, "tailscale0", "no"),
        (LINE, True, "eth0", "yes"),
        (f"{LINE} --tun=ts1", True, "ts1", "no"),
        (f"{LINE} --tun ts1", True, "ts1", "no"),
        (f"{LINE} --tun=ts1", True, "tailscale0", "yes"),
    ],
)
def test_shields_stop_the_tailnet_at_its_interface(
    line: str, *, shields: bool, device: str, expected: str
) -> None:
    whole = replace(
        with_tunnel(told("tailscaled", line, running=said({}, shields=shields))),
        namespaces=namespaces(
            space(link("100.64.1.2/10", index=7, name=device, kind="tun"), routes=())
        ),
    )
    target = (ip_address("100.64.1.2"), 11434)
    (found,) = answer(whole, (ip_address("100.64.7.7"),), (target,), device).answers
    assert found.reach == expected
    if expected == "no":
        assert "shields-up" in found.because[0]
        zone = [part for each in assess(whole).endpoints for part in each.toward(Zone.VPN)]
        assert {part.extent for part in zone} == {Extent.NONE}
