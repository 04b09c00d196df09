"""The scripts on a host that really runs systemd and Ollama (`tests.lab`)."""

from __future__ import annotations

import os

import pytest

from tests.lab.lab import booted
from tests.lab.outer import unavailable

# Making the image takes minutes and packages, which nobody expects of a run of the tests.
WHY_NOT = "" if os.environ.get("CI") else unavailable() or "boots hosts: set CI=1"
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

FUNCTIONS = r"""
# Everything that may have been touched: kinds, modes, owners, times, ACLs, attributes, contents.
everything() {
  local places=(/etc /usr/share/ollama /usr/local/bin /root/.ollama)
  find "${places[@]}" -printf '%p %y %m %U %G %T@ %l\n' 2>/dev/null | sort
  find "${places[@]}" -type f -exec sha256sum {} + 2>/dev/null | sort
  find "${places[@]}" 2>/dev/null | sort |
    xargs -d '\n' getfacl --absolute-names --numeric --physical 2>/dev/null
}
listening() { ss -Hltn 'sport = :11434' | awk '{print $4}' | sort | paste -sd ' '; }
version() { curl -fsS --max-time 5 http://127.0.0.1:11434/api/version && echo; }
answering() {
  for _ in $(seq 100); do
    version 2>/dev/null && return
    sleep 0.1
  done
}
user() { stat -c %U "/proc/$(systemctl show --property=MainPID --value ollama)"; }
models() {
  curl -fsS --max-time 5 http://127.0.0.1:11434/api/tags | grep -o '"name":"[^"]*"' | sort
}
look() { everything; }
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


AS_ROOT = r"""
mkdir -p /etc/systemd/system/ollama.service.d
printf '[Service]\nUser=root\nGroup=root\n' >/etc/systemd/system/ollama.service.d/override.conf
"""
WITHOUT_THE_USER = r"""
systemctl stop ollama
mkdir /root/.ollama
mv /usr/share/ollama/.ollama/models /root/.ollama/models
chown -R root:root /root/.ollama/models
userdel -r ollama 2>/dev/null
sed -i '/^User=/d; /^Group=/d; /^\[Service\]/a Environment=HOME=/root' \
  /etc/systemd/system/ollama.service
"""


def play(scenario: str) -> str:
    """What this scenario says on a new host with the product."""
    with booted("as-installed", product=True) as host:
        done = host.run(FUNCTIONS + scenario, check=False, timeout=180)
    return done.out + done.err


@pytest.mark.parametrize("how", [IN_A_DROP_IN, IN_AN_ENVIRONMENT_FILE], ids=["drop-in", "file"])
def test_ollama_is_taken_back_to_loopback(how: str) -> None:
    """As in `tests.lab.scenarios.binds`: found, mended, mended again, and undone."""
    said = play(
        how
        + RESTART
        + """
cd /root; look >before; echo BEFORE; listening
echo FIRST; ollama-audit remediate -o harden.sh 2>&1; harden; listening; version; look >mended
echo SECOND; harden; look | cmp - mended && echo UNCHANGED
ollama-audit remediate --only listens-beyond-loopback
echo UNDO; harden --undo; look | diff before - && echo SAME; listening; version
"""
    )

    assert said.startswith("BEFORE\n*:11434\n"), said
    first = said.partition("FIRST\n")[2].partition("SECOND\n")[0]
    assert 'EXIT 0\n127.0.0.1:11434\n{"version":"0.9.3"}\n' in first, said
    second = said.partition("SECOND\n")[2].partition("UNDO\n")[0]
    assert "already in effect\n" in second, said
    assert "nothing to change\nEXIT 0\nUNCHANGED\n" in second, said
    assert "listens-beyond-loopback does not fail here" in second, said
    assert 'EXIT 0\nSAME\n*:11434\n{"version":"0.9.3"}\n' in said.partition("UNDO\n")[2], said


@pytest.mark.parametrize("how", [AS_ROOT, WITHOUT_THE_USER], ids=["drop-in", "no user"])
def test_ollama_runs_as_its_own_user(how: str) -> None:
    """With the models that it had, and back to root with them."""
    said = play(
        how
        + RESTART
        + """
# Ollama tidies its folders when it starts, and useradd(8) writes its files anew: not the times.
look() { everything | sed -E 's/ [0-9]{10}[.][0-9]{10} / /'; }
cd /root; look >before; models >had; echo BEFORE; user
echo FIRST; ollama-audit remediate --only runs-as-root -o harden.sh 2>&1; harden; user
models >now; comm -23 had now | sed 's/^/LOST /'; look >mended
echo SECOND; harden; look | cmp - mended && echo UNCHANGED
echo UNDO; harden --undo; look | diff before - && echo SAME; user; models | diff had - && echo ALL
"""
    )

    assert said.startswith("BEFORE\nroot\n"), said
    first = said.partition("FIRST\n")[2].partition("SECOND\n")[0]
    assert "EXIT 0\nollama\n" in first, said
    assert "LOST" not in first, said
    second = said.partition("SECOND\n")[2].partition("UNDO\n")[0]
    assert second.endswith("already in effect\nnothing to change\nEXIT 0\nUNCHANGED\n"), said
    assert said.endswith("EXIT 0\nSAME\nroot\nALL\n"), said


VARIABLES = r"""
mkdir -p /etc/systemd/system/ollama.service.d
printf '[Service]\nEnvironmentFile=/etc/default/ollama\n' \
  >/etc/systemd/system/ollama.service.d/override.conf
printf 'OLLAMA_ORIGINS=http://192.0.2.1:8080,*\nOLLAMA_DEBUG=2\n' >/etc/default/ollama
"""
LOOSE = r"""
chmod 666 /etc/systemd/system/ollama.service
chmod 777 /usr/local/bin/ollama /usr/share/ollama/.ollama/models
chmod 666 /usr/share/ollama/.ollama/models/manifests/*/*/*/*
chown ollama /usr/local/bin/ollama
chmod 644 /usr/share/ollama/.ollama/id_ed25519
"""
DRIFT = """
mkdir -p /etc/systemd/system/ollama.service.d
echo '[Service]' >/etc/systemd/system/ollama.service.d/override.conf
"""
NEW_FOLDER = """
mkdir /etc/systemd/system/ollama.service.d
echo '[Service]' >/etc/systemd/system/ollama.service.d/override.conf
"""
LATER = """
echo Environment=OLLAMA_NUM_PARALLEL=3 >>/etc/systemd/system/ollama.service.d/override.conf
"""


@pytest.mark.parametrize(
    ("how", "rules"),
    [
        (VARIABLES + RESTART, "allows-every-origin logs-prompts not-sandboxed"),
        (
            RESTART + LOOSE,
            "unit-writable-by-others binary-writable-by-others models-writable-by-others "
            "private-key-readable-by-others",
        ),
        (DRIFT + RESTART + LATER, "running-configuration-differs"),
        (RESTART + NEW_FOLDER + LATER, "running-configuration-differs"),
    ],
    ids=["service", "permissions", "drift", "new folder"],
)
def test_what_fails_is_mended_passes_and_fails_again(how: str, rules: str) -> None:
    """The product finds it, its script mends it, the product finds it gone, undo brings it back."""
    only = " ".join(f"--only {rule}" for rule in rules.split())
    said = play(
        how
        + f"""
look() {{ everything | sed -E '/ollama.models/s/ [0-9]{{10}}[.][0-9]{{10}} / /'; }}
failing() {{
  ollama-audit -f json | python3 -c 'import json, sys
print(*sorted(f["rule"] for f in json.load(sys.stdin)["findings"] if f["status"] == "fail"))'
}}
cd /root; look >before; echo BEFORE; failing
echo FIRST; ollama-audit remediate {only} -o harden.sh 2>&1; harden; failing; version; look >mended
echo SECOND; harden; look | cmp - mended && echo UNCHANGED
echo UNDO; harden --undo; look | diff before - && echo SAME; failing; version
"""
    )

    before = said.partition("BEFORE\n")[2].partition("\n")[0].split()
    wanted = rules.split()
    assert set(wanted) <= set(before), said
    first = said.partition("FIRST\n")[2].partition("SECOND\n")[0].partition("EXIT 0\n")[2]
    rest = " ".join(rule for rule in before if rule not in wanted)
    assert first == f'{rest}\n{{"version":"0.9.3"}}\n', said
    second = said.partition("SECOND\n")[2].partition("UNDO\n")[0]
    assert second.endswith("nothing to change\nEXIT 0\nUNCHANGED\n"), said
    # A configuration that came to life stays alive: only files can be put back.
    again = " ".join(rule for rule in before if rule != "running-configuration-differs")
    assert f'EXIT 0\nSAME\n{again}\n{{"version":"0.9.3"}}\n' in said.partition("UNDO\n")[2], said
