"""`ssh -R` to another machine, by its command line and by ssh_config(5)."""

from __future__ import annotations

import pytest

from tests.exposure.tunnelled import ANYWHERE, LOOPBACK, told, tunnels, with_tunnel, words

UNSURE = "internet unknown none"
CONFIG = """
Host far-*  !far-off
    HostName 203.0.113.7
    RemoteForward 8080 localhost:11434
Host far-off
    RemoteForward 8081 127.0.0.1:11434
Host *
    ServerAliveInterval=30
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ssh -N -R 8080:127.0.0.1:11434 far", {"ssh -R 8080 at far": UNSURE}),
        ("ssh -NR*:8080:[::1]:11434 me@far", {}),
        ("ssh -R 0:localhost:11434 ssh://me@far:2222", {"ssh -R any port at far": UNSURE}),
        ("ssh -R 8080:127.0.0.1:22 far", {}),
        ("ssh -R 8080 far", {"ssh -R 8080 at far": UNSURE}),
        ("ssh -L 8080:127.0.0.1:11434 far", {}),
        ("ssh -R 8080:127.0.0.1:11434 10.0.0.9", {"ssh -R 8080 at 10.0.0.9": "lan unknown none"}),
        ("ssh -R 8080:127.0.0.1:11434 localhost", {}),
        (
            "ssh -J hop -R 8080:127.0.0.1:11434 localhost",
            {"ssh -R 8080 at localhost": UNSURE},
        ),
        ("ssh far ls -R 8080:127.0.0.1:11434", {}),
    ],
)
def test_a_remote_forward_is_a_way_in_from_the_far_side(
    line: str, expected: dict[str, str]
) -> None:
    assert words(told("ssh", line)) == expected


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("far-gpu", {"ssh -R 8080 at 203.0.113.7": UNSURE}),
        ("far-off", {"ssh -R 8081 at far-off": UNSURE}),
        ("near", {}),
    ],
)
def test_a_forward_may_stand_in_the_users_file(destination: str, expected: dict[str, str]) -> None:
    client = told("ssh", f"ssh -N {destination}", {"/home/ada/.ssh/config": CONFIG})

    assert words(client) == expected


def test_what_decides_at_the_far_side_is_named_with_where_to_look() -> None:
    (found,) = tunnels(with_tunnel(told("ssh", "ssh -NR 8080:127.0.0.1:11434 far"), LOOPBACK))

    assert found.certain
    assert [hop.kind for hop in found.hops] == ["tunnel", "socket"]
    assert all("GatewayPorts" in part.cure for part in found.reach)


OPEN, LOCKED = "internet all none", "internet all required"
PINGGY = "ssh -p 443 -R0:localhost:11434 -o StrictHostKeyChecking=no"
AT_PINGGY = "ssh -R any port at pinggy.io"


@pytest.mark.parametrize(
    ("line", "at", "expected"),
    [
        # These services send the public name along, which Ollama refuses on loopback.
        ("ssh -R 80:localhost:11434 serveo.net", LOOPBACK, {}),
        ("ssh -R 80:localhost:11434 serveo.net", ANYWHERE, {"ssh -R 80 at serveo.net": OPEN}),
        ("ssh -R 9000:localhost:11434 serveo.net", LOOPBACK, {"ssh -R 9000 at serveo.net": OPEN}),
        ("ssh -R 80:localhost:22 nokey@localhost.run", ANYWHERE, {}),
        (
            "ssh -R 80:localhost:11434 nokey@localhost.run",
            ANYWHERE,
            {"ssh -R 80 at localhost.run": OPEN},
        ),
        (f"{PINGGY} a.pinggy.io", LOOPBACK, {}),
        (f"{PINGGY} a.pinggy.io u:Host:localhost:11434", LOOPBACK, {AT_PINGGY: OPEN}),
        (f"{PINGGY} qr+tcp@free.pinggy.io", LOOPBACK, {AT_PINGGY: OPEN}),
        (f"{PINGGY} a.pinggy.io u:Host:localhost b:***", LOOPBACK, {AT_PINGGY: LOCKED}),
        (f"{PINGGY} a.pinggy.io u:Host:localhost w:192.0.2.0/24", LOOPBACK, {AT_PINGGY: UNSURE}),
    ],
)
def test_a_public_service_lets_everybody_in(line: str, at: str, expected: dict[str, str]) -> None:
    assert words(told("ssh", line), at) == expected
