"""Clients of tunnels that are told what to do by their arguments and variables alone."""

from __future__ import annotations

from ollama_audit.collect.configurations.start import Program

BORE = Program(kind="bore", workers=False, environment=True)
CHISEL = Program(kind="chisel", workers=False, environment=True)
DEVTUNNEL = Program(kind="devtunnel", workers=False)
GOST = Program(kind="gost", workers=False)
INLETS = Program(kind="inlets", workers=False)
LOCALTUNNEL = Program(kind="localtunnel", workers=False)
PLAYIT = Program(kind="playit", workers=False)
ZROK = Program(kind="zrok", workers=False)
