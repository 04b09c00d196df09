"""A login in front of Ollama covers only part of its API.

## What it checks

Where a reverse proxy asks for a login, it asks for it on every path of Ollama's API that it
passes on. Every location, exception, rewrite and error page is followed for each of those paths,
and what this host's own requests get without a login settles it: a login that is configured and
asked of nobody fails as well.

## Why it matters

Whoever set up the login believes that strangers are kept out. One exempt path is enough to use
the machine: `/api/generate` and `/v1/chat/completions` run models, `/api/pull`, `/api/create` and
`/api/delete` replace them, `/api/show` tells system prompts. A login on `/` with `/api` exempt
"for the plug-in" protects nothing but the words "Ollama is running".

## Fix by hand

Ask for the login at the outermost level and remove the exceptions. In nginx, in `server`:

    auth_basic "Ollama";
    auth_basic_user_file /etc/nginx/htpasswd;

and no `auth_basic off` below it; then `sudo nginx -t && sudo systemctl reload nginx`. If one path
must stay open, pass on that path alone and answer all others with 403.

## Limits

Paths are those that Ollama had in August 2026; one that is new and exempt is not noticed. The
failure counts only where somebody beyond this machine surely gets to the proxy.

## References

- CWE-306: Missing Authentication for Critical Function
- CWE-288: Authentication Bypass Using an Alternate Path or Channel
- OWASP LLM10:2025 Unbounded Consumption
- NIST CSF 2.0 PR.AA-03
- NIST SP 800-53 AC-3, IA-2
- CIS Controls v8.1 6.7 Centralize Access Control
"""

from __future__ import annotations

from ollama_audit.rule import (
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
    not_applicable,
    passed,
    rule,
    unread,
    unseen,
)

_OTHERS = (Zone.CONTAINER, Zone.LAN, Zone.VPN, Zone.INTERNET)


@rule(severity=Severity.HIGH)
def login_covers_part_of_api(host: Host) -> Outcome:
    """Judge every endpoint that asks for a login."""
    reached = [endpoint for endpoint, _ in host.exposure.open_to(*_OTHERS)]
    partly = list(dict.fromkeys(each.id for each in reached if each.open_paths))
    found = {each.id: each for each in reached}
    if partly:
        return failed(
            f"The login at {', '.join(partly)} leaves part of the API open",
            tuple(_evidence(found[name]) for name in partly),
        )
    doubts = (*_doubts(host), *unseen(host.snapshot))
    if doubts:
        return unread(*doubts)
    locked = [each.shown for each in host.exposure.endpoints if each.login is Login.REQUIRED]
    if locked:
        return passed(f"The login at {', '.join(locked)} covers all of the API")
    return not_applicable("no way to Ollama asks for a login")


def _evidence(endpoint: Endpoint) -> Evidence:
    shown = ", ".join(endpoint.open_paths[:6])
    more = len(endpoint.open_paths) - 6
    proxies = (hop.detail for hop in endpoint.hops if hop.detail and hop.kind != "dnat")
    where = next(proxies, endpoint.shown)
    paths = f"no login for {shown}" + (f" and {more} more" if more > 0 else "")
    return Evidence(where, "; ".join([paths, *endpoint.login_because]))


def _doubts(host: Host) -> list[Unknown]:
    found = [as_unknown(gap) for gap in host.exposure.gaps]
    endpoints = [each for each, _ in host.exposure.open_to(*_OTHERS)]
    endpoints += [each for each, _ in host.exposure.maybe_open_to(*_OTHERS) if each.open_paths]
    for endpoint in endpoints:
        if endpoint.login is Login.UNKNOWN:
            why = "; ".join(endpoint.login_because) or "its configuration could not be read"
            found.append(
                Unknown(f"whether {endpoint.shown} asks for a login: {why}", endpoint.shown)
            )
        elif endpoint.open_paths:
            reason = f"whether others get to {endpoint.shown}, whose login covers part of the API"
            found.append(Unknown(reason, endpoint.shown))
    return found
