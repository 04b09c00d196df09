"""Builders of hosts for tests.

`host()` is a Debian machine as Ollama's install script leaves it, seen by root: systemd, user
`ollama`, a listener on loopback, ufw that denies. Each argument changes one thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from ollama_audit.rule import (
    BrowserCheck,
    Container,
    ContainerEngine,
    Encryption,
    Endpoint,
    EnvironmentFile,
    Exposure,
    Extent,
    Family,
    FileFact,
    FileKind,
    FileRole,
    Gap,
    Hop,
    Host,
    HostSnapshot,
    InitSystem,
    Known,
    Listener,
    Login,
    Model,
    NetworkNamespace,
    Observed,
    OllamaServer,
    PacketFilter,
    Process,
    PublishedPort,
    Setting,
    Stat,
    SystemdUnit,
    UnitFile,
    Unknown,
    Zone,
    ZoneReach,
)
from ollama_audit.snapshot.firewall import FirewallCapture, NftablesDump
from ollama_audit.snapshot.host import Installation
from ollama_audit.snapshot.platform import Platform, Privileges
from ollama_audit.snapshot.process import ApiAnswers

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PID = 812
UID = 997
HOST_NAMESPACE = 4026531840
CONTAINER_NAMESPACE = 4026532600
UNIT = "/etc/systemd/system/ollama.service"
DROP_IN = "/etc/systemd/system/ollama.service.d/override.conf"
MODELS = "/usr/share/ollama/.ollama/models"
KEY = "/usr/share/ollama/.ollama/id_ed25519"
BINARY = "/usr/local/bin/ollama"

HIDDEN = Unknown("only root may read it", "/proc", "sudo ollama-audit")
"""What a run without privilege gets for nearly everything."""

SANDBOX = {
    "CapabilityBoundingSet": "",
    "LockPersonality": "yes",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "no",
    "PrivateTmp": "yes",
    "ProcSubset": "all",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectSystem": "strict",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
}
"""What `systemctl show` prints for the NixOS unit (facts of August 2026)."""

NO_SANDBOX = {
    "CapabilityBoundingSet": "cap_chown cap_dac_override cap_net_admin cap_sys_admin",
    "LockPersonality": "no",
    "NoNewPrivileges": "no",
    "PrivateDevices": "no",
    "PrivateTmp": "no",
    "ProcSubset": "all",
    "ProtectClock": "no",
    "ProtectControlGroups": "no",
    "ProtectHome": "no",
    "ProtectHostname": "no",
    "ProtectKernelLogs": "no",
    "ProtectKernelModules": "no",
    "ProtectKernelTunables": "no",
    "ProtectSystem": "no",
    "RestrictNamespaces": "no",
    "RestrictRealtime": "no",
    "RestrictSUIDSGID": "no",
    "SystemCallArchitectures": "",
}
"""The same for the unit that Ollama's install script writes."""


def settings(values: Mapping[str, str | None], path: str = "") -> tuple[Setting, ...]:
    """Environment variables, one a line."""
    return tuple(
        Setting(name=name, value=value, path=path, line=line if path else 0)
        for line, (name, value) in enumerate(values.items(), start=1)
    )


def environment(values: Mapping[str, str | None]) -> Known[tuple[Setting, ...]]:
    """The environment of a process."""
    return Known(settings(values), f"/proc/{PID}/environ")


def process(  # noqa: PLR0913 - one argument a difference
    pid: int = PID,
    *,
    name: str = "ollama",
    executable: str = BINARY,
    parent: int = 1,
    uid: Observed[int] | int = UID,
    user: str = "ollama",
    capabilities: Observed[frozenset[str]] | None = None,
    unit: str = "ollama.service",
    unit_owner: str = "",
    container: str = "",
    namespace: Observed[int] | int = HOST_NAMESPACE,
    own_mounts: bool = False,
) -> Process:
    """A running process; Ollama's own by default."""
    proc = f"/proc/{pid}"
    return Process(
        pid=pid,
        parent=parent,
        name=name,
        executable=Known(executable, f"{proc}/exe"),
        arguments=Known((executable, "serve"), f"{proc}/cmdline"),
        uid=Known(uid, f"{proc}/status") if isinstance(uid, int) else uid,
        user=user,
        gid=Known(UID, f"{proc}/status"),
        group=user,
        groups=Known((), f"{proc}/status"),
        capabilities=capabilities or Known(frozenset(), f"{proc}/status"),
        no_new_privileges=Known(value=False, source=f"{proc}/status"),
        seccomp=Known(value=False, source=f"{proc}/status"),
        started_at=Known(NOW, proc),
        unit=unit,
        unit_owner=unit_owner,
        container=container,
        network_namespace=(
            Known(namespace, f"{proc}/ns/net") if isinstance(namespace, int) else namespace
        ),
        mount_namespace=Known(4026531841, f"{proc}/ns/mnt"),
        pid_namespace=Known(4026531836, f"{proc}/ns/pid"),
        own_mounts=Known(own_mounts, proc),
    )


def model(name: str = "llama3.2:3b", *can: str, remote_host: str = "") -> Model:
    """A model; it completes text and does whatever else is named."""
    return Model(
        name=name,
        size=2_000_000_000,
        remote_host=remote_host,
        capabilities=Known(frozenset({"completion", *can}), "GET /api/tags"),
    )


def server(  # noqa: PLR0913 - one argument a difference
    process_: Process | None = None,
    *,
    env: Observed[tuple[Setting, ...]] | None = None,
    runners: tuple[Process, ...] = (),
    version: Observed[str] | str = "0.35.1",
    models: Observed[tuple[Model, ...]] | None = None,
    cloud_disabled: Observed[bool] | None = None,
    models_directory: str = MODELS,
) -> OllamaServer:
    """An Ollama server that answers on loopback."""
    running = process_ or process()
    return OllamaServer(
        process=running,
        environment=env or environment({"PATH": "/usr/local/bin:/usr/bin", "HOME": "/usr/share/o"}),
        runners=runners,
        models_directory=Known(models_directory, f"/proc/{running.pid}/environ"),
        home=Known("/usr/share/ollama", f"/proc/{running.pid}/environ"),
        api=ApiAnswers(
            asked="127.0.0.1:11434",
            version=Known(version, "GET /api/version") if isinstance(version, str) else version,
            models=models or Known((model(),), "GET /api/tags"),
            running=Known((), "GET /api/ps"),
            cloud_disabled=cloud_disabled or Known(value=False, source="GET /api/status"),
        ),
    )


def servers(*running: OllamaServer) -> Known[tuple[OllamaServer, ...]]:
    """What the process list shows."""
    return Known(running, "/proc")


def in_container(pid: int = 2001, **changes: object) -> Process:
    """The server of a container with its own network, as root, as Ollama's image runs it."""
    given: dict[str, object] = {
        "executable": "/usr/bin/ollama",
        "uid": 0,
        "user": "root",
        "capabilities": Known(
            frozenset({"cap_chown", "cap_dac_override", "cap_setuid", "cap_net_bind_service"}),
            f"/proc/{pid}/status",
        ),
        "unit": "docker-6f1e.scope",
        "container": "6f1e",
        "namespace": CONTAINER_NAMESPACE,
        "own_mounts": True,
        **changes,
    }
    return process(pid, **given)  # type: ignore[arg-type]


def listener(
    at: str,
    *,
    owners: Observed[tuple[int, ...]] | int = PID,
    uid: int = UID,
    inode: int = 20001,
) -> Listener:
    """A listening socket, written `address:port` or `[address]:port`."""
    address, _, port = at.rpartition(":")
    address = address.strip("[]")
    return Listener(
        family=Family.IPV6 if ":" in address else Family.IPV4,
        address=address,
        port=int(port),
        v6only=Known(value=False, source="sock_diag"),
        inode=inode,
        uid=uid,
        owners=Known((owners,), "/proc/*/fd") if isinstance(owners, int) else owners,
    )


def published(
    *ports: str,
    name: str = "ollama",
    image: str = "ollama/ollama",
    running: bool = True,
    state: str = "running",
    network_namespace: int = CONTAINER_NAMESPACE,
) -> Container:
    """A container with these ports, each `[ADDRESS:]HOST_PORT:PORT`."""
    return Container(
        id=name,
        name=name,
        image=image,
        running=running,
        state=state,
        network_namespace=network_namespace if running else 0,
        ports=tuple(
            PublishedPort(address=":".join(at), host_port=int(host_port), port=int(port))
            for *at, host_port, port in (each.split(":") for each in ports)
        ),
    )


def engine(
    *containers: Container, unread: Unknown | None = None, name: str = "docker", owner: str = ""
) -> ContainerEngine:
    """An engine with these containers."""
    return ContainerEngine(
        name=name,
        owner=owner,
        uid=1000 if owner else 0,
        source="/run/docker.sock",
        containers=unread or Known(containers, "/run/docker.sock"),
    )


def namespace(
    *listeners: Listener | str, inode: int = HOST_NAMESPACE, pid: int = 1
) -> NetworkNamespace:
    """A network namespace with these sockets; the host's by default."""
    found = tuple(listener(at) if isinstance(at, str) else at for at in listeners)
    none: Known[str] = Known("", "not needed")
    return NetworkNamespace(
        inode=inode,
        host=inode == HOST_NAMESPACE,
        pid=pid,
        listeners=Known(found, "sock_diag"),
        interfaces=Known((), "rtnetlink"),
        routes=Known((), "rtnetlink"),
        policy_rules=Known((), "rtnetlink"),
        sysctls=Known({}, "/proc/sys/net"),
        firewall=FirewallCapture(
            nftables=Known(NftablesDump(generation=1), "nf_tables netlink"),
            nft_listing=none,
            iptables_save=none,
            ip6tables_save=none,
            legacy_tables=Known((), "/proc/net/ip_tables_names"),
            legacy6_tables=Known((), "/proc/net/ip6_tables_names"),
            iptables_legacy_save=none,
            ip6tables_legacy_save=none,
            ipsets=none,
            unmodelled=Known((), "rtnetlink"),
        ),
    )


def namespaces(*found: NetworkNamespace) -> Known[tuple[NetworkNamespace, ...]]:
    """What was found of network namespaces."""
    return Known(found, "/proc/*/ns/net")


def drop_in(values: Mapping[str, str | None], path: str = DROP_IN) -> UnitFile:
    """A drop-in that sets variables."""
    return UnitFile(
        path=path,
        settings=Known(settings(values, path), path),
        directives=Known((), path),
    )


def environment_file(
    values: Mapping[str, str | None] | Unknown,
    path: str = "/etc/default/ollama",
    *,
    optional: bool = False,
) -> EnvironmentFile:
    """A file that a unit takes variables from."""
    return EnvironmentFile(
        path=path,
        optional=optional,
        settings=(values if isinstance(values, Unknown) else Known(settings(values, path), path)),
    )


def unit(  # noqa: PLR0913 - one argument a difference
    name: str = "ollama.service",
    *,
    owner: str = "",
    active: bool = True,
    main_pid: int = PID,
    user: str = "ollama",
    files: tuple[UnitFile, ...] = (),
    env: Mapping[str, str | None] | None = None,
    environment_files: tuple[EnvironmentFile, ...] = (),
    need_daemon_reload: bool = False,
    properties: dict[str, str] | None = None,
    fragment: str = UNIT,
) -> SystemdUnit:
    """The unit that Ollama's install script writes, and its drop-ins."""
    first = UnitFile(
        path=fragment,
        settings=Known(settings({"PATH": "/usr/local/bin:/usr/bin"}, fragment), fragment),
        directives=Known((Setting(name="User", value=user, path=fragment, line=7),), fragment),
    )
    return SystemdUnit(
        name=name,
        owner=owner,
        load_state="loaded",
        active_state="active" if active else "inactive",
        unit_file_state="enabled",
        main_pid=main_pid if active else 0,
        user=user,
        group=user,
        files=(first, *files),
        environment=settings({"PATH": "/usr/local/bin:/usr/bin", **(env or {})}),
        environment_files=environment_files,
        need_daemon_reload=need_daemon_reload,
        executable=BINARY,
        properties=NO_SANDBOX if properties is None else properties,
    )


def units(*found: SystemdUnit) -> Known[tuple[SystemdUnit, ...]]:
    """What the service managers know."""
    return Known(found, "systemctl show")


def stat(  # noqa: PLR0913 - one argument a difference
    kind: FileKind = FileKind.FILE,
    mode: int = 0o644,
    *,
    user: str = "root",
    group: str = "",
    members: tuple[str, ...] = (),
    acl: Observed[bool] | bool = False,
    target: str = "",
) -> Stat:
    """Owner and mode; root is 0, `ollama` is the service's, anybody else a user of the host."""
    numbers = {"root": 0, "ollama": UID, "bob": 1001}
    group = group or user
    return Stat(
        kind=kind,
        uid=numbers.get(user, 1000),
        user=user,
        gid=numbers.get(group, 1000),
        group=group,
        group_members=members,
        mode=mode,
        acl=Known(acl, "listxattr") if isinstance(acl, bool) else acl,
        target=target,
    )


def folder(mode: int = 0o755, **owner: object) -> Stat:
    """A folder."""
    return stat(FileKind.FOLDER, mode, **owner)  # type: ignore[arg-type]


def link(target: str) -> Stat:
    """A symbolic link."""
    return stat(FileKind.LINK, 0o777, target=target)


MISSING = stat(FileKind.MISSING, 0)

INSTALLED: dict[str, tuple[FileRole, Stat]] = {
    "/": (FileRole.ANCESTOR, folder()),
    "/etc": (FileRole.ANCESTOR, folder()),
    "/etc/systemd": (FileRole.ANCESTOR, folder()),
    "/etc/systemd/system": (FileRole.ANCESTOR, folder()),
    UNIT: (FileRole.UNIT, stat()),
    "/usr": (FileRole.ANCESTOR, folder()),
    "/usr/bin": (FileRole.PATH_FOLDER, folder()),
    "/usr/local": (FileRole.ANCESTOR, folder()),
    "/usr/local/bin": (FileRole.PATH_FOLDER, folder()),
    BINARY: (FileRole.BINARY, stat(mode=0o755)),
    "/usr/share": (FileRole.ANCESTOR, folder()),
    "/usr/share/ollama": (FileRole.ANCESTOR, folder(user="ollama", members=("alice",))),
    "/usr/share/ollama/.ollama": (FileRole.STATE, folder(user="ollama", members=("alice",))),
    MODELS: (FileRole.MODELS, folder(user="ollama", members=("alice",))),
    KEY: (FileRole.PRIVATE_KEY, stat(mode=0o600, user="ollama", members=("alice",))),
}
"""Files as the install script and the first start leave them; alice ran the script."""


def files(
    changes: Mapping[str, tuple[FileRole, Stat] | tuple[FileRole, Unknown]] | None = None,
    *,
    without: Iterable[str] = (),
) -> tuple[FileFact, ...]:
    """The installed files with these added or in their place."""
    merged: dict[str, tuple[FileRole, Stat] | tuple[FileRole, Unknown]] = {
        **INSTALLED,
        **(changes or {}),
    }
    return tuple(
        FileFact(
            path=path,
            role=role,
            stat=found if isinstance(found, Unknown) else Known(found, f"lstat {path}"),
        )
        for path, (role, found) in merged.items()
        if path not in set(without)
    )


Reach = Extent | tuple[Extent, Extent] | tuple[ZoneReach, ...]
"""Of one zone: in both families, in IPv4 and IPv6, or as it stands."""

_NETWORKS = {
    (Zone.HOST, Family.IPV4): ("127.0.0.0/8",),
    (Zone.HOST, Family.IPV6): ("::1/128",),
    (Zone.CONTAINER, Family.IPV4): ("172.17.0.0/16",),
    (Zone.CONTAINER, Family.IPV6): ("fd00:17::/64",),
    (Zone.LAN, Family.IPV4): ("192.168.1.0/24",),
    (Zone.LAN, Family.IPV6): ("2001:db8:1::/64",),
    (Zone.VPN, Family.IPV4): ("100.64.0.0/10",),
    (Zone.VPN, Family.IPV6): ("fd7a:115c:a1e0::/48",),
    (Zone.INTERNET, Family.IPV4): ("0.0.0.0/0",),
    (Zone.INTERNET, Family.IPV6): ("::/0",),
}


def part(  # noqa: PLR0913 - one argument a difference
    zone: Zone,
    family: Family,
    extent: Extent,
    *,
    networks: tuple[str, ...] | None = None,
    uncertain: tuple[str, ...] | None = None,
    because: tuple[str, ...] = ("ufw rule 1",),
    cure: str = "",
) -> ZoneReach:
    """Who of one zone gets to an endpoint in one family."""
    every = _NETWORKS[zone, family]
    if networks is None:
        networks = every if extent in (Extent.ALL, Extent.SOME) else ()
    if uncertain is None:
        uncertain = every if extent is Extent.UNKNOWN else ()
    return ZoneReach(
        zone=zone,
        family=family,
        extent=extent,
        networks=networks,
        uncertain=uncertain,
        interfaces=("eth0",),
        because=because,
        cure=cure,
    )


def endpoint(  # noqa: PLR0913 - one argument a difference
    at: str = "0.0.0.0:11434",
    *,
    login: Login = Login.NONE,
    certain: bool = True,
    hops: tuple[Hop, ...] | None = None,
    namespace: int = HOST_NAMESPACE,
    server: int = PID,
    container: Reach = Extent.NONE,
    lan: Reach = Extent.NONE,
    vpn: Reach = Extent.ABSENT,
    internet: Reach = Extent.NONE,
    host_check: BrowserCheck | None = None,
    origin_check: BrowserCheck = BrowserCheck.ENFORCED,
) -> Endpoint:
    """A way to Ollama that the host itself always has, and these zones.

    It looks at the Host header as Ollama does: on loopback.
    """
    address, _, port = at.rpartition(":")
    near = BrowserCheck.ENFORCED if address.startswith("127.") else BrowserCheck.NONE
    zones: dict[Zone, Reach] = {
        Zone.HOST: Extent.ALL,
        Zone.CONTAINER: container,
        Zone.LAN: lan,
        Zone.VPN: vpn,
        Zone.INTERNET: internet,
    }
    return Endpoint(
        id=at,
        address=address.strip("[]"),
        port=int(port),
        families=(Family.IPV4, Family.IPV6),
        namespace=namespace,
        server=server,
        hops=hops or (Hop(kind="socket", name="ollama", pid=PID),),
        login=login,
        tls=Encryption.PLAIN,
        reach=tuple(each for zone, given in zones.items() for each in _reach(zone, given)),
        certain=certain,
        host_check=host_check or near,
        origin_check=origin_check,
    )


def _reach(zone: Zone, given: Reach) -> tuple[ZoneReach, ...]:
    pair: tuple[Extent | ZoneReach, ...] = (given, given) if isinstance(given, Extent) else given
    return tuple(
        part(zone, family, each) if isinstance(each, Extent) else each
        for family, each in zip(Family, pair, strict=False)
    )


LOOPBACK = endpoint("127.0.0.1:11434")


def packet_filter(
    family: Family,
    *,
    active: Observed[bool] | bool = True,
    default_deny: Observed[bool] | bool = True,
    owners: tuple[str, ...] = ("ufw",),
    namespace: int = HOST_NAMESPACE,
) -> PacketFilter:
    """What a packet filter does in one family; ufw that denies by default."""
    return PacketFilter(
        namespace=namespace,
        family=family,
        active=Known(active, "nf_tables") if isinstance(active, bool) else active,
        default_deny=(
            Known(default_deny, "nf_tables") if isinstance(default_deny, bool) else default_deny
        ),
        owners=owners,
        because=("chain INPUT policy drop",) if default_deny is True else (),
    )


def filters(
    *, active: Observed[bool] | bool = True, default_deny: Observed[bool] | bool = True
) -> tuple[PacketFilter, ...]:
    """The same filter in both families."""
    return tuple(
        packet_filter(family, active=active, default_deny=default_deny) for family in Family
    )


def exposure(
    *endpoints: Endpoint,
    gaps: tuple[Gap, ...] = (),
    filtering: tuple[PacketFilter, ...] | None = None,
) -> Exposure:
    """Every way to Ollama."""
    return Exposure(
        endpoints=endpoints, gaps=gaps, filters=filters() if filtering is None else filtering
    )


GAP = Gap(subject="the packet filter", reason="only root may read it", cure="sudo ollama-audit")


def host(  # noqa: PLR0913 - one argument a difference
    *,
    servers: Observed[tuple[OllamaServer, ...]] | None = None,
    unseen: Observed[int] | int = 0,
    namespaces: Observed[tuple[NetworkNamespace, ...]] | None = None,
    processes: tuple[Process, ...] = (),
    units: Observed[tuple[SystemdUnit, ...]] | None = None,
    files: tuple[FileFact, ...] | None = None,
    exposure: Exposure | None = None,
    init: InitSystem = InitSystem.SYSTEMD,
    system: str = "Linux",
    container: str = "",
    environment_sources: tuple[Setting, ...] = (),
    root: bool = True,
    installed: bool = True,
    engines: tuple[ContainerEngine, ...] = (),
) -> Host:
    """A Debian host with Ollama as installed, changed in what is given."""
    snapshot = HostSnapshot(
        tool_version="0",
        started_at=NOW,
        platform=Platform(
            system=system,
            hostname="neo",
            distribution="debian",
            distribution_version="12",
            name="Debian GNU/Linux 12 (bookworm)",
            kernel="6.1.0-40-amd64",
            machine="x86_64",
            init=init,
            container=Known(container, "/run/systemd/container"),
            hypervisor=Known("", "systemd-detect-virt"),
        ),
        privileges=Privileges(
            uid=0 if root else 1000,
            user="root" if root else "alice",
            capabilities=frozenset({"cap_sys_ptrace", "cap_net_admin"} if root else ()),
        ),
        servers=servers or Known((server(),), "/proc"),
        unseen_processes=Known(unseen, "/proc") if isinstance(unseen, int) else unseen,
        installations=(Installation(path=BINARY, kind="binary"),) if installed else (),
        namespaces=namespaces or Known((namespace("127.0.0.1:11434"),), "/proc/*/ns/net"),
        processes=processes,
        units=units or Known((unit(),), "systemctl show"),
        environment_sources=environment_sources,
        engines=engines,
        files=_installed if files is None else files,
    )
    return Host(snapshot=snapshot, exposure=exposure or _closed)


_installed = files()
_closed = exposure(LOOPBACK)
