"""What `private-key-readable-by-others` says of which host."""

from __future__ import annotations

from msgspec.structs import replace

from ollama_audit.rule import FileRole, Status
from tests.cases import Case
from tests.hosts import (
    HIDDEN,
    KEY,
    MISSING,
    files,
    folder,
    host,
    in_container,
    server,
    servers,
    stat,
)

ROLE, STATE, ANCESTOR = FileRole.PRIVATE_KEY, FileRole.STATE, FileRole.ANCESTOR
DOT = "/usr/share/ollama/.ollama"
READABLE = (ROLE, stat(mode=0o644, user="ollama"))
BY_GROUP = (ROLE, stat(mode=0o640, user="ollama", members=("alice",)))

CASES = [
    Case("as installed", host(), Status.PASS),
    Case("readable by everybody", host(files=files({KEY: READABLE})), Status.FAIL, "mode 0644"),
    Case(
        "readable by a group with members",
        host(files=files({KEY: BY_GROUP})),
        Status.FAIL,
        "group ollama (alice)",
    ),
    Case(
        "readable by a group of its own",
        host(files=files({KEY: (ROLE, stat(mode=0o640, user="ollama"))})),
        Status.PASS,
    ),
    Case(
        "owned by another user",
        host(files=files({KEY: (ROLE, stat(mode=0o600, user="bob"))})),
        Status.FAIL,
        "bob",
    ),
    Case(
        "readable in a folder that lets nobody by",
        host(files=files({KEY: READABLE, DOT: (STATE, folder(0o700, user="ollama"))})),
        Status.PASS,
    ),
    Case(
        "readable in a folder that lets a group by",
        host(
            files=files(
                {KEY: READABLE, DOT: (STATE, folder(0o750, user="ollama", members=("alice",)))}
            )
        ),
        Status.FAIL,
    ),
    Case(
        "readable in a folder with an access control list",
        host(files=files({KEY: READABLE, DOT: (STATE, folder(0o750, user="ollama", acl=True))})),
        Status.UNKNOWN,
        "access control list",
    ),
    Case(
        "readable below a folder that nobody looked at",
        host(files=files({KEY: READABLE}, without=["/usr/share"])),
        Status.UNKNOWN,
        "/usr/share",
    ),
    Case(
        "as installed, and a server of whose home nothing is known",
        host(servers=servers(server(), replace(server(in_container()), home=HIDDEN))),
        Status.UNKNOWN,
        HIDDEN.reason,
    ),
    Case("stopped, readable", host(servers=servers(), files=files({KEY: READABLE})), Status.FAIL),
    Case("the mode unread", host(files=files({KEY: (ROLE, HIDDEN)})), Status.UNKNOWN, KEY),
    Case("no key looked for", host(files=files(without=[KEY])), Status.UNKNOWN),
    Case("processes that hide", host(unseen=5), Status.UNKNOWN, "5 processes"),
    Case("no key", host(files=files({KEY: (ROLE, MISSING)})), Status.NOT_APPLICABLE),
]
