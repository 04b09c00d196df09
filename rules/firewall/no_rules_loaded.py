"""No packet filter is at work.

## What it checks

Some rule or policy of the kernel's packet filter, in IPv4 or IPv6, keeps new connections to this
machine out. It does not matter which program made the rule.

## Why it matters

Without a packet filter the bind address is all that keeps strangers out: one changed setting, or
one program more, and a port is open to everybody who can send a packet here.

## Fix by hand

On Debian and Ubuntu, let SSH in before you turn the filter on:

    sudo apt install ufw
    sudo ufw allow OpenSSH
    sudo ufw enable

On Fedora and its kin: `sudo systemctl enable --now firewalld`.

## Limits

Filters elsewhere, in a router or a cloud's security group, are not seen from here. Whether the
filter guards Ollama's port is a matter for the other rules.

## References

- NIST CSF 2.0 PR.IR-01
- NIST SP 800-53 SC-7, SC-7(5)
- CIS Controls v8.1 4.4 Implement and Manage a Firewall on Servers
- BSI SYS.1.1.A19 Einrichtung lokaler Paketfilter
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


@rule(severity=Severity.MEDIUM)
def no_rules_loaded(host: Host) -> Outcome:
    """Judge whether anything filters in the host's own network namespace."""
    filters = [each for each in host.exposure.filters if each.host]
    at_work = [f for f in filters if isinstance(f.active, Known) and f.active.value]
    if at_work:
        owners = ", ".join(dict.fromkeys(owner for f in at_work for owner in f.owners))
        return passed(f"A packet filter is at work{f' ({owners})' if owners else ''}")
    doubts = [f.active for f in filters if isinstance(f.active, Unknown)]
    if doubts:
        return unread(*doubts)
    if not filters:
        return unread(Unknown("the packet filter was not evaluated", "nf_tables"))
    local = proven_local(host.snapshot, host.exposure)
    return failed(
        "No packet filter is at work on this machine",
        tuple(
            Evidence(f"packet filter, {f.family}", "no rule and no policy drops") for f in filters
        ),
        severity=Severity.LOW if local else None,
    )
