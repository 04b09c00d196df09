"""What `listens-beyond-loopback` says of which host."""

from __future__ import annotations

from ollama_audit.rule import Extent, Severity, Status
from tests.cases import Case
from tests.hosts import (
    CONTAINER_NAMESPACE,
    GAP,
    HIDDEN,
    endpoint,
    environment,
    exposure,
    host,
    in_container,
    listener,
    namespace,
    namespaces,
    process,
    server,
    servers,
)

OPEN = exposure(endpoint(lan=Extent.ALL))
SHUT = exposure(endpoint(lan=Extent.NONE))
RUNNER = process(900, name="llama-server", parent=812)

CASES = [
    Case("as installed", host(), Status.PASS, "127.0.0.1:11434 only"),
    Case(
        "both loopback families",
        host(namespaces=namespaces(namespace("127.0.0.1:11434", "[::1]:11434"))),
        Status.PASS,
    ),
    Case(
        "elsewhere in 127/8",
        host(namespaces=namespaces(namespace("127.0.0.53:11434"))),
        Status.PASS,
    ),
    Case(
        "IPv4-mapped loopback",
        host(namespaces=namespaces(namespace("[::ffff:127.0.0.1]:11434"))),
        Status.PASS,
    ),
    Case(
        "every IPv4 address",
        host(namespaces=namespaces(namespace("0.0.0.0:11434")), exposure=OPEN),
        Status.FAIL,
        "0.0.0.0:11434",
        Severity.HIGH,
    ),
    Case(
        "the dual-stack socket of OLLAMA_HOST=0.0.0.0",
        host(
            servers=servers(server(env=environment({"OLLAMA_HOST": "0.0.0.0"}))),
            namespaces=namespaces(namespace("[::]:11434")),
            exposure=OPEN,
        ),
        Status.FAIL,
        "OLLAMA_HOST=0.0.0.0",
    ),
    Case(
        "one LAN address",
        host(namespaces=namespaces(namespace("10.77.0.2:11434")), exposure=OPEN),
        Status.FAIL,
        "10.77.0.2:11434",
    ),
    Case(
        "another port than Ollama's",
        host(namespaces=namespaces(namespace("[::]:12345")), exposure=OPEN),
        Status.FAIL,
        "*:12345",
    ),
    Case(
        "one of two sockets",
        host(namespaces=namespaces(namespace("127.0.0.1:11434", "10.0.0.7:80")), exposure=OPEN),
        Status.FAIL,
        "10.0.0.7:80",
    ),
    Case(
        "the second of two servers",
        host(
            servers=servers(server(), server(process(813, unit="session-2.scope"))),
            namespaces=namespaces(
                namespace("127.0.0.1:11434", listener("0.0.0.0:8080", owners=813))
            ),
            exposure=OPEN,
        ),
        Status.FAIL,
        "process 813",
    ),
    Case(
        "a model runner",
        host(
            servers=servers(server(runners=(RUNNER,))),
            namespaces=namespaces(
                namespace("127.0.0.1:11434", listener("0.0.0.0:41234", owners=900))
            ),
            exposure=OPEN,
        ),
        Status.FAIL,
        "process 900",
    ),
    Case(
        "behind a firewall that lets nobody in",
        host(namespaces=namespaces(namespace("0.0.0.0:11434")), exposure=SHUT),
        Status.FAIL,
        "the firewall alone",
        Severity.LOW,
    ),
    Case(
        "behind a firewall that could not be read",
        host(
            namespaces=namespaces(namespace("0.0.0.0:11434")),
            exposure=exposure(endpoint(lan=Extent.NONE), gaps=(GAP,)),
        ),
        Status.FAIL,
        severity=Severity.HIGH,
    ),
    Case(
        "another program on every address",
        host(
            namespaces=namespaces(
                namespace("127.0.0.1:11434", listener("0.0.0.0:80", owners=77, uid=33))
            )
        ),
        Status.PASS,
    ),
    Case(
        "only a server in a container, on every address of its own network",
        host(
            servers=servers(server(in_container())),
            namespaces=namespaces(
                namespace(listener("0.0.0.0:11434", owners=1500, uid=0)),
                namespace(listener("0.0.0.0:11434", owners=2001, uid=0), inode=CONTAINER_NAMESPACE),
            ),
        ),
        Status.NOT_APPLICABLE,
        "container",
    ),
    Case("no server", host(servers=servers()), Status.NOT_APPLICABLE),
    Case(
        "sockets of unreadable owner, of the server's user",
        host(namespaces=namespaces(namespace(listener("0.0.0.0:11434", owners=HIDDEN)))),
        Status.UNKNOWN,
        "who listens on 0.0.0.0:11434",
    ),
    Case(
        "sockets of unreadable owner, of another user",
        host(
            namespaces=namespaces(
                namespace("127.0.0.1:11434", listener("0.0.0.0:22", owners=HIDDEN, uid=0))
            )
        ),
        Status.PASS,
    ),
    Case("sockets unread", host(namespaces=HIDDEN), Status.UNKNOWN, "only root may read it"),
    Case("processes unread", host(servers=HIDDEN), Status.UNKNOWN),
    Case("a process that hides its program", host(unseen=1), Status.UNKNOWN, "1 process "),
    Case(
        "a process that hides its program beside an open server",
        host(unseen=1, namespaces=namespaces(namespace("0.0.0.0:11434")), exposure=OPEN),
        Status.FAIL,
    ),
]
