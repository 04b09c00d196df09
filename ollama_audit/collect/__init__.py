"""Reads the host: the only package that runs a command, opens a file or asks the kernel.

Nothing here raises for a host that is merely unlike ours: what cannot be read is `Unknown`.
"""
