"""The machine, its init system, and whether it is a container or a virtual machine.

Detection follows systemd-detect-virt(1) where that needs no child process: what process 1 said of
itself, marks that engines leave, the initial namespaces' fixed inodes, DMI and the CPU's flags.
"""

from __future__ import annotations

import os
from pathlib import Path

from ollama_audit.collect.cgroups import membership
from ollama_audit.collect.proc import (
    capability_names,
    namespace_of,
    printable,
    raw_environment,
    user_name,
)
from ollama_audit.collect.read import read_text
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.edge import Cloud
from ollama_audit.snapshot.platform import InitSystem, Platform, Privileges

# linux/proc_ns.h PROC_PID_INIT_INO: the first PID namespace has this inode on every kernel.
_INITIAL_PID_NAMESPACE = 0xEFFFFFFC

# Vendor and product of the machine (DMI), as in systemd's src/basic/virt.c, in its order.
_VENDORS = (
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Oracle Corporation", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Virtual Machine", "microsoft"),
    ("Apple Virtualization", "apple"),
    ("Google Compute Engine", "google"),
    ("Google", "google"),
)

# How providers mark their machines, in files below /sys/class/dmi/id: as cloud-init's
# tools/ds-identify knows them. A virtual machine of Amazon's older kind says so in its BIOS alone.
_CLOUDS = (
    ("sys_vendor", "Amazon EC2", Cloud.AMAZON),
    ("bios_version", "amazon", Cloud.AMAZON),
    ("product_name", "Google Compute Engine", Cloud.GOOGLE),
    ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", Cloud.AZURE),
    ("sys_vendor", "DigitalOcean", Cloud.DIGITALOCEAN),
    ("sys_vendor", "Hetzner", Cloud.HETZNER),
    ("chassis_asset_tag", "OracleCloud.com", Cloud.ORACLE),
    ("product_name", "Alibaba Cloud ECS", Cloud.ALIBABA),
    ("sys_vendor", "Scaleway", Cloud.SCALEWAY),
    ("sys_vendor", "Vultr", Cloud.VULTR),
    ("product_name", "OpenStack Nova", Cloud.OPENSTACK),
    ("product_name", "OpenStack Compute", Cloud.OPENSTACK),
    ("chassis_asset_tag", "OpenStack Nova", Cloud.OPENSTACK),
    ("chassis_asset_tag", "OpenStack Compute", Cloud.OPENSTACK),
    ("chassis_asset_tag", "OpenTelekomCloud", Cloud.OPENSTACK),
    ("chassis_asset_tag", "SAP CCloud VM", Cloud.OPENSTACK),
    ("chassis_asset_tag", "HUAWEICLOUD", Cloud.OPENSTACK),
)
_DMI = "/sys/class/dmi/id"


def read_platform() -> Platform:
    """The machine and its operating system."""
    import distro  # noqa: PLC0415 - 12 ms that `--version` need not wait for

    # Nothing here may start `lsb_release`, which would be a child process.
    release = distro.LinuxDistribution(
        include_lsb=False, include_uname=False, include_oslevel=False
    )
    machine = os.uname()
    container = _container(machine.release)
    return Platform(
        system=machine.sysname,
        hostname=printable(machine.nodename),
        distribution=release.id(),
        distribution_like=tuple(release.like().split()),
        distribution_version=release.version(),
        name=release.name(pretty=True) or machine.sysname,
        kernel=machine.release,
        machine=machine.machine,
        init=_init(),
        container=container,
        hypervisor=_hypervisor(machine.release),
    )


def read_privileges() -> Privileges:
    """Who is looking, with which capabilities."""
    status = _line("/proc/self/status", "CapEff:")
    uid = os.geteuid()
    return Privileges(
        uid=uid, user=user_name(uid), capabilities=capability_names(status.strip() or "0")
    )


def read_cloud(folder: str = _DMI) -> Observed[Cloud]:
    """Whose cloud this machine is part of, by what the firmware says of it."""
    if not Path(folder).is_dir():
        return Unknown("this machine does not describe itself (no DMI)", folder)
    told: dict[str, str] = {}
    for name, mark, cloud in _CLOUDS:
        if name not in told:
            told[name] = _text(f"{folder}/{name}").strip()
        # The version of a BIOS has the name behind its number: `4.11.amazon`.
        found = mark in told[name] if name == "bios_version" else told[name] == mark
        if found:
            return Known(cloud, f"{folder}/{name}")
    return Known(Cloud.NONE, folder)


def _text(path: str) -> str:
    found = read_text(path)
    return found.value if isinstance(found, Known) else ""


def _line(path: str, start: str) -> str:
    return next(
        (row[len(start) :] for row in _text(path).splitlines() if row.startswith(start)), ""
    )


def _init() -> InitSystem:
    if Path("/run/systemd/system").is_dir():  # sd_booted(3)
        return InitSystem.SYSTEMD
    if Path("/run/openrc").is_dir():
        return InitSystem.OPENRC
    name = _text("/proc/1/comm").strip()
    if name.startswith("runit"):
        return InitSystem.RUNIT
    if name.startswith("s6-"):
        return InitSystem.S6
    if name == "init" and Path("/etc/inittab").is_file():
        return InitSystem.SYSVINIT
    return InitSystem.OTHER


def _container(release: str) -> Observed[str]:
    """The kind of container, or empty."""
    if "microsoft" in release.lower():
        return Known("wsl", "uname(2)")
    named = _named_container()
    if named:
        return named
    if membership(_text("/proc/1/cgroup")).container:
        return Known("other", "/proc/1/cgroup")
    inode = namespace_of("self", "pid")
    if isinstance(inode, Unknown):
        return inode
    return Known("" if inode.value == _INITIAL_PID_NAMESPACE else "other", inode.source)


def _named_container() -> Known[str] | None:
    """What process 1 or the engine says; None when nobody says anything."""
    environment = raw_environment(1)
    variables = dict(environment.value) if isinstance(environment, Known) else {}
    told = (
        (_text("/run/systemd/container").strip(), "/run/systemd/container"),
        ("docker" if Path("/.dockerenv").exists() else "", "/.dockerenv"),
        ("podman" if Path("/run/.containerenv").exists() else "", "/run/.containerenv"),
        (variables.get("container", ""), environment.source),
        (
            "openvz" if Path("/proc/vz").exists() and not Path("/proc/bc").exists() else "",
            "/proc/vz",
        ),
    )
    return next((Known(kind, source) for kind, source in told if kind), None)


def _hypervisor(release: str) -> Observed[str]:
    """The kind of virtual machine, or empty."""
    if "microsoft" in release.lower():
        return Known("microsoft", "uname(2)")
    told = (_text("/sys/hypervisor/type").strip(), "/sys/hypervisor/type"), _by_firmware()
    if named := next((Known(kind, source) for kind, source in told if kind), None):
        return named
    cpu = read_text("/proc/cpuinfo")
    if isinstance(cpu, Unknown):
        return cpu
    flags = next((row for row in cpu.value.splitlines() if row.startswith("flags")), "")
    return Known("other" if "hypervisor" in flags.split() else "", cpu.source)


def _by_firmware() -> tuple[str, str]:
    """The kind that DMI or the device tree names, and where; empty for none."""
    told = "\n".join(
        _text(f"{_DMI}/{name}") for name in ("product_name", "sys_vendor", "board_vendor")
    )
    for word, kind in _VENDORS:
        if word in told and "Chromebook" not in told:
            return kind, _DMI
    tree = "/proc/device-tree/hypervisor/compatible"
    return (_text(tree).rstrip("\0").rpartition(",")[2], tree)
