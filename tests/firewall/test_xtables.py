"""The kernel's structures of iptables' matches and targets, as far as they do not show in saves."""

from __future__ import annotations

import struct

import pytest

from ollama_audit.firewall.effects import CopyMark, GiveUp, SetMasked
from ollama_audit.firewall.machine import Instruction
from ollama_audit.firewall.xt_targets import decode_target

ALL = 0xFFFFFFFF
SET, SAVE, RESTORE = 0, 1, 2
"""XT_CONNMARK_* (linux/netfilter/xt_connmark.h)."""
LEFT, RIGHT = 0, 1
"""D_SHIFT_*"""


@pytest.mark.parametrize(
    ("revision", "info", "expected"),
    [
        (1, struct.pack("=IIIB3x", 5, 0xFF, 0, SET), SetMasked(ALL ^ 0xFF, 5, connection=True)),
        (1, struct.pack("=IIIB3x", 0, 3, 1, SAVE), CopyMark(save=True, keep=ALL ^ 3, take=1)),
        (2, struct.pack("=III3Bx", 0, ALL, ALL, 0, 0, SAVE), CopyMark(True, 0, ALL)),  # noqa: FBT003
        (
            2,
            struct.pack("=III3Bx", 0, 0xF0, 0xF, RIGHT, 4, RESTORE),
            CopyMark(save=False, keep=ALL ^ 0xF, take=0xF0, shift=-4),
        ),
        (
            2,
            struct.pack("=III3Bx", 1, ALL, 0, LEFT, 8, SET),
            SetMasked(0, 1, connection=True, shift=8),
        ),
        (3, struct.pack("=III3Bx", 1, ALL, 0, 0, 0, SET), GiveUp("CONNMARK of revision 3")),
    ],
)
def test_connection_marks(revision: int, info: bytes, expected: Instruction) -> None:
    """Revision 2, which iptables-nft uses, has its shift in front of its mode."""
    assert decode_target("CONNMARK", revision, info, 4) == expected
