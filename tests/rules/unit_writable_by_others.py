"""What `unit-writable-by-others` says of which host."""

from __future__ import annotations

from ollama_audit.rule import FileRole, Status
from tests.cases import Case
from tests.hosts import (
    DROP_IN,
    HIDDEN,
    MISSING,
    UNIT,
    drop_in,
    environment_file,
    files,
    folder,
    host,
    link,
    stat,
    unit,
    units,
)

ANCESTOR, ROLE, ENV = FileRole.ANCESTOR, FileRole.UNIT, FileRole.ENVIRONMENT_FILE
FOLDER = "/etc/systemd/system/ollama.service.d"
DEFAULT = "/etc/default/ollama"
WITH_DROP_IN = units(unit(files=(drop_in({"OLLAMA_HOST": "127.0.0.1"}),)))
WITH_FILE = units(unit(environment_files=(environment_file({}),)))
WITH_OPTIONAL = units(unit(environment_files=(environment_file({}, optional=True),)))
ALICES = "/home/alice/.config/systemd/user/ollama.service"
HOME = {
    "/home": (ANCESTOR, folder()),
    "/home/alice": (ANCESTOR, folder(0o750, user="alice")),
    "/home/alice/.config": (ANCESTOR, folder(0o700, user="alice")),
    "/home/alice/.config/systemd": (ANCESTOR, folder(user="alice")),
    "/home/alice/.config/systemd/user": (ANCESTOR, folder(user="alice")),
    ALICES: (ROLE, stat(user="alice")),
}

CASES = [
    Case("as installed", host(), Status.PASS),
    Case(
        "a drop-in of root's",
        host(
            units=WITH_DROP_IN,
            files=files({FOLDER: (ANCESTOR, folder()), DROP_IN: (ROLE, stat())}),
        ),
        Status.PASS,
    ),
    Case(
        "the unit writable by everybody",
        host(files=files({UNIT: (ROLE, stat(mode=0o666))})),
        Status.FAIL,
        "writable by everybody, mode 0666",
    ),
    Case(
        "the unit owned by a user",
        host(files=files({UNIT: (ROLE, stat(user="alice"))})),
        Status.FAIL,
        "owned by alice",
    ),
    Case(
        "the unit owned by the service's own user",
        host(files=files({UNIT: (ROLE, stat(user="ollama"))})),
        Status.FAIL,
        "owned by ollama",
    ),
    Case(
        "the unit writable by a group with members",
        host(files=files({UNIT: (ROLE, stat(mode=0o664, group="staff", members=("bob",)))})),
        Status.FAIL,
        "group staff (bob)",
    ),
    Case(
        "the unit writable by a group of root alone",
        host(files=files({UNIT: (ROLE, stat(mode=0o664))})),
        Status.PASS,
    ),
    Case(
        "a drop-in folder writable by everybody",
        host(
            units=WITH_DROP_IN,
            files=files({FOLDER: (ANCESTOR, folder(0o777)), DROP_IN: (ROLE, stat())}),
        ),
        Status.FAIL,
        FOLDER,
    ),
    Case(
        "an environment file writable by everybody",
        host(
            units=WITH_FILE,
            files=files({"/etc/default": (ANCESTOR, folder()), DEFAULT: (ENV, stat(mode=0o646))}),
        ),
        Status.FAIL,
        DEFAULT,
    ),
    Case(
        "an optional environment file that is not there",
        host(
            units=WITH_OPTIONAL,
            files=files({"/etc/default": (ANCESTOR, folder()), DEFAULT: (ENV, MISSING)}),
        ),
        Status.PASS,
    ),
    Case(
        "an optional environment file that anybody may make",
        host(
            units=WITH_OPTIONAL,
            files=files({"/etc/default": (ANCESTOR, folder(0o1777)), DEFAULT: (ENV, MISSING)}),
        ),
        Status.FAIL,
        "/etc/default",
    ),
    Case(
        "root's environment file in a sticky folder",
        host(
            units=WITH_FILE,
            files=files({"/etc/default": (ANCESTOR, folder(0o1777)), DEFAULT: (ENV, stat())}),
        ),
        Status.PASS,
    ),
    Case(
        "a link to a safe file",
        host(
            files=files(
                {
                    UNIT: (ROLE, link("/opt/ollama.service")),
                    "/opt": (ANCESTOR, folder()),
                    "/opt/ollama.service": (ROLE, stat()),
                }
            )
        ),
        Status.PASS,
    ),
    Case(
        "a link to a file of a user",
        host(
            files=files(
                {
                    UNIT: (ROLE, link("../../../home/alice/o.service")),
                    "/home": (ANCESTOR, folder()),
                    "/home/alice": (ANCESTOR, folder(0o755, user="alice")),
                    "/home/alice/o.service": (ROLE, stat()),
                }
            )
        ),
        Status.FAIL,
        "/home/alice",
    ),
    Case(
        "a link to a place nobody looked at",
        host(files=files({UNIT: (ROLE, link("/nix/store/x/ollama.service"))})),
        Status.UNKNOWN,
        "nobody looked at it",
    ),
    Case(
        "a unit below a folder that is a link",
        host(
            units=units(unit(fragment="/lib/systemd/ollama.service")),
            files=files(
                {
                    "/lib": (ANCESTOR, link("usr/lib")),
                    "/usr/lib": (ANCESTOR, folder()),
                    "/usr/lib/systemd": (ANCESTOR, folder()),
                    "/usr/lib/systemd/ollama.service": (ROLE, stat()),
                }
            ),
        ),
        Status.PASS,
    ),
    Case(
        "a link in a circle",
        host(files=files({UNIT: (ROLE, link(UNIT))})),
        Status.UNKNOWN,
        "too many links",
    ),
    Case(
        "an access control list",
        host(files=files({UNIT: (ROLE, stat(mode=0o664, acl=True))})),
        Status.UNKNOWN,
        "access control list",
    ),
    Case(
        "an access control list on a file that everybody may write",
        host(files=files({UNIT: (ROLE, stat(mode=0o666, acl=True))})),
        Status.FAIL,
    ),
    Case("the mode unread", host(files=files({UNIT: (ROLE, HIDDEN)})), Status.UNKNOWN, "root"),
    Case(
        "a folder above unread",
        host(files=files(without=["/etc/systemd"])),
        Status.UNKNOWN,
        "/etc/systemd",
    ),
    Case("a drop-in nobody looked at", host(units=WITH_DROP_IN), Status.UNKNOWN, DROP_IN),
    Case("units unread", host(units=HIDDEN), Status.UNKNOWN),
    Case(
        "a user's own unit",
        host(
            units=units(unit(owner="alice", user="", fragment=ALICES)),
            files=files(HOME, without=[UNIT]),
        ),
        Status.PASS,
    ),
    Case(
        "a user's own unit, writable by another",
        host(
            units=units(unit(owner="alice", user="", fragment=ALICES)),
            files=files({**HOME, ALICES: (ROLE, stat(user="bob"))}, without=[UNIT]),
        ),
        Status.FAIL,
        "owned by bob",
    ),
    Case(
        "no unit at all",
        host(units=units(), files=files(without=[UNIT])),
        Status.NOT_APPLICABLE,
    ),
]
