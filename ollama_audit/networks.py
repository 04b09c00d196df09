"""Networks in a sentence, for people."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from ollama_audit.addresses import AddressSet
from ollama_audit.snapshot.network import Family
from ollama_audit.words import MOST, joined, listed

_FEW_HOLES = 2
"""So many single addresses are told as exceptions."""


def spelled(networks: Iterable[str], more: int = 0) -> str:
    """The first of the networks and how many there are beside them, `more` included.

    A single address goes without its prefix length, and networks that only single addresses are
    missing from are told as such: `172.17.0.0/16 but 172.17.0.2`.
    """
    each = _widest(networks)
    if len(each) > MOST and not more:
        return _with_exceptions(each) or listed(map(plain, each))
    return listed(map(plain, each), more)


def _widest(networks: Iterable[str]) -> list[str]:
    """The networks that lie in no other of them, each once."""
    each = list(dict.fromkeys(networks))
    sets = {one: AddressSet.from_networks([one], 6 if ":" in one else 4) for one in each}
    return [
        one
        for one in each
        if not any(
            other != one and sets[other].version == sets[one].version and sets[one] <= sets[other]
            for other in each
        )
    ]


def plain(network: str) -> str:
    """A network in CIDR notation; a single address as an address."""
    return network.removesuffix("/128" if ":" in network else "/32")


def only_single(networks: Iterable[str]) -> bool:
    """Whether all of them are single addresses."""
    return all(network.endswith("/128" if ":" in network else "/32") for network in networks)


def whole_internet(families: Collection[Family]) -> str:
    """`the internet`, or of one family `the IPv6 internet`."""
    if len(set(families)) == len(Family):
        return "the internet"
    return f"the {'IPv4' if Family.IPV4 in families else 'IPv6'} internet"


def _with_exceptions(networks: Sequence[str]) -> str:
    """The networks with a few single addresses filled in; empty where that is no shorter."""
    version = 6 if ":" in networks[0] else 4
    if any((":" in network) is not (version == 6) for network in networks):
        return ""
    told = AddressSet.from_networks(networks, version)
    ranges = list(told.ranges())
    holes = [
        (last + 1, last + 1) for (_, last), (first, _) in pairwise(ranges) if first == last + 2
    ]
    missing = AddressSet.from_ranges(holes, version)
    whole = told | missing
    if not 0 < len(holes) <= _FEW_HOLES or whole.network_count > MOST:
        return ""
    but = joined(plain(str(each)) for each in missing.networks())
    return f"{listed(map(str, whole.networks()))} but {but}"
