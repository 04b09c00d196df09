"""stunnel configurations that 5.68 accepted, and where its services led clients."""

from __future__ import annotations

import pytest

from ollama_audit.exposure.forwarders import Onward
from ollama_audit.exposure.model import Encryption, Login
from ollama_audit.snapshot.masking import configuration
from tests.exposure.proxied import configured, steps

ROOT = "/etc/stunnel/x.conf"
CERTIFICATE = "cert = /etc/stunnel/cert.pem\nkey = /etc/stunnel/key.pem\n"


def led(text: str, at: str = "0.0.0.0:8443", **more: str) -> tuple[Onward, ...]:
    files = {ROOT: configuration("stunnel", text), **more}
    return steps(configured("stunnel", files), "stunnel4", at)


def test_a_server_takes_tls_and_passes_bytes_on() -> None:
    (step,) = led(
        f"pid = /run/x.pid\n[ai]\naccept = 8443\nconnect = 127.0.0.1:11434\n{CERTIFICATE}"
    )
    assert (step.address, step.port, step.tls) == ("127.0.0.1", 11434, Encryption.TLS)
    assert step.login is Login.NONE
    assert step.hop.kind == "relay"


def test_a_port_alone_is_one_of_this_host() -> None:
    (step,) = led(f"[six]\naccept = :::8444\nconnect = 11434\n{CERTIFICATE}", "[::]:8444")
    assert (step.address, step.port) == ("127.0.0.1", 11434)


def test_a_client_leads_to_a_server() -> None:
    text = "[out]\nclient = yes\naccept = 8080\nconnect = 127.0.0.1:8443\n"
    (step,) = led(text, "0.0.0.0:8080")
    assert (step.port, step.tls) == (8443, Encryption.PLAIN)


def test_a_client_does_not_lead_to_ollama_which_speaks_no_tls() -> None:
    text = "[out]\nclient = yes\naccept = 8080\nconnect = 127.0.0.1:11434\n"
    assert led(text, "0.0.0.0:8080") == ()


@pytest.mark.parametrize(
    ("option", "login"),
    [
        ("verifyPeer = yes", Login.REQUIRED),
        ("verifyChain = yes", Login.REQUIRED),
        ("verify = 2", Login.REQUIRED),
        ("verify = 1", Login.NONE),
        ("requireCert = yes", Login.NONE),
        ("PSKsecrets = /etc/stunnel/keys", Login.REQUIRED),
    ],
)
def test_what_is_asked_of_clients(option: str, login: Login) -> None:
    (step,) = led(f"[ai]\naccept = 8443\nconnect = 11434\n{CERTIFICATE}CAfile = /a\n{option}\n")
    assert step.login is login


def test_what_stands_above_holds_for_all() -> None:
    (step,) = led("verifyChain = yes\nCAfile = /a\n[ai]\naccept = 8443\nconnect = 11434\n")
    assert step.login is Login.REQUIRED


def test_who_fails_may_be_led_elsewhere() -> None:
    found = led("[ai]\naccept = 8443\nconnect = 8080\nverifyPeer = yes\nredirect = 11434\n")
    assert [(step.port, step.login) for step in found] == [
        (8080, Login.REQUIRED),
        (11434, Login.NONE),
    ]


def test_services_in_a_folder() -> None:
    service = "[ai]\naccept = 8443\nconnect = 11434\n"
    (step,) = led("include = /etc/stunnel/more\n", **{"/etc/stunnel/more/ai.conf": service})
    assert step.port == 11434


@pytest.mark.parametrize(
    "text",
    [
        "[ai]\naccept = 8443\nconnect = 11434\nprotocol = connect\n",
        "[other]\naccept = 9999\nconnect = 11434\n",
        "",
    ],
)
def test_what_is_not_followed_is_unknown(text: str) -> None:
    (step,) = led(text)
    assert step.namespace is None
    assert step.reason


def test_unread_is_unknown() -> None:
    (step,) = steps(None, "stunnel4", "0.0.0.0:8443")
    assert step.reason == "the configuration of stunnel was not read"
