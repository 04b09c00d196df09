"""Strangers on the internet can use Ollama without a login.

## What it checks

No way to Ollama lets anybody from the internet in without a login: not its own port, not a
published container port, not a reverse proxy, a relay or a tunnel. Every way is followed
through the packet filter, for IPv4 and IPv6 each. It passes only when every way is proven shut
or asks for a login for all of the API.

## Why it matters

Ollama has no login of its own. Whoever gets to it can run your models at your cost, read their
system prompts, replace or delete them, fill the disk, and make the server fetch from any
address. Open servers are found within hours, used, and resold.

## Fix by hand

Unless others are meant to use this server, let it listen on this machine only:

    sudo systemctl edit ollama        # [Service] Environment=OLLAMA_HOST=127.0.0.1
    sudo systemctl restart ollama

For a container, publish with `-p 127.0.0.1:11434:11434`. To serve others on purpose, put a
reverse proxy that asks for a login on all paths in front, or use a VPN. The evidence names the
way in and the firewall rule that opens it.

## Limits

It speaks of this host. A router, a cloud's security group or a load balancer in front of it may
open or shut what this host cannot see; the report names them. Where the host has private addresses
only and would let the internet in, it passes and says that only what is beyond this host keeps the
internet out: let in the local network alone to be sure. A failure is one step less severe
when only single addresses were let in, and one step more when the models call tools.

## References

- CWE-306: Missing Authentication for Critical Function
- CVE-2025-63389: missing authentication on Ollama's API, in every version by design
- OWASP LLM10:2025 Unbounded Consumption
- OWASP LLM02:2025 Sensitive Information Disclosure
- MITRE ATLAS AML.T0049 Exploit Public-Facing Application
- NIST CSF 2.0 PR.IR-01, PR.AA-03
- NIST SP 800-53 SC-7(5), AC-3, AC-14
- CIS Controls v8.1 4.4 Implement and Manage a Firewall on Servers
- BSI NET.1.1.A11 Absicherung eingehender Kommunikation vom Internet in das interne Netz
"""

from __future__ import annotations

from ollama_audit.rule import Host, Outcome, Severity, Zone, reachable_from, rule


@rule(severity=Severity.CRITICAL, cause="listens-beyond-loopback")
def reachable_from_internet(host: Host) -> Outcome:
    """Judge every way to Ollama for clients on the internet."""
    return reachable_from(host.snapshot, host.exposure, Zone.INTERNET, Severity.CRITICAL)
