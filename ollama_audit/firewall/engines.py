"""Rules of container engines in words: published ports, and the addresses of containers.

Docker 29: daemon/libnetwork/drivers/bridge/internal/{iptabler,nftabler}; netavark 1.4:
src/firewall/{iptables,nft}.rs.
"""

from __future__ import annotations

import re
from typing import Final

TO_DESTINATION: Final = re.compile(r"(?:--to-destination|dnat (?:ip6? )?to) (\S+)")
PORT: Final = re.compile(r"(?:--dport|dport) (\d+)")
CONTAINER: Final = re.compile(r"(?:-d|ip6? daddr) ([0-9a-fA-F.:]+)(/(?!32\b|128\b)\d+)?")
DIRECT: Final = re.compile(
    r"-A PREROUTING -d \S+ ! -i (?:docker0|br-[0-9a-f]{12}|docker_gwbridge) .*-j DROP$"
)
"""What Docker puts before everything else since version 28: its containers' own addresses are
reached through their bridge alone."""


def is_dockers(table: str, chain: str, text: str) -> bool:
    """Whether a rule in a built-in chain is one that Docker makes there."""
    return (table, chain) == ("raw", "PREROUTING") and DIRECT.match(text) is not None


def say(chain: str, text: str) -> str:
    """What an engine's rule is for; empty when its text does not tell."""
    if chain == "DOCKER-USER":
        return "user rule"
    destination, port = TO_DESTINATION.search(text), PORT.search(text)
    if destination is not None:
        end = destination[1].rstrip(",;")
        return f"published port {port[1]}, to {end}" if port else f"published port, to {end}"
    container = CONTAINER.search(text)
    if container is None:
        return ""
    if DIRECT.match(text):
        return f"container {container[1]} through its own bridge only"
    whom = f"network {container[1]}{container[2]}" if container[2] else f"container {container[1]}"
    return f"port {port[1]} of {whom}" if port else whom
