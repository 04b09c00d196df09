"""The values of a variable that nginx's `geo` defines by the client's address."""

from __future__ import annotations

from ollama_audit.exposure.forwarders.clients import (
    EVERYONE,
    LOOPBACK,
    NOBODY,
    OPEN,
    Clients,
    Gate,
    only,
)
from ollama_audit.exposure.forwarders.nginx.symbols import (
    Alternatives,
    Request,
    Symbol,
    Value,
    merged,
)
from ollama_audit.exposure.forwarders.nginx.syntax import Directive


def located(definition: Directive, request: Request) -> Alternatives:
    """The values of such a variable; the most specific network decides (ngx_http_geo_module).

    A peer that is believed may say any address; what another proxy on this host says is not known.
    """
    source = definition.args[0] if len(definition.args) > 1 else "$remote_addr"
    read = _read(definition)
    if read is None or source not in {"$remote_addr", "$realip_remote_addr"}:
        return ((OPEN, Symbol.UNKNOWN),)
    found, believed = read
    if source == "$remote_addr":
        believed |= request.believed
    alternatives: list[tuple[Gate, Value]] = [(only(believed & LOOPBACK), Symbol.UNKNOWN)]
    for clients, value in found:
        alternatives.append((only(clients - believed), value))
        if clients:
            alternatives.append((only(believed - LOOPBACK), value))
    return merged([each for each in alternatives if each[0].passing])


def _read(definition: Directive) -> tuple[list[tuple[Clients, str]], Clients] | None:
    """Who has which value, and which peers say who the client is; None when it takes more."""
    default, networks, believed = "", [], NOBODY
    for each in definition.block or ():
        if each.name in {"ranges", "delete"}:
            return None
        if each.name == "default" and each.args:
            default = each.args[0]
        elif each.args:
            try:
                if each.name == "proxy":
                    believed |= Clients.within(each.args[0])
                else:
                    length = int(each.name.partition("/")[2] or 128)
                    networks.append((length, Clients.within(each.name), each.args[0]))
            except ValueError:
                return None
    rest, found = EVERYONE, []
    for _, clients, value in sorted(networks, key=lambda each: -each[0]):
        found.append((clients & rest, value))
        rest -= clients
    return [*found, (rest, default)], believed
