"""The addresses that units allow and deny, with what their slices add to that.

systemd puts the lists of a unit and of every slice above it together (IPAddressAllow= in
systemd.resource-control(5); bpf_firewall_compile() of systemd 252).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ollama_audit.observed import Observed, known_or
from ollama_audit.snapshot.service import AddressLists

Block: TypeAlias = dict[str, list[str]]
"""What `systemctl show` prints of one unit."""

OUTERMOST = ("system.slice", "-.slice")
"""Ask for these beside system units: most are in no other slice."""


def is_slice(block: Block) -> bool:
    """Whether it is about a slice."""
    return block["Id"][-1].endswith(".slice")


def address_lists(
    shown: Sequence[Block], ask: Callable[[Sequence[str]], Observed[list[Block]]]
) -> dict[str, AddressLists]:
    """The lists of the units shown, by name; slices that were not shown are asked for."""
    slices = {block["Id"][-1]: block for block in shown if is_slice(block)}
    units = {block["Id"][-1]: block for block in shown if not is_slice(block)}
    above = {name: slices_of(block.get("Slice", [""])[-1]) for name, block in units.items()}
    missing = sorted({name for names in above.values() for name in names} - slices.keys())
    if missing and slices:
        slices |= {block["Id"][-1]: block for block in known_or(ask(missing), [])}
    return {
        name: _lists(name, [block, *(slices[each] for each in above[name] if each in slices)])
        for name, block in units.items()
    }


def slices_of(name: str) -> tuple[str, ...]:
    """A slice and those above it: `a-b.slice` is in `a.slice` (systemd.slice(5))."""
    if name in {"", "-.slice"}:
        return (name,) if name else ()
    parts = name.removesuffix(".slice").split("-")
    return (*(f"{'-'.join(parts[:end])}.slice" for end in range(len(parts), 0, -1)), "-.slice")


def _lists(name: str, blocks: Sequence[Block]) -> AddressLists:
    def listed(property_: str) -> tuple[str, ...]:
        words = (block.get(property_, [""])[-1].split() for block in blocks)
        return tuple(network for networks in words for network in networks)

    return AddressLists(
        unit=name,
        ip_address_allow=listed("IPAddressAllow"),
        ip_address_deny=listed("IPAddressDeny"),
    )
