"""What `not-sandboxed` says of which host."""

from __future__ import annotations

from ollama_audit.rule import Status
from tests.cases import Case
from tests.hosts import (
    HIDDEN,
    NO_SANDBOX,
    SANDBOX,
    host,
    in_container,
    server,
    servers,
    unit,
    units,
)

HOMELY = SANDBOX | {"ProtectHome": "no"}
IN_HOME = server(models_directory="/home/ada/models")

CASES = [
    Case("as installed", host(), Status.FAIL, "NoNewPrivileges=no"),
    Case("as NixOS does it", host(units=units(unit(properties=SANDBOX))), Status.PASS),
    Case(
        "one part missing",
        host(units=units(unit(properties=SANDBOX | {"ProtectSystem": "no"}))),
        Status.FAIL,
        "ProtectSystem=no",
    ),
    Case("homes open", host(units=units(unit(properties=HOMELY))), Status.FAIL, "ProtectHome=no"),
    Case(
        "homes open for the models in one",
        host(servers=servers(IN_HOME), units=units(unit(properties=HOMELY))),
        Status.PASS,
    ),
    Case(
        "devices hidden is no part of it",
        host(units=units(unit(properties=NO_SANDBOX | SANDBOX | {"PrivateDevices": "no"}))),
        Status.PASS,
    ),
    Case("properties unread", host(units=units(unit(properties={}))), Status.UNKNOWN),
    Case("units unread", host(units=HIDDEN), Status.UNKNOWN, "only root"),
    Case("processes unread", host(servers=HIDDEN), Status.UNKNOWN),
    Case(
        "a container alone",
        host(servers=servers(server(in_container())), units=units()),
        Status.NOT_APPLICABLE,
    ),
]
