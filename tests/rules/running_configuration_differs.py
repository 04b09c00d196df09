"""What `running-configuration-differs` says of which host."""

from __future__ import annotations

from msgspec.structs import replace

from ollama_audit.rule import Host, Severity, Status, UnitFile
from tests.cases import Case
from tests.hosts import (
    DROP_IN,
    HIDDEN,
    drop_in,
    environment,
    environment_file,
    host,
    in_container,
    process,
    server,
    servers,
    unit,
    units,
)

OPEN = {"OLLAMA_HOST": "0.0.0.0"}
UNREAD = UnitFile(path=DROP_IN, settings=HIDDEN, directives=HIDDEN)


def given(*files: UnitFile, running: dict[str, str], **changes: object) -> Host:
    """A server with an environment, and the files of its unit."""
    found = server(env=environment(running))
    return host(servers=servers(found), units=units(unit(files=files, **changes)))  # type: ignore[arg-type]


CASES = [
    Case("as installed", host(), Status.PASS),
    Case("a drop-in in force", given(drop_in(OPEN), running=OPEN), Status.PASS),
    Case(
        "a drop-in not in force",
        given(drop_in(OPEN), running={}),
        Status.FAIL,
        "OLLAMA_HOST: 0.0.0.0 in the files, not set in process",
        Severity.HIGH,
    ),
    Case(
        "a drop-in removed since",
        given(running=OPEN),
        Status.FAIL,
        "not set in the files, 0.0.0.0 in process",
        Severity.HIGH,
    ),
    Case(
        "another variable",
        given(drop_in({"OLLAMA_DEBUG": "1"}), running={}),
        Status.FAIL,
        severity=Severity.MEDIUM,
    ),
    Case(
        "the later drop-in wins",
        given(
            drop_in(OPEN),
            drop_in({"OLLAMA_HOST": "127.0.0.1"}),
            running={"OLLAMA_HOST": "127.0.0.1"},
        ),
        Status.PASS,
    ),
    Case(
        "an environment file wins over drop-ins",
        given(
            drop_in(OPEN),
            running={"OLLAMA_HOST": "127.0.0.1"},
            environment_files=(environment_file({"OLLAMA_HOST": "127.0.0.1"}),),
        ),
        Status.PASS,
    ),
    Case(
        "not reloaded", given(running={}, need_daemon_reload=True), Status.FAIL, "NeedDaemonReload"
    ),
    Case(
        "a drop-in of which systemd ignores the most",
        given(replace(drop_in({}), ignored_from=3), running={}),
        Status.FAIL,
        ":3: this line is not UTF-8, and systemd ignores it and the rest of the file",
    ),
    Case(
        "another user",
        host(servers=servers(server(process(user="root", uid=0)))),
        Status.FAIL,
        "User=ollama",
    ),
    Case(
        "the program replaced since",
        host(servers=servers(server(replace(process(), executable_deleted=True)))),
        Status.FAIL,
        "replaced",
    ),
    Case("a variable of other programs", given(drop_in({"LANG": "C"}), running={}), Status.PASS),
    Case(
        "the same address in other words",
        given(
            drop_in({"OLLAMA_HOST": "http://0.0.0.0:11434/"}), running={"OLLAMA_HOST": "0.0.0.0"}
        ),
        Status.PASS,
    ),
    Case(
        "set to nothing, and not set",
        given(drop_in({"OLLAMA_ORIGINS": ""}), running={}),
        Status.PASS,
    ),
    Case(
        "passed on from systemd itself",
        given(running=OPEN, properties={"PassEnvironment": "OLLAMA_HOST"}),
        Status.PASS,
    ),
    Case(
        "taken away again",
        given(drop_in(OPEN), running={}, properties={"UnsetEnvironment": "OLLAMA_HOST"}),
        Status.PASS,
    ),
    Case(
        "no user written down, and not root",
        given(running={}, user=""),
        Status.FAIL,
        "User=root, and ollama runs it",
    ),
    Case("processes that hide", host(unseen=2), Status.UNKNOWN, "2 processes"),
    Case("a drop-in unread", given(UNREAD, running={}), Status.UNKNOWN, "only root"),
    Case("the environment unread", host(servers=servers(server(env=HIDDEN))), Status.UNKNOWN),
    Case("units unread", host(units=HIDDEN), Status.UNKNOWN),
    Case(
        "a container alone",
        host(servers=servers(server(in_container()))),
        Status.NOT_APPLICABLE,
    ),
]
