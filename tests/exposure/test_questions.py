"""Which listeners may be asked: a request changes nothing and leads to no other machine."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.forwarders import onward
from ollama_audit.exposure.leading import leads_on
from ollama_audit.exposure.memo import Memo
from ollama_audit.exposure.questions import questions
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import known_or
from ollama_audit.rule import Known, Listener, Process
from ollama_audit.snapshot.configuration import Configuration
from ollama_audit.snapshot.network import Family, Interface, InterfaceAddress
from tests.exposure.probed import TAGS, VERSION, probed, unknown_program
from tests.exposure.proxied import PROXY, configured
from tests.exposure.test_ways import container, machine
from tests.hosts import HIDDEN, host, listener, namespace, namespaces, process


def unasked(own: Listener, *owners: Process, configuration: Configuration | None = None) -> str:
    """Why this listener is left alone beside Ollama on loopback; empty when it is asked."""
    space = replace(
        namespace("127.0.0.1:11434", own, listener("127.0.0.1:5433", owners=60)),
        interfaces=Known(
            (
                Interface(
                    index=2,
                    name="eth0",
                    up=True,
                    addresses=(
                        InterfaceAddress(
                            family=Family.IPV4, address="192.168.1.2", prefix_length=24
                        ),
                    ),
                ),
                Interface(index=1, name="lo", up=True, loopback=True),
            ),
            "rtnetlink",
        ),
    )
    snapshot = replace(
        host(
            namespaces=namespaces(space), processes=(*owners, process(60, name="postgres"))
        ).snapshot,
        configurations=(configuration,) if configuration else (),
    )
    (asked,) = [each for each in questions(snapshot) if each.port == own.port]
    return asked.unasked


def running(name: str, *arguments: str) -> Process:
    return replace(process(PROXY, name=name), arguments=Known(arguments, "/proc/50/cmdline"))


def nginx(text: str) -> str:
    """What keeps an nginx with this server block from being asked."""
    found = configured("nginx", {"/etc/nginx/nginx.conf": f"http {{ server {{ {text} }} }}"})
    own = listener("0.0.0.0:80", owners=PROXY)
    return unasked(own, running("nginx"), configuration=found)


def test_ollama_itself_is_asked() -> None:
    (asked,) = questions(host().snapshot)
    assert (asked.at, asked.port, asked.server, asked.unasked) == ("127.0.0.1", 11434, True, "")


@pytest.mark.parametrize(
    ("at", "name", "why"),
    [
        ("0.0.0.0:8080", "python3", ""),
        ("0.0.0.0:34567", "python3", "unusual"),
        ("0.0.0.0:9100", "python3", "not for web servers"),
        ("0.0.0.0:9100", "nginx", "not for web servers"),
        ("0.0.0.0:22", "sshd", "not for web servers"),
        ("127.0.0.1:8080", "ssh", "other machines"),
        ("127.0.0.1:8080", "kubectl", "other machines"),
        ("0.0.0.0:8080", "postgres", "passes nothing on"),
        ("0.0.0.0:8080", "systemd", "would start a program"),
        ("0.0.0.0:8080", "dockerd", "answers nobody there"),
        ("0.0.0.0:8080", "xinetd", "would start a program"),
        ("0.0.0.0:8080", "rinetd", "where rinetd (50) leads is not known"),
        ("203.0.113.9:8080", "python3", "not an address of this host"),
        ("192.168.1.2:8080", "python3", ""),
    ],
)
def test_by_program_and_port(at: str, name: str, why: str) -> None:
    found = unasked(listener(at, owners=PROXY), running(name))
    assert why in found
    assert bool(found) is bool(why)


def test_a_hidden_owner_is_asked_where_web_servers_are() -> None:
    assert unasked(listener("0.0.0.0:3000", owners=HIDDEN)) == ""
    assert "hidden" in unasked(listener("0.0.0.0:34567", owners=HIDDEN))
    assert unasked(listener("0.0.0.0:9100", owners=HIDDEN))


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("127.0.0.1:11434", "what it leads to is asked"),
        ("127.0.0.1:5433", "postgres passes nothing on"),
        ("192.168.1.9:11434", "not on this host"),
        ("gpu-box:11434", "not known"),
        ("127.0.0.1:8080", "circle"),
    ],
)
def test_a_relay_is_never_asked_in_place_of_its_target(target: str, why: str) -> None:
    socat = running("socat", "socat", "TCP-LISTEN:8080,fork", f"TCP:{target}")
    assert why in unasked(listener("0.0.0.0:8080", owners=PROXY), socat)


PASS = "location / { proxy_pass http://127.0.0.1:11434; }"


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (PASS, ""),
        ("location / { return 200; }", ""),
        ("location / { proxy_pass http://192.168.1.9:11434; }", "not on this host"),
        (f"{PASS} location /api/tags {{ proxy_pass http://192.168.1.9; }}", "not on this host"),
        (
            f"{PASS} auth_request /ask; location /ask {{ proxy_pass http://192.168.1.9:9091; }}",
            "who may log in",
        ),
        (
            f"{PASS} auth_request /ask; location /ask {{ proxy_pass http://127.0.0.1:9091; }}",
            "",
        ),
    ],
)
def test_a_proxy_that_leads_to_another_machine_is_not_asked(server: str, why: str) -> None:
    found = nginx(server)
    assert why in found
    assert bool(found) is bool(why)


def test_what_was_worked_out_for_the_questions_serves_the_judgement() -> None:
    """The way of a program is not followed again with the answers; what they prove counts."""
    own = listener("0.0.0.0:80", owners=PROXY)
    asking = Terrain(unknown_program(None))
    space = known_or(asking.snapshot.namespaces, ())[0]
    steps = onward(asking, space, own, (PROXY,))
    assert not leads_on(asking, space, own)

    heard = asking.answered(Known((probed(VERSION, TAGS),), "GET /api/version"))

    assert onward(heard, space, own, (PROXY,)) is steps
    assert leads_on(heard, space, own)
    assert not leads_on(asking, space, own)


def test_a_memo_keeps_what_does_not_depend_on_where_the_search_came_from() -> None:
    memo = Memo()
    turns = iter(range(9))

    def around() -> int:
        memo.give_up()
        return next(turns)

    assert [memo.once("whole", 1, lambda: next(turns)) for _ in range(2)] == [0, 0]
    assert [memo.once("cut", 1, around) for _ in range(2)] == [1, 2]
    assert memo.once("outer", 1, lambda: memo.once("cut", 1, around)) == 3
    assert memo.once("outer", 1, lambda: next(turns)) == 4
    assert memo.once("whole", 2, lambda: next(turns)) == 5


def test_a_proxy_in_a_container_is_followed_to_its_neighbour() -> None:
    """Between two containers the way goes over the host's bridge."""
    proxy = replace(
        container(22, 12, "172.17.0.3/16", "172.17.0.1"),
        listeners=Known((listener("0.0.0.0:80", owners=PROXY),), "sock_diag"),
    )
    ollama = replace(
        container(21, 11, "172.17.0.2/16", "172.17.0.1"),
        listeners=Known((listener("0.0.0.0:11434"),), "sock_diag"),
    )
    for target, why in (("172.17.0.2", ""), ("172.17.0.9", "not on this host")):
        text = f"http {{ server {{ location / {{ proxy_pass http://{target}:11434; }} }} }}"
        snapshot = replace(
            host(
                namespaces=namespaces(machine(), ollama, proxy),
                processes=(process(PROXY, name="nginx"),),
            ).snapshot,
            configurations=(configured("nginx", {"/etc/nginx/nginx.conf": text}),),
        )
        (asked,) = [each for each in questions(snapshot) if each.port == 80]
        assert why in asked.unasked
        assert bool(asked.unasked) is bool(why)


def test_a_program_that_was_told_of_ollama_is_asked_at_any_port() -> None:
    relay = running("python3", "python3", "/srv/relay.py")

    assert "unusual" in unasked(listener("0.0.0.0:9999", owners=PROXY), relay)
    told = replace(relay, names_ollama=True)
    assert unasked(listener("0.0.0.0:9999", owners=PROXY), told) == ""
    assert "not for web servers" in unasked(listener("0.0.0.0:25", owners=PROXY), told)
