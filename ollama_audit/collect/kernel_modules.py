"""Whether a part of the kernel is there, without asking it: asking can load it.

Opening a netlink socket, or sending the first message to nf_tables or xfrm, makes the kernel load
the module. An audit changes nothing, so it asks only what is there already.
"""

from __future__ import annotations

import os
from pathlib import Path

from ollama_audit.collect.read import read_bytes
from ollama_audit.observed import Known

ROOT = ""
"""Where the host's files are; tests put their own there."""


def may_be_present(module: str) -> bool:
    """Whether a module is loaded or built in; True as well when that cannot be told.

    `/sys/module/NAME` exists while a module is loaded (sysfs(5)); one that is built in may lack
    it, and is listed in `modules.builtin` (kbuild). A kernel without /proc/modules loads none.
    """
    if not Path(f"{ROOT}/sys/module").is_dir() or Path(f"{ROOT}/sys/module/{module}").exists():
        return True
    if not Path(f"{ROOT}/proc/modules").exists():
        return True
    listing = read_bytes(f"{ROOT}/lib/modules/{os.uname().release}/modules.builtin")
    return not isinstance(listing, Known) or f"/{module}.ko\n".encode() in listing.value
