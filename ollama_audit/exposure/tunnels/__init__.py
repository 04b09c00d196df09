"""Tunnels: programs that hold a connection to a server elsewhere and let in whoever comes by it.

No packet filter of this host sees those clients, and no address translation keeps them away.
Each kind of client is one module, which reads from its arguments and its configuration where it
leads and who gets to its far end; `endpoints` follows each of them to Ollama.
"""
