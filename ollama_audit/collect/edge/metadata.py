"""The public addresses of this machine, from the cloud's metadata service.

Only for `--cloud-metadata`: HTTP to the link-local address 169.254.169.254, which the provider's
hypervisor answers. Paths, headers and answers are those of the providers' documents: Amazon EC2
"Instance metadata categories" (IMDSv2), Google "VM metadata" (network-interfaces), Azure "Instance
Metadata Service" and "Retrieve load balancer metadata", DigitalOcean "Metadata API", Hetzner Cloud
"Server metadata", OpenStack Nova "Metadata service" (EC2-compatible).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Address
from typing import Any

from ollama_audit.collect.edge.http import problem, request
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.edge import Cloud, Forwarding

ADDRESS = "169.254.169.254"
LIMIT_S = 2.0
"""For all questions together."""
_SOURCE = f"http://{ADDRESS}"
_MOST = 32
"""Interfaces, and addresses of one."""


def read_public_addresses(cloud: Observed[Cloud]) -> Observed[tuple[Forwarding, ...]]:
    """What leads from the internet to this machine, as its provider says."""
    if isinstance(cloud, Unknown):
        return cloud
    if not cloud.value:
        reason = "this machine does not describe itself as one of a known cloud"
        return Unknown(reason, cloud.source)
    provider = _PROVIDERS.get(cloud.value)
    if provider is None:
        reason = f"the metadata service of {cloud.value.title()} tells no public address"
        return Unknown(reason, cloud.source)
    try:
        found = tuple(dict.fromkeys(provider(time.monotonic() + LIMIT_S)))
    except (OSError, ValueError, RecursionError) as error:
        return Unknown(f"the metadata service: {problem(error)}", _SOURCE)
    if cloud.value is Cloud.AZURE and not found:
        reason = "Azure names only basic public addresses, and those of load balancers"
        return Unknown(reason, _SOURCE)
    return Known(found, _SOURCE)


def _ask(
    path: str, deadline: float, headers: Mapping[str, str] | None = None, *, method: str = "GET"
) -> str:
    """The text at a path; empty for 404, by which the service says that there is none.

    Raises:
        OSError: No answer, or none in time.
        ValueError: Another answer.
    """
    answer = request(method, ADDRESS, 80, path, deadline, headers=headers)
    if answer.status == 404:
        return ""
    if answer.status != 200:
        raise ValueError(f"{path} was answered with status {answer.status}")
    return answer.body.decode(errors="replace")


def _one_to_one(public: str, private: str) -> Iterator[Forwarding]:
    """A translation of every port; nothing where either address is missing.

    Raises:
        ValueError: One of the two is not an IPv4 address.
    """
    if public and private:
        external, internal = str(IPv4Address(public)), str(IPv4Address(private))
        yield Forwarding(external=external, internal=internal, protocol="any")


def _amazon(deadline: float) -> Iterator[Forwarding]:
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = _ask("/latest/api/token", deadline, lifetime, method="PUT").strip()
    if not token.isascii() or not token.isprintable():
        raise ValueError("the token is not one line of text")
    headers = {"X-aws-ec2-metadata-token": token}
    macs = "/latest/meta-data/network/interfaces/macs/"
    for mac in _names(_ask(macs, deadline, headers)):
        associations = f"{macs}{mac}/ipv4-associations/"
        for public in _names(_ask(associations, deadline, headers)):
            for private in _names(_ask(f"{associations}{public}", deadline, headers)):
                yield from _one_to_one(public, private)


def _names(listing: str) -> list[str]:
    """The entries of a listing, one a line; only such as an address or a MAC is made of."""
    names = [line.strip().rstrip("/") for line in listing.splitlines()]
    return [name for name in names if name and set(name) <= set("0123456789abcdef.:")][:_MOST]


def _openstack(deadline: float) -> Iterator[Forwarding]:
    public, private = (
        _ask(f"/latest/meta-data/{name}", deadline).strip()
        for name in ("public-ipv4", "local-ipv4")
    )
    yield from _one_to_one(public, private)


def _hetzner(deadline: float) -> Iterator[Forwarding]:
    # The address is one of the interface's own: nothing translates it.
    public = _ask("/hetzner/v1/metadata/public-ipv4", deadline).strip()
    yield from _one_to_one(public, public)


def _google(deadline: float) -> Iterator[Forwarding]:
    path = "/computeMetadata/v1/instance/network-interfaces/?recursive=true"
    for interface in _dicts(_ask(path, deadline, {"Metadata-Flavor": "Google"})):
        for config in _inner(interface, "accessConfigs"):
            yield from _one_to_one(_text(config, "externalIp"), _text(interface, "ip"))


def _azure(deadline: float) -> Iterator[Forwarding]:
    headers = {"Metadata": "true"}
    path = "/metadata/instance/network/interface?api-version=2021-02-01"
    for interface in _dicts(_ask(path, deadline, headers)):
        for pair in _inner(_child(interface, "ipv4"), "ipAddress"):
            public, private = (
                _text(pair, name) for name in ("publicIpAddress", "privateIpAddress")
            )
            yield from _one_to_one(public, private)
    try:
        balanced = _ask("/metadata/loadbalancer?api-version=2020-10-01", deadline, headers)
    except ValueError:
        return  # the machine is behind none
    balancer = _child(_document(balanced), "loadbalancer")
    for pair in _inner(balancer, "publicIpAddresses"):
        public, private = _text(pair, "frontendIpAddress"), _text(pair, "privateIpAddress")
        if ":" not in public:
            yield from _one_to_one(public, private)
    for rule in _inner(balancer, "inboundRules"):
        public, private = _text(rule, "frontendIpAddress"), _text(rule, "privateIpAddress")
        ports = _number(rule, "frontendPort"), _number(rule, "backendPort")
        if ":" not in public and public and all(ports):
            yield Forwarding(
                external=str(IPv4Address(public)),
                external_port=ports[0],
                internal=str(IPv4Address(private)),
                internal_port=ports[1],
                protocol=_text(rule, "protocol").lower(),
            )


def _digitalocean(deadline: float) -> Iterator[Forwarding]:
    about = _document(_ask("/metadata/v1.json", deadline))
    for interface in _inner(_child(about, "interfaces"), "public"):
        own = _text(_child(interface, "ipv4"), "ip_address")
        yield from _one_to_one(own, own)
        anchor = _text(_child(interface, "anchor_ipv4"), "ip_address")
        for name in ("reserved_ip", "floating_ip"):
            reserved = _child(_child(about, name), "ipv4")
            if reserved.get("active") is True:
                yield from _one_to_one(_text(reserved, "ip_address"), anchor)


_PROVIDERS: dict[Cloud, Callable[[float], Iterable[Forwarding]]] = {
    Cloud.AMAZON: _amazon,
    Cloud.GOOGLE: _google,
    Cloud.AZURE: _azure,
    Cloud.DIGITALOCEAN: _digitalocean,
    Cloud.HETZNER: _hetzner,
    Cloud.OPENSTACK: _openstack,
}


def _document(text: str) -> dict[str, Any]:
    """A JSON object; empty for an empty text.

    Raises:
        ValueError: Something else.
    """
    found = json.loads(text) if text else {}
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - the text is at fault
    return found


def _dicts(text: str) -> list[dict[str, Any]]:
    return _inner({"": json.loads(text) if text else []}, "")


def _inner(outer: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects in a list; what has another shape is left out."""
    found = outer.get(name)
    listed = found if isinstance(found, list) else []
    return [each for each in listed if isinstance(each, dict)][:_MOST]


def _child(outer: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = outer.get(name)
    return found if isinstance(found, dict) else {}


def _text(outer: Mapping[str, Any], name: str) -> str:
    found = outer.get(name)
    return found if isinstance(found, str) else ""


def _number(outer: Mapping[str, Any], name: str) -> int:
    found = outer.get(name)
    return found if isinstance(found, int) and 0 < found < 65536 else 0
