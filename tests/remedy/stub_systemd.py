"""A stand-in for systemctl, systemd-run, journalctl and an Ollama server, for a sandbox.

Of systemd it knows one unit's Environment= and EnvironmentFile= lines, read at daemon-reload in
the order in which systemd applies them; that this order is the real one is shown in the lab.
Files in /run/stub change its behaviour, one at a time: `restart-fails`, `slow-restart`,
`wide-open` (the server listens on every address whatever it is told), `opens-another` (it opens
a second socket, on every address), `mute` (it does not answer), `forgets` (it has one model less)
and `dies` (it ends at once).
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

STATE = Path("/run/stub")
UNITS = Path("/etc/systemd/system")
SERVER = "/usr/local/bin/ollama"


def knob(name: str) -> bool:
    return (STATE / name).exists()


def read_unit(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"Environment": [], "EnvironmentFile": []}
    drop_ins = sorted((UNITS / f"{name}.d").glob("*.conf"))
    found["paths"] = [str(path) for path in drop_ins]
    for path in [UNITS / name, *drop_ins]:
        for line in path.read_text().splitlines():
            key, _, value = line.partition("=")
            if key in found:
                found[key] += shlex.split(value) if key == "Environment" else [value]
    return found


def environment(words: list[str], files: list[str]) -> dict[str, str]:
    found = dict(word.split("=", 1) for word in words)
    for file in files:
        path = Path(file.removeprefix("-"))
        if not path.exists() and file.startswith("-"):
            continue
        lines = path.read_text().splitlines()
        found |= dict(line.split("=", 1) for line in lines if "=" in line)
    return found


def main_pid() -> int:
    try:
        pid = int((STATE / "pid").read_text())
        state = Path(f"/proc/{pid}/stat").read_text().split()[2]
    except (OSError, ValueError):
        return 0
    return 0 if state == "Z" else pid


def loaded() -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((STATE / "loaded").read_text())
    return found


def show(name: str, wanted: str) -> None:
    values = {
        # Of a folder of drop-ins that is new systemd does not know.
        "NeedDaemonReload": "yes" if loaded()["paths"] and read_unit(name) != loaded() else "no",
        "DropInPaths": " ".join(loaded()["paths"]),
        "Environment": shlex.join(loaded()["Environment"]),
        "EnvironmentFiles": "\n".join(
            f"{file.removeprefix('-')} (ignore_errors={'yes' if file[0] == '-' else 'no'})"
            for file in loaded()["EnvironmentFile"]
        ),
    }
    print(values.get(wanted, ""))  # noqa: T201 - a command


def start() -> None:
    variables = environment(loaded()["Environment"], loaded()["EnvironmentFile"])
    process = subprocess.Popen(
        [SERVER, "-S", __file__, "serve"],
        env={**variables, "PYTHONHOME": sys.base_prefix},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        close_fds=True,
    )
    (STATE / "pid").write_text(str(process.pid))


def restart(name: str) -> int:
    with (STATE / "log").open("a") as log:
        log.write(f"restart {name}\n")
    if knob("slow-restart"):
        (STATE / "restarting").touch()
        time.sleep(20)
    if pid := main_pid():
        os.kill(pid, signal.SIGKILL)
        while main_pid():
            time.sleep(0.01)
    if knob("restart-fails"):
        (STATE / "restart-fails").unlink()
        return 1
    start()
    return 0


def systemctl(arguments: list[str]) -> int:
    words = [word for word in arguments if not word.startswith("-")]
    match words:
        case ["show", name]:
            (wanted,) = [a.removeprefix("--property=") for a in arguments if "property" in a]
            show(name, wanted)
        case ["daemon-reload"]:
            (STATE / "loaded").write_text(json.dumps(read_unit("ollama.service")))
        case ["restart", name]:
            return restart(name)
        case _:
            raise SystemExit(f"systemctl stub: {arguments}")
    return 0


def systemd_run(arguments: list[str]) -> int:
    end = arguments.index("--")
    given = [a.removeprefix("--property=") for a in arguments[:end] if "--property=" in a]
    words = [w for g in given if g.startswith("Environment=") for w in shlex.split(g[12:])]
    files = [g[16:] for g in given if g.startswith("EnvironmentFile=")]
    try:
        variables = environment(words, files)
    except OSError:
        return 1
    return subprocess.run(arguments[end + 1 :], env=variables, check=False).returncode


def serve() -> None:
    """Listen as OLLAMA_HOST says, and answer as `/api/version` does."""
    if knob("dies"):
        return
    mute, forgets = knob("mute"), knob("forgets")
    host, _, port = os.environ.get("OLLAMA_HOST", "127.0.0.1").partition(":")
    if knob("wide-open"):
        host = "0.0.0.0"
    if knob("opens-another"):
        socket.create_server(("0.0.0.0", 11999)).detach()
    server = socket.create_server((host, int(port or 11434)))
    while True:
        client, _ = server.accept()
        request = b""
        while not request.endswith(b"\r\n\r\n") and (part := client.recv(4096)):
            request += part
        asked = (*request.split(), b"", b"")[1]
        body = b'{"models":[{"name":"a"},{"name":"b"}]}'
        if forgets:
            body = b'{"models":[{"name":"b"}]}'
        if asked == b"/api/version":
            body = b'{"version":"0.9.3"}'
        if not mute:
            client.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + body)
        client.close()


def listening() -> None:
    """Print the IPv4 sockets that listen (proc(5) /proc/net/tcp)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if state == "0A":
            address, port = local.split(":")
            print(f"{socket.inet_ntoa(bytes.fromhex(address)[::-1])}:{int(port, 16)}")  # noqa: T201


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["systemctl", *rest]:
            sys.exit(systemctl(rest))
        case ["systemd-run", *rest]:
            sys.exit(systemd_run(rest))
        case ["listening"]:
            listening()
        case ["serve"]:
            serve()
        case _:
            sys.exit(f"stub: {sys.argv}")
