"""What answers to the host's own requests confirm and correct, and what they do not prove."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.answer import Answer, Verdict
from ollama_audit.exposure.path import answer
from ollama_audit.rule import Extent, HostSnapshot, Known, Login, Unknown, Zone
from ollama_audit.snapshot.probe import Probe, Reply
from tests.exposure.probed import (
    LOCKED,
    LOGIN,
    NEAR,
    NO_WAY,
    OPEN,
    SERVICE,
    TAGS,
    VERSION,
    endpoints,
    nginx,
    probed,
    snapshot,
    unknown_program,
)
from tests.exposure.proxied import PROXY, configured
from tests.hosts import HIDDEN, listener, process, server, servers

SELF, LAN, INTERNET = "127.0.0.1", "192.168.1.77", "203.0.113.9"


def ask(found: HostSnapshot, source: str, to: str = "127.0.0.1", port: int = 80) -> Answer:
    interface = "lo" if source.startswith("127.") else "eth0"
    target = to if interface == "lo" or to != "127.0.0.1" else "192.168.1.2"
    (one,) = answer(found, (ip_address(source),), ((ip_address(target), port),), interface).answers
    return one


def said(found: HostSnapshot, source: str, port: int = 80) -> str:
    """`yes none`, `yes login`, `yes ?`, `no` or `?`."""
    one = ask(found, source, port=port)
    if one.reach is not Verdict.YES:
        return {Verdict.NO: "no", Verdict.UNKNOWN: "?"}[one.reach]
    words = {Login.NONE: "none", Login.REQUIRED: "login", Login.UNKNOWN: "?"}
    return f"yes {words[one.login]}"


@pytest.mark.parametrize(
    ("text", "probe", "us", "lan"),
    [
        # Without an answer, configuration stands.
        (LOGIN, None, "yes login", "yes login"),
        (LOGIN, probed(LOCKED, LOCKED), "yes login", "yes login"),
        (OPEN, probed(VERSION, TAGS), "yes none", "yes none"),
        # Configured, and not enforced.
        (LOGIN, probed(VERSION, TAGS), "yes none", "yes none"),
        (LOGIN, probed(LOCKED, TAGS), "yes none", "yes none"),
        (LOGIN, probed(VERSION, LOCKED), "yes none", "yes none"),
        # We are let in for who we are, as configuration says: nothing new about others.
        (NEAR, probed(VERSION, TAGS), "yes none", "yes login"),
        # We are let in, and a service may let us in for who we are.
        (SERVICE, probed(VERSION, TAGS), "yes none", "yes ?"),
        # Configuration, as read, leads nowhere.
        (NO_WAY, probed(VERSION, TAGS), "yes none", "?"),
        (NO_WAY, probed(Reply(status=200)), "no", "no"),
        # No answer puts a login where there is none, or shuts a way.
        (OPEN, probed(LOCKED, LOCKED), "yes none", "yes none"),
        (OPEN, probed(Reply(status=404)), "yes none", "yes none"),
        (LOGIN, probed(Reply(status=404)), "yes login", "yes login"),
        (OPEN, probed(Unknown("it did not answer in time", "GET")), "yes none", "yes none"),
    ],
)
def test_a_configured_proxy(text: str, probe: Probe | None, us: str, lan: str) -> None:
    found = nginx(text, probe)
    assert (said(found, SELF), said(found, LAN)) == (us, lan)


def test_a_login_that_is_not_enforced_names_its_line_and_the_request() -> None:
    found = nginx(LOGIN, probed(VERSION, TAGS))
    (one,) = endpoints(found)
    assert one.login is Login.NONE
    assert one.open_paths == ("/api/version", "/api/tags")
    (why,) = one.login_because
    assert "auth_basic (/etc/nginx/nginx.conf:1)" in why
    assert "request for /api/version without a login was answered by Ollama" in why
    assert why in ask(found, LAN).because


def test_a_list_of_allowed_clients_leaves_others_in_doubt() -> None:
    """The answer contradicts the configuration for us, which need not mean it for others."""
    found = nginx(f"allow 192.168.1.0/24; deny all; {LOGIN}", probed(VERSION, TAGS))
    assert said(found, SELF) == "yes none"
    assert said(found, LAN) == "yes ?"
    assert said(found, INTERNET) == "no"


@pytest.mark.parametrize(
    ("probe", "us", "lan"),
    [
        (None, "?", "?"),
        (probed(VERSION, TAGS), "yes none", "?"),
        (probed(LOCKED, TAGS), "yes none", "?"),
        (probed(LOCKED, LOCKED), "?", "?"),
        (probed(Reply(status=404, server="thing")), "?", "?"),
        # As Ollama answers, and not one of this host's.
        (probed(Reply(status=200, version="0.1.2"), TAGS), "?", "?"),
        (probed(VERSION, Reply(status=200, models=("other",))), "?", "?"),
    ],
)
def test_an_unknown_program(probe: Probe | None, us: str, lan: str) -> None:
    found = unknown_program(probe)
    assert (said(found, SELF), said(found, LAN)) == (us, lan)


def test_a_server_of_files_is_no_way_and_one_with_programs_may_be() -> None:
    def running(*arguments: str) -> str:
        files = replace(
            process(PROXY, name="python3"), arguments=Known(("python3", *arguments), "/proc")
        )
        return said(replace(unknown_program(None), processes=(files,)), LAN)

    assert running("-m", "http.server", "80") == "no"
    assert running("-m", "http.server", "--cgi", "80") == "?"
    assert running("-m", "http.server.proxy", "80") == "?"
    assert running("http.server.py", "80") == "?"


def test_what_was_asked_and_what_came_stands_in_the_reason() -> None:
    for reply, words in (
        (LOCKED, "status 401 (Basic)"),
        (Reply(status=404, server="thing"), "status 404 (thing)"),
        (Unknown("it did not answer in time", "GET"), "it did not answer in time"),
        (Reply(status=200, version="0.1.2"), "none of this host's"),
    ):
        because = " ".join(ask(unknown_program(probed(reply)), LAN).because)
        assert words in because
        assert "python3 (50)" in because


def test_an_unknown_program_that_answers_as_ollama_becomes_an_endpoint() -> None:
    assert endpoints(unknown_program(probed(LOCKED))) == []
    (one,) = endpoints(unknown_program(probed(VERSION, TAGS)))
    assert one.certain
    assert one.server == server().pid
    extents = {part.zone: part.extent for part in one.reach}
    assert extents[Zone.HOST] is Extent.SOME
    assert extents[Zone.LAN] is Extent.UNKNOWN
    assert extents[Zone.INTERNET] is Extent.UNKNOWN


def test_an_answer_is_about_the_address_that_was_asked() -> None:
    found = unknown_program(probed(VERSION, TAGS))
    (other,) = answer(
        found, (ip_address("127.0.0.1"),), ((ip_address("192.168.1.2"), 80),), "lo"
    ).answers
    assert other.reach is Verdict.UNKNOWN


def test_a_hidden_owner_is_no_matter_when_ollama_answers() -> None:
    own = listener("0.0.0.0:8080", owners=HIDDEN)
    at = "0.0.0.0:8080"
    found = snapshot(own, probed(VERSION, TAGS, at))
    assert said(found, SELF, 8080) == "yes none"
    assert said(found, LAN, 8080) == "?"
    (one,) = endpoints(found, 8080)
    assert one.certain
    assert endpoints(snapshot(own, probed(LOCKED, None, at)), 8080) == []


def test_of_two_equal_servers_it_is_not_said_which_answered() -> None:
    two = servers(server(), server(process(900)))
    found = replace(unknown_program(probed(VERSION, TAGS)), servers=two)
    (one,) = endpoints(found)
    assert (one.certain, one.server) == (True, 0)
    other = servers(server(), server(process(900), version="0.9.3"))
    (one,) = endpoints(replace(found, servers=other))
    assert one.server == server().pid


def test_a_relay_before_it_passes_the_answer_on_and_a_proxy_does_not() -> None:
    inner = listener("127.0.0.1:8080", owners=60)
    probe = probed(VERSION, TAGS, "127.0.0.1:8080")
    relay = replace(
        process(PROXY, name="socat"),
        arguments=Known(("socat", "TCP-LISTEN:80,fork", "TCP:127.0.0.1:8080"), "/proc"),
    )
    own = listener("0.0.0.0:80", owners=PROXY)
    app = process(60, name="python3")
    behind = replace(snapshot(own, probe, beside=(inner,)), processes=(relay, app))
    assert said(behind, LAN) == "yes none"

    text = "http { server { location / { proxy_pass http://127.0.0.1:8080; } } }"
    found = snapshot(
        own,
        probe,
        name="nginx",
        configuration=configured("nginx", {"/etc/nginx/nginx.conf": text}),
        beside=(inner,),
    )
    found = replace(found, processes=(*found.processes, app))
    assert said(found, LAN) == "?"


def test_what_was_not_asked_changes_nothing() -> None:
    left = replace(probed(VERSION), version=None, unasked="it prints what it gets")
    assert said(unknown_program(left), LAN) == "?"
    assert endpoints(unknown_program(left)) == []
