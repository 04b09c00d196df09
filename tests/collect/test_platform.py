"""The platform, against what the host's own tools say."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ollama_audit.collect.platform import read_cloud, read_platform, read_privileges
from ollama_audit.collect.proc import CAPABILITIES, capability_names
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.edge import Cloud


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


# What these files hold there: cloud-init's tests/unittests/test_ds_identify.py.
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sys_vendor": "Amazon EC2", "product_name": "m5.large"}, Cloud.AMAZON),
        ({"sys_vendor": "Xen", "bios_version": "4.11.amazon"}, Cloud.AMAZON),
        ({"sys_vendor": "Google", "product_name": "Google Compute Engine"}, Cloud.GOOGLE),
        (
            {
                "sys_vendor": "Microsoft Corporation",
                "product_name": "Virtual Machine",
                "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77",
            },
            Cloud.AZURE,
        ),
        ({"sys_vendor": "DigitalOcean", "product_name": "Droplet"}, Cloud.DIGITALOCEAN),
        ({"sys_vendor": "Hetzner", "product_name": "vServer"}, Cloud.HETZNER),
        ({"sys_vendor": "QEMU", "chassis_asset_tag": "OracleCloud.com"}, Cloud.ORACLE),
        ({"product_name": "OpenStack Nova"}, Cloud.OPENSTACK),
        ({"chassis_asset_tag": "SAP CCloud VM", "sys_vendor": "VMware, Inc."}, Cloud.OPENSTACK),
        ({"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine"}, Cloud.NONE),
        ({"sys_vendor": "LENOVO", "product_name": "20XW", "bios_version": "1.71"}, Cloud.NONE),
        ({"sys_vendor": "Google", "product_name": "Eve"}, Cloud.NONE),
    ],
)
def test_a_cloud_is_known_by_its_marks(
    files: dict[str, str], expected: Cloud, tmp_path: Path
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(f"{content}\n")
    found = read_cloud(str(tmp_path))
    assert isinstance(found, Known)
    assert found.value is expected


def test_a_machine_that_does_not_describe_itself_is_not_called_nobodys(tmp_path: Path) -> None:
    assert isinstance(read_cloud(str(tmp_path / "none")), Unknown)
