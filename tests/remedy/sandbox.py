"""A throw-away copy of this machine for scripts that change machines.

Its files are ours under an overlay in memory, its network is a loopback of its own, and its
processes end with it. systemd is played by `stub_systemd`. Needs root.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

STUB = Path(__file__).with_name("stub_systemd.py")

_UNSHARE = ("unshare", "--mount", "--net", "--pid", "--fork", "--uts", "--kill-child")
_ENTER = """
set -eu
mount --make-rprivate /
mount -t tmpfs none "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay none -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
mount -t proc none "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs none "$1/root/run"
mount -t tmpfs none "$1/root/var/backups"
mkdir -p "$1/root/tmp" "$1/root/etc/systemd"
mount -t tmpfs none "$1/root/tmp"
mount -t tmpfs none "$1/root/etc/systemd"
cp "$2"/* "$1/root/tmp/"
ip link set lo up
hostname neo
exec chroot "$1/root" bash /tmp/scenario.sh
"""

_SCENARIO = r"""
set -u
cd /tmp
mkdir -p /run/stub /etc/systemd/system
# What is asked most is answered without Python, whose start takes ten times as long.
cat >/usr/local/sbin/systemctl <<'STUB'
#!/bin/bash
pid=$(cat /run/stub/pid 2>/dev/null)
read -r _ _ state _ 2>/dev/null </proc/${pid:-none}/stat || state=Z
case $2 in
  --property=ControlGroup) echo ;;
  --property=MainPID) [ "$state" = Z ] && echo 0 || echo "$pid" ;;
  --property=ActiveState) [ "$state" = Z ] && echo inactive || echo active ;;
  *) exec {python} -I /tmp/stub_systemd.py systemctl "$@" ;;
esac
STUB
printf '#!/bin/sh\nexec %s -I /tmp/stub_systemd.py systemd-run "$@"\n' {python} \
  >/usr/local/sbin/systemd-run
chmod 755 /usr/local/sbin/*
printf '#!/bin/sh\n' >/usr/local/sbin/journalctl
chmod 755 /usr/local/sbin/journalctl
cp {python} /usr/local/bin/ollama
unit=/etc/systemd/system/ollama.service
printf '[Service]\nExecStart=/usr/local/bin/ollama serve\n' >$unit

# Files, kinds, modes, owners and times, and what is in them.
look() {
  find /etc/systemd /srv -printf '%p %y %m %U %G %T@ %l\n' | sort
  find /etc/systemd /srv -type f -exec sha256sum {} + | sort
}
remember() { look >/tmp/was; }
same() { look | diff /tmp/was - && echo SAME; }
up() { systemctl daemon-reload && systemctl restart ollama.service && answering; }
answering() {
  local tries=0
  until bash -c 'exec 3<>/dev/tcp/127.0.0.1/11434' 2>/dev/null; do
    tries=$((tries + 1)) && [ $tries -lt 200 ] || return 1
    sleep 0.02
  done
}
listening() { {python} -I /tmp/stub_systemd.py listening; }
harden() { bash /tmp/harden.sh "$@" </dev/null; echo "EXIT $?"; }
run_of() { ls /var/backups/ollama-audit; }
"""


@dataclass(frozen=True)
class Said:
    """What a scenario printed."""

    text: str

    def __contains__(self, part: str) -> bool:
        return part in self.text

    def after(self, mark: str) -> str:
        """The part behind a line that the scenario printed by `echo`."""
        return self.text.partition(f"{mark}\n")[2]


def available() -> str:
    """Why sandboxes cannot be had here; empty when they can, and in CI, where they must be."""
    if os.environ.get("CI"):
        return ""
    if os.geteuid() != 0:
        return "needs root"
    probe = subprocess.run(
        [*_UNSHARE, "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return probe.stderr.strip()


def play(folder: Path, harden: str, scenario: str) -> Said:
    """Run `scenario`, in bash, in a sandbox with `harden` as /tmp/harden.sh."""
    given, mount = folder / "given", folder / "mount"
    given.mkdir()
    mount.mkdir()
    python = shlex.quote(os.path.realpath(sys.executable))
    (given / "harden.sh").write_text(harden)
    (given / "stub_systemd.py").write_text(STUB.read_text())
    (given / "scenario.sh").write_text(_SCENARIO.replace("{python}", python) + scenario)
    done = subprocess.run(
        [*_UNSHARE, "bash", "-c", _ENTER, "enter", str(mount), str(given)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=120,
        check=False,
    )
    return Said(done.stdout)
