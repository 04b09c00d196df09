"""Clients of tunnels that are told what to do by their arguments and variables alone."""

from __future__ import annotations

from ollama_audit.collect.configurations.start import Program, Start
from ollama_audit.collect.rooted import Rooted
from ollama_audit.snapshot.process import Process


def _start(_process: Process, _rooted: Rooted) -> Start:
    return Start()


BORE = Program(kind="bore", start=_start, workers=False, environment=True)
CHISEL = Program(kind="chisel", start=_start, workers=False, environment=True)
DEVTUNNEL = Program(kind="devtunnel", start=_start, workers=False)
GOST = Program(kind="gost", start=_start, workers=False)
INLETS = Program(kind="inlets", start=_start, workers=False)
LOCALTUNNEL = Program(kind="localtunnel", start=_start, workers=False)
PLAYIT = Program(kind="playit", start=_start, workers=False)
ZROK = Program(kind="zrok", start=_start, workers=False)
