"""A firewall is at work and lets others through to Ollama.

## What it checks

Where a packet filter keeps connections out of this machine, it also keeps those out that ask for
an endpoint of Ollama on it, unless a login is asked there.

## Why it matters

Who sees an active firewall believes the port shut. A forgotten `allow`, a trusted zone or a
published container port, which never meets the rules for incoming connections, says otherwise.

## Fix by hand

`ollama-audit reach` shows which rule lets whom in. With ufw: `sudo ufw status numbered`, then
`sudo ufw delete NUMBER`. With firewalld: `sudo firewall-cmd --remove-port=11434/tcp`, and once more
with `--permanent`. For a published container port: publish it on `127.0.0.1` only.

## Limits

That the rule was meant, for a network that you trust, is not known here; such a network must ask
for a login or be accepted by you.

## References

- NIST CSF 2.0 PR.IR-01
- NIST SP 800-53 SC-7, CM-7
- CIS Controls v8.1 4.4 Implement and Manage a Firewall on Servers
- BSI NET.3.2.A3 Einrichten geeigneter Filterregeln am Paketfilter
"""

from __future__ import annotations

from ollama_audit.rule import (
    Evidence,
    Host,
    Known,
    Login,
    Outcome,
    Severity,
    Unknown,
    Zone,
    as_unknown,
    failed,
    joined,
    not_applicable,
    open_without_login,
    passed,
    rule,
    unread,
    unseen,
)

_OTHERS = (Zone.LAN, Zone.VPN, Zone.INTERNET)


@rule(severity=Severity.HIGH, cause="listens-beyond-loopback")
def does_not_filter_port(host: Host) -> Outcome:
    """Judge the endpoints in families whose filter is at work; no filter is before a tunnel."""
    filters = [each for each in host.exposure.filters if each.host]
    families = {f.family for f in filters if isinstance(f.active, Known) and f.active.value}
    ways = [
        (endpoint, part)
        for endpoint, part in open_without_login(host.exposure, *_OTHERS)
        if endpoint.address and part.family in families
    ]
    # A container that is a machine of its own on the network has no filter of the host's before
    # it, nor has one to whom the host routes without a rule about that.
    own = {each.namespace for each in filters}
    doors = [way for way in ways if way[1].because or way[0].namespace in own]
    if doors:
        at = joined(dict.fromkeys(endpoint.shown for endpoint, _ in doors))
        return failed(
            f"The firewall is at work and lets others through to {at}",
            tuple(
                Evidence(
                    f"{endpoint.shown} from {part.zone.who}, {part.family.label}",
                    "; ".join(part.because) or "no rule stops it",
                )
                for endpoint, part in doors
            ),
            endpoints=(endpoint.id for endpoint, _ in doors),
        )
    doubts = [f.active for f in filters if isinstance(f.active, Unknown)]
    doubts += [
        Unknown("; ".join(part.because) or "not decided", endpoint.shown, part.cure)
        for endpoint, part in host.exposure.maybe_open_to(*_OTHERS)
        if endpoint.address and endpoint.login is not Login.REQUIRED
    ]
    doubts += [
        Unknown(
            f"whether {endpoint.shown} asks for a login is not known", endpoint.shown, part.cure
        )
        for endpoint, part in host.exposure.open_to(*_OTHERS)
        if endpoint.address and (endpoint.login is Login.UNKNOWN or not endpoint.certain)
    ]
    if families:
        doubts += [*map(as_unknown, host.exposure.gaps), *unseen(host.snapshot)]
    if doubts:
        return unread(*doubts)
    if not families:
        return not_applicable("no packet filter is at work")
    if ways:
        past = joined(dict.fromkeys(endpoint.shown for endpoint, _ in ways))
        return not_applicable(f"no packet filter of this host is before {past}")
    return passed("The firewall keeps others from Ollama's ports")
