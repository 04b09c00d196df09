"""A whole audit of a host with ways to other machines sends them nothing, and starts nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab.host import Host
from tests.lab.lab import booted
from tests.lab.scenario import Scenario
from tests.lab.scenarios.proxies import PASS, nginx

SETUP = r"""
cat >/etc/nginx/sites-enabled/far <<'END'
server { listen 8081; location / { proxy_pass http://192.168.77.20:80; } }
server {
  listen 8082; auth_request /ask; location / { proxy_pass http://127.0.0.1:11434; }
  location /ask { proxy_pass http://192.168.77.20:9091; }
}
server {
  listen 192.168.77.10:8083;
  location / { proxy_pass http://127.0.0.1:11434; proxy_set_header Host localhost; }
}
END
systemctl reload nginx
systemd-run -q socat TCP4-LISTEN:8084,fork,reuseaddr TCP4:192.168.77.20:80
printf '[Socket]\nListenStream=8085\nAccept=yes\n' >/etc/systemd/system/lazy.socket
printf '[Service]\nExecStart=touch /run/started\n' >/etc/systemd/system/lazy@.service
systemctl daemon-reload
systemctl start lazy.socket
until_open 8083 192.168.77.10
until_open 8084
sleep 3
nft -f - <<'END'
table inet seen {
  counter away {}
  chain out {
    type filter hook output priority 500;
    oifname != "lo" meta l4proto != { icmp, ipv6-icmp } counter name away
  }
}
END
"""

HOST = Scenario(
    name="stays-here",
    about="ways to Ollama beside ways to another machine, and a socket that starts a service",
    setup=nginx(f"location / {{ {PASS} }}") + SETUP,
)

Asked = dict[int, str]
"""By port, why it was not asked; empty where it was."""


pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def audited(root: None) -> Iterator[tuple[Host, Asked]]:
    del root
    with booted(HOST, product=True) as host:
        host.run("ollama-audit -f json >/dev/null || true")
        snapshot = json.loads(host.run("ollama-audit snapshot -o -").out)
        yield host, {each["port"]: each["unasked"] for each in snapshot["probes"]["value"]}


def test_no_packet_leaves_the_host(audited: tuple[Host, Asked]) -> None:
    host, _ = audited
    (counter,) = [
        item["counter"]
        for item in json.loads(host.run("nft -j list counters").out)["nftables"]
        if "counter" in item
    ]
    assert (counter["name"], counter["packets"]) == ("away", 0)


def test_no_service_is_started(audited: tuple[Host, Asked]) -> None:
    host, _ = audited
    assert not (host.root / "run/started").exists()


def test_what_stays_here_was_asked_and_what_does_not_was_not(
    audited: tuple[Host, Asked],
) -> None:
    _, asked = audited
    assert [port for port, reason in asked.items() if not reason] == [80, 8083, 11434]
    assert "192.168.77.20" in asked[8081]
    assert "who may log in" in asked[8082]
    assert "192.168.77.20" in asked[8084]
    assert "start a program" in asked[8085]
