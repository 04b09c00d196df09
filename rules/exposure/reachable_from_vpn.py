"""Machines on the VPN can use Ollama without a login.

## What it checks

No way to Ollama lets a machine of a VPN or overlay network (WireGuard, OpenVPN, Tailscale,
ZeroTier, Netbird and kin) in without a login. Every way is followed through the packet filter,
for IPv4 and IPv6 each. It passes only when every way is proven shut or asks for a login for all
of the API.

## Why it matters

A VPN keeps strangers out, not its own members. Every device on it, also a lost phone, a shared
node or a colleague's infected laptop, can use, replace and delete your models.

## Fix by hand

If nobody on the VPN needs Ollama, let it listen on this machine only
(`OLLAMA_HOST=127.0.0.1`) or shut the port on the VPN's interface:

    sudo ufw deny in on wg0 to any port 11434 proto tcp

If some do, name them in the VPN's own access rules (Tailscale ACLs, WireGuard `AllowedIPs` and
a firewall rule per peer), or ask for a login with a reverse proxy.

## Limits

Access rules that live with the VPN's provider or on other nodes are not seen; the host's own
packet filter is. A failure is one step less severe when only single addresses were let in, and
one step more when the models call tools.

## References

- CWE-306: Missing Authentication for Critical Function
- OWASP LLM10:2025 Unbounded Consumption
- MITRE ATLAS AML.T0040 AI Model Inference API Access
- NIST CSF 2.0 PR.IR-01, PR.AA-05
- NIST SP 800-53 AC-17, AC-3
- CIS Controls v8.1 6.7 Centralize Access Control
- BSI NET.3.3.A4 Sichere Konfiguration eines VPN
"""

from __future__ import annotations

from ollama_audit.rule import Host, Outcome, Severity, Zone, reachable_from, rule


@rule(severity=Severity.HIGH, cause="listens-beyond-loopback")
def reachable_from_vpn(host: Host) -> Outcome:
    """Judge every way to Ollama for clients on a VPN."""
    return reachable_from(host.snapshot, host.exposure, Zone.VPN, Severity.HIGH)
