"""Programs that are really attached, in namespaces and a control group of the tests' own."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ollama_audit.collect import bpf
from ollama_audit.collect.bpf import BpfUnavailableError, cgroup_programs, namespace_programs
from ollama_audit.collect.network import read_links
from tests.collect.netns import Netns, needs_root, value_of

_PROG_LOAD, _PROG_ATTACH, _PROG_DETACH, _LINK_CREATE = 5, 8, 9, 28
_CGROUPS = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")]


def programs_may_be_loaded() -> bool:
    try:
        namespace_programs()
    except (BpfUnavailableError, OSError):
        return False
    return True


pytestmark = [
    needs_root,
    pytest.mark.skipif(not programs_may_be_loaded(), reason="bpf(2) is not permitted here"),
]


@contextmanager
def loaded(kind: int, hook: int, name: str = "", verdict: int = 1) -> Iterator[int]:
    """The descriptor of a program that returns a number (`r0 = verdict; exit`)."""
    code = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xB7, 0, 0, verdict, 0x95, 0, 0, 0))
    licence = ctypes.create_string_buffer(b"GPL")
    packed = struct.pack(
        "=IIQQIIQII16sII",
        *(kind, 2, ctypes.addressof(code), ctypes.addressof(licence)),
        *(0, 0, 0, 0, 0, name.encode(), 0, hook),
    )
    descriptor = bpf._bpf(_PROG_LOAD, ctypes.create_string_buffer(packed, 128))
    assert descriptor >= 0, os.strerror(-descriptor)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def linked(program: int, target: int, hook: int, extra: bytes = b"") -> Iterator[None]:
    packed = struct.pack("=IIII", program, target, hook, 0) + extra
    descriptor = bpf._bpf(_LINK_CREATE, ctypes.create_string_buffer(packed, 64))
    assert descriptor >= 0, os.strerror(-descriptor)
    try:
        yield
    finally:
        os.close(descriptor)


def test_a_clean_namespace_has_none() -> None:
    with Netns() as namespace:
        assert namespace.call(namespace_programs) == []


def test_a_program_that_chooses_sockets_is_found() -> None:
    def attach() -> tuple[list[str], list[str]]:
        target = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            with loaded(30, 36) as program, linked(program, target, 36):
                during = namespace_programs()
        finally:
            os.close(target)
        return during, namespace_programs()

    with Netns() as namespace:
        during, after = namespace.call(attach)
    assert during == ["an eBPF sk_lookup program chooses sockets"]
    assert after == []


def test_a_netfilter_program_is_found() -> None:
    def attach() -> list[str]:
        place = struct.pack("=IIiI", 2, 1, -5, 0)  # IPv4, LOCAL_IN, priority, flags
        with loaded(32, 45) as program, linked(program, 0, 45, place):
            return namespace_programs()

    with Netns() as namespace:
        assert namespace.call(attach) == ["an eBPF netfilter program is attached"]


@pytest.mark.parametrize("hook", [46, 47])
def test_a_tcx_program_is_found_on_its_interface(hook: int) -> None:
    def attach() -> tuple[bool, bool, bool]:
        index = {i.name: i.index for i in value_of(read_links()[0])}
        with loaded(3, hook) as program, linked(program, index["eth0"], hook):
            during = [bpf.interface_programs(index[name], "veth") for name in ("eth0", "far")]
        return during[0], during[1], bpf.interface_programs(index["eth0"], "veth")

    with Netns() as namespace:
        namespace("ip link add eth0 type veth peer name far")
        assert namespace.call(attach) == (True, False, False)


def test_an_xdp_program_is_seen_in_the_link() -> None:
    def attach() -> dict[str, bool]:
        index = {i.name: i.index for i in value_of(read_links()[0])}
        with loaded(6, 37, verdict=2) as program, linked(program, index["eth0"], 37):
            return {i.name: i.xdp for i in value_of(read_links()[0])}

    with Netns() as namespace:
        namespace("ip link add eth0 type veth peer name far")
        assert namespace.call(attach) == {"lo": False, "eth0": True, "far": False}


@pytest.mark.parametrize(("name", "reported"), [("other", True), ("sd_fw_ingress", False)])
def test_a_program_of_a_cgroup_is_found_unless_it_is_systemds(name: str, *, reported: bool) -> None:
    mount = next((path for path in _CGROUPS if (path / "cgroup.procs").exists()), None)
    if mount is None or not (mount / "cgroup.controllers").exists():
        pytest.skip("no unified control group hierarchy")
    group = mount / f"oa-net-{os.getpid()}"
    group.mkdir()
    child = subprocess.Popen(["sleep", "600"])
    try:
        (group / "cgroup.procs").write_text(str(child.pid))
        directory = os.open(group, os.O_RDONLY)
        with loaded(8, 0, name) as program:
            packed = struct.pack("=IIII", directory, program, 0, 0)
            assert bpf._bpf(_PROG_ATTACH, ctypes.create_string_buffer(packed, 64)) == 0
            sentence = f"an eBPF program filters the traffic of the cgroup /{group.name}"
            assert cgroup_programs([child.pid]) == [sentence] * reported
            assert bpf._bpf(_PROG_DETACH, ctypes.create_string_buffer(packed, 64)) == 0
            assert cgroup_programs([child.pid]) == []
        os.close(directory)
    finally:
        child.kill()
        child.wait()
        group.rmdir()
