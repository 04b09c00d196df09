"""An application in front of Ollama lets strangers make themselves an account.

## What it checks

Whether an application that others reach and that asks for a login (Open WebUI, LibreChat,
Langflow) hands out accounts to whoever asks. Open WebUI is asked what it tells every visitor:
whether it takes sign-ups, and whether it has any account yet. Of the others the variables count.

## Why it matters

A login keeps out only those who cannot make one. Until Open WebUI has its first account, whoever
comes first becomes its administrator, with all of Ollama's API and whatever else it is connected
to. Later sign-ups wait for an administrator, unless DEFAULT_USER_ROLE lets them use models at once.

## Fix by hand

In Open WebUI, make your own account at once, then turn off "Enable New Sign Ups" in Admin Panel >
Settings > General, and leave Default User Role at `pending`. In LibreChat's `.env`, set
`ALLOW_REGISTRATION=false`; for Langflow, `LANGFLOW_NEW_USER_IS_ACTIVE=false`. Restart it. If only
you use it, let it listen on loopback (`HOST=127.0.0.1`, or `-p 127.0.0.1:3000:8080`).

## Limits

With `--no-probe` Open WebUI is not asked, and the answer unknown: it keeps its settings in a
database that is not read. Its default role may have been changed there as well. Sign-up by OAuth or
LDAP is a matter of those who run them.

## References

- CWE-1188: Initialization of a Resource with an Insecure Default
- CWE-306: Missing Authentication for Critical Function
- NIST CSF 2.0 PR.AA-01
- NIST SP 800-53 AC-2, IA-4
- CIS Controls v8.1 5.1 Establish and Maintain an Inventory of Accounts
"""

from __future__ import annotations

from ollama_audit.rule import (
    Endpoint,
    Evidence,
    Host,
    Login,
    Outcome,
    Severity,
    SignUp,
    Unknown,
    Zone,
    failed,
    not_applicable,
    passed,
    rule,
    sign_up,
    unread,
)

_OTHERS = (Zone.CONTAINER, Zone.LAN, Zone.VPN, Zone.INTERNET)


@rule(severity=Severity.HIGH)
def application_allows_sign_up(host: Host) -> Outcome:
    """Judge every application with a login that others reach."""
    sure = _through(host, [each for each, _ in host.exposure.open_to(*_OTHERS)])
    maybe = _through(host, [each for each, _ in host.exposure.maybe_open_to(*_OTHERS)])
    known = [(each, told) for each, told in sure if isinstance(told, SignUp)]
    if bad := [(each, told) for each, told in known if told.allowed]:
        urgent = any(told.first or told.at_once for _, told in bad)
        return failed(
            _sentence([told for _, told in bad]),
            tuple(Evidence(each.shown, told.evidence) for each, told in bad),
            severity=Severity.HIGH if urgent else Severity.MEDIUM,
        )
    doubts = [told for _, told in (*sure, *maybe) if isinstance(told, Unknown)]
    doubts += [
        Unknown(f"whether others get to {each.shown}, where they can make an account", each.shown)
        for each, told in maybe
        if isinstance(told, SignUp) and told.allowed
    ]
    if doubts:
        return unread(*doubts)
    if known:
        names = ", ".join(dict.fromkeys(told.application for _, told in known))
        return passed(f"{names} gives no account to strangers")
    return not_applicable("no application with accounts of its own is reached by others")


def _through(host: Host, endpoints: list[Endpoint]) -> list[tuple[Endpoint, SignUp | Unknown]]:
    """Those endpoints that lead through such an application, with what is known of it."""
    told = {
        pid: found
        for configuration in host.snapshot.configurations
        for found in (sign_up(configuration),)
        if found is not None
        for pid in (configuration.pid, *configuration.pids)
    }
    return [
        (endpoint, told[hop.pid])
        for endpoint in {each.id: each for each in endpoints}.values()
        if endpoint.login is not Login.NONE
        for hop in endpoint.hops
        if hop.kind == "application" and hop.pid in told
    ]


def _sentence(told: list[SignUp]) -> str:
    names = ", ".join(dict.fromkeys(each.application for each in told))
    if any(each.first for each in told):
        return f"{names} has no account yet: the first visitor becomes its administrator"
    if any(each.at_once for each in told):
        return f"Anyone can make an account of {names} and use your models with it"
    return f"Anyone can make an account of {names}, and then waits for an administrator"
