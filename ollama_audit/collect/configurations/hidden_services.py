"""Where Tor and i2pd are told which services of this host they publish."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ollama_audit.collect.configurations.start import Program, Start, option, variables
from ollama_audit.collect.rooted import Rooted
from ollama_audit.snapshot.process import Process


def _tor(process: Process, rooted: Rooted) -> Start:
    """`-f FILE`, else /etc/tor/torrc and ~/.torrc; `--defaults-torrc` comes before (tor(1))."""
    home = variables(process).get("HOME", "")
    usual = ("/etc/tor/torrc", "/usr/local/etc/tor/torrc", f"{home}/.torrc")
    named = option(process, "-f") or next(filter(rooted.exists, usual), "")
    defaults = option(process, "--defaults-torrc")
    return Start(named, "/", (defaults,) if defaults else ())


def _of_torrc(text: str, _: dict[str, str]) -> Iterator[str]:
    """Included files, and the lists of clients of each service."""
    for found in re.finditer(r"(?mi)^[ \t]*(%include|HiddenServiceDir)[ \t]+(.+?)[ \t]*$", text):
        place = found[2].strip("\"'")
        is_file = found[1].startswith("%")
        yield place if is_file else f"{place.rstrip('/')}/authorized_clients/*.auth"


def _i2pd(process: Process, rooted: Rooted) -> Start:
    """`--tunconf FILE` and `--tunnelsdir FOLDER`, else beside the configuration (i2pd(1))."""
    home = variables(process).get("HOME", "")
    data = option(process, "--datadir") or next(
        filter(rooted.exists, ("/etc/i2pd", "/var/lib/i2pd", f"{home}/.i2pd")), ""
    )
    file = option(process, "--tunconf") or f"{data}/tunnels.conf"
    folder = option(process, "--tunnelsdir") or f"{data}/tunnels.d"
    return Start(file, "/", tuple(rooted.glob(f"{folder}/*.conf")))


TOR = Program(kind="tor", start=_tor, workers=False, included=_of_torrc)
I2PD = Program(kind="i2pd", start=_i2pd, workers=False)
