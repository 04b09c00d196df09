"""The cloud's metadata service: a server in a namespace that owns its address plays it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ollama_audit.collect.edge.metadata import LIMIT_S, read_public_addresses
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.edge import Cloud, Forwarding
from tests.collect.netns import Netns, needs_root, reason_of, value_of

SERVICE = Path(__file__).parent / "metadata_service.py"

pytestmark = needs_root


@contextmanager
def machine(provider: str) -> Iterator[Netns]:
    """A virtual machine whose metadata service behaves as this provider's."""
    with Netns() as host, Netns() as cloud:
        host(f"ip link add eth0 type veth peer name eth0 netns {cloud.name}")
        host("ip addr add 10.0.0.5/24 dev eth0", "ip link set eth0 up")
        cloud("ip addr add 10.0.0.1/24 dev eth0", "ip addr add 169.254.169.254/32 dev eth0")
        cloud("ip link set eth0 up")
        host("ip route add default via 10.0.0.1")
        if provider:
            cloud.start(sys.executable, str(SERVICE), provider)
            deadline = time.monotonic() + 10
            while ":80 " not in cloud("ss -Hltn"):
                assert time.monotonic() < deadline, "the service did not start"
                time.sleep(0.05)
        yield host


def asked(provider: str, cloud: Cloud) -> Observed[tuple[Forwarding, ...]]:
    with machine(provider) as host:
        started = time.monotonic()
        answer = host.call(lambda: read_public_addresses(Known(cloud, "DMI")))
        assert time.monotonic() - started < LIMIT_S + 2  # a busy machine is late
        return answer


def whole(external: str, internal: str) -> Forwarding:
    return Forwarding(external=external, internal=internal, protocol="any")


@pytest.mark.parametrize(
    ("provider", "cloud", "expected"),
    [
        (
            "amazon",
            Cloud.AMAZON,
            {whole("203.0.113.5", "10.0.0.5"), whole("203.0.113.6", "10.0.0.6")},
        ),
        ("google", Cloud.GOOGLE, {whole("203.0.113.5", "10.0.0.5")}),
        (
            "azure",
            Cloud.AZURE,
            {
                whole("203.0.113.5", "10.0.0.5"),
                Forwarding(
                    external="203.0.113.6",
                    external_port=80,
                    internal="10.0.0.5",
                    internal_port=11434,
                ),
            },
        ),
        (
            "digitalocean",
            Cloud.DIGITALOCEAN,
            {whole("203.0.113.7", "203.0.113.7"), whole("203.0.113.9", "10.17.0.5")},
        ),
        ("hetzner", Cloud.HETZNER, {whole("203.0.113.5", "203.0.113.5")}),
        ("openstack", Cloud.OPENSTACK, {whole("203.0.113.5", "10.0.0.5")}),
        ("private", Cloud.OPENSTACK, set()),
    ],
)
def test_each_provider_tells_its_public_addresses(
    provider: str, cloud: Cloud, expected: set[Forwarding]
) -> None:
    assert set(value_of(asked(provider, cloud))) == expected


@pytest.mark.parametrize(
    ("provider", "cloud", "reason"),
    [
        ("azure-alone", Cloud.AZURE, "only basic public addresses"),
        ("google", Cloud.AMAZON, "was answered with status"),
        ("nonsense", Cloud.OPENSTACK, "not understood"),
        ("", Cloud.AMAZON, "did not answer: Connection refused"),
        ("slow", Cloud.AMAZON, "did not answer in time"),
        ("drip", Cloud.GOOGLE, "did not answer in time"),
        ("endless", Cloud.HETZNER, "larger than 256 KiB"),
    ],
)
def test_a_service_that_does_not_tell_leaves_it_unknown(
    provider: str, cloud: Cloud, reason: str
) -> None:
    assert reason in reason_of(asked(provider, cloud))


def test_no_other_cloud_is_asked() -> None:
    with Netns() as alone:  # without any route, a packet would be refused with another reason

        def reason(cloud: Cloud) -> str:
            return reason_of(alone.call(lambda: read_public_addresses(Known(cloud, "DMI"))))

        assert "tells no public address" in reason(Cloud.ORACLE)
        assert "does not describe itself" in reason(Cloud.NONE)
        hidden = Unknown("no DMI", "/sys/class/dmi/id")
        assert alone.call(lambda: read_public_addresses(hidden)) == hidden
