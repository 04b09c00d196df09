"""A chisel server: whoever has a client of it connects from this host to wherever he likes.

`chisel server` lets any client name a host and port to connect to, loopback included, unless
--auth, --authfile or AUTH has it ask for a password (chisel main.go and server/server_handler.go,
1.10). A `chisel client` listens for what is at its server and leads to no place here.
"""

from __future__ import annotations

from ollama_audit.exposure.forwarders.step import Onward
from ollama_audit.exposure.forwarders.web import configuration
from ollama_audit.exposure.model import Encryption, Hop, Login
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import known_or
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process


def chisel(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """The steps of `chisel server` to Ollama's own sockets."""
    del listener
    arguments: tuple[str, ...] = known_or(process.arguments, ())
    if "server" not in arguments:
        return ()
    found = configuration(terrain, (process.pid,))
    variables = known_or(found.environment, ()) if found and found.environment else ()
    asks = any(each.lstrip("-").partition("=")[0] in {"auth", "authfile"} for each in arguments)
    asks = asks or any(each.name == "AUTH" for each in variables)
    return tuple(
        Onward(
            hop=Hop(kind="relay", name=f"chisel to {address}:{port}", pid=process.pid),
            namespace=namespace,
            address=address,
            port=port,
            login=Login.REQUIRED if asks else Login.NONE,
            login_because=("chisel asks for a user and password",) if asks else (),
            tls=Encryption.TLS,  # its protocol is SSH, whatever is around it
        )
        for address, port in terrain.served(namespace)
    )
