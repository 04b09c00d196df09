"""Who gets past the access phase of nginx."""

from __future__ import annotations

from collections.abc import Iterable

from ollama_audit.exposure.forwarders.clients import (
    EVERYONE,
    LOOPBACK,
    NOBODY,
    OPEN,
    SHUT,
    Clients,
    Gate,
    doubt,
    login,
    only,
)
from ollama_audit.exposure.forwarders.nginx.symbols import Request, Symbol
from ollama_audit.exposure.forwarders.nginx.syntax import Directive
from ollama_audit.exposure.forwarders.nginx.values import Values

Block = tuple[Directive, ...]

# Modules that ask for a login when their directive is not `off`.
_LOGINS = frozenset(
    {"auth_jwt", "auth_oidc", "auth_ldap", "auth_pam", "auth_digest", "auth_gss", "auth_saml"}
)
_PROGRAMS = ("access_by_lua", "js_access", "perl_access", "rewrite_by_lua")


def unclear(because: str, *services: str) -> Gate:
    """A gate that cannot be judged, perhaps because of the services that it asks."""
    return doubt(because, *services)


def by_service(asked: Directive, target: str) -> Gate:
    """The gate of a login service that a subrequest asks."""
    return login(f"auth_request {asked.args[0]} to {target} ({asked.at})", target)


def certificate(request: Request) -> Gate:
    """Whether the server demands a client certificate; it does so before anything else."""
    if request.tls and request.certificates == "on":
        return login("ssl_verify_client on")
    return OPEN


def _inherited(layers: tuple[Block, ...], *names: str) -> list[Directive]:
    for block in reversed(layers):
        if found := [each for each in block if each.name in names]:
            return found
    return []


def gate(layers: tuple[Block, ...], values: Values, request: Request, authorised: Gate) -> Gate:
    """Who gets through `allow`/`deny`, the logins and `satisfy` in force.

    Without `satisfy any`, all of them must let a client through (ngx_http_core_module).
    """
    listed = _inherited(layers, "allow", "deny")
    logins = [part for part in _logins(layers, values, request) if part != OPEN]
    if authorised != OPEN:
        logins.append(authorised)
    satisfy = _inherited(layers, "satisfy")
    if satisfy and satisfy[0].args == ("any",) and logins:
        # Who is in no line of the list is neither let in nor refused by it.
        result = _believing(layers, allowed(listed, rest=NOBODY)) if listed else SHUT
        for part in logins:
            result |= part
    else:
        result = _believing(layers, allowed(listed)) if listed else OPEN
        for part in logins:
            result &= part
    for block in layers:
        for each in block:
            if each.name.startswith(_PROGRAMS):
                result &= doubt(f"{each.name} ({each.at}) decides by a program")
    return result


def _logins(layers: tuple[Block, ...], values: Values, request: Request) -> Iterable[Gate]:
    yield _basic(layers, values, request)
    for name in _LOGINS:
        found = _inherited(layers, name)
        if found and found[0].args and found[0].args[0] != "off":
            yield login(f"{name} ({found[0].at})")


def allowed(listed: list[Directive], rest: Clients = EVERYONE) -> Clients:
    """Whom a list of `allow` and `deny` admits: the first that fits decides, else `rest`."""
    left, admitted = EVERYONE, NOBODY
    for each in listed:
        concerned = clients(each.args) & left
        if each.name == "allow":
            admitted |= concerned
        left -= concerned
    return admitted | (left & rest)


def clients(args: tuple[str, ...]) -> Clients:
    """Whom `allow` or `deny` names; `unix:` is no address."""
    if args[:1] == ("all",):
        return EVERYONE
    try:
        return Clients.within(args[0] if args else "")
    except ValueError:
        return NOBODY


def believed(layers: tuple[Block, ...]) -> Clients:
    """The peers that say in a header who the client is."""
    total = NOBODY
    for each in _inherited(layers, "set_real_ip_from"):
        total |= clients(each.args)
    return total


def _believing(layers: tuple[Block, ...], admitted: Clients) -> Gate:
    """The list's gate where nginx takes the client's address from a header of some peers.

    Those peers can say any address (ngx_http_realip_module). One on this host is rather another
    proxy, of which it is not known what it says.
    """
    trusted = believed(layers)
    if not trusted or not admitted:
        return only(admitted)
    near = trusted & LOOPBACK
    because = ("set_real_ip_from: a header says who the client is",)
    return Gate(free=(admitted | trusted) - near, doubtful=near, because=because)


def _basic(layers: tuple[Block, ...], values: Values, request: Request) -> Gate:
    """`auth_basic`; without a file of users it is not enforced (ngx_http_auth_basic_module)."""
    realm = _inherited(layers, "auth_basic")
    users = _inherited(layers, "auth_basic_user_file")
    if not realm or not realm[0].args or realm[0].args[0] == "off" or not users:
        return OPEN
    said = login(f"auth_basic ({realm[0].at})")
    result = SHUT
    for each, value in values.expand(realm[0].args[0], request):
        if value == "off":
            result |= each
        elif value is Symbol.UNKNOWN:
            result |= each & doubt(f"auth_basic {realm[0].args[0]} ({realm[0].at})")
        else:
            result |= each & said
    return result
