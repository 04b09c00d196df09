"""The port mappings of an Internet Gateway Device, by UPnP.

WANIPConnection:1 and :2 and WANPPPConnection:1 (UPnP Forum, 2001 and 2010): GetExternalIPAddress,
GetListOfPortMappings and GetGenericPortMappingEntry; WANIPv6FirewallControl:1 (2010):
GetFirewallStatus. All of them read and change nothing. Nobody but the gateway's own address is
contacted, whatever a description says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from urllib.parse import urljoin, urlsplit

from ollama_audit.collect.edge.http import problem, request
from ollama_audit.collect.edge.markup import records
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.edge import Forwarding

_MOST = 256
"""Mappings of one service."""
_MOST_SERVICES = 5
_SERVICES = tuple(
    f"urn:schemas-upnp-org:service:{name}"
    for name in ("WANIPConnection:2", "WANIPConnection:1", "WANPPPConnection:1")
)
_FIREWALL = "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1"
_NO_FIREWALL = Unknown("it has no such service", _FIREWALL)
_END = {"713", "714"}
"""SpecifiedArrayIndexInvalid, NoSuchEntryInArray: there are no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What a gateway told by UPnP."""

    external_address: Observed[str]
    forwardings: Observed[tuple[Forwarding, ...]]
    """Without their external address, which is the gateway's."""
    complete: bool = True
    ipv6_firewall: Observed[bool] = _NO_FIREWALL


class RefusedError(ValueError):
    """The gateway answered an action with an error; `code` is UPnP's, or the HTTP status."""

    def __init__(self, action: str, code: str) -> None:
        super().__init__(f"{action} was refused ({code})")
        self.code = code


@dataclass(frozen=True, slots=True)
class _Service:
    """Where one WAN connection is controlled."""

    address: str
    port: int
    path: str
    kind: str
    deadline: float


def read_gateway(address: str, location: str, deadline: float) -> Gateway:
    """What the gateway at this address tells, whose description is at `location`."""
    try:
        services = _services(address, location, deadline)
    except (OSError, ValueError) as error:
        why = Unknown(f"its UPnP description: {problem(error)}", location)
        return Gateway(external_address=why, forwardings=why)
    best: Gateway | None = None
    for service in services:
        if service.kind != _FIREWALL and (
            best is None or isinstance(best.external_address, Unknown)
        ):
            best = _read(service)  # of several connections, the one that is up
    if best is None:
        why = Unknown("its UPnP description names no WAN connection", location)
        best = Gateway(external_address=why, forwardings=why)
    firewall = next((each for each in services if each.kind == _FIREWALL), None)
    return replace(best, ipv6_firewall=_firewall(firewall)) if firewall else best


def _firewall(service: _Service) -> Observed[bool]:
    """Whether the gateway says that its IPv6 firewall is on."""
    action, result = "GetFirewallStatus", "FirewallEnabled"
    try:
        told = _act(service, action, {}, result).get(result, "").lower()
    except (OSError, ValueError) as error:
        return Unknown(f"its IPv6 firewall: {problem(error)}", action)
    if told in {"0", "false", "no"}:
        return Known(value=False, source=action)
    return Known(value=True, source=action) if told else Unknown("it did not say", action)


def _at_gateway(address: str, url: str) -> tuple[int, str]:
    """Port and path of an HTTP address, if it is the gateway's.

    Raises:
        ValueError: It leads elsewhere.
    """
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme != "http" or parts.hostname != address or parts.username:
        raise ValueError(f"it leads to {url[:80]!r}, which is not the router, and is not asked")
    if not path.isascii() or not path.isprintable() or " " in path:
        raise ValueError("it leads to a path that is none")
    return parts.port or 80, path


def _services(address: str, location: str, deadline: float) -> list[_Service]:
    """The WAN connections that a description names, the newer version first.

    Raises:
        OSError: No answer, or none in time.
        ValueError: Not a description, or one that leads elsewhere.
    """
    port, path = _at_gateway(address, location)
    answer = request("GET", address, port, path, deadline)
    if answer.status != 200:
        raise ValueError(f"status {answer.status}")
    described = records(answer.body)
    base = next((each["URLBase"] for each in described if each.get("URLBase")), location)
    found = []
    for each in described:
        kind, control = each.get("serviceType", ""), each.get("controlURL", "")
        if kind in (*_SERVICES, _FIREWALL) and control:
            place = _at_gateway(address, urljoin(base, control))
            found.append(_Service(address, *place, kind, deadline))
    order = (*_SERVICES, _FIREWALL)
    return sorted(found, key=lambda service: order.index(service.kind))[:_MOST_SERVICES]


def _act(
    service: _Service, action: str, arguments: Mapping[str, object], result: str = ""
) -> dict[str, str]:
    """The results of an action by name, if `result` is among them; else none.

    Raises:
        OSError: No answer, or none in time.
        ValueError: Not an answer to it.
        RefusedError: An error.
    """
    given = "".join(f"<{name}>{value}</{name}>" for name, value in arguments.items())
    body = (
        '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>'
        f'<u:{action} xmlns:u="{service.kind}">{given}</u:{action}></s:Body></s:Envelope>\r\n'
    )
    answer = request(
        "POST",
        service.address,
        service.port,
        service.path,
        service.deadline,
        headers={
            "Content-Type": 'text/xml; charset="utf-8"',
            "SOAPAction": f'"{service.kind}#{action}"',
        },
        body=body.encode("ascii"),
    )
    said = records(answer.body) if answer.body else []
    if answer.status != 200:
        codes = (each["errorCode"] for each in said if each.get("errorCode"))
        raise RefusedError(action, next(codes, str(answer.status))[:8])
    return next((each for each in said if result in each), {})


def _read(service: _Service) -> Gateway:
    external = _external_address(service)
    found: list[Forwarding] = []
    complete = True
    try:
        for entry in _entries(service):
            if (forwarding := _forwarding(entry)) is None:
                complete = False
            else:
                found.append(forwarding)
    except (OSError, ValueError) as error:
        if not found:
            why = Unknown(f"its port mappings: {problem(error)}", service.kind)
            return Gateway(external_address=external, forwardings=why)
        complete = False
    told = tuple(dict.fromkeys(found))
    complete = complete and len(told) < _MOST
    return Gateway(
        external_address=external, forwardings=Known(told, service.kind), complete=complete
    )


def _external_address(service: _Service) -> Observed[str]:
    action, result = "GetExternalIPAddress", "NewExternalIPAddress"
    try:
        address = IPv4Address(_act(service, action, {}, result).get(result, ""))
    except (OSError, ValueError) as error:
        return Unknown(f"its external address: {problem(error)}", action)
    if address.is_unspecified:
        return Unknown("it has no external address now", action)
    return Known(str(address), action)


def _entries(service: _Service) -> Iterator[dict[str, str]]:
    """The mappings, in one answer where the router knows how, else one by one.

    Raises:
        OSError: No answer, or none in time.
        ValueError: Another answer than one of mappings.
    """
    if service.kind.endswith(":2"):
        try:
            yield from _listed(service)
        except ValueError:
            pass  # optional, and for some an action of administrators
        else:
            return
    for index in range(_MOST):
        try:
            entry = _act(
                service,
                "GetGenericPortMappingEntry",
                {"NewPortMappingIndex": index},
                "NewInternalClient",
            )
        except RefusedError as refusal:
            if refusal.code in _END:
                return
            raise
        yield entry


def _listed(service: _Service) -> Iterator[dict[str, str]]:
    arguments = {
        "NewStartPort": 1,
        "NewEndPort": 65535,
        "NewProtocol": "TCP",
        "NewManage": 1,
        "NewNumberOfPorts": _MOST,
    }
    try:
        answer = _act(service, "GetListOfPortMappings", arguments, "NewPortListing")
    except RefusedError as refusal:
        if refusal.code == "730":  # PortMappingNotFound
            return
        raise
    for each in records(answer.get("NewPortListing", "").encode()):
        if "NewInternalClient" in each:
            yield each


def _forwarding(entry: Mapping[str, str]) -> Forwarding | None:
    """A mapping, its external address left out; None when it cannot be understood."""
    try:
        ports = [int(entry[name]) for name in ("NewExternalPort", "NewInternalPort")]
        internal = str(IPv4Address(entry["NewInternalClient"]))
    except (KeyError, ValueError):
        return None
    remote = entry.get("NewRemoteHost", "")
    try:
        remote = str(IPv4Address(remote))
    except ValueError:
        remote = ""  # nobody, or a name: whoever that is may come
    if not all(0 <= port < 65536 for port in ports) or not ports[1]:
        return None
    return Forwarding(
        external="",
        external_port=ports[0],
        internal=internal,
        internal_port=ports[1],
        protocol=entry.get("NewProtocol", "").lower()[:8],
        remote="" if remote == "0.0.0.0" else remote,  # noqa: S104 - no address to listen on
        enabled=entry.get("NewEnabled", "1") not in {"0", "false", "no"},
        description=_shown(
            entry.get("NewPortMappingDescription", "") or entry.get("NewDescription", "")
        ),
    )


def _shown(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[:64]
