"""What stands between the host and the internet, asked of those who know."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ollama_audit.collect.edge import Beyond
from ollama_audit.collect.edge.metadata import read_public_addresses
from ollama_audit.collect.edge.router import read_router
from ollama_audit.collect.later import Later
from ollama_audit.collect.namespaces import inside
from ollama_audit.collect.platform import read_cloud
from ollama_audit.observed import Observed, Unknown
from ollama_audit.snapshot.edge import Edge
from ollama_audit.snapshot.network import NetworkNamespace


def read_edge(
    namespaces: Observed[tuple[NetworkNamespace, ...]], beyond: frozenset[Beyond]
) -> Edge:
    """The answers of those in `beyond`, asked at once from the host's own network namespace."""
    cloud = read_cloud()
    questions: dict[Beyond, Callable[[NetworkNamespace], Observed[Any]]] = {
        Beyond.CLOUD_METADATA: lambda _: read_public_addresses(cloud),
        Beyond.ASK_ROUTER: read_router,
    }
    asked = {each: Later(partial(_ask, questions[each], namespaces)) for each in beyond}
    answers = {each: later.result() for each, later in asked.items()}
    return Edge(
        cloud=cloud,
        public_addresses=answers.get(Beyond.CLOUD_METADATA),
        router=answers.get(Beyond.ASK_ROUTER),
    )


def _ask(
    question: Callable[[NetworkNamespace], Observed[Any]],
    namespaces: Observed[tuple[NetworkNamespace, ...]],
) -> Observed[Any]:
    if isinstance(namespaces, Unknown):
        return namespaces
    host = next(each for each in namespaces.value if each.host)
    return inside(f"/proc/{host.pid}/ns/net", lambda: question(host))
