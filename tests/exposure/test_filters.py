"""What the packet filter does with new connections in general, as far as somebody sends them."""

from __future__ import annotations

from msgspec.structs import replace

from ollama_audit.exposure.assess import assess
from ollama_audit.observed import Known
from ollama_audit.snapshot.network import Family
from tests.exposure.networked import default, link, networked


def test_doubt_about_clients_that_a_link_has_not_is_no_doubt_about_the_filter() -> None:
    """Who is on the VPN does not come by the LAN, and where its answer would go is no matter."""
    snapshot = networked(
        link("192.168.1.10/24"),
        replace(link("10.99.0.1/24", index=3, name="tun0", kind="tun"), point_to_point=True),
        routes=(default("192.168.1.1"),),
    )

    four = next(each for each in assess(snapshot).filters if each.family is Family.IPV4)

    assert four.active == Known(value=False, source="nf_tables")
    assert four.default_deny == Known(value=False, source="nf_tables")
