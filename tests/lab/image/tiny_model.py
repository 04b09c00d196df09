"""Write the smallest model file that `ollama create` takes.

Format: GGUF version 3 as ggml's docs/gguf.md describes it, little-endian: header, key-values,
tensor descriptions, then tensor data, each aligned to 32 bytes. Architecture `llama`, one block.
"""

from __future__ import annotations

import struct
from pathlib import Path

UINT32, FLOAT32, STRING, ARRAY, INT32 = 4, 6, 8, 9, 5
ALIGNMENT = 32
WIDTH, VOCABULARY, FEED = 8, ("<unk>", "<s>", "</s>", "a"), 16

TENSORS = {
    "token_embd.weight": (WIDTH, len(VOCABULARY)),
    "output.weight": (WIDTH, len(VOCABULARY)),
    "output_norm.weight": (WIDTH,),
    "blk.0.attn_norm.weight": (WIDTH,),
    "blk.0.attn_q.weight": (WIDTH, WIDTH),
    "blk.0.attn_k.weight": (WIDTH, WIDTH),
    "blk.0.attn_v.weight": (WIDTH, WIDTH),
    "blk.0.attn_output.weight": (WIDTH, WIDTH),
    "blk.0.ffn_norm.weight": (WIDTH,),
    "blk.0.ffn_gate.weight": (WIDTH, FEED),
    "blk.0.ffn_up.weight": (WIDTH, FEED),
    "blk.0.ffn_down.weight": (FEED, WIDTH),
}


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def _pair(name: str, kind: int, value: bytes) -> bytes:
    return _text(name) + struct.pack("<I", kind) + value


def _uint(name: str, value: int) -> bytes:
    return _pair(name, UINT32, struct.pack("<I", value))


def _metadata() -> list[bytes]:
    count = struct.pack("<Q", len(VOCABULARY))
    return [
        _pair("general.architecture", STRING, _text("llama")),
        _pair("general.name", STRING, _text("tiny")),
        _uint("general.file_type", 0),
        _uint("llama.context_length", 64),
        _uint("llama.embedding_length", WIDTH),
        _uint("llama.block_count", 1),
        _uint("llama.feed_forward_length", FEED),
        _uint("llama.attention.head_count", 1),
        _uint("llama.attention.head_count_kv", 1),
        _pair("llama.attention.layer_norm_rms_epsilon", FLOAT32, struct.pack("<f", 1e-5)),
        _pair("tokenizer.ggml.model", STRING, _text("llama")),
        _pair(
            "tokenizer.ggml.tokens",
            ARRAY,
            struct.pack("<I", STRING) + count + b"".join(map(_text, VOCABULARY)),
        ),
        _pair(
            "tokenizer.ggml.scores",
            ARRAY,
            struct.pack("<I", FLOAT32) + count + struct.pack(f"<{len(VOCABULARY)}f", 0, 0, 0, -1),
        ),
        _pair(
            "tokenizer.ggml.token_type",
            ARRAY,
            struct.pack("<I", INT32) + count + struct.pack(f"<{len(VOCABULARY)}i", 2, 3, 3, 1),
        ),
    ]


def write_tiny_model(path: Path) -> None:
    """Write the model to `path`; about 6 kB, all weights zero."""
    metadata = _metadata()
    described, offset = b"", 0
    for name, shape in TENSORS.items():
        described += _text(name) + struct.pack("<I", len(shape))
        described += struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", 0, offset)
        size = 4
        for extent in shape:
            size *= extent
        offset += -(-size // ALIGNMENT) * ALIGNMENT
    head = struct.pack("<IIQQ", 0x46554747, 3, len(TENSORS), len(metadata))
    front = head + b"".join(metadata) + described
    front += bytes(-len(front) % ALIGNMENT)
    path.write_bytes(front + bytes(offset))
