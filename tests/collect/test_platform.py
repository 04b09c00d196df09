"""The platform, against what the host's own tools say."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from ollama_audit.collect.platform import read_platform, read_privileges
from ollama_audit.collect.proc import CAPABILITIES, capability_names
from ollama_audit.observed import Known


def output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


def test_uname_and_release() -> None:
    platform = read_platform()
    assert platform.system == output("uname", "-s")
    assert platform.kernel == output("uname", "-r")
    assert platform.machine == output("uname", "-m")
    assert platform.hostname == output("uname", "-n")
    ids = output("sh", "-c", '. /etc/os-release; echo "$ID|$VERSION_ID|$PRETTY_NAME"')
    assert f"{platform.distribution}|{platform.distribution_version}|{platform.name}" == ids


@pytest.mark.skipif(not shutil.which("systemd-detect-virt"), reason="needs systemd-detect-virt")
def test_a_virtual_machine_or_container_is_seen_as_systemd_sees_it() -> None:
    platform = read_platform()
    assert isinstance(platform.hypervisor, Known)
    if output("systemd-detect-virt", "--vm") != "none":
        assert platform.hypervisor.value
    if output("systemd-detect-virt", "--container") != "none":
        assert isinstance(platform.container, Known)
        assert platform.container.value


def test_privileges_are_those_of_this_process() -> None:
    privileges = read_privileges()
    assert privileges.uid == os.geteuid()
    assert privileges.user == output("id", "-un")
    assert ("cap_sys_ptrace" in privileges.capabilities) == privileges.root or privileges.uid


def test_capability_names() -> None:
    # capabilities(7), linux/capability.h: CAP_NET_ADMIN 12, CAP_CHECKPOINT_RESTORE 40
    assert CAPABILITIES[12] == "cap_net_admin"
    assert len(CAPABILITIES) == 41
    assert capability_names("0") == frozenset()
    assert capability_names("0000000000001400") == {"cap_net_admin", "cap_net_bind_service"}
    assert capability_names("1ffffffffff") == set(CAPABILITIES)
    assert capability_names("40000000000") == {"cap_42"}
