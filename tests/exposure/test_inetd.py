"""rinetd, inetd and xinetd by their configurations, as their manuals define them."""

from __future__ import annotations

import pytest

from ollama_audit.exposure.forwarders import Onward
from ollama_audit.exposure.forwarders.clients import Clients
from tests.exposure.proxied import configured, steps


def of(program: str, *files: str, at: str = "0.0.0.0:8080") -> tuple[Onward, ...]:
    """What the program does at a listener, told by these files; the first is the main one."""
    names = (f"/etc/{program}.conf", *(f"/etc/{program}.d/{i}" for i in range(9)))
    found = configured(program, dict(zip(names, files, strict=False)))
    return steps(found, program, at)


def targets(found: tuple[Onward, ...]) -> list[tuple[str, int]]:
    return [(step.address, step.port) for step in found if step.namespace is not None]


def admitted(found: tuple[Onward, ...], *clients: str) -> list[bool]:
    (step,) = found
    assert step.namespace is not None, step.reason
    served = step.admits
    return [served is None or bool(served & Clients.within(client)) for client in clients]


LAN, NEIGHBOUR, OTHER = "192.168.1.7", "192.168.1.9", "203.0.113.5"

# rinetd


@pytest.mark.parametrize(
    "rule",
    [
        "0.0.0.0 8080 127.0.0.1 11434",
        "0.0.0.0 8080/tcp 127.0.0.1 11434/tcp [timeout=72]",
        "0.0.0.0 http-alt ai-box 11434  # a comment",
        "127.0.0.1 8080 127.0.0.1 1\n0.0.0.0 8081 127.0.0.1 2\n0.0.0.0 8080 127.0.0.1 11434",
    ],
)
def test_rinetd_connects_to_the_target_of_its_rule(rule: str) -> None:
    (found,) = targets(of("rinetd", f"logfile /var/log/rinetd.log\n{rule}\n"))

    assert found[0] in {"127.0.0.1", "127.0.1.1"}
    assert found[1] == 11434


@pytest.mark.parametrize(
    ("text", "served"),
    [
        ("0.0.0.0 8080 127.0.0.1 11434", [True, True, True]),
        ("allow 192.168.1.*\n0.0.0.0 8080 127.0.0.1 11434", [True, True, False]),
        ("deny 192.168.1.9\n0.0.0.0 8080 127.0.0.1 11434", [True, False, True]),
        ("0.0.0.0 8080 127.0.0.1 11434\nallow 192.168.*\ndeny 192.168.1.9", [True, False, False]),
        ("allow *\n0.0.0.0 8080 127.0.0.1 11434\nallow 203.0.113.5", [False, False, True]),
        ("0.0.0.0 8080 127.0.0.1 11434\n0.0.0.0 1 127.0.0.1 2\ndeny *", [True, True, True]),
    ],
)
def test_rinetd_serves_whom_its_patterns_let_in(text: str, served: list[bool]) -> None:
    assert admitted(of("rinetd", text), LAN, NEIGHBOUR, OTHER) == served


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0 9090 127.0.0.1 11434",
        "0.0.0.0 8080/udp 127.0.0.1 11434/udp",
        "0.0.0.0 8080 gpu-box 11434",
        "allow 192.168.?.1\n0.0.0.0 8080 127.0.0.1 11434",
    ],
)
def test_what_rinetd_does_is_unclear_where_no_rule_says_it(text: str) -> None:
    (step,) = of("rinetd", text)

    assert step.namespace is None
    assert step.reason
    assert not step.guess


# xinetd


def service(body: str, name: str = "ollama") -> str:
    return f"service {name}\n{{\n  port = 8080\n  socket_type = stream\n{body}\n}}\n"


REDIRECT = "  redirect = 127.0.0.1 11434"


def test_xinetd_redirects_where_the_service_of_the_port_says() -> None:
    other = "service web\n{\n port = 80\n redirect = 127.0.0.1 1\n}\n"
    off = service(f"{REDIRECT.replace('11434', '2')}\n  disable = yes", "off")

    assert targets(of("xinetd", "includedir /etc/xinetd.d\n", other, off, service(REDIRECT))) == [
        ("127.0.0.1", 11434)
    ]


def test_xinetd_tries_each_address_of_a_name() -> None:
    assert targets(of("xinetd", service("  redirect = localhost 11434"))) == [("127.0.0.1", 11434)]


def test_xinetd_starts_a_netcat_that_passes_the_connection_on() -> None:
    server = "  server = /usr/bin/nc\n  server_args = 127.0.0.1 11434"

    assert targets(of("xinetd", service(server))) == [("127.0.0.1", 11434)]


@pytest.mark.parametrize(
    ("defaults", "body", "served"),
    [
        ("", "", [True, True, True]),
        ("", "  only_from = 192.168.1.0", [True, True, False]),
        ("", "  only_from = 192.168.1.0/24\n  no_access = 192.168.1.9", [True, False, False]),
        ("", "  no_access = 192.168.0.0", [False, False, True]),
        ("", "  only_from =", [False, False, False]),
        ("  only_from = 203.0.113.5", "", [False, False, True]),
        ("  only_from = 203.0.113.5", "  only_from = 192.168.1.7", [True, False, False]),
        ("", "  only_from = 192.168.1.7\n  only_from += 203.0.113.5", [True, False, True]),
        ("", "  only_from = 0.0.0.0", [True, True, True]),
    ],
)
def test_xinetd_serves_whom_only_from_and_no_access_let_in(
    defaults: str, body: str, served: list[bool]
) -> None:
    text = f"defaults\n{{\n{defaults}\n}}\n{service(f'{REDIRECT}{chr(10)}{body}')}"

    assert admitted(of("xinetd", text), LAN, NEIGHBOUR, OTHER) == served


@pytest.mark.parametrize(
    "body",
    [
        "  redirect = gpu-box 11434",
        f"{REDIRECT}\n  only_from = .example.org",
        f"{REDIRECT}\n  access_times = 8:00-18:00",
    ],
)
def test_what_xinetd_does_is_unclear_where_names_or_hours_decide(body: str) -> None:
    (step,) = of("xinetd", service(body))

    assert step.namespace is None
    assert step.reason


def test_an_internal_service_of_xinetd_leads_nowhere() -> None:
    assert of("xinetd", service("  type = INTERNAL UNLISTED")) == ()


# inetd


@pytest.mark.parametrize(
    "line",
    [
        "8080 stream tcp nowait nobody /usr/bin/nc nc 127.0.0.1 11434",
        "*:8080 stream tcp nowait nobody /usr/bin/socat socat - TCP4:127.0.0.1:11434",
        "127.0.0.1:80 stream tcp nowait root internal\n"
        "0.0.0.0:8080\tstream\ttcp4\tnowait.400\tnobody\t/bin/nc\tnc 127.0.0.1 11434",
    ],
)
def test_inetd_starts_a_netcat_that_passes_the_connection_on(line: str) -> None:
    assert targets(of("inetd", f"# services\n{line}\n")) == [("127.0.0.1", 11434)]


@pytest.mark.parametrize(
    ("line", "guess"),
    [
        ("8080 stream tcp nowait root /usr/sbin/in.fingerd in.fingerd", [True]),
        ("8080 stream tcp nowait root /usr/sbin/tcpd /usr/bin/nc 127.0.0.1 11434", [False]),
        ("8080 stream tcp nowait root internal", []),
        ("finger stream tcp nowait root /usr/sbin/in.fingerd in.fingerd", [True]),
    ],
)
def test_what_inetd_starts_else_is_a_guess_at_most(line: str, guess: list[bool]) -> None:
    found = of("inetd", line)

    assert targets(found) == []
    assert [step.guess for step in found] == guess
