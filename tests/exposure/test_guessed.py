"""A program that merely might pass requests on is no way to Ollama until something says so."""

from __future__ import annotations

import msgspec

from ollama_audit.exposure.answer import Verdict
from ollama_audit.exposure.assess import assess
from ollama_audit.exposure.model import Login
from ollama_audit.exposure.path import answer
from ollama_audit.observed import Known
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import canonical_address
from tests.exposure.networked import link, space
from tests.exposure.proxied import PROXY, configured
from tests.hosts import host, listener, namespaces, process

APPLICATION = 60
SITE = """server {{ listen 80; server_name {name}; {login}
location / {{ proxy_pass http://127.0.0.1:{port}; proxy_set_header Host localhost; }} }}"""


def two_sites() -> HostSnapshot:
    """nginx with a login in front of Ollama, without one in front of nobody knows what."""
    listeners = (
        listener("127.0.0.1:11434"),
        listener("0.0.0.0:80", owners=PROXY),
        listener("127.0.0.1:9000", owners=APPLICATION),
    )
    home = space(link("192.168.1.10/24"), routes=())
    home = msgspec.structs.replace(home, listeners=Known(listeners, "sock_diag"))
    programs = (
        process(PROXY, name="nginx", executable="/usr/sbin/nginx"),
        process(APPLICATION, name="invoices", executable="/opt/invoices"),
    )
    login = "auth_basic x; auth_basic_user_file /u;"
    sites = [
        SITE.format(name="a.example", login=login, port=11434),
        SITE.format(name="b.example", login="", port=9000),
    ]
    found = configured("nginx", {"/etc/nginx/nginx.conf": f"http {{ {' '.join(sites)} }}"})
    given = host(namespaces=namespaces(home), processes=programs).snapshot
    return msgspec.structs.replace(given, configurations=(found,))


def test_a_site_in_front_of_an_unknown_program_makes_no_endpoint() -> None:
    found = assess(two_sites()).endpoints

    assert [(each.port, each.login, each.certain) for each in found] == [
        (80, Login.REQUIRED, True),
        (11434, Login.NONE, True),
    ]


def test_a_question_about_its_port_is_still_open() -> None:
    (asked,) = answer(
        two_sites(), (canonical_address("127.0.0.1"),), ((canonical_address("127.0.0.1"), 9000),)
    ).answers

    assert asked.reach is Verdict.UNKNOWN
    assert asked.because[-1] == (
        "to settle it: curl -m 3 http://127.0.0.1:9000/api/version on 127.0.0.1"
    )
