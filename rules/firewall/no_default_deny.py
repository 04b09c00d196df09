"""The packet filter lets in whatever no rule names.

## What it checks

In IPv4 and in IPv6, a new connection from another machine to a port that no rule names is denied,
on every interface but loopback and those of containers.

## Why it matters

A filter that only names what is forbidden lets every new service in. And a filter for IPv4 alone
leaves IPv6 open, by which most home networks are reachable from the internet: Ollama bound to
`0.0.0.0` answers there too.

## Fix by hand

With ufw, once SSH is allowed:

    sudo ufw allow OpenSSH
    sudo ufw default deny incoming
    sudo ufw enable

and `IPV6=yes` in `/etc/default/ufw`. With firewalld, take interfaces out of the zone `trusted`.
With nftables, use a table of family `inet` whose chain at hook `input` has `policy drop`, accepts
`ct state established,related`, loopback, ICMPv6 and SSH.

## Limits

Ports published by container engines do not pass this chain; the rules of reach follow them.

## References

- NIST CSF 2.0 PR.IR-01
- NIST SP 800-53 SC-7(5)
- CIS Controls v8.1 4.4 Implement and Manage a Firewall on Servers
- BSI NET.3.2.A2 Festlegen der Firewall-Regeln
- BSI NET.3.2.A3 Einrichten geeigneter Filterregeln am Paketfilter
"""

from __future__ import annotations

from ollama_audit.rule import (
    Evidence,
    Host,
    Known,
    Outcome,
    Severity,
    Unknown,
    failed,
    passed,
    proven_local,
    rule,
    unread,
)


@rule(severity=Severity.MEDIUM, cause="no-rules-loaded")
def no_default_deny(host: Host) -> Outcome:
    """Judge each family on its own: one shut family says nothing about the other."""
    filters = [each for each in host.exposure.filters if each.host]
    lenient = [f for f in filters if isinstance(f.default_deny, Known) and not f.default_deny.value]
    if lenient:
        families = " and ".join(f.family.label for f in lenient)
        local = proven_local(host.snapshot, host.exposure)
        return failed(
            f"In {families} the packet filter lets in what no rule names",
            tuple(
                Evidence(
                    f"packet filter, {f.family.label}", "; ".join(f.because) or "nothing denies"
                )
                for f in lenient
            ),
            severity=Severity.LOW if local else None,
        )
    doubts = [f.default_deny for f in filters if isinstance(f.default_deny, Unknown)]
    if doubts:
        return unread(*doubts)
    if not filters:
        return unread(Unknown("the packet filter was not evaluated", "nf_tables"))
    return passed("What no rule names is denied, in IPv4 and IPv6")
