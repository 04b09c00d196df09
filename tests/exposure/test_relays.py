"""Where relays lead, read from their arguments as their manuals define them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.assess import assess
from ollama_audit.exposure.forwarders import FORWARDERS, Onward, passes_on
from ollama_audit.exposure.forwarders.clients import Clients
from ollama_audit.exposure.model import Encryption, Login
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.service import SocketUnit
from tests.hosts import host, listener, namespace, process

DOCKER_PROXY = [
    *("docker-proxy", "-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "8080"),
    *("-container-ip", "172.17.0.2", "-container-port", "11434", "-use-listen-fd"),
]
"""As Docker 28 starts it."""


def steps(name: str, *arguments: str, sockets: tuple[SocketUnit, ...] = ()) -> tuple[Onward, ...]:
    running = replace(process(77, name=name), arguments=Known(arguments, "/proc/77/cmdline"))
    snapshot = replace(host().snapshot, socket_units=Known(sockets, "systemctl show"))
    at = listener("0.0.0.0:8080", owners=77)
    return FORWARDERS[name](Terrain(snapshot), namespace(at), at, running)


@pytest.mark.parametrize(
    ("name", "arguments", "address", "port"),
    [
        ("socat", ["socat", "TCP-LISTEN:8080,fork", "TCP:127.0.0.1:11434"], "127.0.0.1", 11434),
        ("socat", ["socat", "-d", "TCP6-LISTEN:8080", "TCP6:[::1]:11434"], "::1", 11434),
        ("socat", ["socat", "tcp-l:8080", "tcp4:localhost:11434"], "127.0.0.1", 11434),
        ("redir", ["redir", "-n", "0.0.0.0:8080", "127.0.0.1:11434"], "127.0.0.1", 11434),
        (
            "systemd-socket-",
            ["/lib/systemd/systemd-socket-proxyd", "--exit-idle-time=5s", "127.0.0.1:11434"],
            "127.0.0.1",
            11434,
        ),
        (
            "docker-proxy",
            DOCKER_PROXY,
            "172.17.0.2",
            11434,
        ),
    ],
)
def test_a_relay_leads_where_its_arguments_say(
    name: str, arguments: list[str], address: str, port: int
) -> None:
    (step,) = steps(name, *arguments)
    assert (step.address, step.port, step.login) == (address, port, Login.NONE)
    assert step.namespace is not None


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("socat", ["socat", "TCP-LISTEN:8080", "TCP:gpu-box:11434"]),
        ("socat", ["socat", "TCP-LISTEN:8080", "EXEC:/usr/local/bin/serve"]),
        ("socat", ["socat"]),
        ("docker-proxy", ["docker-proxy", "-container-ip", "172.17.0.2"]),
        ("ssh", ["ssh", "-L", "8080:127.0.0.1:11434", "box"]),
        ("sshd", ["sshd: ada@pts/0"]),
        ("kubectl", ["kubectl", "port-forward", "svc/ollama", "11434"]),
        ("rinetd", ["/usr/sbin/rinetd"]),
        ("xinetd", ["/usr/sbin/xinetd", "-stayalive"]),
        ("rootlessport", ["rootlessport"]),
    ],
)
def test_what_cannot_be_followed_is_unclear_and_says_why(name: str, arguments: list[str]) -> None:
    (step,) = steps(name, *arguments)
    assert step.namespace is None
    assert step.login is Login.UNKNOWN
    assert step.reason


def test_the_ssh_server_itself_is_no_way_to_ollama() -> None:
    assert steps("sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups") == ()


def test_socat_with_tls_asks_for_a_client_certificate_unless_told_not_to() -> None:
    (strict,) = steps("socat", "socat", "OPENSSL-LISTEN:8080,cert=a.pem", "TCP:127.0.0.1:11434")
    (lax,) = steps("socat", "socat", "OPENSSL-LISTEN:8080,verify=0", "TCP:127.0.0.1:11434")
    assert (strict.login, strict.tls) == (Login.REQUIRED, Encryption.TLS)
    assert (lax.login, lax.tls) == (Login.NONE, Encryption.TLS)


def test_socat_serves_only_its_range() -> None:
    (step,) = steps("socat", "socat", "TCP-LISTEN:8080,range=192.0.2.0/24", "TCP:[::1]:11434")
    assert step.admits == Clients.within("192.0.2.0/24")


def socket_unit(arguments: tuple[str, ...] | Unknown, at: str = "0.0.0.0:8080") -> SocketUnit:
    return SocketUnit(
        name="ollama-proxy.socket",
        listens=(at,),
        service="ollama-proxy.service",
        arguments=arguments if isinstance(arguments, Unknown) else Known(arguments, "systemctl"),
    )


def test_a_socket_that_systemd_holds_leads_where_its_service_leads() -> None:
    proxy = ("/lib/systemd/systemd-socket-proxyd", "127.0.0.1:11434")
    (step,) = steps("systemd", "/sbin/init", sockets=(socket_unit(proxy),))
    assert (step.address, step.port) == ("127.0.0.1", 11434)


def test_a_socket_of_a_service_that_cannot_be_read_is_unclear() -> None:
    hidden = Unknown("systemctl timed out", "systemctl show")
    (step,) = steps("systemd", "/sbin/init", sockets=(socket_unit(hidden),))
    assert step.namespace is None
    assert step.reason == "systemctl timed out"


def test_a_relay_that_does_not_lead_to_ollama_is_no_endpoint() -> None:
    at = listener("0.0.0.0:8080", owners=77)
    running = replace(
        process(77, name="socat"),
        arguments=Known(("socat", "TCP-LISTEN:8080", "TCP:127.0.0.1:9999"), "/proc/77/cmdline"),
    )
    whole = host().snapshot
    snapshot = replace(whole, processes=(running,), namespaces=Known((namespace(at),), "/proc"))
    assert assess(snapshot).endpoints == ()


@pytest.mark.parametrize("name", ["rinetd", "xinetd", "rootlessport", "slirp4netns"])
def test_a_relay_whose_configuration_is_not_read_is_looked_at_for_the_report(name: str) -> None:
    snapshot = replace(host().snapshot, processes=(process(77, name=name),))
    assert passes_on(Terrain(snapshot), listener("0.0.0.0:8080", owners=77))
