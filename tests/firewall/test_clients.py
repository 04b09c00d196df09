"""What a client chooses cannot keep it out, and what it could choose may let it in."""

from __future__ import annotations

from ipaddress import ip_address

import msgspec
import pytest

from ollama_audit.firewall.reach import BY_CHOICE
from ollama_audit.observed import Known, known_or
from tests.firewall.rulesets import (
    FROM_HERE,
    FROM_LAN,
    HERE,
    NEIGHBOUR,
    ask,
    filter_table,
    raw_table,
    with_legacy,
)
from tests.hosts import listener


@pytest.mark.parametrize(
    "rule",
    [
        "-A INPUT -p tcp -m tcp ! --tcp-flags ALL SYN -m conntrack --ctstate NEW -j DROP",
        "-A INPUT -p tcp -m tcp --sport 0:1023 -j DROP",
        "-A OUTPUT -p tcp -m tcp --dport 8080 -j DROP",
        "-A OUTPUT -p tcp -m multiport --dports 25,8000:8090 -j DROP",
    ],
)
def test_an_ordinary_client_is_not_kept_out(rule: str) -> None:
    """Rules against odd flags and against other services concern nobody who need not choose so."""
    answer = ask(with_legacy(filter_table(rule)))

    assert NEIGHBOUR in answer.surely
    assert not answer.unknown


@pytest.mark.parametrize(
    "rule",
    [
        "-A INPUT -p tcp -m tcp --sport 53 -j ACCEPT",
        "-A INPUT -p tcp -m tcp --sport 0:1023 -j ACCEPT",
        "-A INPUT -p tcp -m tcp ! --tcp-flags ALL SYN -j ACCEPT",
    ],
)
def test_who_could_choose_its_way_in_is_not_called_shut_out(rule: str) -> None:
    """Whoever sends from port 53 gets through here: neither yes nor no, and the reason is said."""
    answer = ask(with_legacy(filter_table(rule, policy="DROP")))

    assert NEIGHBOUR in answer.unknown
    assert answer.reasons == (BY_CHOICE,)


def test_a_local_client_is_let_in_by_what_lets_in_its_port_alone() -> None:
    """Over lo the answer passes INPUT too, with the client's port as its destination."""
    shut = filter_table("-A INPUT -p tcp -m tcp --dport 8080 -j DROP")
    open_to_one = filter_table("-A INPUT -p tcp -m tcp --dport 11434 -j ACCEPT", policy="DROP")

    assert HERE in ask(with_legacy(shut), FROM_HERE).surely
    assert HERE in ask(with_legacy(open_to_one), FROM_HERE).unknown


@pytest.mark.parametrize(
    ("output", "state"), [("-A OUTPUT -j CT --notrack", "UNTRACKED"), ("", "INVALID")]
)
def test_the_answer_to_an_untracked_packet_has_no_connection(output: str, state: str) -> None:
    """A SYN+ACK whose SYN connection tracking did not see is invalid, or untracked like it."""
    raw = raw_table("-A PREROUTING -j CT --notrack", output)
    drop = f"-A OUTPUT -m conntrack --ctstate {state} -j DROP"
    accept = f"-A OUTPUT -m conntrack --ctstate {state} -j ACCEPT"

    assert ask(with_legacy(raw + "\n" + filter_table(drop))).blocked.full
    through = ask(with_legacy(raw + "\n" + filter_table(accept, output="DROP")))
    assert NEIGHBOUR in through.surely


def test_a_third_packet_without_its_answer_is_invalid() -> None:
    """Connection tracking that did not see the SYN+ACK does not take the ACK for established."""
    raw = raw_table("-A OUTPUT -j CT --notrack")
    rule = "-A INPUT -m conntrack --ctstate INVALID -j DROP"

    assert ask(with_legacy(raw + "\n" + filter_table(rule))).blocked.full


@pytest.mark.parametrize(("direction", "kept_out"), [("src", False), ("dst", True)])
def test_the_client_is_the_destination_of_its_answer(direction: str, *, kept_out: bool) -> None:
    """An ipset of clients is met by the answer as destinations."""
    rule = f"-A OUTPUT -p tcp -m set --match-set clients {direction} -j DROP"
    sets = "create clients hash:net family inet\nadd clients 192.0.2.64/26\n"
    answer = ask(with_legacy(filter_table(rule), ipsets=sets))

    assert (NEIGHBOUR in answer.blocked) is kept_out
    assert not answer.unknown


def test_a_local_client_whose_source_is_translated_comes_in_again_by_another() -> None:
    """What POSTROUTING makes of it is what PREROUTING of lo sees."""
    client = HERE + 8
    nat = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o lo -j MASQUERADE\nCOMMIT\n"
    mangle = "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 127.0.0.9 -j DROP\nCOMMIT\n"

    assert client in ask(with_legacy(mangle), FROM_HERE).blocked
    assert client in ask(with_legacy(nat + mangle), FROM_HERE).unknown


@pytest.mark.parametrize("options", ["", "--validmark ", "--loose "])
def test_the_reverse_path_is_not_looked_for_over_loopback(options: str) -> None:
    """firewalld's rule of its iptables backend, which the answer over lo passes, too."""
    rule = f"-A PREROUTING -m rpfilter {options}--invert -j DROP"
    assert HERE in ask(with_legacy(raw_table(rule)), FROM_HERE).surely


@pytest.mark.parametrize(
    ("to", "through", "arrives"),
    [
        ("172.17.0.2", "lo", True),
        ("172.17.0.2", "docker0", False),
        ("172.17.0.2", "eth0", True),
        ("192.0.2.10", "lo", False),
        ("192.0.2.10", "docker0", True),
    ],
)
def test_what_leaves_for_a_container_does_not_leave_through_loopback(
    to: str, through: str, *, arrives: bool
) -> None:
    """The output hook sees the device of the route (observed: `oif lo dnat` of systemd-nspawn)."""
    own = int(ip_address("192.0.2.10"))
    shut = filter_table(f"-A OUTPUT -o {through} -j DROP")

    answer = ask(with_legacy(shut), msgspec.structs.replace(FROM_HERE, address=to))

    assert any(own in end.surely for end in answer.ends) is arrives


def test_nothing_leaves_for_an_address_without_a_route() -> None:
    namespace = with_legacy("")
    routes = [each for each in known_or(namespace.routes, ()) if each.prefix_length]
    namespace = msgspec.structs.replace(namespace, routes=Known(tuple(routes), "rtnetlink"))

    answer = ask(namespace, msgspec.structs.replace(FROM_HERE, address="198.51.100.9"))

    assert answer.ends == ()
    assert int(ip_address("192.0.2.10")) in answer.blocked


LISTED = "-A INPUT -p tcp -m tcp --dport 23 -m recent --set --name scan --rsource -j DROP"


@pytest.mark.parametrize(
    "rules",
    [
        ["-A INPUT -m limit --limit 1000/sec --limit-burst 2000 -j ACCEPT", "-A INPUT -j DROP"],
        ["-A INPUT -p tcp -m connlimit --connlimit-above 80 --connlimit-saddr -j DROP"],
        ["-A INPUT -p tcp -m connlimit ! --connlimit-upto 80 --connlimit-saddr -j DROP"],
        ["-A INPUT -m hashlimit --hashlimit-above 200/sec --hashlimit-burst 200 -j DROP"],
        ["-A INPUT -m recent --rcheck --seconds 3600 --name scan --rsource -j DROP", LISTED],
        ["-A INPUT -p tcp -m conntrack --ctstate NEW -m tcpmss ! --mss 536:65535 -j DROP"],
        ["-A INPUT -m recent --set --name seen --rsource"],
    ],
)
def test_limits_that_only_a_flood_or_a_scan_meets_keep_nobody_out(rules: list[str]) -> None:
    for query, client in ((FROM_LAN, NEIGHBOUR), (FROM_HERE, HERE)):
        answer = ask(with_legacy(filter_table(*rules)), query)
        assert client in answer.surely, answer.reasons


def test_connections_whose_opening_a_limit_did_not_meet_may_be_dropped() -> None:
    """Linux 6.18.44 lets the first through and drops the next; older kernels none."""
    wide = "-A INPUT -p tcp -m connlimit --connlimit-above 1000 -j DROP"
    after = with_legacy(filter_table("-A INPUT -m conntrack --ctstate NEW -j ACCEPT", wide))

    answer = ask(after, FROM_LAN)
    assert NEIGHBOUR in answer.unknown
    assert answer.reasons == (
        "ip filter INPUT rule 2: `connlimit` did not see the connection opened",
    )
    assert HERE in ask(after, FROM_HERE).surely


@pytest.mark.parametrize(
    "rules",
    [
        ["-A INPUT -m limit --limit 25/min --limit-burst 100 -j ACCEPT", "-A INPUT -j DROP"],
        ["-A INPUT -p tcp -m connlimit --connlimit-above 3 --connlimit-saddr -j DROP"],
        ["-A INPUT -p tcp -m connlimit --connlimit-above 80 --connlimit-mask 0 -j DROP"],
        ["-A INPUT -m hashlimit --hashlimit-above 10/sec --hashlimit-burst 20 -j DROP"],
        [
            "-A INPUT -p tcp -m tcp --dport 11434 -m recent --set --name o --rsource",
            "-A INPUT -m recent --update --seconds 30 --hitcount 6 --name o --rsource -j DROP",
        ],
        [
            "-A INPUT -m recent --update --seconds 30 --name o --rsource -j DROP",
            "-A INPUT -p tcp -m tcp --dport 11434 -m recent --set --name o --rsource -j ACCEPT",
        ],
        ["-A INPUT -p tcp -m tcpmss --mss 1400:1500 -j DROP"],
        ["-A INPUT -m limit --limit 9/fortnight -j DROP"],
    ],
)
def test_limits_that_a_few_attempts_meet_are_not_told(rules: list[str]) -> None:
    assert NEIGHBOUR in ask(with_legacy(filter_table(*rules))).unknown


@pytest.mark.parametrize(
    "rules",
    [
        ["-A INPUT -m recent --rcheck --seconds 30 --name knock --rsource -j ACCEPT"],
        ["-A INPUT -p tcp -m connlimit --connlimit-above 80 --connlimit-saddr -j ACCEPT"],
    ],
)
def test_who_could_knock_or_flood_its_way_in_is_not_called_shut_out(rules: list[str]) -> None:
    knocking = LISTED.replace("scan", "knock")
    answer = ask(with_legacy(filter_table(*rules, knocking, policy="DROP")))
    assert NEIGHBOUR in answer.unknown


OWNER = "-A OUTPUT -m owner --uid-owner {} -m conntrack --ctstate {} -j DROP"


@pytest.mark.parametrize(
    ("user", "state", "neighbour", "here"),
    [
        (997, "NEW", "surely", "surely"),  # what keeps Ollama from calling home
        (997, "ESTABLISHED", "blocked", "blocked"),
        (1500, "ESTABLISHED", "surely", "surely"),
        ("0-999", "NEW", "surely", "unknown"),  # some clients of this host are such users
    ],
)
def test_the_user_of_a_socket(user: object, state: str, neighbour: str, here: str) -> None:
    namespace = with_legacy(filter_table(OWNER.format(user, state)))
    served = (listener("0.0.0.0:11434", uid=997), listener("0.0.0.0:22", uid=0))
    namespace = msgspec.structs.replace(namespace, listeners=Known(served, "sock_diag"))
    assert NEIGHBOUR in getattr(ask(namespace), neighbour)
    assert HERE in getattr(ask(namespace, FROM_HERE), here)


TIMED = "create bad hash:ip family inet timeout 600\nadd bad 192.0.2.77 timeout 500\n"
STAYING = "create bad hash:ip family inet timeout 600\nadd bad 192.0.2.77 timeout 0\n"
ANOTHER = "create bad hash:ip family inet timeout 600\nadd bad 192.0.2.78 timeout 500\n"
DENIED = "-A INPUT -m set --match-set bad src -j DROP"


@pytest.mark.parametrize(
    ("rules", "ipsets", "expected"),
    [
        ([DENIED], ANOTHER, "surely"),
        ([DENIED], TIMED, "unknown"),  # it waits until the entry expires
        ([DENIED], STAYING, "blocked"),
        ([DENIED, "-A INPUT -p tcp -m tcp --dport 23 -j SET --add-set bad src"], ANOTHER, "surely"),
        ([DENIED, "-A INPUT -p tcp -m multiport --dports 22,11000:12000 -j SET --add-set bad src"],
         ANOTHER, "unknown"),
        ([DENIED, "-A INPUT -j SET --add-set bad src"], ANOTHER, "unknown"),
    ],
)  # fmt: skip
def test_a_list_is_for_others_as_it_was_captured(
    rules: list[str], ipsets: str, expected: str
) -> None:
    answer = ask(with_legacy(filter_table(*rules), ipsets=ipsets))
    assert NEIGHBOUR in getattr(answer, expected), answer.reasons
