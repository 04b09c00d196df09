"""What `runs-unmanaged` says of which host."""

from __future__ import annotations

from ollama_audit.rule import InitSystem, Status
from tests.cases import Case
from tests.hosts import HIDDEN, host, in_container, process, server, servers

BY_HAND = server(process(4000, user="ada", uid=1000, unit="session-3.scope", parent=3990))
OF_A_USER = server(process(4001, user="ada", uid=1000, unit="ollama.service", unit_owner="ada"))

CASES = [
    Case("as installed", host(), Status.PASS),
    Case("started in a session", host(servers=servers(BY_HAND)), Status.FAIL, "session-3.scope"),
    Case("beside the service", host(servers=servers(server(), BY_HAND)), Status.FAIL, "ada"),
    Case(
        "in no unit at all",
        host(servers=servers(server(process(unit="", parent=1)))),
        Status.FAIL,
        "no unit",
    ),
    Case("a user's own service", host(servers=servers(OF_A_USER)), Status.PASS),
    Case("in a container", host(servers=servers(server(in_container()))), Status.PASS),
    *(
        Case(
            f"started by {unit}",
            host(servers=servers(server(process(unit=unit)))),
            Status.FAIL,
            f"in {unit}",
        )
        for unit in (
            "cron.service",
            "ssh.service",
            "sshd@1-10.0.0.1:22.service",
            "user@1000.service",
        )
    ),
    Case(
        "a service of another name",
        host(servers=servers(server(process(unit="llm.service")))),
        Status.PASS,
    ),
    Case(
        "the audit itself in a container",
        host(container="docker", servers=servers(server(process(unit="")))),
        Status.NOT_APPLICABLE,
    ),
    Case("processes unread", host(servers=HIDDEN), Status.UNKNOWN, "only root"),
    Case("processes that hide", host(unseen=3), Status.UNKNOWN, "3 processes"),
    Case("without systemd", host(init=InitSystem.OPENRC), Status.NOT_APPLICABLE),
    Case("no server runs", host(servers=servers()), Status.NOT_APPLICABLE),
]
