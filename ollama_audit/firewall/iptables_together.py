"""Matches of iptables that all of their options decide together (iptables-extensions(8))."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from ollama_audit.firewall import allowances
from ollama_audit.firewall import conditions as on
from ollama_audit.firewall.conditions import Test
from ollama_audit.firewall.instructions import CountConnections

Given: TypeAlias = Mapping[str, tuple[str, ...]]
"""By option `!` or nothing, and its arguments."""


def _limit(given: Given) -> Test | None:
    rate = allowances.rate_of(given["--limit"][1])
    burst = int(given["--limit-burst"][1]) if "--limit-burst" in given else 5
    wide = allowances.wide_rate(rate, burst) and not given["--limit"][0]
    return on.ordinarily(holds=True) if wide else None


def _hashlimit(given: Given) -> Test | None:
    within = "--hashlimit-upto" in given
    option = given["--hashlimit-upto" if within else "--hashlimit-above"]
    burst = int(given["--hashlimit-burst"][1]) if "--hashlimit-burst" in given else 5
    wide = allowances.wide_rate(allowances.rate_of(option[1]), burst)
    return on.ordinarily(holds=within) if wide and not option[0] else None


def _connection_limit(given: Given) -> CountConnections:
    within = "--connlimit-upto" in given
    option = given["--connlimit-upto" if within else "--connlimit-above"]
    from_all = given.get("--connlimit-mask", ("", "32"))[1] == "0"
    least = allowances.FROM_ALL if from_all else allowances.FROM_ONE
    wide = int(option[1]) >= least
    return CountConnections("connlimit", within != bool(option[0]) if wide else None)


def _recent(given: Given) -> Test | None:
    name = given["--name"][1] if "--name" in given else "DEFAULT"
    test = on.recent(name, "--set" in given, "--hitcount" in given)
    asked = next((given[each] for each in ("--set", *CHECKS) if each in given), ("",))
    if test is on.anything:
        return None
    return on.negated(test) if asked[0] else test


CHECKS: Final = ("--rcheck", "--update", "--remove")


def _segment_size(given: Given) -> Test | None:
    option = given["--mss"]
    low, _, high = option[1].partition(":")
    test = on.segment_size(int(low), int(high or low))
    return on.negated(test) if option[0] else test


def _owner(given: Given) -> Test | None:
    if set(given) != {"--uid-owner"}:
        return None
    option = given["--uid-owner"]
    low, _, high = option[1].partition("-")
    test = on.owner(int(low), int(high or low))
    return on.negated(test) if option[0] else test


TOGETHER: Final[dict[str, Callable[[Given], Test | CountConnections | None]]] = {
    "limit": _limit,
    "hashlimit": _hashlimit,
    "connlimit": _connection_limit,
    "recent": _recent,
    "tcpmss": _segment_size,
    "owner": _owner,
}

ARGUMENTS: Final = {
    "limit": {"--limit": 1, "--limit-burst": 1},
    "hashlimit": {
        f"--hashlimit-{name}": 1
        for name in (
            *("upto", "above", "burst", "mode", "name", "srcmask", "dstmask", "htable-size"),
            *("htable-max", "htable-expire", "htable-gcinterval"),
        )
    },
    "connlimit": {
        "--connlimit-upto": 1,
        "--connlimit-above": 1,
        "--connlimit-mask": 1,
        "--connlimit-saddr": 0,
        "--connlimit-daddr": 0,
    },
    "recent": {
        **dict.fromkeys(("--set", *CHECKS, "--reap", "--rttl", "--rsource", "--rdest"), 0),
        "--seconds": 1,
        "--hitcount": 1,
        "--name": 1,
        "--mask": 1,
    },
    "tcpmss": {"--mss": 1},
    "owner": {"--uid-owner": 1, "--gid-owner": 1, "--socket-exists": 0, "--suppl-groups": 0},
}
"""How many words follow each option."""
