"""What `binary-writable-by-others` says of which host."""

from __future__ import annotations

from msgspec.structs import replace

from ollama_audit.rule import FileFact, FileRole, Known, Status
from tests.cases import Case
from tests.hosts import (
    BINARY,
    HIDDEN,
    files,
    folder,
    host,
    in_container,
    process,
    server,
    servers,
    stat,
    unit,
    units,
)

ANCESTOR, PATH, BIN = FileRole.ANCESTOR, FileRole.PATH_FOLDER, FileRole.BINARY
HOME = {
    "/home": (ANCESTOR, folder()),
    "/home/alice": (ANCESTOR, folder(0o750, user="alice")),
}
OWN = "/home/alice/ollama"
ALICES = server(
    process(900, executable=OWN, uid=1000, user="alice", unit="session-2.scope", parent=850)
)
ADAS = in_container(executable=BINARY, uid=1000, user="alice", unit="")
"""The server in a rootless container: its root is the user who started it."""


def own_root(pid: int, *, owner: str) -> tuple[FileFact, ...]:
    """The image's files as a process with a root of its own has them."""
    return tuple(
        FileFact(pid=pid, path=path, role=role, stat=Known(found, f"lstat {path}"))
        for path, role, found in (
            (BINARY, BIN, stat(mode=0o755, user=owner)),
            *((path, ANCESTOR, folder(user=owner)) for path in ("/usr/local/bin", "/usr/local")),
            *((path, ANCESTOR, folder(user=owner)) for path in ("/usr", "/")),
        )
    )


CASES = [
    Case("as installed", host(), Status.PASS),
    Case(
        "as installed, and a server whose program cannot be seen",
        host(servers=servers(server(), server(replace(process(913), executable=HIDDEN)))),
        Status.UNKNOWN,
        HIDDEN.reason,
    ),
    Case(
        "the binary writable by everybody",
        host(files=files({BINARY: (BIN, stat(mode=0o777))})),
        Status.FAIL,
        "mode 0777",
    ),
    Case(
        "the binary owned by the user who installed it",
        host(files=files({BINARY: (BIN, stat(mode=0o755, user="alice"))})),
        Status.FAIL,
        "owned by alice",
    ),
    Case(
        "the binary owned by the service's own user",
        host(files=files({BINARY: (BIN, stat(mode=0o755, user="ollama"))})),
        Status.FAIL,
        "owned by ollama",
    ),
    Case(
        "a folder of their home on the service's PATH, and a server of their own",
        host(
            servers=servers(server(), ALICES),
            units=units(unit(env={"PATH": "/usr/bin:/home/alice/bin"})),
            files=files(
                {
                    **HOME,
                    "/home/alice/bin": (PATH, folder(user="alice")),
                    OWN: (BIN, stat(mode=0o755, user="alice")),
                }
            ),
        ),
        Status.FAIL,
        "/home/alice/bin: owned by alice",
    ),
    Case(
        "the installer's PATH with a folder of their home",
        host(files=files({**HOME, "/home/alice/bin": (PATH, folder(user="alice"))})),
        Status.FAIL,
        "/home/alice/bin",
    ),
    Case(
        "a PATH folder that everybody may write, sticky",
        host(files=files({"/tmp": (PATH, folder(0o1777))})),
        Status.FAIL,
        "mode 1777",
    ),
    Case(
        "Debian's /usr/local of group staff, with nobody in it",
        host(files=files({"/usr/local": (ANCESTOR, folder(0o2775, group="staff"))})),
        Status.PASS,
    ),
    Case(
        "Debian's /usr/local of group staff, with a member",
        host(
            files=files({"/usr/local": (ANCESTOR, folder(0o2775, group="staff", members=("bob",)))})
        ),
        Status.FAIL,
        "group staff (bob)",
    ),
    Case(
        "a user's own server from their home",
        host(
            servers=servers(ALICES),
            units=units(),
            files=files({**HOME, OWN: (BIN, stat(mode=0o755, user="alice"))}, without=[BINARY]),
        ),
        Status.PASS,
    ),
    Case(
        "a user's own server beside the service, whose binary the user owns",
        host(
            servers=servers(server(), ALICES),
            files=files({BINARY: (BIN, stat(mode=0o755, user="alice"))}),
        ),
        Status.FAIL,
        BINARY,
    ),
    Case(
        "a user's own container, beside the unit of an installation with the same path",
        host(
            servers=servers(server(), server(ADAS)),
            files=(*files(), *own_root(2001, owner="alice")),
        ),
        Status.PASS,
    ),
    Case(
        "the same, and its program is somebody else's",
        host(
            servers=servers(server(), server(ADAS)),
            files=(*files(), *own_root(2001, owner="bob")),
        ),
        Status.FAIL,
        "owned by bob",
    ),
    Case("the mode unread", host(files=files({BINARY: (BIN, HIDDEN)})), Status.UNKNOWN, BINARY),
    Case(
        "the mode unread in a folder that everybody may write",
        host(
            files=files({BINARY: (BIN, HIDDEN), "/usr/local/bin": (PATH, folder(0o777))}),
        ),
        Status.FAIL,
        "/usr/local/bin",
    ),
    Case(
        "an access control list",
        host(files=files({BINARY: (BIN, stat(mode=0o755, acl=True))})),
        Status.UNKNOWN,
        "access control list",
    ),
    Case(
        "whether there is an access control list, unread",
        host(files=files({BINARY: (BIN, stat(mode=0o755, acl=HIDDEN))})),
        Status.UNKNOWN,
    ),
    Case("no binary found", host(files=files(without=[BINARY])), Status.UNKNOWN, "not found"),
    Case("processes that hide", host(unseen=4), Status.UNKNOWN, "4 processes"),
    Case(
        "not installed",
        host(servers=servers(), units=units(), files=(), installed=False),
        Status.NOT_APPLICABLE,
    ),
]
