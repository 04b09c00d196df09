"""What frp's client makes of what it was told, on files as its repository has them."""

from __future__ import annotations

import pytest

from tests.exposure.tunnelled import ANYWHERE, LOOPBACK, told, words

RUN = "/usr/local/bin/frpc -c /etc/frp/frpc.toml"
MAIN = "/etc/frp/frpc.toml"
UNSURE, LOCKED = "internet unknown none", "internet unknown required"
HEAD = 'serverAddr = "203.0.113.7"\nauth.token = "***"\n'


def toml(*proxies: str, head: str = HEAD) -> str:
    return head + "".join(f"\n[[proxies]]\n{proxy}\n" for proxy in proxies)


TCP = 'name = "ai"\ntype = "tcp"\nlocalIP = "127.0.0.1"\nlocalPort = 11434\nremotePort = 6001'
HTTP = 'name = "web"\ntype = "http"\nlocalPort = 11434\ncustomDomains = ["ai.example.com"]'
REWRITTEN = f'{HTTP}\nhostHeaderRewrite = "127.0.0.1"'
OTHER = 'name = "ssh"\ntype = "tcp"\nlocalPort = 22\nremotePort = 6002'
AHEAD = 'name = "o"\ntype = "tcp"\nremotePort = 6005\n[proxies.plugin]\n'
AT, WEB = "203.0.113.7:6001", "http://ai.example.com"


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        (toml(TCP, OTHER), LOOPBACK, {AT: UNSURE}),
        (toml(OTHER), ANYWHERE, {}),
        (toml(TCP.replace("6001", "0")), LOOPBACK, {"frp proxy ai": UNSURE}),
        (
            toml(TCP, head='serverAddr = "192.168.1.2"\n'),
            LOOPBACK,
            {"192.168.1.2:6001": "lan unknown none"},
        ),
        (
            toml(TCP, head='serverAddr = "frp.example.com"\n'),
            LOOPBACK,
            {"frp.example.com:6001": UNSURE},
        ),
        (toml(TCP, head=f'{HEAD}start = ["ssh"]\n'), LOOPBACK, {}),
        (toml(TCP, head=f'{HEAD}start = ["ai"]\n'), LOOPBACK, {AT: UNSURE}),
        (toml(f"{TCP}\nenabled = false"), LOOPBACK, {}),
        (toml(TCP.replace('"tcp"', '"udp"')), LOOPBACK, {}),
        # frps tells proxies of type http by the Host header, and sends it along.
        (toml(HTTP), LOOPBACK, {}),
        (toml(HTTP), ANYWHERE, {WEB: UNSURE}),
        (toml(REWRITTEN), LOOPBACK, {WEB: UNSURE}),
        (toml(f'{REWRITTEN}\nhttpUser = "a"\nhttpPassword = "***"'), LOOPBACK, {WEB: LOCKED}),
        (toml(f'{REWRITTEN}\nlocations = ["/", "/pic"]'), LOOPBACK, {WEB: UNSURE}),
        (toml(f'{REWRITTEN}\nlocations = ["/pic"]'), LOOPBACK, {}),
        (
            toml('name = "s"\ntype = "http"\nlocalPort = 11434\nsubdomain = "ai"'),
            ANYWHERE,
            {"frp proxy s": UNSURE},
        ),
        # TLS that Ollama does not speak, and a plugin that takes it off.
        (toml(HTTP.replace('"http"', '"https"')), ANYWHERE, {}),
        (
            toml(
                'name = "p"\ntype = "https"\ncustomDomains = ["ai.example.com"]\n[proxies.plugin]\n'
                'type = "https2http"\nlocalAddr = "127.0.0.1:11434"'
            ),
            LOOPBACK,
            {"https://ai.example.com": UNSURE},
        ),
        (
            toml('name = "k"\ntype = "stcp"\nsecretKey = "***"\nlocalPort = 11434'),
            LOOPBACK,
            {"frp proxy k": LOCKED},
        ),
        (
            toml('name = "x"\ntype = "xtcp"\nsecretKey = "***"\nlocalPort = 11434'),
            LOOPBACK,
            {"frp proxy x": LOCKED},
        ),
        (
            toml('name = "m"\ntype = "tcpmux"\ncustomDomains = ["t"]\nlocalPort = 11434'),
            LOOPBACK,
            {"frp proxy m": UNSURE},
        ),
        # A proxy at the far end that leads to wherever its user likes.
        (
            toml(f'{AHEAD}type = "socks5"'),
            LOOPBACK,
            {"203.0.113.7:6005": UNSURE},
        ),
        (
            toml(f'{AHEAD}type = "http_proxy"\nhttpUser = "a"'),
            LOOPBACK,
            {"203.0.113.7:6005": LOCKED},
        ),
        (toml(f'{AHEAD}type = "static_file"'), ANYWHERE, {}),
        (toml(TCP).replace("6001", "{{ .Envs.PORT }}"), LOOPBACK, {"frp proxy ai": UNSURE}),
        (HEAD + '[[visitors]]\nname = "v"\ntype = "stcp"\nbindPort = 11434', ANYWHERE, {}),
    ],
)
def test_files(text: str, at: str, expected: dict[str, str]) -> None:
    assert words(told("frp", RUN, {MAIN: text}), at) == expected


YAML = """
serverAddr: 203.0.113.7
proxies:
- name: ai
  type: tcp
  localPort: 11434
  remotePort: 6001
"""
JSON = """
{"serverAddr": "203.0.113.7",
 "proxies": [{"name": "ai", "type": "tcp", "localPort": 11434, "remotePort": 6001}]}
"""
INI = """
[common]
server_addr = 203.0.113.7
token = "***"
start = ai,many

[ai]
type = tcp
local_ip = 127.0.0.1
local_port = 11434
remote_port = 6001

[range:many]
type = tcp
local_port = 11430-11432,11434
remote_port = 7000-7002,7010

[web]
type = http
local_port = 11434
custom_domains = ai.example.com
host_header_rewrite = localhost

[seen]
type = stcp
role = visitor
sk = "***"
bind_port = 11434
"""


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("/etc/frp/frpc.yaml", YAML, {AT: UNSURE}),
        ("/etc/frp/frpc.json", JSON, {AT: UNSURE}),
        ("/etc/frp/frpc.ini", INI, {AT: UNSURE, "203.0.113.7:7010": UNSURE}),
        (
            "/etc/frp/frpc.ini",
            INI.replace("start", "#"),
            {AT: UNSURE, "203.0.113.7:7010": UNSURE, WEB: UNSURE},
        ),
        ("/etc/frp/frpc.conf", INI, {AT: UNSURE, "203.0.113.7:7010": UNSURE}),
    ],
)
def test_other_formats(path: str, text: str, expected: dict[str, str]) -> None:
    assert words(told("frp", f"frpc -c {path}", {path: text})) == expected


def test_included_files() -> None:
    more = {
        MAIN: f'{HEAD}includes = ["./confd/*.toml"]\n',
        "/etc/frp/confd/ai.toml": toml(TCP, head=""),
    }
    assert words(told("frp", RUN, more)) == {AT: UNSURE}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("frpc tcp -s 203.0.113.7:7000 -l 11434 -r 6001 -t ***", {AT: UNSURE}),
        ("frpc tcp --server_addr 203.0.113.7 --local_port 11434 --remote_port 6001", {AT: UNSURE}),
        ("frpc http -s 203.0.113.7 -l 11434 -d ai.example.com", {}),
        (
            "frpc http -s 203.0.113.7 -l 11434 -d ai.example.com --uc --host_header_rewrite [::1]",
            {WEB: UNSURE},
        ),
    ],
)
def test_command_lines(line: str, expected: dict[str, str]) -> None:
    assert words(told("frp", line)) == expected


@pytest.mark.parametrize(
    "text", ["proxies = 1", "[[proxies]]\nlocalPort = []", "= 1", "[common]\n[ai]\nx", TCP]
)
def test_what_it_would_refuse_itself_is_unclear_or_nothing(text: str) -> None:
    found = words(told("frp", RUN, {MAIN: text}), ANYWHERE)
    assert all("unknown" in each for each in found.values())
