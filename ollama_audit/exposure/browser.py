"""The browser path: what keeps a stranger's web page from using Ollama through a visitor.

A page may send requests to any address that the browser's machine reaches. Two checks of Ollama's
stand in the way: of the Origin header, against pages as they are (OLLAMA_ORIGINS), and of the Host
header, against pages whose name was made to stand for this machine's address after they were
loaded (DNS rebinding, CVE-2024-28224). The second is off wherever Ollama does not listen on
loopback (server/routes.go, allowedHostsMiddleware), and what stands before Ollama may undo both.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from ollama_audit.exposure.arrival import Arrival
from ollama_audit.exposure.model import Check, Login
from ollama_audit.observed import Known, Observed
from ollama_audit.snapshot.probe import Probe, Reply


def host_check(probe: Probe | None, arrivals: Sequence[Arrival]) -> Check:
    """Whether a listener refuses foreign names: as it answered, else as its way is known."""
    stranger = _reply(probe.foreign_host if probe else None)
    if stranger is not None and stranger.version:
        return Check.NONE
    ways = [arrival for arrival in arrivals if arrival.certain]
    if any(way.any_name for way in ways):
        return Check.NONE
    if ways and all(way.checks_host for way in ways):
        return Check.ENFORCED
    if probe is not None and stranger is not None and _let_in(probe, ways):
        return Check.ENFORCED
    return Check.UNKNOWN


def _let_in(probe: Probe, ways: Sequence[Arrival]) -> bool:
    """Whether the client that asked gets an answer by another name, if not by the foreign one."""
    own = _reply(probe.version)
    if own is not None and own.version:
        return True
    client = ip_address(probe.client)
    return any(
        way.login is Login.NONE and way.surely.version == client.version and client in way.surely
        for way in ways
    )


def origin_check(probe: Probe | None) -> Check:
    """Whether a listener refused what a stranger's page would make a browser send."""
    stranger = _reply(probe.foreign_origin if probe else None)
    if stranger is None:
        return Check.UNKNOWN
    return Check.NONE if stranger.version else Check.ENFORCED


def _reply(reply: Observed[Reply] | None) -> Reply | None:
    return reply.value if isinstance(reply, Known) else None
