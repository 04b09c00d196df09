"""Traefik's configurations, as its documentation has them, and who gets through them."""

from __future__ import annotations

import msgspec
import pytest

from ollama_audit.exposure.forwarders import Onward, onward
from ollama_audit.exposure.model import Encryption
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Known
from ollama_audit.snapshot import masking
from ollama_audit.snapshot.container import Container, ContainerEngine, ContainerNetwork
from ollama_audit.snapshot.host import HostSnapshot
from tests.exposure.proxied import PROXY, configured, verdict
from tests.hosts import HIDDEN, host, listener, namespace, namespaces, process

MAIN = "/etc/traefik/traefik.yml"
ROUTES = "/etc/traefik/routes/ollama.yml"
LAN = "192.168.1.7"
STATIC = """
entryPoints:
  web: {address: ":80"}
  websecure: {address: ":443"}
  local: {address: "127.0.0.1:8000"}
providers:
  file: {directory: /etc/traefik/routes}
"""
SERVICE = """
  services:
    ollama:
      loadBalancer:
        passHostHeader: false
        servers: [{url: "http://127.0.0.1:11434"}]
"""


def routes(router: str, middlewares: str = "", service: str = SERVICE) -> str:
    """A dynamic file with one router and its middlewares, each on lines of its own."""
    lines = "\n".join(f"      {line}" for line in router.splitlines())
    parts = "\n".join(f"    {line}" for line in middlewares.splitlines())
    below = f"  middlewares:\n{parts}\n" if middlewares else ""
    return f"http:\n  routers:\n    one:\n      service: ollama\n{lines}\n{below}{service}"


def through(
    files: dict[str, str],
    *,
    at: str = "[::]:80",
    arguments: tuple[str, ...] = ("traefik",),
    engines: tuple[ContainerEngine, ...] = (),
) -> tuple[Onward, ...]:
    """The steps of Traefik with these files; without any its arguments count."""
    own = listener(at, owners=PROXY)
    space = namespace("127.0.0.1:11434", own)
    program = msgspec.structs.replace(
        process(PROXY, name="traefik", executable="/usr/bin/traefik"),
        arguments=Known(arguments, "cmdline"),
    )
    masked = {path: masking.configuration("traefik", text) for path, text in files.items()}
    found = configured("traefik", masked)
    if arguments != ("traefik",):
        found = msgspec.structs.replace(found, main="")
    given = host(namespaces=namespaces(space), processes=(program,)).snapshot
    snapshot: HostSnapshot = msgspec.structs.replace(
        given, configurations=(found,), engines=engines
    )
    return onward(Terrain(snapshot), space, own, (PROXY,))


BASIC = 'auth:\n  basicAuth:\n    users: ["ada:$apr1$abcdefgh$abcdefghijklmnopqrstuv"]'
ALL = "rule: PathPrefix(`/`)"
TABLE = {
    "open": (routes(ALL), "open"),
    "login": (routes(f"{ALL}\nmiddlewares: [auth]", BASIC), "login"),
    "login by its full name": (routes(f"{ALL}\nmiddlewares: [auth@file]", BASIC), "login"),
    "login of another provider": (routes(f"{ALL}\nmiddlewares: [auth@consul]"), "doubt"),
    "a middleware that is not there": (routes(f"{ALL}\nmiddlewares: [auth]"), "shut"),
    "login in a chain": (
        routes(f"{ALL}\nmiddlewares: [all]", f"{BASIC}\nall:\n  chain:\n    middlewares: [auth]"),
        "login",
    ),
    "forward auth": (
        routes(f"{ALL}\nmiddlewares: [f]", 'f:\n  forwardAuth: {address: "http://10.0.0.1/"}'),
        "login",
    ),
    "a plug-in": (routes(f"{ALL}\nmiddlewares: [p]", "p:\n  plugin: {mine: {}}"), "doubt"),
    "nobody is allowed": (
        routes(f"{ALL}\nmiddlewares: [ip]", "ip:\n  ipAllowList: {sourceRange: [10.9.9.9/32]}"),
        "shut",
    ),
    "a name that Ollama refuses": (
        routes("rule: Host(`ai.example`)").replace("passHostHeader: false", ""),
        "shut",
    ),
    "a name that is not passed on": (routes("rule: Host(`ai.example`)"), "open"),
    "a name that is set": (
        routes(
            "rule: Host(`ai.example`)\nmiddlewares: [h]",
            "h:\n  headers:\n    customRequestHeaders: {Host: localhost}",
        ).replace("passHostHeader: false", ""),
        "open",
    ),
    "prefix taken off": (
        routes(
            "rule: PathPrefix(`/ollama`)\nmiddlewares: [s]",
            "s:\n  stripPrefix: {prefixes: [/ollama]}",
        ),
        "open",
    ),
    "prefix kept": (routes("rule: PathPrefix(`/ollama`)"), "shut"),
    "prefix replaced by a pattern": (
        routes(
            "rule: PathPrefix(`/o`)\nmiddlewares: [s]",
            's:\n  replacePathRegex: {regex: "^/o/(.*)", replacement: "/$1"}',
        ),
        "open",
    ),
    "one path": (routes("rule: Path(`/api/tags`) && Method(`GET`)"), "open"),
    "not that path": (routes("rule: PathPrefix(`/nothing`) || !PathPrefix(`/`)"), "shut"),
    "a key in a header": (
        routes("rule: PathPrefix(`/`) && Header(`X-Key`, `0123456789`)"),
        "login",
    ),
    "a word in a header": (routes("rule: PathPrefix(`/`) && Header(`X-Mine`, `yes`)"), "open"),
    "a matcher of the future": (routes("rule: PathPrefix(`/`) && Moon(`full`)"), "doubt"),
    "another entry point": (routes(f"{ALL}\nentryPoints: [local]"), "shut"),
    "encrypted connections only": (routes(f"{ALL}\ntls: {{}}"), "open"),
    "several servers": (
        routes(
            ALL,
            service=SERVICE.replace("ollama:", "base:")
            + "    ollama:\n      weighted:\n        services: [{name: base, weight: 1}]\n",
        ),
        "open",
    ),
    "no rule at all": (routes("rule: PathPrefix("), "doubt"),
    "a template": (routes(ALL) + "# {{ env `X` }}\n", "doubt"),
    "no YAML": ("http: [", "doubt"),
}


@pytest.mark.parametrize("name", TABLE)
def test_one_router(name: str) -> None:
    text, expected = TABLE[name]
    found = through({MAIN: STATIC, ROUTES: text})
    assert verdict(tuple(step for step in found if step.hosts != ("ai.example",))) == expected


def test_the_router_of_higher_priority_counts() -> None:
    def two(priority: int) -> str:
        return routes(f"{ALL}\nmiddlewares: [auth]", BASIC).replace(
            "    one:",
            f"    two:\n      {ALL}\n      service: ollama\n      priority: {priority}\n    one:",
        )

    assert verdict(through({MAIN: STATIC, ROUTES: two(1)})) == "login"
    assert verdict(through({MAIN: STATIC, ROUTES: two(1000)})) == "open"


def test_sources() -> None:
    middleware = "ip:\n  ipAllowList: {sourceRange: [192.168.1.0/24]}"
    found = through({MAIN: STATIC, ROUTES: routes(f"{ALL}\nmiddlewares: [ip]", middleware)})
    assert (verdict(found, LAN), verdict(found)) == ("open", "shut")
    found = through({MAIN: STATIC, ROUTES: routes("rule: ClientIP(`192.168.1.0/24`)")})
    assert (verdict(found, LAN), verdict(found)) == ("open", "shut")


def test_who_the_client_is_may_be_said_by_others() -> None:
    static = STATIC.replace('":80"}', '":80", proxyProtocol: {insecure: true}}')
    found = through({MAIN: static, ROUTES: routes("rule: ClientIP(`192.168.1.0/24`)")})
    assert verdict(found) == "doubt"


@pytest.mark.parametrize(
    ("at", "router", "expected"),
    [
        ("[::]:443", f"{ALL}\ntls: {{}}", Encryption.TLS),
        ("[::]:443", f"{ALL}\ntls: true", Encryption.TLS),
        ("[::]:443", ALL, Encryption.PLAIN),
        ("127.0.0.1:8000", ALL, Encryption.PLAIN),
    ],
)
def test_encryption(at: str, router: str, expected: Encryption) -> None:
    (step,) = through({MAIN: STATIC, ROUTES: routes(router)}, at=at)
    assert step.tls is expected


def test_client_certificates() -> None:
    wanted = "{clientAuth: {clientAuthType: RequireAndVerifyClientCert}}"
    text = routes(f"{ALL}\ntls: {{}}") + f"tls:\n  options:\n    default: {wanted}\n"
    assert verdict(through({MAIN: STATIC, ROUTES: text}, at="[::]:443")) == "login"


def test_a_redirection_answers_plain_connections() -> None:
    static = STATIC.replace(
        '":80"}', '":80", http: {redirections: {entryPoint: {to: websecure, scheme: https}}}}'
    )
    files = {MAIN: static, ROUTES: routes(ALL)}
    assert verdict(through(files)) == "shut"
    assert verdict(through(files, at="[::]:443")) == "open"


def test_middlewares_of_an_entry_point() -> None:
    static = STATIC.replace('":80"}', '":80", http: {middlewares: [auth@file]}}')
    assert verdict(through({MAIN: static, ROUTES: routes(ALL, BASIC)})) == "login"


def test_bytes_by_a_tcp_router() -> None:
    tcp = """
tcp:
  routers:
    raw: {rule: "HostSNI(`*`)", service: raw, entryPoints: [web], middlewares: [lan]}
  middlewares:
    lan: {ipAllowList: {sourceRange: [192.168.1.0/24]}}
  services:
    raw: {loadBalancer: {servers: [{address: "127.0.0.1:11434"}]}}
"""
    found = through({MAIN: STATIC, ROUTES: tcp})
    assert (verdict(found, LAN), verdict(found)) == ("open", "shut")


def test_toml() -> None:
    static = '[entryPoints.web]\naddress = ":80"\n[providers.file]\nfilename = "/x.toml"\n'
    dynamic = (
        '[http.routers.one]\nrule = "PathPrefix(`/`)"\nservice = "o"\nmiddlewares = ["a"]\n'
        '[http.middlewares.a.basicAuth]\nusersFile = "/x"\n'
        "[http.services.o.loadBalancer]\npassHostHeader = false\n"
        '[[http.services.o.loadBalancer.servers]]\nurl = "http://localhost:11434"\n'
    )
    found = through({"/etc/traefik/traefik.toml": static, "/x.toml": dynamic})
    assert verdict(found) == "login"


FLAGS = ("traefik", "--entryPoints.web.address=:80")
FILE = ("--providers.file.filename", "/etc/r.yml")


def test_arguments() -> None:
    files = {"/etc/r.yml": routes(ALL)}
    assert verdict(through(files, arguments=(*FLAGS, *FILE))) == "open"
    assert verdict(through(files, arguments=(*FLAGS, *FILE), at="[::]:81")) == "shut"


def labelled(**labels: str) -> tuple[ContainerEngine, ...]:
    container = Container(
        id="a" * 64,
        name="web",
        running=True,
        state="running",
        networks=(ContainerNetwork(name="bridge", addresses=("127.0.0.1",)),),
        labels={f"traefik.{name.replace('__', '.')}": value for name, value in labels.items()},
    )
    return (
        ContainerEngine(
            name="docker", source="docker.sock", containers=Known((container,), "docker.sock")
        ),
    )


PORT = {
    "http__services__web__loadbalancer__server__port": "11434",
    "http__services__web__loadbalancer__passhostheader": "false",
}
RULE = {"http__routers__web__rule": "PathPrefix(`/`)"}
LOGIN = {
    "http__routers__web__middlewares": "auth",
    "http__middlewares__auth__basicauth__users": "ada:***",
}


@pytest.mark.parametrize(
    ("labels", "options", "expected"),
    [
        ({**PORT, **RULE}, (), "open"),
        ({**PORT, **RULE, **LOGIN}, (), "login"),
        ({**PORT, **RULE, "enable": "false"}, (), "shut"),
        ({**PORT, **RULE}, ("--providers.docker.exposedByDefault=false",), "shut"),
        (
            {**PORT, **RULE, "enable": "true"},
            ("--providers.docker.exposedByDefault=false",),
            "open",
        ),
        (PORT, (), "open"),
        (PORT, ("--providers.kubernetesIngress",), "open"),
        ({"enable": "false"}, ("--providers.kubernetesIngress",), "doubt"),
    ],
)
def test_labels_of_containers(
    labels: dict[str, str], options: tuple[str, ...], expected: str
) -> None:
    arguments = (*FLAGS, "--providers.docker", *options)
    assert verdict(through({}, arguments=arguments, engines=labelled(**labels))) == expected


def test_containers_that_nobody_told_of() -> None:
    engine = ContainerEngine(name="docker", source="docker.sock", containers=HIDDEN)
    (step,) = through({}, arguments=(*FLAGS, "--providers.docker"), engines=(engine,))
    assert "labels of containers" in step.reason


def test_a_static_file_that_was_not_read() -> None:
    found = configured("traefik", {MAIN: ""})
    file = msgspec.structs.replace(found.files[0], text=HIDDEN)
    own = listener("[::]:80", owners=PROXY)
    space = namespace("127.0.0.1:11434", own)
    program = process(PROXY, name="traefik", executable="/usr/bin/traefik")
    given = host(namespaces=namespaces(space), processes=(program,)).snapshot
    found = msgspec.structs.replace(found, files=(file,))
    snapshot = msgspec.structs.replace(given, configurations=(found,))
    (step,) = onward(Terrain(snapshot), space, own, (PROXY,))
    assert HIDDEN.reason in step.reason
