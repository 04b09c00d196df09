"""Containers on this machine can use Ollama without a login.

## What it checks

No way to Ollama lets a container or a virtual machine on a network of this host in without a
login. Every way is followed through the packet filter, for IPv4 and IPv6 each. It passes only
when every way is proven shut or asks for a login for all of the API.

## Why it matters

Containers run other people's software. One that was taken over can use, replace and delete your
models, and through an agent that trusts them reach further.

## Fix by hand

If no container needs Ollama, let it listen on this machine only (`OLLAMA_HOST=127.0.0.1`). If
one does, such as Open WebUI, put it and Ollama on a container network of their own, without
other containers, and publish nothing.

## Limits

A container that shares the host's network is the host itself here. Several containers on one
network reach each other; that one of them is meant to is not known. A failure is one step less
severe when only single addresses were let in, and one step more when the models call tools.

## References

- CWE-306: Missing Authentication for Critical Function
- OWASP LLM06:2025 Excessive Agency
- MITRE ATLAS AML.T0105 Escape to Host
- NIST CSF 2.0 PR.IR-01
- NIST SP 800-53 SC-7, AC-3
- CIS Controls v8.1 13.4 Perform Traffic Filtering Between Network Segments
- BSI SYS.1.6.A5 Separierung der Administrations- und Zugangsnetze bei Containern
"""

from __future__ import annotations

from ollama_audit.rule import Host, Outcome, Severity, Zone, reachable_from, rule


@rule(severity=Severity.MEDIUM, cause="listens-beyond-loopback")
def reachable_from_containers(host: Host) -> Outcome:
    """Judge every way to Ollama for containers and guests of this host."""
    return reachable_from(host.snapshot, host.exposure, Zone.CONTAINER, Severity.MEDIUM)
