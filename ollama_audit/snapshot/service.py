"""Services as their manager sees them, and the files that define them."""

from __future__ import annotations

import msgspec

from ollama_audit.observed import Observed
from ollama_audit.snapshot.process import Setting


class EnvironmentFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file named by EnvironmentFile= (systemd.exec(5))."""

    path: str
    optional: bool
    """The path had a leading `-`: it may be missing."""
    settings: Observed[tuple[Setting, ...]]
    """Redacted; as systemd's parser reads the file."""


class UnitFile(msgspec.Struct, frozen=True, kw_only=True):
    """A unit file or drop-in on disk."""

    path: str
    settings: Observed[tuple[Setting, ...]]
    """The Environment= assignments with their lines, redacted; in file order."""
    directives: Observed[tuple[Setting, ...]]
    """Other assignments of [Service] that matter (User, Group, ExecStart, ...) with their lines."""
    ignored_from: int = 0
    """The line that is not UTF-8, from which on systemd ignores the file; 0 for none."""


class SystemdUnit(msgspec.Struct, frozen=True, kw_only=True):
    """A unit as `systemctl show` prints it, and its files in effective order."""

    name: str
    owner: str = ""
    """The user whose service manager it is; empty for the system's."""
    load_state: str
    active_state: str
    unit_file_state: str = ""
    """`enabled`, `disabled`, `static`, ...; empty when unknown to systemd."""
    main_pid: int = 0
    user: str = ""
    """User=; empty means root for a system unit."""
    group: str = ""
    dynamic_user: bool = False
    files: tuple[UnitFile, ...] = ()
    """The fragment first, then the drop-ins in the order in which systemd applies them."""
    environment: tuple[Setting, ...] = ()
    """Environment= as systemd has it loaded, redacted; without the EnvironmentFile= settings."""
    environment_files: tuple[EnvironmentFile, ...] = ()
    """In order; later files and these override `environment`."""
    need_daemon_reload: bool = False
    """Files changed on disk since systemd loaded them."""
    executable: str = ""
    """The binary of ExecStart=."""
    properties: dict[str, str] = {}
    """Sandboxing and resource properties by name, values verbatim from `systemctl show`."""
    ip_address_allow: tuple[str, ...] = ()
    """IPAddressAllow= (systemd.resource-control(5)) of the unit and its slices, CIDRs."""
    ip_address_deny: tuple[str, ...] = ()


class AddressLists(msgspec.Struct, frozen=True, kw_only=True):
    """Whom systemd keeps from the sockets of a unit, by an eBPF program of its own.

    The lists are those of the unit and its slices, CIDRs (systemd.resource-control(5)).
    """

    unit: str
    ip_address_allow: tuple[str, ...] = ()
    ip_address_deny: tuple[str, ...] = ()


class SocketUnit(msgspec.Struct, frozen=True, kw_only=True):
    """A TCP socket that systemd holds until a service is needed (systemd.socket(5))."""

    name: str
    listens: tuple[str, ...]
    """As `systemctl show` prints Listen=, without the kind: `127.0.0.1:8080`, `[::]:8080`."""
    service: str
    """The unit that it starts (Triggers=)."""
    arguments: Observed[tuple[str, ...]]
    """ExecStart= of that service, with secrets masked."""
    owner: str = ""
    """The user whose service manager holds it; empty for the system's."""
    accepts: bool = False
    """Accept=: the service is started for each connection, which is its input and output."""
    private_network: bool = False
    """PrivateNetwork= of that service (systemd.exec(5))."""
    network_path: str = ""
    """Its NetworkNamespacePath=, which makes `private_network` void."""
    joins: tuple[str, ...] = ()
    """The units whose private network it shares (JoinsNamespaceOf=, systemd.unit(5))."""


class SshSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session of the SSH server that listens for its client (ssh(1), -R)."""

    pid: int
    """The server's process for it."""
    peer: str
    """The client's address; empty when it was not found."""
    client: Observed[int]
    """The process id of the client, when it runs on this host."""
