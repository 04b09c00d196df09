"""What the slices of a unit add to the addresses that it allows and denies.

systemd puts the lists of a unit and of every slice above it together (IPAddressAllow= in
systemd.resource-control(5); bpf_firewall_compile() of systemd 252).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from msgspec.structs import replace

from ollama_audit.observed import Observed, known_or
from ollama_audit.snapshot.service import SystemdUnit

Block: TypeAlias = dict[str, list[str]]
"""What `systemctl show` prints of one unit."""


def is_slice(block: Block) -> bool:
    """Whether it is about a slice."""
    return block["Id"][-1].endswith(".slice")


def with_slices(
    units: Sequence[SystemdUnit],
    shown: Sequence[Block],
    ask: Callable[[Sequence[str]], Observed[list[Block]]],
) -> Iterator[SystemdUnit]:
    """The units with the lists of their slices; those that were not shown are asked for."""
    slices = {block["Id"][-1]: block for block in shown if is_slice(block)}
    wanted = {unit.name: slices_of(unit.properties.get("Slice", "")) for unit in units}
    missing = sorted({name for names in wanted.values() for name in names} - slices.keys())
    if missing and slices:
        slices |= {block["Id"][-1]: block for block in known_or(ask(missing), [])}
    for unit in units:
        above = [slices[name] for name in wanted[unit.name] if name in slices]
        yield replace(
            unit,
            ip_address_allow=(*unit.ip_address_allow, *_networks(above, "IPAddressAllow")),
            ip_address_deny=(*unit.ip_address_deny, *_networks(above, "IPAddressDeny")),
        )


def slices_of(name: str) -> tuple[str, ...]:
    """A slice and those above it: `a-b.slice` is in `a.slice` (systemd.slice(5))."""
    if name in {"", "-.slice"}:
        return (name,) if name else ()
    parts = name.removesuffix(".slice").split("-")
    return (*(f"{'-'.join(parts[:end])}.slice" for end in range(len(parts), 0, -1)), "-.slice")


def _networks(blocks: Sequence[Block], name: str) -> tuple[str, ...]:
    return tuple(network for block in blocks for network in block.get(name, [""])[-1].split())
