"""The targets of iptables (iptables-extensions(8)), as `iptables-save` prints them."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from ollama_audit.firewall.effects import (
    CopyMark,
    DoNotTrack,
    GiveUp,
    Masquerade,
    RedirectTo,
    SetMasked,
    TranslateTo,
)
from ollama_audit.firewall.iptables_options import masked_number
from ollama_audit.firewall.machine import Instruction
from ollama_audit.firewall.xt_targets import ALL_BITS, HARMLESS

Options = dict[str, str]


def target(name: str, arguments: list[str], version: int) -> Instruction | None:
    """What a target does; None when the packet goes on as it was."""
    if name in HARMLESS:
        return None
    make = TARGETS.get(name)
    if make is None:
        return GiveUp(f"the target {name} is not modelled")
    try:
        return make(_options(arguments), version)
    except (ValueError, KeyError):
        return GiveUp(f"the options of {name} are not modelled")


def _options(arguments: list[str]) -> Options:
    found: Options = {}
    name = ""
    for word in arguments:
        if word.startswith("--"):
            name = word
            found[name] = ""
        elif name:
            found[name] = word
    return found


def _dnat(options: Options, version: int) -> Instruction:
    text = options["--to-destination"]
    if version == 6 and text.startswith("["):
        address, _, port = text[1:].partition("]")
        port = port.lstrip(":")
    elif version == 6:
        address, port = text, ""
    else:
        address, _, port = text.partition(":")
    if "-" in text or "/" in text or (port and not port.isdigit()):
        return TranslateTo(None, None, ranges=True)
    number = int(ip_address(address)) if address else None
    return TranslateTo(number, int(port) if port else None)


def _redirect(options: Options, version: int) -> Instruction:
    del version
    port = options.get("--to-ports", "")
    if port and not port.isdigit():
        return RedirectTo(None, ranges=True)
    return RedirectTo(int(port) if port else None)


def _masquerade(options: Options, version: int) -> Instruction:
    del options, version
    return Masquerade()


def _ct(options: Options, version: int) -> Instruction | None:
    del version
    if "--notrack" in options:
        return DoNotTrack()
    if any(name.startswith("--zone") for name in options):
        return GiveUp("a connection tracking zone")
    return None


def _notrack(options: Options, version: int) -> Instruction:
    del options, version
    return DoNotTrack()


def _mark(options: Options, version: int) -> Instruction:
    del version
    return _set_mark(options, connection=False)


def _set_mark(options: Options, *, connection: bool) -> Instruction:
    if "--set-xmark" in options:
        value, mask = masked_number(options["--set-xmark"])
        return SetMasked(~mask & ALL_BITS, value, connection)
    if "--set-mark" in options:
        value, mask = masked_number(options["--set-mark"])
        return SetMasked(~(mask | value) & ALL_BITS, value, connection)
    if "--and-mark" in options:
        return SetMasked(int(options["--and-mark"], 0), 0, connection)
    if "--or-mark" in options:
        value = int(options["--or-mark"], 0)
        return SetMasked(~value & ALL_BITS, value, connection)
    return SetMasked(ALL_BITS, int(options["--xor-mark"], 0), connection)


def _connmark(options: Options, version: int) -> Instruction:
    del version
    packet = int(options.get("--nfmask") or options.get("--mask") or "0xffffffff", 0)
    connection = int(options.get("--ctmask") or options.get("--mask") or "0xffffffff", 0)
    if "--save-mark" in options:
        return CopyMark(save=True, keep=~connection & ALL_BITS, take=packet)
    if "--restore-mark" in options:
        return CopyMark(save=False, keep=~packet & ALL_BITS, take=connection)
    return _set_mark(options, connection=True)


TARGETS: Final[dict[str, Callable[[Options, int], Instruction | None]]] = {
    "DNAT": _dnat,
    "REDIRECT": _redirect,
    "SNAT": _masquerade,
    "MASQUERADE": _masquerade,
    "CT": _ct,
    "NOTRACK": _notrack,
    "MARK": _mark,
    "CONNMARK": _connmark,
}
