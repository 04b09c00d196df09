"""A web page may use Ollama through a browser, by a name of its own.

## What it checks

Every way to Ollama that asks for no login and is not encrypted refuses a request whose Host header
is a foreign name: Ollama itself does so when it listens on loopback, and a proxy may. It is judged
by the address that Ollama listens on and, on the host itself, by asking with such a name.

## Why it matters

DNS rebinding: a page from a site of the attacker lets its own name stand for 127.0.0.1, or for the
address of this machine on the local network, once a browser has loaded it. To the browser all
requests then belong to one site, so that OLLAMA_ORIGINS does not count, and the page lists, uses,
replaces and deletes the models from wherever it came (CVE-2024-28224). A firewall that lets nobody
in does not help against a browser on this machine. Ollama's answer to this, the check of the name,
is off as soon as OLLAMA_HOST is not a loopback address; in a container it always is.

## Fix by hand

Leave Ollama on 127.0.0.1 (see `explain listens-beyond-loopback`). Where others must get in, put a
proxy before it that answers to its own names only. In nginx:

    server { listen 80 default_server; return 444; }
    server { listen 80; server_name ai.example.lan; location / { proxy_pass ...; } }

A login, or TLS with a certificate for a real name, stops such a page as well.

## Limits

Whether anybody browses on this machine or its network is not known; the failure is low where only
this machine and its containers get in. Recent browsers ask before a page from the internet may
reach local addresses. A server before 0.1.29, which has no such check, is a matter of
`known-vulnerable-version`.

## References

- CVE-2024-28224: DNS rebinding in Ollama before 0.1.29
- CWE-350: Reliance on Reverse DNS Resolution for a Security-Critical Action
- MITRE ATLAS AML.T0078 Drive-by Compromise
- NIST CSF 2.0 PR.IR-01
- NIST SP 800-53 SC-7, AC-4
"""

from __future__ import annotations

from ollama_audit.rule import (
    BrowserCheck,
    Encryption,
    Endpoint,
    Evidence,
    Extent,
    Host,
    Known,
    Login,
    Outcome,
    Severity,
    Unknown,
    Zone,
    as_unknown,
    before,
    failed,
    joined,
    known_or,
    not_applicable,
    passed,
    rule,
    unread,
    unseen,
)

_NEAR = (Zone.HOST, Zone.CONTAINER)
_BROWSING = (*_NEAR, Zone.LAN, Zone.VPN)
_SINCE = "0.1.29"


@rule(severity=Severity.MEDIUM, cause="listens-beyond-loopback")
def answers_to_any_host_name(host: Host) -> Outcome:
    """Judge every endpoint that a page in somebody's browser could use."""
    old = _without_check(host)
    reached = {
        each.id: each
        for each, _ in (
            *host.exposure.open_to(*_BROWSING),
            *host.exposure.maybe_open_to(*_BROWSING),
        )
        if each.address and each.login is not Login.REQUIRED and each.tls is not Encryption.TLS
    }
    judged = [each for each in reached.values() if each.server not in old]
    unguarded = [
        each
        for each in judged
        if each.host_check is BrowserCheck.NONE and each.certain and each.login is Login.NONE
    ]
    if unguarded:
        far = any(part.open and part.zone not in _NEAR for e in unguarded for part in e.reach)
        whose = "on this machine or its network" if far else "on this machine"
        names = joined(each.shown for each in unguarded)
        return failed(
            f"{names} {_answer(unguarded)} to any host name, and so to pages of strangers in a "
            f"browser {whose}",
            tuple(map(_evidence, unguarded)),
            severity=None if far else Severity.LOW,
            endpoints=(each.id for each in unguarded),
        )
    doubts = [
        *(_doubt(host, each) for each in judged if each.host_check is not BrowserCheck.ENFORCED),
        *map(as_unknown, host.exposure.gaps),
        *unseen(host.snapshot),
    ]
    if doubts:
        return unread(*doubts)
    if judged:
        names = joined(each.shown for each in judged)
        return passed(f"{names} {_answer(judged)} to names of this machine only")
    return not_applicable("no browser gets to Ollama without a login or TLS")


def _answer(endpoints: list[Endpoint]) -> str:
    return "answers" if len(endpoints) == 1 else "answer"


def _without_check(host: Host) -> set[int]:
    """The servers that are too old to have the check at all."""
    return {
        server.pid
        for server in known_or(host.snapshot.servers, ())
        if isinstance(server.api.version, Known) and before(server.api.version.value, _SINCE)
    }


def _evidence(endpoint: Endpoint) -> Evidence:
    way = " > ".join(hop.name for hop in endpoint.hops)
    return Evidence(endpoint.shown, f"{way}: a request for a foreign name is answered")


def _doubt(host: Host, endpoint: Endpoint) -> Unknown:
    if endpoint.host_check is BrowserCheck.NONE:
        asks = "; ".join(endpoint.login_because) or "its configuration could not be read"
        what = "asks for a login" if endpoint.certain else "leads to Ollama"
        return Unknown(f"whether {endpoint.shown} {what}: {asks}", endpoint.shown)
    probes = host.snapshot.probes
    cure = probes.cure if isinstance(probes, Unknown) else ""
    cure = cure or _try(endpoint)
    reason = f"whether {endpoint.shown} answers to any host name: it did not say so when asked"
    return Unknown(reason, endpoint.shown, cure)


def _try(endpoint: Endpoint) -> str:
    """The request that tells, and from where: this host itself may be kept out of it."""
    ask = "curl -H 'Host: stranger.example' http://{}/api/version"
    here = any(part.zone is Zone.HOST and part.extent is Extent.ALL for part in endpoint.reach)
    for part in () if here else endpoint.reach:
        if part.zone is not Zone.HOST and part.open and part.destinations and part.networks:
            at = endpoint.at(part.destinations[0])
            return f"{ask.format(at)} on a machine of {part.networks[0]}"
    return ask.format(endpoint.at_hand)
