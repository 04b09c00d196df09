"""What Tor and i2pd publish of this host, as their files and command lines say."""

from __future__ import annotations

import pytest

from ollama_audit.exposure.assess import assess
from tests.exposure.tunnelled import LOOPBACK, told, tunnels, with_tunnel, words

OPEN, LOCKED = "internet all none", "internet all required"
TORRC = "/etc/tor/torrc"
ONION = "HiddenServiceDir /var/lib/tor/ai/\nHiddenServicePort 80 127.0.0.1:11434\n"


@pytest.mark.parametrize(
    ("torrc", "expected"),
    [
        (ONION, {"onion service ai, port 80": OPEN}),
        (
            "HiddenServiceDir /srv/x\nHiddenServicePort 11434\n",
            {"onion service x, port 11434": OPEN},
        ),
        (
            "HiddenServiceDir /srv/x\nHiddenServicePort 80 11434 # ai\n",
            {"onion service x, port 80": OPEN},
        ),
        ("HiddenServiceDir /srv/x\nHiddenServicePort 80 127.0.0.1:8000\n", {}),
        ("SocksPort 9050\n# HiddenServicePort 80 127.0.0.1:11434\n", {}),
        (
            "HiddenServiceDir /srv/x\nHiddenServicePort 22\n" + ONION,
            {"onion service ai, port 80": OPEN},
        ),
    ],
)
def test_an_onion_service_lets_in_whoever_knows_its_address(
    torrc: str, expected: dict[str, str]
) -> None:
    assert words(told("tor", "tor", {TORRC: torrc})) == expected


def test_an_onion_service_may_stand_on_the_command_line() -> None:
    line = "tor --HiddenServiceDir /srv/x --HiddenServicePort 11434"

    assert words(told("tor", line)) == {"onion service x, port 11434": OPEN}


def test_keys_of_clients_are_a_login() -> None:
    files = {TORRC: ONION, "/var/lib/tor/ai/authorized_clients/ada.auth": "descriptor:x25519:***"}

    assert words(told("tor", "tor", files)) == {"onion service ai, port 80": LOCKED}


def test_an_onion_service_at_a_unix_socket_is_not_followed() -> None:
    torrc = "HiddenServiceDir /srv/x\nHiddenServicePort 80 unix:/run/ai.sock\n"

    assert words(told("tor", "tor", {TORRC: torrc})) == {
        "onion service x, port 80": "internet unknown unknown"
    }


I2P = "[ai]\ntype = http\nhost = 127.0.0.1\nport = 11434\nkeys = ai.dat\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (I2P, {"I2P server tunnel ai": OPEN}),
        (I2P + "accesslist = abc\n", {"I2P server tunnel ai": "internet unknown none"}),
        (I2P.replace("type = http", "type = client"), {}),
        (I2P.replace("11434", "22"), {}),
    ],
)
def test_a_server_tunnel_of_i2p(text: str, expected: dict[str, str]) -> None:
    assert words(told("i2pd", "i2pd", {"/etc/i2pd/tunnels.conf": text})) == expected


def test_no_packet_filter_and_no_loopback_address_keeps_them_away() -> None:
    (found,) = tunnels(with_tunnel(told("tor", "tor", {TORRC: ONION}), LOOPBACK))

    assert [hop.kind for hop in found.hops] == ["tunnel", "socket"]
    assert found.address == ""
    assert any(
        not each.address
        for each in assess(with_tunnel(told("tor", "tor", {TORRC: ONION}))).endpoints
    )
