"""A login for Ollama crosses the network unencrypted.

## What it checks

Every endpoint that asks for a login and that somebody on the local network or the internet
reaches is served over TLS.

## Why it matters

Basic authentication and bearer tokens are sent with each request, readable by whoever is on the
way: everybody in the same Wi-Fi, a bad router, the provider. With them comes every prompt and
answer. A password that was read once opens the server until it is changed.

## Fix by hand

Serve the proxy over TLS and redirect the plain port. In nginx:

    listen 443 ssl;
    ssl_certificate     /etc/letsencrypt/live/ai.example.com/fullchain.pem;
    ssl_certificate_key /etc/letsencrypt/live/ai.example.com/privkey.pem;

and `return 308 https://$host$request_uri;` in the server of port 80. Caddy does all of it when the
site has a name. In a home network a VPN such as WireGuard serves as well.

## Limits

A tunnel or a load balancer in front of this host may encrypt what the host itself sees in plain
text. VPNs and containers of this host count as encrypted. The quality of certificates and
ciphers is not looked at.

## References

- CWE-319: Cleartext Transmission of Sensitive Information
- CWE-523: Unprotected Transport of Credentials
- NIST CSF 2.0 PR.DS-02
- NIST SP 800-53 SC-8
- CIS Controls v8.1 3.10 Encrypt Sensitive Data in Transit
"""

from __future__ import annotations

from ollama_audit.rule import (
    Encryption,
    Endpoint,
    Evidence,
    Host,
    Login,
    Outcome,
    Severity,
    Unknown,
    Zone,
    as_unknown,
    failed,
    joined,
    not_applicable,
    passed,
    rule,
    unread,
    unseen,
)

_FAR = (Zone.LAN, Zone.INTERNET)


@rule(severity=Severity.MEDIUM)
def login_without_encryption(host: Host) -> Outcome:
    """Judge every endpoint at which somebody far away logs in."""
    reached = _asking([endpoint for endpoint, _ in host.exposure.open_to(*_FAR)])
    plain = [each for each in reached if each.tls is Encryption.PLAIN and each.certain]
    if plain:
        return failed(
            f"Whoever logs in at {joined(each.shown for each in plain)} shows the password to "
            "everybody on the way",
            tuple(_evidence(each) for each in plain),
        )
    doubts = [
        *(
            Unknown(
                f"whether {each.shown} is encrypted could not be read",
                each.shown,
                f"openssl s_client -connect {each.at_hand}",
            )
            for each in reached
            if each.tls is Encryption.UNKNOWN or not each.certain
        ),
        *(
            Unknown(
                f"whether others get to {each.shown}, where a login is not encrypted, is not "
                f"known: {'; '.join(part.because) or 'the deciding rule is not understood'}",
                each.shown,
                part.cure,
            )
            for each, part in host.exposure.maybe_open_to(*_FAR)
            if each.tls is not Encryption.TLS and _asking([each])
        ),
        *map(as_unknown, host.exposure.gaps),
        *unseen(host.snapshot),
    ]
    if doubts:
        return unread(*doubts)
    if reached:
        return passed(f"The login at {joined(each.shown for each in reached)} is encrypted")
    return not_applicable("nobody logs in to Ollama over the network")


def _asking(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Those that ask for a login on at least part of the API, each once."""
    return list(
        {
            each.id: each for each in endpoints if each.login is Login.REQUIRED or each.open_paths
        }.values()
    )


def _evidence(endpoint: Endpoint) -> Evidence:
    why = "; ".join(endpoint.login_because) or "a login"
    return Evidence(endpoint.shown, f"{why}, without TLS")
