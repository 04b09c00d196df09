"""What `models-writable-by-others` says of which host."""

from __future__ import annotations

from ollama_audit.rule import FileRole, Status
from tests.cases import Case
from tests.hosts import (
    HIDDEN,
    MISSING,
    MODELS,
    files,
    folder,
    host,
    link,
    process,
    server,
    servers,
    units,
)

ANCESTOR, ROLE = FileRole.ANCESTOR, FileRole.MODELS
SRV = {"/srv": (ANCESTOR, folder()), "/srv/models": (ROLE, folder(0o777, user="ollama"))}
ALICES = server(
    process(900, uid=1000, user="alice", unit="session-2.scope"),
    models_directory="/home/alice/.ollama/models",
)
HOME = {
    "/home": (ANCESTOR, folder()),
    "/home/alice": (ANCESTOR, folder(0o750, user="alice")),
    "/home/alice/.ollama": (ANCESTOR, folder(user="alice")),
    "/home/alice/.ollama/models": (ROLE, folder(user="alice")),
}
MOVED = {
    "/usr/home": (ANCESTOR, folder()),
    "/usr/home/alice": (ANCESTOR, folder(0o750, user="alice")),
    "/usr/home/alice/.ollama": (ANCESTOR, folder(user="alice")),
    "/usr/home/alice/.ollama/models": (ROLE, folder(user="alice")),
}

CASES = [
    Case("as installed, the installer's user in the group", host(), Status.PASS),
    Case(
        "writable by everybody",
        host(files=files({MODELS: (ROLE, folder(0o777, user="ollama"))})),
        Status.FAIL,
        "writable by everybody, mode 0777",
    ),
    Case(
        "writable by everybody, sticky: others may add",
        host(files=files({MODELS: (ROLE, folder(0o1777, user="ollama"))})),
        Status.FAIL,
        "mode 1777",
    ),
    Case(
        "writable by the group, in which the installer's user is",
        host(files=files({MODELS: (ROLE, folder(0o775, user="ollama", members=("alice",)))})),
        Status.FAIL,
        "group ollama (alice)",
    ),
    Case(
        "owned by another user",
        host(files=files({MODELS: (ROLE, folder(user="bob"))})),
        Status.FAIL,
        "owned by bob",
    ),
    Case(
        "a folder above writable by everybody",
        host(files=files({"/usr/share/ollama": (ANCESTOR, folder(0o777, user="ollama"))})),
        Status.FAIL,
        "/usr/share/ollama",
    ),
    Case(
        "a link to a disk that everybody may write",
        host(files=files({MODELS: (ROLE, link("/srv/models")), **SRV})),
        Status.FAIL,
        "/srv/models",
    ),
    Case(
        "a user's own models",
        host(servers=servers(ALICES), units=units(), files=files(HOME, without=[MODELS])),
        Status.PASS,
    ),
    Case(
        "a user's own models beside the service's",
        host(servers=servers(server(), ALICES), files=files(HOME)),
        Status.PASS,
    ),
    Case(
        "the service's models owned by the user of the other server",
        host(
            servers=servers(server(), ALICES),
            files=files({**HOME, MODELS: (ROLE, folder(user="alice"))}),
        ),
        Status.FAIL,
        MODELS,
    ),
    Case(
        "the folders in a user's own models beside the service's",
        host(
            servers=servers(server(), ALICES),
            files=files(
                {
                    **HOME,
                    "/home/alice/.ollama/models/blobs": (ROLE, folder(user="alice")),
                    "/home/alice/.ollama/models/manifests": (ROLE, MISSING),
                }
            ),
        ),
        Status.PASS,
    ),
    Case(
        "a home behind a link",
        host(
            servers=servers(ALICES),
            units=units(),
            files=files({**MOVED, "/home": (ANCESTOR, link("usr/home"))}, without=[MODELS]),
        ),
        Status.PASS,
    ),
    Case(
        "a home behind a link that others may replace",
        host(
            servers=servers(ALICES),
            units=units(),
            files=files(
                {**MOVED, "/home": (ANCESTOR, link("usr/home")), "/": (ANCESTOR, folder(0o777))},
                without=[MODELS],
            ),
        ),
        Status.FAIL,
        "/: writable by everybody",
    ),
    Case("stopped, the unit's user owns them", host(servers=servers()), Status.PASS),
    Case("the mode unread", host(files=files({MODELS: (ROLE, HIDDEN)})), Status.UNKNOWN, MODELS),
    Case(
        "an access control list",
        host(files=files({MODELS: (ROLE, folder(user="ollama", acl=True))})),
        Status.UNKNOWN,
        "access control list",
    ),
    Case(
        "the models of a second server not looked at",
        host(servers=servers(server(), ALICES)),
        Status.UNKNOWN,
        "/home/alice/.ollama/models",
    ),
    Case("processes unread", host(servers=HIDDEN), Status.UNKNOWN),
    Case("processes that hide", host(unseen=1), Status.UNKNOWN),
    Case(
        "never started",
        host(servers=servers(), files=files(without=[MODELS])),
        Status.NOT_APPLICABLE,
    ),
]
