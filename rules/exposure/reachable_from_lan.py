"""Other machines on the local network can use Ollama without a login.

## What it checks

No way to Ollama lets a machine of the local network in without a login: not its own port, not a
published container port, not a reverse proxy, a relay or a tunnel. Every way is followed
through the packet filter, for IPv4 and IPv6 each. It passes only when every way is proven shut
or asks for a login for all of the API.

## Why it matters

Ollama has no login of its own. Every phone, television and guest on the network, and whatever
malware runs on one of them, can use, replace and delete your models and read their system
prompts. In an office that is everybody on the same floor.

## Fix by hand

Let Ollama listen on this machine only:

    sudo systemctl edit ollama        # [Service] Environment=OLLAMA_HOST=127.0.0.1
    sudo systemctl restart ollama

For a container, publish with `-p 127.0.0.1:11434:11434`. If a few machines need it, allow those
addresses in the firewall and nobody else, or put a reverse proxy with a login in front.

## Limits

Networks that share a wire with the host count as local, whoever owns the machines on them. A
failure is one step less severe when only single addresses were let in, and one step more when
the models call tools.

## References

- CWE-306: Missing Authentication for Critical Function
- CVE-2025-63389: missing authentication on Ollama's API, in every version by design
- OWASP LLM10:2025 Unbounded Consumption
- MITRE ATLAS AML.T0040 AI Model Inference API Access
- NIST CSF 2.0 PR.IR-01, PR.AA-03
- NIST SP 800-53 SC-7, AC-3
- CIS Controls v8.1 4.4 Implement and Manage a Firewall on Servers
- CIS Controls v8.1 13.4 Perform Traffic Filtering Between Network Segments
- BSI SYS.1.1.A19 Einrichtung lokaler Paketfilter
"""

from __future__ import annotations

from ollama_audit.rule import Host, Outcome, Severity, Zone, reachable_from, rule


@rule(severity=Severity.CRITICAL, cause="listens-beyond-loopback")
def reachable_from_lan(host: Host) -> Outcome:
    """Judge every way to Ollama for clients on the local network."""
    return reachable_from(host.snapshot, host.exposure, Zone.LAN, Severity.CRITICAL)
