"""A tunnel leads to Ollama and asks nobody for a login.

## What it checks

No client of a tunnel that runs on this host (cloudflared, ngrok, tailscaled with a funnel, frp,
rathole, bore, chisel, zrok, localtunnel, devtunnel, inlets, gost, `ssh -R`) leads to Ollama without
a login on the way. Where a tunnel leads is read from its arguments and files and followed, through
a proxy if there is one; a login counts that the client itself has the far end ask for, or that the
proxy asks for. Tunnels for a Tailscale network alone are left to `reachable-from-vpn`.

## Why it matters

A tunnel is a connection from the inside: no firewall and no router stands before it. Whoever gets
to its far end, often the whole internet, uses, replaces and deletes models as if sitting at this
machine. Random addresses are no secret: they are in certificate logs, in browsers and in chats.
An edited Host header (`--http-host-header`, `--host-header`), as Ollama's own FAQ has it for
tunnels, also takes away the only check that Ollama makes.

## Fix by hand

Stop the tunnel if nobody needs it. Else let its far end ask for a login, for all paths:

    cloudflared   an Access application for the hostname, and in config.yml, below originRequest:
                  access: {required: true, teamName: TEAM, audTag: [TAG]}; no quick tunnel
    ngrok         ngrok http 11434 --oauth google --oauth-allow-email you@example.com
    tailscale     tailscale funnel reset; tailscale serve --bg 11434   (the tailnet alone)
    frp           type = "stcp" with a secretKey, or httpUser and httpPassword for type = "http"
    zrok          zrok share private, or --basic-auth USER:PASSWORD
    devtunnel     leave out --allow-anonymous
    ssh -R        GatewayPorts no in sshd_config of the other machine, or ssh -L from there
    others        lead the tunnel to a reverse proxy on this host that asks for a login

## Limits

A login that only the provider asks for (Cloudflare Access without `access.required`, a policy in
ngrok's dashboard) is not seen from here and makes the answer unknown, as does a tunnel whose
configuration only its provider has. A tunnel to somebody's own server (frp, rathole, bore, chisel,
SSH) fails whoever that server lets in.

## References

- CWE-306: Missing Authentication for Critical Function
- CWE-441: Unintended Proxy or Intermediary
- MITRE ATLAS AML.T0049 Exploit Public-Facing Application
- OWASP LLM10:2025 Unbounded Consumption
- NIST CSF 2.0 PR.IR-01, PR.AA-03
- NIST SP 800-53 SC-7, AC-3, AC-17
- CIS Controls v8.1 4.4 Implement and Manage a Firewall on Servers
"""

from __future__ import annotations

from collections.abc import Iterator

from ollama_audit.rule import (
    Endpoint,
    Evidence,
    Host,
    Login,
    Outcome,
    Severity,
    Unknown,
    Zone,
    failed,
    joined,
    not_applicable,
    passed,
    rule,
    unread,
    unseen,
)


@rule(severity=Severity.HIGH, cause="reachable-from-internet")
def tunnel_without_login(host: Host) -> Outcome:
    """Judge every tunnel whose far end is beyond a VPN."""
    tunnels = [
        each
        for each in host.exposure.endpoints
        if not each.address and any(part.zone is not Zone.VPN for part in each.reach)
    ]
    free = [each for each in tunnels if each.certain and each.login is Login.NONE]
    if free:
        verb = "leads" if len(free) == 1 else "lead"
        return failed(
            f"{joined(each.shown for each in free)} {verb} to Ollama past every "
            "firewall, without a login",
            tuple(_evidence(each) for each in free),
            endpoints=(each.id for each in free),
        )
    doubts = (*_doubts(tunnels), *unseen(host.snapshot))
    if doubts:
        return unread(*doubts)
    if tunnels:
        return passed(f"Whoever comes by {', '.join(each.shown for each in tunnels)} must log in")
    return not_applicable("no tunnel leads to Ollama")


def _evidence(endpoint: Endpoint) -> Evidence:
    hops = " > ".join(
        f"{hop.name} ({hop.detail})" if hop.detail else hop.name for hop in endpoint.hops
    )
    because = dict.fromkeys(why for part in endpoint.reach for why in part.because)
    return Evidence(f"{endpoint.shown} > {hops}", "; ".join(because) or "no login is configured")


def _doubts(tunnels: list[Endpoint]) -> Iterator[Unknown]:
    for each in tunnels:
        if each.certain and each.login is not Login.UNKNOWN:
            continue
        reasons = dict.fromkeys(
            (*each.login_because, *(why for part in each.reach for why in part.because))
        )
        what = "asks for a login" if each.certain else "leads to Ollama"
        cure = next((part.cure for part in each.reach if part.cure), "")
        yield Unknown(
            f"whether {each.shown} {what}: {'; '.join(reasons)}", f"tunnel {each.shown}", cure
        )
