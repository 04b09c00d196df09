"""Carry packets between two tun devices: the lab's VPN, where the kernel may have no WireGuard.

    python -I pump.py NAMESPACE NAMESPACE READY

Makes `tun0` in both network namespaces (paths), then touches READY and copies packets (tun(4)
without the packet information header) until it is ended.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import struct
import sys
from pathlib import Path

CLONE_NEWNET = 0x40000000  # sched.h
TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


def device(namespace: str) -> int:
    """Open a new `tun0` in the network namespace of this path."""
    libc = ctypes.CDLL(None, use_errno=True)
    entered = os.open(namespace, os.O_RDONLY)
    if libc.setns(entered, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), namespace)
    os.close(entered)
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN | IFF_NO_PI))
    return tun


def main() -> None:
    """See the module's docstring."""
    one, other = device(sys.argv[1]), device(sys.argv[2])
    Path(sys.argv[3]).touch()
    across = {one: other, other: one}
    while True:
        for source in select.select(list(across), [], [])[0]:
            packet = os.read(source, 65535)
            try:
                os.write(across[source], packet)
            except OSError:
                continue  # the other end is down, as a VPN's may be


if __name__ == "__main__":
    main()
