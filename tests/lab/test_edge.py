"""What is asked beyond a host, and what is not: packets to its router are counted there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.host import Host
from tests.lab.lab import booted
from tests.lab.outer import checkout, unavailable

# Making the image takes minutes and packages, which nobody expects of a run of the tests.
WHY_NOT = "" if os.environ.get("CI") else unavailable() or "boots hosts: set CI=1"
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

RULES = """
table ip router {
  chain count {
    type filter hook input priority 0;
    iifname "lan" udp dport { 1900, 5351 } counter
    iifname "lan" tcp dport 5000 counter
  }
  chain forwarded {
    type nat hook output priority -100;
    ip daddr 203.0.113.9 tcp dport 8080 dnat to 192.168.77.10:11434
  }
}
"""
"""The router forwards for a client that sits, like itself, in the lab's `world`."""

CLIENT, OUTSIDE = "203.0.113.50", "203.0.113.9:8080"


def in_world(host: Host, *argv: str, given: str = "") -> str:
    enter = ["nsenter", f"--net={host.network('world')}", *argv]
    return subprocess.run(enter, check=True, capture_output=True, text=True, input=given).stdout


@contextmanager
def router(host: Host) -> Iterator[None]:
    """192.168.77.1 answers UPnP, and forwards port 8080 of 203.0.113.9 to Ollama."""
    in_world(host, "ip", "address", "add", "192.168.77.77/24", "dev", "lan")
    in_world(host, "nft", "-f", "-", given=RULES)
    device = Path(checkout(), "tests/collect/igd.py")
    enter = ["nsenter", f"--net={host.network('world')}"]
    process = subprocess.Popen([*enter, sys.executable, str(device), "plain", "192.168.77"])
    try:
        deadline = time.monotonic() + 10
        while any(port not in in_world(host, "ss", "-Hltun") for port in (":5000 ", ":1900 ")):
            assert time.monotonic() < deadline, "the router did not start"
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def asked(host: Host) -> int:
    """How many packets came to the router's ports."""
    listing = json.loads(in_world(host, "nft", "-j", "list", "chain", "ip", "router", "count"))
    expressions = [
        part for item in listing["nftables"] for part in item.get("rule", {}).get("expr", ())
    ]
    return sum(part["counter"]["packets"] for part in expressions if "counter" in part)


def test_the_router_is_asked_only_when_told_to_and_then_its_forwarding_counts() -> None:
    with booted("private-ipv4-only", product=True) as host, router(host):
        question = f"reach -f json --from {CLIENT} --to {OUTSIDE}"

        plain = json.loads(host.run("ollama-audit -f json", check=False).out)
        reached = json.loads(host.run(f"ollama-audit {question}").out)
        assert asked(host) == 0
        assert "`ollama-audit --ask-router`" in plain["beyond_host"][0]
        assert reached["answers"][0]["reach"] == "unknown"

        told = json.loads(host.run("ollama-audit -f json --ask-router", check=False).out)
        reached = json.loads(host.run(f"ollama-audit {question} --ask-router").out)
        assert asked(host) > 0
        finding = next(f for f in told["findings"] if f["rule"] == "reachable-from-internet")
        assert (finding["status"], OUTSIDE in str(finding["evidence"])) == ("fail", True)
        assert reached["answers"][0]["reach"] == "yes"

        # As the answers say, so it is.
        url = f"http://{OUTSIDE}/api/version"
        assert "version" in in_world(host, "curl", "-fsS", "-m", "5", "--interface", CLIENT, url)
