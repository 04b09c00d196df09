"""Which ways to Ollama a stranger's web page could use, as they are made and as they answered."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ollama_audit.rule import BrowserCheck, HostSnapshot, Known
from ollama_audit.snapshot.probe import Probe, Reply
from tests.exposure.probed import OPEN, PASS, TAGS, VERSION, endpoints, nginx, probed, snapshot
from tests.exposure.proxied import PROXY
from tests.hosts import listener, process, server, servers

REFUSED = Reply(status=403)
NONE, ENFORCED, UNKNOWN = BrowserCheck.NONE, BrowserCheck.ENFORCED, BrowserCheck.UNKNOWN
REWRITES = f"location / {{ {PASS} proxy_set_header Host localhost; }}"
PASSES = f"location / {{ {PASS} proxy_set_header Host $host; }}"


def stranger(host: Reply | None = None, origin: Reply | None = None) -> Probe:
    """What port 80 answered to a foreign name, and to a foreign page."""
    return replace(
        probed(VERSION, TAGS),
        foreign_host=Known(host, "GET /api/version") if host else None,
        foreign_origin=Known(origin, "GET /api/version") if origin else None,
    )


def relayed(target: str) -> HostSnapshot:
    """socat at port 80, and a second server that listens on every address."""
    relay = replace(
        process(PROXY, name="socat"),
        arguments=Known(("socat", "TCP-LISTEN:80,fork", f"TCP:{target}"), "/proc"),
    )
    beside = (listener("0.0.0.0:11500", owners=900),)
    found = snapshot(listener("0.0.0.0:80", owners=PROXY), None, beside=beside)
    running = servers(server(), server(process(900)))
    return replace(found, processes=(relay,), servers=running)


def checks(found: HostSnapshot, port: int = 80) -> tuple[BrowserCheck, BrowserCheck]:
    (one,) = endpoints(found, port)
    return one.host_check, one.origin_check


def test_ollama_looks_at_the_name_on_loopback_only() -> None:
    assert checks(relayed("127.0.0.1:9"), 11434) == (ENFORCED, UNKNOWN)
    assert checks(relayed("127.0.0.1:9"), 11500) == (NONE, UNKNOWN)


def test_a_relay_leaves_the_check_to_ollama() -> None:
    assert checks(relayed("127.0.0.1:11434"))[0] is ENFORCED
    assert checks(relayed("127.0.0.1:11500"))[0] is NONE


@pytest.mark.parametrize(
    ("text", "probe", "expected"),
    [
        (PASSES, None, ENFORCED),
        (REWRITES, None, UNKNOWN),  # the names that the proxy itself answers to are not looked at
        (OPEN, None, UNKNOWN),
        (REWRITES, stranger(VERSION), NONE),
        (REWRITES, stranger(REFUSED), ENFORCED),
        (PASSES, stranger(VERSION), NONE),  # the answer has the last word
    ],
)
def test_a_proxy(text: str, probe: Probe | None, expected: BrowserCheck) -> None:
    assert checks(nginx(text, probe))[0] is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"server_name ai.example.org; {REWRITES}", ENFORCED),
        (f"deny 127.0.0.1; {REWRITES}", UNKNOWN),  # it may be us whom it refused
    ],
)
def test_a_proxy_that_closes_unless_it_knows_the_name(text: str, expected: BrowserCheck) -> None:
    closed = Reply(status=0)
    probe = replace(probed(closed), foreign_host=Known(closed, "GET /api/version"))
    assert checks(nginx(text, probe))[0] is expected


def test_pages_of_strangers_are_judged_by_the_answer_alone() -> None:
    assert checks(nginx(OPEN, stranger(origin=VERSION)))[1] is NONE
    assert checks(nginx(OPEN, stranger(origin=REFUSED)))[1] is ENFORCED
    assert checks(nginx(OPEN, stranger()))[1] is UNKNOWN
