"""What stands between the host and the internet, asked of those who know."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ollama_audit.collect.edge import Beyond
from ollama_audit.collect.edge.metadata import read_public_addresses
from ollama_audit.collect.namespaces import inside
from ollama_audit.collect.platform import read_cloud
from ollama_audit.observed import Observed, Unknown, known_or
from ollama_audit.snapshot.edge import Edge
from ollama_audit.snapshot.network import NetworkNamespace

T = TypeVar("T")


def read_edge(
    namespaces: Observed[tuple[NetworkNamespace, ...]], beyond: frozenset[Beyond]
) -> Edge:
    """The answers of those in `beyond`, asked from the host's own network namespace."""
    cloud = read_cloud()
    host = next((each for each in known_or(namespaces, ()) if each.host), None)

    def there(ask: Callable[[], Observed[T]]) -> Observed[T]:
        if host is None:
            return Unknown("the host's network could not be read", "/proc/PID/ns/net")
        return inside(f"/proc/{host.pid}/ns/net", ask)

    public = None
    if Beyond.CLOUD_METADATA in beyond:
        public = there(lambda: read_public_addresses(cloud))
    return Edge(cloud=cloud, public_addresses=public)
