"""`ollama-audit reach --ruleset`: another ruleset's answer, and on whose word it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from ollama_audit.observed import Known
from tests import hosts
from tests.cli.running import run, saved
from tests.firewall.test_given import FOUR
from tests.firewall.test_nft_json import CAPTURES, captured

LISTED = CAPTURES / "firewalld-listed.json"
FROM = ("--from", "192.168.77.9", "--to", "192.168.77.10:11434")


def one_line(text: str) -> str:
    """Text without its line breaks."""
    return " ".join(text.split())


@pytest.fixture
def behind_firewalld(tmp_path: Path) -> Path:
    """A host on which firewalld shuts Ollama's port, and Ollama is bound to all addresses."""
    space = replace(
        captured("firewalld"),
        inode=hosts.HOST_NAMESPACE,
        host=True,
        listeners=Known((hosts.listener("0.0.0.0:11434"),), "sock_diag"),
    )
    return saved(hosts.host(namespaces=hosts.namespaces(space)), tmp_path)


def test_the_listing_of_the_same_ruleset_gives_the_same_answer(behind_firewalld: Path) -> None:
    """Word for word, the handles and rules of firewalld included."""
    for question in ((), FROM):
        own = run("reach", *question, "--snapshot", behind_firewalld).stdout
        told = run("reach", *question, "--snapshot", behind_firewalld, "--ruleset", LISTED).stdout
        head, _, rest = told.partition("\n\n")
        assert one_line(head) == (
            f"By the ruleset in {LISTED} (nft -j list ruleset), not by this host's own."
        )
        assert rest == own
        assert "reject with icmpx admin-prohibited" in one_line(own)


def test_a_save_opens_what_firewalld_shuts(behind_firewalld: Path, tmp_path: Path) -> None:
    save = tmp_path / "rules.v4"
    save.write_text(FOUR.replace("198.51.100.7/32", "192.168.77.0/24"))
    done = run("reach", *FROM, "--snapshot", behind_firewalld, "--ruleset", save)
    said = one_line(done.stdout)
    assert "YES" in said
    assert "-A INPUT -s 192.168.77.0/24 -p tcp -m tcp --dport 11434 -j ACCEPT" in said
    assert "(iptables-save), not by this host's own" in said
    assert "Nothing was given for IPv6: taken as unfiltered." in said
    anonymous = tmp_path / "anonymous"
    anonymous.write_text("*filter\n:INPUT DROP [0:0]\nCOMMIT\n")
    done = run("reach", *FROM, "--snapshot", behind_firewalld, "--ruleset", f"ip:{anonymous}")
    assert "policy drop" in done.stdout
    assert "NO" in done.stdout


def test_the_json_says_on_whose_word(behind_firewalld: Path) -> None:
    done = run("reach", *FROM, "-f", "json", "--snapshot", behind_firewalld, "--ruleset", LISTED)
    document = json.loads(done.stdout)
    assert document["rulesets"] == [{"file": str(LISTED), "kind": "nft -j list ruleset"}]
    assert [answer["reach"] for answer in document["answers"]] == ["no"]
    own = run("reach", *FROM, "-f", "json", "--snapshot", behind_firewalld)
    assert json.loads(own.stdout)["rulesets"] == []


def test_an_interface_that_there_is_not_is_no_answer(behind_firewalld: Path) -> None:
    done = run("reach", *FROM, "--in-interface", "eth9", "--snapshot", behind_firewalld)
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown interface 'eth9'" in done.stderr


def test_the_link_of_an_address_is_its_interface(behind_firewalld: Path) -> None:
    """RFC 4007, 11: fe80::1%eth0. At a destination it is a link of the client's, not of ours."""
    saved = ("--snapshot", behind_firewalld)
    to = ("--to", "[2001:db8::1%enp3s0]:11434")
    wrong = run("reach", "--from", "fe80::1%eth9", *to, *saved)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "unknown interface 'eth9'" in wrong.stderr
    right = run("reach", "-f", "json", "--from", "fe80::1%eth0", *to, *saved)
    (answer,) = json.loads(right.stdout)["answers"]
    assert (answer["from"], answer["in_interface"]) == ("fe80::1%eth0", "eth0")
    assert answer["to"] == "2001:db8::1"


def test_a_client_is_asked_for_at_endpoints_of_its_own_family(behind_firewalld: Path) -> None:
    """Without --to; where it can send to none, it is said why."""
    question = ("reach", "-f", "json", "--snapshot", behind_firewalld)
    four = json.loads(run(*question, "--from", "192.168.77.9").stdout)["answers"]
    assert four
    assert not [answer for answer in four if ":" in answer["to"]]
    six = json.loads(run(*question, "--from", "2001:db8::9").stdout)["answers"]
    assert {answer["reach"] for answer in six} == {"no"}
    assert "cannot send to an IPv4 address" in six[0]["because"][0]
