"""The address lists of units whose sockets systemd filters, whoever they belong to.

Nothing is asked of systemd where none of its programs is attached.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ollama_audit.collect import systemd_syntax as syntax
from ollama_audit.collect.run import run
from ollama_audit.collect.slices import OUTERMOST, Block, address_lists
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.process import Process
from ollama_audit.snapshot.service import AddressLists


def read_address_lists(holders: Iterable[Process]) -> Observed[tuple[AddressLists, ...]]:
    """The lists of the system's units that these holders of sockets are in, and of its sockets."""
    names = _filtered(list(holders))
    if not names:
        return Known((), "systemd filters no addresses")
    shown = _shown((*names, *OUTERMOST))
    if isinstance(shown, Unknown):
        return shown
    found = address_lists(shown.value, _shown).values()
    return Known(
        tuple(each for each in found if each.ip_address_allow or each.ip_address_deny),
        shown.source,
    )


def _filtered(holders: list[Process]) -> list[str]:
    """The units before whose sockets systemd has put a program; all when that cannot be seen."""
    from ollama_audit.collect import bpf  # noqa: PLC0415  # ctypes is slow to load

    units = {each.unit for each in holders if each.unit and not each.unit_owner}
    try:
        found = bpf.filtered_by_systemd(each.pid for each in holders)
    except bpf.BpfUnavailableError:
        found = units
    return sorted(name for name in found if name.endswith((".service", ".socket", ".scope")))


def _shown(names: Sequence[str]) -> Observed[list[Block]]:
    properties = "--property=Id,Slice,IPAddressAllow,IPAddressDeny"
    shown = run(("systemctl", "show", "--no-pager", properties, "--", *names))
    if isinstance(shown, Unknown):
        return shown
    blocks = syntax.show_blocks(shown.value)
    if not blocks or not all("Id" in block for block in blocks):
        return Unknown("systemctl did not say what was asked", shown.source)
    return Known(blocks, shown.source)
