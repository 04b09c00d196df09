"""What `runs-as-root` says of which host."""

from __future__ import annotations

from msgspec.structs import replace

from ollama_audit.rule import Known, Severity, Status
from tests.cases import Case
from tests.hosts import (
    HIDDEN,
    engine,
    environment,
    host,
    in_container,
    process,
    published,
    server,
    servers,
    unit,
    units,
)

ROOT = server(process(uid=0, user="root"))
STRONG = Known(frozenset({"cap_net_bind_service", "cap_dac_override"}), "/proc/812/status")
LOW_PORTS = Known(frozenset({"cap_net_bind_service"}), "/proc/812/status")
ALL = Known(frozenset({"cap_dac_override", "cap_sys_admin"}), "/proc/2001/status")
ROOTLESS = server(in_container(uid=1000, user="alice"))

CASES = [
    Case("as installed", host(), Status.PASS, "Ollama runs as ollama"),
    Case(
        "a user's own server",
        host(servers=servers(server(process(uid=1000, user="alice")))),
        Status.PASS,
        "alice",
    ),
    Case(
        "a user without a name",
        host(servers=servers(server(process(uid=4711, user="")))),
        Status.PASS,
        "4711",
    ),
    Case(
        "root, as its unit says",
        host(
            servers=servers(
                server(process(uid=0, user="root"), models_directory="/root/.ollama/models")
            ),
            units=units(unit(user="root")),
        ),
        Status.FAIL,
        "user root",
    ),
    Case(
        "root, with models elsewhere",
        host(
            servers=servers(
                server(
                    process(uid=0, user="root"),
                    env=environment({"HOME": "/root", "OLLAMA_MODELS": "/srv/models"}),
                    models_directory="/srv/models",
                )
            ),
            units=units(unit(user="", env={"HOME": "/root"})),
        ),
        Status.FAIL,
        "user root",
    ),
    Case("root", host(servers=servers(ROOT)), Status.FAIL, "user root", Severity.HIGH),
    Case(
        "the second of two servers",
        host(servers=servers(server(), server(process(900, uid=0, user="root")))),
        Status.FAIL,
        "process 900",
    ),
    Case(
        "another user with a capability like root's",
        host(servers=servers(server(process(capabilities=STRONG)))),
        Status.FAIL,
        "cap_dac_override",
    ),
    Case(
        "another user who may bind low ports",
        host(servers=servers(server(process(capabilities=LOW_PORTS)))),
        Status.PASS,
    ),
    Case(
        "root in an ordinary container",
        host(servers=servers(server(in_container()))),
        Status.FAIL,
        "container 6f1e",
        Severity.MEDIUM,
    ),
    Case(
        "root in a container that its engine has a name for",
        host(
            servers=servers(server(in_container())),
            engines=(engine(replace(published(name="llm"), id="6f1e")),),
        ),
        Status.FAIL,
        "container llm",
        Severity.MEDIUM,
    ),
    Case(
        "root in a privileged container",
        host(servers=servers(server(in_container(capabilities=ALL)))),
        Status.FAIL,
        severity=Severity.HIGH,
    ),
    Case(
        "root in a container of unread capabilities",
        host(servers=servers(server(in_container(capabilities=HIDDEN)))),
        Status.FAIL,
        severity=Severity.HIGH,
    ),
    Case(
        "root on the host beside an ordinary container",
        host(servers=servers(ROOT, server(in_container()))),
        Status.FAIL,
        severity=Severity.HIGH,
    ),
    Case("a rootless container", host(servers=servers(ROOTLESS)), Status.PASS, "alice"),
    Case("user unread", host(servers=servers(server(process(uid=HIDDEN)))), Status.UNKNOWN, "root"),
    Case(
        "capabilities unread",
        host(servers=servers(server(process(capabilities=HIDDEN)))),
        Status.UNKNOWN,
    ),
    Case("processes unread", host(servers=HIDDEN), Status.UNKNOWN),
    Case("processes that hide", host(unseen=3), Status.UNKNOWN, "3 processes"),
    Case(
        "stopped, the unit without a user",
        host(servers=servers(), units=units(unit(user="", active=False))),
        Status.FAIL,
        "would run as root",
    ),
    Case("stopped, the unit as installed", host(servers=servers()), Status.PASS, "unit"),
    Case("stopped, units unread", host(servers=servers(), units=HIDDEN), Status.UNKNOWN),
    Case("no server, no unit", host(servers=servers(), units=units()), Status.NOT_APPLICABLE),
]
