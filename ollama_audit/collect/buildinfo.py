"""What a Go program was built from, as the linker recorded it in the executable.

The format is that of Go's `debug/buildinfo` (since Go 1.18): a section `.go.buildinfo` whose
header is 14 bytes of magic, a pointer size and flags; with flag 2 set, two strings follow at byte
32, each after its length as a varint: the compiler's version, and the module lines between two
16-byte marks. ELF is read as elf(5) describes it.
"""

from __future__ import annotations

import os
import struct

_MAGIC = b"\xff Go buildinf:"
_HEADER = 32
_INLINE = 2
_MOST = 1 << 16


def go_main_package(path: str) -> str:
    """The import path of the main package, such as `github.com/ollama/ollama`.

    Empty when the file is not a Go program, is older than Go 1.18, or cannot be read. At most
    some kilobytes of it are read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        return _main_package(descriptor)
    except (OSError, struct.error, ValueError, IndexError):
        return ""
    finally:
        os.close(descriptor)


def _main_package(descriptor: int) -> str:
    offset = _section(descriptor, b".go.buildinfo")
    if not offset:
        return ""
    data = os.pread(descriptor, _MOST, offset)
    if not data.startswith(_MAGIC) or not data[15] & _INLINE:
        return ""
    version_size, at = _varint(data, _HEADER)
    size, at = _varint(data, at + version_size)
    lines = data[at : at + size][16:-16].decode(errors="replace").splitlines()
    return next((line[5:] for line in lines if line.startswith("path\t")), "")


def _section(descriptor: int, name: bytes) -> int:
    """The file offset of an ELF section; 0 when there is none."""
    header = os.pread(descriptor, 64, 0)
    if header[:4] != b"\x7fELF":
        return 0
    order = "<" if header[5] == 1 else ">"
    wide = header[4] == 2
    # e_shoff, then e_shentsize, e_shnum and e_shstrndx at the header's end.
    (table,) = struct.unpack_from(order + ("Q" if wide else "I"), header, 40 if wide else 32)
    size, count, names = struct.unpack_from(order + "HHH", header, 58 if wide else 46)
    if not table or size < 40 or count > 4096:
        return 0
    sections = os.pread(descriptor, size * count, table)
    fields = order + ("I4xQQQQ" if wide else "I4xIIII")  # name, flags, address, offset, size
    entries = [struct.unpack_from(fields, sections, size * each) for each in range(count)]
    strings = os.pread(descriptor, min(entries[names][4], _MOST), entries[names][3])
    return next((e[3] for e in entries if strings[e[0] :].startswith(name + b"\0")), 0)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number (Go's encoding/binary Uvarint) and what follows it."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
