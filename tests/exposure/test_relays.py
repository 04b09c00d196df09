"""Where relays lead, read from their arguments as their manuals define them."""

from __future__ import annotations

import shlex

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.assess import assess
from ollama_audit.exposure.forwarders import FORWARDERS, Onward, onward, passes_on
from ollama_audit.exposure.forwarders.clients import Clients
from ollama_audit.exposure.model import Encryption, Login
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.configuration import Configuration
from ollama_audit.snapshot.process import Process
from ollama_audit.snapshot.service import SocketUnit, SshSession
from tests.exposure.networked import link, space
from tests.exposure.proxied import configured
from tests.hosts import (
    CONTAINER_NAMESPACE,
    HOST_NAMESPACE,
    host,
    in_container,
    listener,
    namespace,
    namespaces,
    process,
    server,
)

DOCKER_PROXY = [
    *("docker-proxy", "-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "8080"),
    *("-container-ip", "172.17.0.2", "-container-port", "11434", "-use-listen-fd"),
]
"""As Docker 28 starts it."""


def steps(name: str, *arguments: str, sockets: tuple[SocketUnit, ...] = ()) -> tuple[Onward, ...]:
    pid = 1 if name == "systemd" else 77
    running = replace(process(pid, name=name), arguments=Known(arguments, "/proc/77/cmdline"))
    snapshot = replace(host().snapshot, socket_units=Known(sockets, "systemctl show"))
    at = listener("0.0.0.0:8080", owners=pid)
    return FORWARDERS[name](Terrain(snapshot), namespace(at), at, running)


@pytest.mark.parametrize(
    ("name", "arguments", "address", "port"),
    [
        ("socat", ["socat", "TCP-LISTEN:8080,fork", "TCP:127.0.0.1:11434"], "127.0.0.1", 11434),
        ("socat", ["socat", "-d", "TCP6-LISTEN:8080", "TCP6:[::1]:11434"], "::1", 11434),
        ("socat", ["socat", "tcp-l:8080", "tcp4:localhost:11434"], "127.0.0.1", 11434),
        ("socat", ["socat", "TCP:127.0.0.1:11434", "TCP-LISTEN:8080"], "127.0.0.1", 11434),
        ("socat", ["socat", "TCP-LISTEN:8080", "EXEC:nc 127.0.0.1 11434"], "127.0.0.1", 11434),
        ("socat", ["socat", "TCP-LISTEN:8080", "OPENSSL:127.0.0.1:443"], "127.0.0.1", 443),
        ("redir", ["redir", "-n", "0.0.0.0:8080", "127.0.0.1:11434"], "127.0.0.1", 11434),
        ("redir", ["redir", "-n", "", "8080", "127.0.0.1", "11434"], "127.0.0.1", 11434),
        ("redir", ["redir", "--lport=8080", "--cport=11434"], "127.0.0.1", 11434),
        ("redir", ["redir", "--lport", "80", "--caddr", "::1", "--cport", "11434"], "::1", 11434),
        ("simpleproxy", ["simpleproxy", "-L", "8080", "-R", "[::1]:11434"], "::1", 11434),
        ("ncat", ["ncat", "-lk", "8080", "--sh-exec", "ncat ::1 11434"], "::1", 11434),
        ("nc", ["nc", "-l", "-p", "8080", "-c", "exec nc 127.0.0.1 11434"], "127.0.0.1", 11434),
        (
            "ncat",
            ["ncat", "-l", "80", "-e", "/bin/socat - TCP:127.0.0.1:11434"],
            "127.0.0.1",
            11434,
        ),
        ("gost", ["gost", "-L", "tcp://:8080/127.0.0.1:11434"], "127.0.0.1", 11434),
        ("gost", ["gost", "-L=http://:3128", "-L=tcp://:8080/:11434"], "127.0.0.1", 11434),
        ("6tunnel", ["6tunnel", "-d", "8080", "127.0.0.1", "11434"], "127.0.0.1", 11434),
        ("6tunnel", ["6tunnel", "-4", "-l", "10.0.0.1", "8080", "::1"], "::1", 8080),
        ("pen", ["pen", "-f", "-u", "nobody", "8080", "127.0.0.1:11434"], "127.0.0.1", 11434),
        ("pen", ["pen", "0.0.0.0:8080", "127.0.0.1"], "127.0.0.1", 8080),
        (
            "sslh",
            ["sslh", "-n", "--listen", "0.0.0.0:8080", "--http", "127.0.0.1:11434"],
            "127.0.0.1",
            11434,
        ),
        ("sslh", ["sslh", "-n", "--http", "127.0.0.1", "11434", "-f"], "127.0.0.1", 11434),
        ("sslh", ["sslh", "-p", "0.0.0.0:8080", "--anyprot", "[::1]:11434"], "::1", 11434),
        (
            "systemd-socket-",
            ["/lib/systemd/systemd-socket-proxyd", "--exit-idle-time=5s", "127.0.0.1:11434"],
            "127.0.0.1",
            11434,
        ),
        (
            "docker-proxy",
            DOCKER_PROXY,
            "172.17.0.2",
            11434,
        ),
    ],
)
def test_a_relay_leads_where_its_arguments_say(
    name: str, arguments: list[str], address: str, port: int
) -> None:
    (step,) = steps(name, *arguments)
    assert (step.address, step.port, step.login) == (address, port, Login.NONE)
    assert step.namespace is not None


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("socat", ["socat", "TCP-LISTEN:8080", "TCP:gpu-box:11434"]),
        ("socat", ["socat", "TCP-LISTEN:8080", "EXEC:/usr/local/bin/serve"]),
        ("socat", ["socat"]),
        ("socat", ["socat", "TCP-LISTEN:8080,tcpwrap", "TCP:127.0.0.1:11434"]),
        ("socat", ["socat", "TCP-LISTEN:8080", "UNIX-CONNECT:/run/front.sock"]),
        ("simpleproxy", ["simpleproxy", "-L", "80", "-R", "127.0.0.1:11434", "-S", "a:1"]),
        ("ncat", ["ncat", "-l", "3128", "--proxy-type", "http"]),
        ("ncat", ["ncat", "-l", "80", "--allow", "friends", "-c", "nc 127.0.0.1 11434"]),
        ("ncat", ["ncat", "-l", "--allow", "10.0.0.1", "friends", "-c", "nc 127.0.0.1 11434"]),
        ("gost", ["gost", "-L", "socks5://:8080"]),
        ("gost", ["gost", "-L", "tcp://:8080/127.0.0.1:11434", "-F", "relay://far:1"]),
        ("inetd", ["/usr/sbin/inetd"]),
        ("docker-proxy", ["docker-proxy", "-container-ip", "172.17.0.2"]),
        ("sshd", ["sshd: ada@pts/0"]),
        ("kubectl", ["kubectl", "port-forward", "svc/ollama", "11434"]),
        ("rinetd", ["/usr/sbin/rinetd"]),
        ("xinetd", ["/usr/sbin/xinetd", "-stayalive"]),
        ("rootlessport", ["rootlessport"]),
        ("6tunnel", ["6tunnel", "-i", "secret", "8080", "127.0.0.1", "11434"]),
        ("pen", ["pen", "-F", "pen.cfg", "8080", "127.0.0.1:11434"]),
        ("sslh", ["sslh", "-F", "/etc/sslh.cfg"]),
        ("sslh", ["sslh", "--listen", "0.0.0.0:443", "--tls", "127.0.0.1:8443"]),
        ("tinyproxy", ["tinyproxy", "-d"]),
    ],
)
def test_what_cannot_be_followed_is_unclear_and_says_why(name: str, arguments: list[str]) -> None:
    (step,) = steps(name, *arguments)
    assert step.namespace is None
    assert step.login is Login.UNKNOWN
    assert step.reason


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("nc", ["nc", "-l", "8080"]),
        ("ncat", ["ncat", "-l", "8080", "-e", "/usr/local/bin/serve"]),
        ("socat", ["socat", "TCP-LISTEN:8080", "SYSTEM:date"]),
    ],
)
def test_what_merely_might_pass_connections_on_is_a_guess(name: str, arguments: list[str]) -> None:
    (step,) = steps(name, *arguments)

    assert step.namespace is None
    assert step.guess


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("socat", ["socat", "TCP-LISTEN:8080", "-"]),
        ("socat", ["socat", "TCP-LISTEN:8080", "CREATE:/tmp/received"]),
        ("ncat", ["ncat", "-l", "8080", "--broker"]),
    ],
)
def test_what_keeps_connections_to_itself_leads_nowhere(name: str, arguments: list[str]) -> None:
    assert steps(name, *arguments) == ()


@pytest.mark.parametrize(
    "allow",
    [
        ("8080", "--allow", "192.0.2.0/24,198.51.100.7"),
        ("8080", "--allow", "192.0.2.0/24", "198.51.100.7"),
        ("--allow=192.0.2.0/24", "198.51.100.7", "8080"),
        ("--allow", "192.0.2.0/24", "8080", "--allow", "198.51.100.7"),
    ],
)
def test_ncat_serves_whom_it_allows_and_does_not_deny(allow: tuple[str, ...]) -> None:
    (step,) = steps(
        *("ncat", "ncat", "-l", *allow),
        *("--deny", "192.0.2.9", "--ssl", "--sh-exec", "nc 127.0.0.1 11434"),
    )

    wanted = Clients.within("192.0.2.0/24") | Clients.within("198.51.100.7")
    assert step.admits == wanted - Clients.within("192.0.2.9")
    assert step.tls is Encryption.TLS


SSHD = process(22, name="sshd", executable="/usr/sbin/sshd", user="root")


def local_forward(
    line: str,
    config: str = "",
    *,
    server: Process = SSHD,
    at: tuple[str, ...] = ("0.0.0.0:22", "[::]:22"),
) -> Onward:
    """Where `ssh` with a listener at 8080 leads on a host whose SSH server is at port 22."""
    client = replace(
        process(77, name="ssh", executable="/usr/bin/ssh"),
        arguments=Known(tuple(line.split()), "/proc/77/cmdline"),
    )
    own = listener("0.0.0.0:8080", owners=77)
    sockets = (own, *(listener(each, owners=server.pid) for each in at))
    place = replace(
        space(link("192.168.1.10/24"), routes=()), listeners=Known(sockets, "sock_diag")
    )
    found = replace(
        configured("ssh", {"/home/ada/.ssh/config": config}), pid=client.pid, pids=(client.pid,)
    )
    whole = host(namespaces=namespaces(place), processes=(client, server)).snapshot
    (step,) = FORWARDERS["ssh"](
        Terrain(replace(whole, configurations=(found,))), place, own, client
    )
    return step


CONFIG = """
Host me
    HostName 127.0.0.1
    LocalForward *:8080 127.0.0.1:11434
Host far
    HostName 203.0.113.7
    LocalForward 8080 127.0.0.1:11434
Host inside
    HostName localhost
    Port 2222
"""


@pytest.mark.parametrize(
    "line",
    [
        "ssh -gNL 8080:127.0.0.1:11434 me@localhost",
        "ssh -N -L*:8080:127.0.0.1:11434 127.0.0.1 -v",
        "ssh -NL 8080:127.0.0.1:11434 192.168.1.10",
        "ssh -NL 8080:ai-box:11434 ssh://ada@ai-box:22",
        "ssh -N -o ProxyJump=none -o HostName=::1 -L 8080:127.0.0.1:11434 somewhere",
        "ssh -N me",
    ],
)
def test_a_local_forward_by_this_hosts_own_server_leads_on_from_it(line: str) -> None:
    step = local_forward(line, CONFIG)

    assert step.namespace is not None, step.reason
    assert (step.address, step.port) in {("127.0.0.1", 11434), ("127.0.1.1", 11434)}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ssh -L 8080:127.0.0.1:11434 box", "to box leads is for that machine to say"),
        ("ssh -J hop -L 8080:127.0.0.1:11434 localhost", "for that machine to say"),
        ("ssh -N far", "to 203.0.113.7 leads is for that machine to say"),
        ("ssh -p 2222 -L 8080:127.0.0.1:11434 localhost", "for that machine to say"),
        ("ssh -NL 8080:127.0.0.1:11434 inside", "for that machine to say"),
        ("ssh -NL 9090:127.0.0.1:11434 localhost", "was told of port 8080 after it had started"),
        ("ssh -ND *:8080 localhost", "whoever speaks SOCKS"),
    ],
)
def test_where_another_machines_server_leads_is_unclear(line: str, reason: str) -> None:
    step = local_forward(line, CONFIG)

    assert step.namespace is None
    assert reason in step.reason


def test_a_local_forward_to_a_port_that_is_no_ssh_servers_is_unclear() -> None:
    """As Vagrant's: port 22 of a virtual machine that something else passes on."""
    line = "ssh -NL 8080:127.0.0.1:11434 localhost"

    assert local_forward(line, server=process(23, name="qemu-system-x86")).namespace is None
    assert local_forward(line, at=("192.0.2.9:22",)).namespace is None


def session(
    client: int | None, *arguments: str, configurations: tuple[Configuration, ...] = ()
) -> tuple[Onward, ...]:
    """What a session of the SSH server does whose client has these arguments."""
    running = replace(
        process(77, name="sshd-session"), arguments=Known(("sshd-session: ada@notty",), "/proc")
    )
    ssh = replace(process(78, name="ssh"), arguments=Known(arguments, "/proc/78/cmdline"))
    whole = host().snapshot
    away = Unknown("the client of this session is not on this host", "/proc/PID/net/tcp")
    found = SshSession(pid=77, peer="127.0.0.1", client=Known(client, "/proc") if client else away)
    snapshot = replace(
        whole, processes=(running, ssh), ssh_sessions=(found,), configurations=configurations
    )
    at = listener("0.0.0.0:8080", owners=77)
    return FORWARDERS["sshd-session"](Terrain(snapshot), namespace(at), at, running)


@pytest.mark.parametrize(
    "arguments",
    [
        ("ssh", "-N", "-R", "*:8080:127.0.0.1:11434", "root@127.0.0.1"),
        ("ssh", "-NfR8080:127.0.0.1:11434", "root@127.0.0.1"),
        ("ssh", "-p", "22", "-o", "RemoteForward=8080 127.0.0.1:11434", "localhost", "sleep", "9"),
        ("ssh", "-R", "9090:127.0.0.1:1", "-R", "[::]:8080:localhost:11434", "localhost"),
    ],
)
def test_a_remote_forward_from_this_host_leads_where_its_client_says(
    arguments: tuple[str, ...],
) -> None:
    (step,) = session(78, *arguments)

    assert (step.address, step.port) == ("127.0.0.1", 11434)
    assert step.namespace is not None


@pytest.mark.parametrize(
    ("client", "arguments"),
    [
        (None, ()),
        (78, ("ssh", "-R", "9090:127.0.0.1:11434", "localhost")),
        (78, ("ssh", "-R", "8080", "localhost")),
        (99, ("ssh", "-R", "8080:127.0.0.1:11434", "localhost")),
    ],
)
def test_a_remote_forward_of_somebody_else_is_unclear(
    client: int | None, arguments: tuple[str, ...]
) -> None:
    (step,) = session(client, *arguments)

    assert step.namespace is None
    assert "from 127.0.0.1" in step.reason
    assert "GatewayPorts" in step.cure


def test_a_remote_forward_may_stand_in_the_clients_file() -> None:
    text = "Host me\n  HostName 127.0.0.1\n  RemoteForward 8080 localhost:11434\n"
    found = replace(configured("ssh", {"/root/.ssh/config": text}), pid=78, pids=(78,))

    (step,) = session(78, "ssh", "-N", "me", configurations=(found,))

    assert (step.address, step.port) == ("127.0.0.1", 11434)


def test_the_ssh_server_itself_is_no_way_to_ollama() -> None:
    assert steps("sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups") == ()


def test_socat_with_tls_asks_for_a_client_certificate_unless_told_not_to() -> None:
    (strict,) = steps("socat", "socat", "OPENSSL-LISTEN:8080,cert=a.pem", "TCP:127.0.0.1:11434")
    (lax,) = steps("socat", "socat", "OPENSSL-LISTEN:8080,verify=0", "TCP:127.0.0.1:11434")
    assert (strict.login, strict.tls) == (Login.REQUIRED, Encryption.TLS)
    assert (lax.login, lax.tls) == (Login.NONE, Encryption.TLS)


def test_socat_serves_only_its_range() -> None:
    (step,) = steps("socat", "socat", "TCP-LISTEN:8080,range=192.0.2.0/24", "TCP:[::1]:11434")
    assert step.admits == Clients.within("192.0.2.0/24")


def socket_unit(arguments: tuple[str, ...] | Unknown, at: str = "0.0.0.0:8080") -> SocketUnit:
    return SocketUnit(
        name="ollama-proxy.socket",
        listens=(at,),
        service="ollama-proxy.service",
        arguments=arguments if isinstance(arguments, Unknown) else Known(arguments, "systemctl"),
    )


def test_a_socket_that_systemd_holds_leads_where_its_service_leads() -> None:
    proxy = ("/lib/systemd/systemd-socket-proxyd", "127.0.0.1:11434")
    (step,) = steps("systemd", "/sbin/init", sockets=(socket_unit(proxy),))
    assert (step.address, step.port) == ("127.0.0.1", 11434)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("/usr/sbin/sshd", "-D"), []),
        (("/usr/sbin/cupsd", "-l"), []),
        (("/usr/bin/socat", "TCP-LISTEN:8080", "TCP:127.0.0.1:11434"), [("127.0.0.1", False)]),
        (("/usr/local/bin/api",), [("", True)]),
    ],
)
def test_a_socket_is_judged_by_the_program_that_systemd_starts(
    arguments: tuple[str, ...], expected: list[tuple[str, bool]]
) -> None:
    found = steps("systemd", "/sbin/init", sockets=(socket_unit(arguments),))

    assert [(step.address, step.guess) for step in found] == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("nc 127.0.0.1 11434", [("127.0.0.1", False)]),
        ("/bin/sh -c 'exec socat - TCP:127.0.0.1:11434'", [("127.0.0.1", False)]),
        ("socat STDIO TCP:[::1]:11434", [("::1", False)]),
        ("/usr/sbin/sshd -i", []),
        ("/usr/local/bin/api", [("", True)]),
    ],
)
def test_a_service_for_each_connection_gets_it_as_input_and_output(
    command: str, expected: list[tuple[str, bool]]
) -> None:
    unit = replace(socket_unit(tuple(shlex.split(command))), accepts=True)

    found = steps("systemd", "/sbin/init", sockets=(unit,))

    assert [(step.address, step.guess) for step in found] == expected


PROXYD = ("/lib/systemd/systemd-socket-proxyd", "127.0.0.1:11434")


def activated(unit: SocketUnit, *, running: bool) -> tuple[Onward, ...]:
    """What a socket leads to on a host whose Ollama is in a network of its own, `ai`."""
    ollama = replace(in_container(2001), unit="ollama.service", container="")
    manager = process(1, name="systemd", executable="/usr/lib/systemd/systemd", unit="init.scope")
    proxy = replace(
        process(77, name="systemd-socket-", unit="ollama-proxy.service"),
        arguments=Known(PROXYD, "/proc/77/cmdline"),
        network_namespace=Known(4026539999, "/proc/77/ns/net"),
    )
    owners = (1, 77) if running else (1,)
    at = listener("0.0.0.0:8080", owners=Known(owners, "/proc"))
    outer = replace(namespace(at), inode=HOST_NAMESPACE)
    inner = replace(
        space(link("127.0.0.1/8", name="lo", index=1), routes=()),
        inode=CONTAINER_NAMESPACE,
        host=False,
        name="ai",
        listeners=Known((listener("127.0.0.1:11434", owners=2001),), "sock_diag"),
    )
    whole = host(
        servers=Known((server(ollama),), "/proc"),
        namespaces=namespaces(outer, inner),
        processes=(manager, proxy) if running else (manager,),
    ).snapshot
    snapshot = replace(whole, socket_units=Known((unit,), "systemctl show"))
    return onward(Terrain(snapshot), outer, at, owners)


@pytest.mark.parametrize(
    "unit",
    [
        replace(socket_unit(PROXYD), network_path="/run/netns/ai"),
        replace(socket_unit(PROXYD), private_network=True, joins=("ollama.service",)),
    ],
)
def test_a_service_connects_from_the_network_that_it_is_given(unit: SocketUnit) -> None:
    (step,) = activated(unit, running=False)

    assert step.namespace is not None
    assert step.namespace.inode == CONTAINER_NAMESPACE


@pytest.mark.parametrize("running", [False, True])
def test_a_service_with_a_network_to_itself_leads_nowhere(*, running: bool) -> None:
    unit = replace(socket_unit(PROXYD), private_network=True)

    assert activated(unit, running=running) == ()


def test_a_service_in_a_network_that_was_not_read_is_unclear() -> None:
    elsewhere = replace(socket_unit(PROXYD), network_path="/run/netns/other")

    (waiting,) = activated(elsewhere, running=False)
    (running,) = activated(elsewhere, running=True)

    assert waiting.namespace is None
    assert "runs in /run/netns/other" in waiting.reason
    assert running.namespace is None
    assert "connects from another network" in running.reason


def test_a_socket_of_a_user_is_not_the_systems() -> None:
    unit = replace(socket_unit(("/lib/systemd/systemd-socket-proxyd", "[::1]:11434")), owner="ada")

    (step,) = steps("systemd", "/sbin/init", sockets=(unit,))

    assert step.namespace is None


def test_a_socket_of_a_service_that_cannot_be_read_is_unclear() -> None:
    hidden = Unknown("systemctl timed out", "systemctl show")
    (step,) = steps("systemd", "/sbin/init", sockets=(socket_unit(hidden),))
    assert step.namespace is None
    assert step.reason == "systemctl timed out"


def test_a_relay_that_does_not_lead_to_ollama_is_no_endpoint() -> None:
    at = listener("0.0.0.0:8080", owners=77)
    running = replace(
        process(77, name="socat"),
        arguments=Known(("socat", "TCP-LISTEN:8080", "TCP:127.0.0.1:9999"), "/proc/77/cmdline"),
    )
    whole = host().snapshot
    snapshot = replace(whole, processes=(running,), namespaces=Known((namespace(at),), "/proc"))
    assert assess(snapshot).endpoints == ()


@pytest.mark.parametrize("name", ["rinetd", "xinetd", "rootlessport", "slirp4netns"])
def test_a_relay_whose_configuration_is_not_read_is_looked_at_for_the_report(name: str) -> None:
    snapshot = replace(host().snapshot, processes=(process(77, name=name),))
    assert passes_on(Terrain(snapshot), listener("0.0.0.0:8080", owners=77))


@pytest.mark.parametrize("name", FORWARDERS)
def test_every_kind_of_program_answers_for_a_process_of_which_nothing_was_read(name: str) -> None:
    steps_ = steps(name, name)

    assert all(step.namespace is None for step in steps_)
