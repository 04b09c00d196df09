"""What `cloud-features-on` says of which host."""

from __future__ import annotations

from ollama_audit.rule import Extent, Host, Known, Observed, Severity, Status
from tests.cases import Case
from tests.hosts import HIDDEN, endpoint, environment, exposure, host, server, servers


def saying(*, disabled: Observed[bool] | bool, exposed: bool = False, **variables: str) -> Host:
    """A server that says this of its cloud."""
    state = Known(disabled, "GET /api/status") if isinstance(disabled, bool) else disabled
    found = servers(server(cloud_disabled=state, env=environment(variables)))
    opened = exposure(endpoint(lan=Extent.ALL)) if exposed else None
    return host(servers=found, exposure=opened)


CASES = [
    Case("switched off", saying(disabled=True), Status.PASS),
    Case("on", saying(disabled=False), Status.FAIL, "disabled: no", Severity.LOW),
    Case(
        "on, and open", saying(disabled=False, exposed=True), Status.FAIL, "others", Severity.MEDIUM
    ),
    Case("off by the environment", saying(disabled=HIDDEN, OLLAMA_NO_CLOUD="1"), Status.PASS),
    Case(
        "a version from before the cloud",
        host(servers=servers(server(version="0.9.3", cloud_disabled=HIDDEN))),
        Status.PASS,
    ),
    Case("not said", saying(disabled=HIDDEN), Status.UNKNOWN, "only root"),
    Case(
        "nothing to be read",
        host(servers=servers(server(cloud_disabled=HIDDEN, env=HIDDEN))),
        Status.UNKNOWN,
    ),
    Case("processes that hide", host(servers=servers(), unseen=3), Status.UNKNOWN),
    Case("no server runs", host(servers=servers()), Status.NOT_APPLICABLE),
]
