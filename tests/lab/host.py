"""Boot a host of the lab, run things in it, and take it away again."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.lab.outer import PREFIX, LabError, cache, command

HERE = Path(__file__).parent
HIERARCHIES = tuple(Path("/sys/fs/cgroup", name) for name in ("", "systemd", "unified"))
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "xterm",
}
RUNTIME_DIR = "/run/user/1000"
"""Of `ada`, the only ordinary user of a lab host."""


_wardens: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command inside a host said and how it ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Host:
    """A booted host. Process ids are those of the outer machine."""

    identity: str
    keeper: int
    """Process 1 of the PID namespace that everything of this host lives in."""
    init: int
    """The host's systemd."""
    mountpoint: Path

    @property
    def root(self) -> Path:
        """The host's file tree, seen from outside."""
        return Path(f"/proc/{self.init}/root")

    def network(self, name: str) -> Path:
        """The network namespace `host`, `world` or `box`, as a file that nsenter(1) takes."""
        return Path(f"/proc/{self.keeper}/root/run/netns/{PREFIX}{name}")

    def argv(self, script: str, user: str = "root") -> list[str]:
        """The command that runs a shell script inside, whoever starts it."""
        env = dict(ENVIRONMENT)
        become: list[str] = []
        if user != "root":
            env |= {"HOME": f"/home/{user}", "USER": user, "XDG_RUNTIME_DIR": RUNTIME_DIR}
            become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        clean = ["env", "-i", *(f"{name}={value}" for name, value in env.items())]
        directory = f"cd {shlex.quote(env['HOME'])} && "
        enter = ["nsenter", "-t", str(self.init), "-a", "--"]
        return [*enter, *clean, *become, "bash", "-c", directory + script]

    def run(
        self,
        script: str,
        *,
        user: str = "root",
        check: bool = True,
        timeout: float = 60,
        given: str | None = None,
    ) -> Done:
        """Run a shell script inside, as this user, and return what it said.

        Raises:
            LabError: It took longer than `timeout` seconds, or `check` is set and it failed.
        """
        try:
            done = subprocess.run(
                self.argv(script, user),
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                input=given,
                stdin=None if given is not None else subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"after {timeout} s still running inside: {script}") from error
        if check and done.returncode:
            said = (done.stdout + done.stderr).strip()[-2000:]
            raise LabError(f"inside the host, ended with {done.returncode}:\n{script}\n{said}")
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)

    def wait(self, condition: str, seconds: float = 20) -> None:
        """Wait until this shell condition holds inside.

        Raises:
            LabError: It did not hold within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while (done := self.run(condition, check=False)).code:
            if time.monotonic() > deadline:
                raise LabError(f"waited {seconds} s for: {condition}\n{done.out}{done.err}")
            time.sleep(0.1)


def new_identity() -> str:
    """What tells a host from others that run at the same time."""
    return uuid.uuid4().hex[:8]


@contextmanager
def booted_tree(layers: Sequence[Path]) -> Iterator[Host]:
    """A host booted from these trees, topmost first; gone when the block ends.

    Raises:
        LabError: It did not come up within 30 seconds; with the end of its console.
    """
    identity = new_identity()
    mountpoint = cache() / "mnt"
    mountpoint.mkdir(parents=True, exist_ok=True)
    warden = _start(identity, mountpoint, layers)
    _wardens.append(warden)
    try:
        yield _booted(warden, identity, mountpoint)
    finally:
        _end(warden)
        _wardens.remove(warden)


def end_all() -> None:
    """End every host that this process has booted, whatever its threads are doing."""
    for warden in _wardens:
        _end(warden)


def _start(identity: str, mountpoint: Path, layers: Sequence[Path]) -> subprocess.Popen[bytes]:
    """Start the keeper, and outside its namespaces a shell that sweeps up after it.

    Both live until our end of the pipe to the keeper closes, which the kernel does for us however
    we end. A session of their own keeps the terminal's Ctrl-C from them.
    """
    keeper = [
        *("unshare", "--mount", "--propagation", "private", "--net", "--pid", "--fork"),
        *("--kill-child=KILL", "--mount-proc", "--"),
        *("bash", str(HERE / "keeper.sh"), identity, str(mountpoint), ":".join(map(str, layers))),
        *(sys.executable, "-I", str(HERE / "pump.py")),
        *("/run/netns/oa-lab-world", "/run/netns/oa-lab-host", "/run/netns/tun-ready"),
    ]
    groups = " ".join(f"{path}/{PREFIX}{identity}" for path in HIERARCHIES)
    sweep = f'"$@"; find {groups} -depth -type d -exec rmdir {{}} + 2>/dev/null; true'
    return subprocess.Popen(
        ["bash", "-c", sweep, f"{PREFIX}{identity}", *keeper],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )


def _booted(warden: subprocess.Popen[bytes], identity: str, mountpoint: Path) -> Host:
    assert warden.stdout is not None, "made with a pipe"
    said = b""
    for line in warden.stdout:
        if line == b"booting\n":
            break
        said += line
    else:
        raise LabError(f"the keeper ended:\n{said.decode()}")
    deadline = time.monotonic() + 30
    state = "no init yet"
    host: Host | None = None
    while time.monotonic() < deadline:
        if found := _processes(warden.pid):
            host = Host(identity, *found, mountpoint)
            done = host.run("systemctl is-system-running", check=False)
            state = done.out.strip() or done.err.strip()
            if state in {"running", "degraded"}:
                return host
        time.sleep(0.05)
    failed = host.run("systemctl list-jobs; systemctl --failed", check=False).out if host else ""
    raise LabError(f"the host did not come up: {state}\n{failed}")


def _processes(warden: int) -> tuple[int, int] | None:
    """The keeper and the host's init, below the shell -> unshare -> keeper -> nspawn -> init."""
    try:
        (unshare,) = psutil.Process(warden).children()
        (keeper,) = unshare.children()
        for child in keeper.children():
            if child.name() == "systemd-nspawn":
                for init in child.children():
                    if init.name() == "systemd":
                        return keeper.pid, init.pid
    except (psutil.Error, ValueError):
        pass
    return None


def _end(warden: subprocess.Popen[bytes]) -> None:
    """Close the pipe: the keeper ends, and with it its namespaces."""
    assert warden.stdin is not None, "made with a pipe"
    warden.stdin.close()
    warden.wait(timeout=30)
    if warden.stdout is not None:
        warden.stdout.close()


def leftovers() -> list[str]:
    """What of the lab is still on the machine: processes, mounts, namespaces, control groups."""
    found = [
        f"process {process.pid}: {' '.join(process.info['cmdline'])[:120]}"
        for process in psutil.process_iter(["pid", "cmdline"])
        if any(PREFIX in word for word in process.info["cmdline"] or ())
    ]
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    found += [f"mount {line}" for line in mounts if PREFIX in line]
    names = command(["ip", "netns", "list"]).split()
    found += [f"network namespace {name}" for name in names if name.startswith(PREFIX)]
    found += [f"control group {path}" for path in control_groups()]
    return found


def control_groups() -> list[Path]:
    """The control groups of lab hosts, running or left by one whose sweeper was killed."""
    return [path for folder in HIERARCHIES for path in folder.glob(f"{PREFIX}*")]


def sweep() -> None:
    """Remove control groups without processes: all that can be left of a killed lab."""
    for top in control_groups():
        for folder, _, _ in os.walk(top, topdown=False):  # what goes meanwhile is no error
            _remove(Path(folder))


def _remove(group: Path) -> None:
    try:
        group.rmdir()
    except OSError:
        return  # still in use by a running host
