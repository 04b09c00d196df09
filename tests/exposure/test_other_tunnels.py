"""Clients told by one file or by their arguments alone, as their manuals have them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.assess import assess
from ollama_audit.exposure.model import Login
from ollama_audit.observed import Known
from tests.exposure.tunnelled import (
    ANYWHERE,
    CLIENT,
    LOOPBACK,
    told,
    with_tunnel,
    words,
)
from tests.hosts import listener

OPEN, LOCKED = "internet all none", "internet all required"
UNSURE, DOUBT = "internet unknown none", "internet unknown unknown"

RATHOLE = """
[client]
remote_addr = "203.0.113.7:2333"
default_token = "***"

[client.services.ollama]
local_addr = "127.0.0.1:11434"

[client.services.dns]
type = "udp"
local_addr = "127.0.0.1:11434"

[client.services.ssh]
local_addr = "127.0.0.1:22"
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RATHOLE, {"rathole service ollama": UNSURE}),
        (
            RATHOLE.replace("203.0.113.7", "10.0.0.9"),
            {"rathole service ollama": "lan unknown none"},
        ),
        (RATHOLE.replace("203.0.113.7", "[2001:db8::7]"), {"rathole service ollama": UNSURE}),
        ('[server]\nbind_addr = "0.0.0.0:2333"\n[server.services.a]\nbind_addr = "0.0.0.0:1"', {}),
        ("[client]\nservices = 3", {}),
        ("[client", {"rathole (60)": DOUBT}),
    ],
)
def test_rathole(text: str, expected: dict[str, str]) -> None:
    assert (
        words(told("rathole", "rathole /etc/rathole.toml", {"/etc/rathole.toml": text})) == expected
    )


@pytest.mark.parametrize(
    ("line", "variables", "expected"),
    [
        ("bore local 11434 --to bore.pub", {}, {"bore port at bore.pub": OPEN}),
        ("bore local 11434 --to bore.pub -p 9999", {}, {"bore.pub:9999": OPEN}),
        ("bore local --to bore.pub 11434", {}, {"bore port at bore.pub": OPEN}),
        ("bore local 11434 --to bore.example.com", {}, {"bore port at bore.example.com": UNSURE}),
        ("bore local 11434 -l 192.0.2.9 --to bore.pub", {}, {}),
        ("bore local 22 --to bore.pub", {}, {}),
        (
            "bore local",
            {"BORE_SERVER": "bore.pub", "BORE_LOCAL_PORT": "11434"},
            {"bore port at bore.pub": OPEN},
        ),
        ("bore server --min-port 1024", {}, {}),
        ("bore local nonsense --to bore.pub", {}, {"bore (60)": DOUBT}),
    ],
)
def test_bore(line: str, variables: dict[str, str], expected: dict[str, str]) -> None:
    assert words(told("bore", line, variables=variables)) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "chisel client https://c.example.com R:9000:localhost:11434",
            {"R:9000:localhost:11434": UNSURE},
        ),
        ("chisel client --auth ***:*** c.example.com:8080 R:11434", {"R:11434": UNSURE}),
        (
            "chisel client c.example.com R:0.0.0.0:9000:127.0.0.1:11434",
            {"R:0.0.0.0:9000:127.0.0.1:11434": UNSURE},
        ),
        ("chisel client -v c.example.com R:socks", {"R:socks": UNSURE}),
        ("chisel client c.example.com R:5000:socks", {"R:5000:socks": UNSURE}),
        ("chisel client c.example.com R:2222:localhost:22 3000", {}),
        ("chisel client c.example.com 11434", {}),
        ("chisel client c.example.com R:11434/udp", {}),
        ("chisel server --reverse", {}),
    ],
)
def test_chisel(line: str, expected: dict[str, str]) -> None:
    found = {f"chisel {remote} at c.example.com": each for remote, each in expected.items()}
    assert words(told("chisel", line)) == found


@pytest.mark.parametrize(
    ("line", "variables", "login"),
    [
        ("chisel server --port 8080", {}, Login.NONE),
        ("chisel server --port 8080 --auth ***:***", {}, Login.REQUIRED),
        ("chisel server --authfile=/etc/chisel.json", {}, Login.REQUIRED),
        ("chisel server", {"AUTH": None}, Login.REQUIRED),
        ("chisel client c.example.com 8080", {}, None),
    ],
)
def test_a_chisel_server_connects_its_clients_to_loopback(
    line: str, variables: dict[str, str | None], login: Login | None
) -> None:
    client = told("chisel", line, variables=variables)
    own = listener("0.0.0.0:8080", owners=CLIENT)
    found = [
        each for each in assess(with_tunnel(client, LOOPBACK, own)).endpoints if each.port == 8080
    ]
    assert [each.login for each in found] == ([login] if login else [])


@pytest.mark.parametrize(
    ("line", "at", "expected"),
    [
        (
            "zrok share public localhost:11434 --headless",
            ANYWHERE,
            {"zrok public share of localhost:11434": OPEN},
        ),
        # zrok sends its public name along, which Ollama refuses on loopback.
        ("zrok share public localhost:11434", LOOPBACK, {}),
        (
            "zrok share public http://127.0.0.1:11434 --basic-auth ***:***",
            ANYWHERE,
            {"zrok public share of http://127.0.0.1:11434": LOCKED},
        ),
        (
            "zrok share public 11434 --oauth-provider google",
            ANYWHERE,
            {"zrok public share of 11434": LOCKED},
        ),
        (
            "zrok share public --closed localhost:11434",
            ANYWHERE,
            {"zrok public share of localhost:11434": "internet unknown none"},
        ),
        (
            "zrok share private localhost:11434",
            LOOPBACK,
            {"zrok private share of localhost:11434": DOUBT},
        ),
        (
            "zrok share private --backend-mode tcpTunnel 127.0.0.1:11434",
            LOOPBACK,
            {"zrok private share of 127.0.0.1:11434": DOUBT},
        ),
        ("zrok share public --backend-mode web /srv", ANYWHERE, {}),
        ("zrok share reserved abc123", LOOPBACK, {"zrok reserved share": DOUBT}),
        ("zrok agent start", ANYWHERE, {}),
        ("zrok access private abc", ANYWHERE, {}),
    ],
)
def test_zrok(line: str, at: str, expected: dict[str, str]) -> None:
    assert words(told("zrok", line), at) == expected


@pytest.mark.parametrize(
    ("line", "at", "expected"),
    [
        ("node /usr/bin/lt --port 11434", ANYWHERE, {"localtunnel to port 11434": OPEN}),
        ("node /usr/bin/lt --port 11434", LOOPBACK, {}),
        ("node /usr/bin/lt -p 11434 -l localhost -s ai", LOOPBACK, {"https://ai.loca.lt": OPEN}),
        (
            "node /usr/bin/lt -p 11434 -l localhost -h https://lt.example.com",
            LOOPBACK,
            {"localtunnel to port 11434": UNSURE},
        ),
        ("node /usr/bin/lt --version", ANYWHERE, {}),
    ],
)
def test_localtunnel(line: str, at: str, expected: dict[str, str]) -> None:
    process, found = told("localtunnel", line)
    assert (
        words((replace(process, name="node", executable=Known("/usr/bin/node", "exe")), found), at)
        == expected
    )


@pytest.mark.parametrize(
    ("program", "line", "expected"),
    [
        ("devtunnel", "devtunnel host -p 11434 --allow-anonymous", {"devtunnel port 11434": OPEN}),
        ("devtunnel", "devtunnel host -p 11434", {"devtunnel port 11434": LOCKED}),
        ("devtunnel", "devtunnel host -p 3000,11434 -a", {"devtunnel port 11434": OPEN}),
        ("devtunnel", "devtunnel host my-tunnel", {"devtunnel": DOUBT}),
        ("devtunnel", "devtunnel list", {}),
        (
            "inlets",
            "inlets-pro http client --url wss://i.example.com --upstream http://127.0.0.1:11434",
            {"inlets http to http://127.0.0.1:11434": UNSURE},
        ),
        (
            "inlets",
            "inlets-pro http client --url wss://i.example.com --upstream a.b=http://127.0.0.1:11434",
            {"inlets http to http://127.0.0.1:11434": UNSURE},
        ),
        (
            "inlets",
            "inlets-pro tcp client --url wss://i.example.com --upstream 127.0.0.1 --ports 22,11434",
            {"inlets tcp to 127.0.0.1:11434": UNSURE},
        ),
        ("inlets", "inlets-pro tcp server --auto-tls", {}),
        (
            "gost",
            "gost -L rtcp://:9000/127.0.0.1:11434 -F relay+tls://g.example.com:8421",
            {"gost :9000 at g.example.com": UNSURE},
        ),
        ("gost", "gost -L tcp://:9000/127.0.0.1:11434", {}),
        ("playit", "playit --secret ***", {"playit agent": DOUBT}),
    ],
)
def test_others(program: str, line: str, expected: dict[str, str]) -> None:
    assert words(told(program, line)) == expected
