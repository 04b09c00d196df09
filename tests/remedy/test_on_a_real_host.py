"""The scripts on a host that really runs systemd and Ollama (`tests.lab`)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from ollama_audit.engine import evaluate
from ollama_audit.registry import load_rules
from ollama_audit.remedy.plan import plan
from ollama_audit.remedy.script import script
from ollama_audit.rule import Host as Judged
from ollama_audit.rule import Known
from tests.hosts import host as judged
from tests.hosts import namespace
from tests.lab.host import Host
from tests.lab.lab import booted
from tests.lab.outer import unavailable

WHY_NOT = unavailable()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

RULES = load_rules()
FUNCTIONS = r"""
# Everything that may have been touched: kinds, modes, owners, times, ACLs, attributes, contents.
look() {
  find /etc /usr/share/ollama /usr/local/bin -not -name '*.lock' \
    -printf '%p %y %m %U %G %T@ %l\n' | sort
  find /etc /usr/share/ollama /usr/local/bin -type f -exec sha256sum {} + | sort
  getfacl --absolute-names --numeric --recursive /etc/systemd /usr/share/ollama
}
listening() { ss -Hltn 'sport = :11434' | awk '{print $4}' | sort | paste -sd ' '; }
version() { curl -fsS --max-time 5 http://127.0.0.1:11434/api/version; echo; }
answering() {
  for _ in $(seq 100); do
    version 2>/dev/null && return
    sleep 0.1
  done
}
harden() { bash /root/harden.sh "$@" </dev/null; echo "EXIT $?"; }
"""
IN_A_DROP_IN = """
mkdir -p /etc/systemd/system/ollama.service.d
printf '[Service]\\nEnvironment="OLLAMA_HOST=0.0.0.0"\\n' \
  >/etc/systemd/system/ollama.service.d/override.conf
chmod 640 /etc/systemd/system/ollama.service.d/override.conf
"""
IN_AN_ENVIRONMENT_FILE = """
mkdir -p /etc/systemd/system/ollama.service.d
printf '[Service]\\nEnvironmentFile=/etc/default/ollama\\n' \
  >/etc/systemd/system/ollama.service.d/override.conf
printf 'OLLAMA_HOST=":11434"\\n' >/etc/default/ollama
"""
RESTART = "systemctl daemon-reload; systemctl restart ollama; answering >/dev/null\n"


@pytest.fixture(scope="module")
def machine() -> Iterator[Host]:
    with booted("as-installed") as host:
        yield host


def written(machine: Host, at: Judged, *only: str) -> None:
    """Put the script for this state of affairs on the machine."""
    name = machine.run("cat /proc/sys/kernel/hostname").out.strip()
    platform = msgspec.structs.replace(at.snapshot.platform, hostname=name)
    at = msgspec.structs.replace(
        at, snapshot=msgspec.structs.replace(at.snapshot, platform=platform)
    )
    text = script(plan(evaluate(RULES, at), at, RULES, only=only), at, RULES)
    machine.run("cat >/root/harden.sh", given=text)


def play(machine: Host, scenario: str) -> str:
    done = machine.run(FUNCTIONS + scenario, check=False, timeout=180)
    return done.out + done.err


@pytest.mark.parametrize("how", [IN_A_DROP_IN, IN_AN_ENVIRONMENT_FILE], ids=["drop-in", "file"])
def test_ollama_is_taken_back_to_loopback(machine: Host, how: str) -> None:
    """The same host as in `tests.lab.scenarios.binds`, mended, mended again, and undone."""
    at = judged(namespaces=Known((namespace("0.0.0.0:11434"),), "/proc/*/ns/net"))
    written(machine, at, "listens-beyond-loopback")

    said = play(
        machine,
        how
        + RESTART
        + """
look >/root/before; echo BEFORE; listening
echo FIRST; harden; listening; version; look >/root/mended
echo SECOND; harden; look | cmp - /root/mended && echo UNCHANGED
echo UNDO; harden --undo; look | diff /root/before - && echo SAME; listening; version
rm -r /etc/systemd/system/ollama.service.d /etc/default/ollama /var/backups/ollama-audit
"""
        + RESTART,
    )

    print(said)  # noqa: T201 - what a reader of a failure wants
    assert said.startswith("BEFORE\n*:11434\n")
    first = said.partition("FIRST\n")[2].partition("SECOND\n")[0]
    assert 'EXIT 0\n127.0.0.1:11434\n{"version":"0.9.3"}\n' in first
    second = said.partition("SECOND\n")[2].partition("UNDO\n")[0]
    assert second.endswith("already in effect\nnothing to change\nEXIT 0\nUNCHANGED\n")
    assert 'EXIT 0\nSAME\n*:11434\n{"version":"0.9.3"}\n' in said.partition("UNDO\n")[2]
