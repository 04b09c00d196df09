"""What all tunnels have in common: chains, names, doubts, and what is said of them."""

from __future__ import annotations

from ipaddress import ip_address

import msgspec
import pytest
from msgspec.structs import replace

from ollama_audit.exposure.assess import assess
from ollama_audit.exposure.command_line import command_line
from ollama_audit.exposure.forwarders.document import document
from ollama_audit.exposure.model import Exposure
from ollama_audit.exposure.path import answer
from ollama_audit.exposure.tunnels.tunnel import elsewhere, host_port, target
from ollama_audit.observed import Known
from ollama_audit.outcome import Severity, Status
from ollama_audit.reachability import reachable_from
from ollama_audit.render.reach import zones
from ollama_audit.render.text import Style
from ollama_audit.rule import Host, Zone
from ollama_audit.snapshot.configuration import Configuration
from ollama_audit.snapshot.container import Container, ContainerEngine, ContainerNetwork
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process
from ollama_audit.verdict import Stance, judge
from tests.exposure.networked import default, link, space
from tests.exposure.proxied import PROXY, configured
from tests.exposure.tunnelled import LOOPBACK, told, tunnels, with_tunnel, word
from tests.hosts import host, in_container, listener, namespaces, process, server, servers
from tests.reports import finding, report

QUICK = "cloudflared tunnel --url http://localhost:{port} --http-host-header localhost"
NGINX = """
events {}
http { server { listen 127.0.0.1:8080; location / { %s proxy_pass http://127.0.0.1:%d; } } }
"""


def nginx(login: str, port: int = 11434) -> tuple[Process, Configuration]:
    return (
        process(PROXY, name="nginx", executable="/usr/sbin/nginx"),
        configured("nginx", {"/etc/nginx/nginx.conf": NGINX % (login, port)}),
    )


def chained(login: str, port: int = 11434) -> HostSnapshot:
    client = told("cloudflared", QUICK.format(port=8080))
    behind = listener("127.0.0.1:8080", owners=PROXY, uid=33)
    return with_tunnel(client, LOOPBACK, behind, more=(nginx(login, port),))


def test_a_tunnel_to_a_proxy_that_leads_to_ollama() -> None:
    (found,) = tunnels(chained(""))
    assert word(found) == "internet all none"
    assert [hop.kind for hop in found.hops] == ["tunnel", "reverse-proxy", "socket"]


def test_a_login_of_the_proxy_is_one_of_the_tunnel() -> None:
    (found,) = tunnels(chained("auth_basic x; auth_basic_user_file /etc/nginx/p;"))
    assert word(found) == "internet all required"


def test_a_foreign_host_is_refused_behind_a_proxy_that_passes_it_on() -> None:
    kept = "proxy_set_header Host $host;"
    client = told("cloudflared", "cloudflared tunnel --url http://localhost:8080")
    behind = listener("127.0.0.1:8080", owners=PROXY, uid=33)
    assert tunnels(with_tunnel(client, LOOPBACK, behind, more=(nginx(kept),))) == []
    # What nginx sends by itself is the name in proxy_pass.
    (found,) = tunnels(with_tunnel(client, LOOPBACK, behind, more=(nginx(""),)))
    assert word(found) == "internet all none"


def test_a_proxy_that_leads_to_itself_ends() -> None:
    assert tunnels(chained("", port=8080)) == []


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://ai-box:11434", 0),  # 127.0.1.1, where nobody listens
        ("http://gpu.example.com:11434", 1),  # perhaps this host
        ("http://gpu.example.com:3000", 0),  # nothing here listens there
        ("http://0.0.0.0:11434", 1),
        ("http://[::]:11434", 0),
        ("http://192.0.2.77:11434", 0),  # another machine
    ],
)
def test_names_and_addresses(url: str, found: int) -> None:
    line = f"cloudflared tunnel --url {url} --http-host-header localhost"
    assert len(tunnels(with_tunnel(told("cloudflared", line)))) == found


def test_without_ollama_there_is_nothing_to_lead_to() -> None:
    snapshot = with_tunnel(told("cloudflared", "cloudflared tunnel run --token ***"))
    assert len(tunnels(snapshot)) == 1
    assert tunnels(replace(snapshot, servers=servers())) == []


def test_two_of_a_kind_have_two_names() -> None:
    first, second = (told("cloudflared", "cloudflared tunnel run --token ***") for _ in range(2))
    other = (replace(second[0], pid=61), replace(second[1], pid=61, pids=(61,)))
    found = tunnels(with_tunnel(first, LOOPBACK, more=(other,)))
    assert [each.id for each in found] == ["cloudflared tunnel", "cloudflared tunnel (2)"]


def test_changed_files_are_not_believed() -> None:
    text = "tunnel: w\ningress: [{service: 'http_status:404'}]\n"
    running, found = told("cloudflared", "cloudflared tunnel run", {"/c.yml": text})
    later = replace(found, loaded_at=Known(found.files[0].changed_at.replace(year=2025), "/proc"))  # type: ignore[union-attr]
    assert tunnels(with_tunnel((running, found))) == []
    (doubt,) = tunnels(with_tunnel((running, later)))
    assert "/c.yml changed after" in doubt.reach[0].because[0]


def verdict_of(exposure: Exposure) -> tuple[Stance, str, tuple[str, ...], str]:
    whole = replace(
        report(finding("a"), endpoints=exposure.endpoints), beyond_host=exposure.beyond_host
    )
    said = judge(whole)
    return said.stance, said.sentence, said.path, said.cure


def test_what_is_said_of_an_open_tunnel() -> None:
    running = {"quicktunnel": {"hostname": "sunny.trycloudflare.com"}, "config": {}}
    client = told("cloudflared", QUICK.format(port=11434), running=running)
    stance, sentence, path, _ = verdict_of(assess(with_tunnel(client)))
    assert stance is Stance.EXPOSED
    assert sentence.startswith("Anyone on the internet can use, replace or delete your models")
    assert path == (
        "https://sunny.trycloudflare.com (IPv4+IPv6)",
        "cloudflared to localhost:11434",
        "past every firewall of this host",
        "no login",
    )


def test_what_is_said_of_a_tunnel_that_only_its_provider_knows() -> None:
    client = told("cloudflared", "cloudflared tunnel run --token ***")
    exposure = assess(with_tunnel(client))
    stance, sentence, _, cure = verdict_of(exposure)
    assert stance is Stance.UNCLEAR
    assert "cloudflared tunnel may lead to Ollama" in sentence
    assert "anyone on the internet can connect could not be told" in sentence
    assert "configured at Cloudflare" in sentence
    assert "dashboard" in cure


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (QUICK.format(port=11434), Status.FAIL),
        ("cloudflared tunnel run --token ***", Status.UNKNOWN),
        ("cloudflared tunnel run", Status.PASS),
    ],
)
def test_the_rule_of_the_internet(line: str, status: Status) -> None:
    snapshot = with_tunnel(told("cloudflared", line))
    host = Host(snapshot=snapshot, exposure=assess(snapshot))
    found = reachable_from(host.snapshot, host.exposure, Zone.INTERNET, Severity.CRITICAL)
    assert found.status is status


def test_tables_and_answers_cope_with_what_has_no_address() -> None:
    snapshot = with_tunnel(told("cloudflared", QUICK.format(port=11434)))
    exposure = assess(snapshot)
    table = zones(exposure, Style(width=100))
    assert "cloudflared quick tunnel to localhost" in table
    assert "a quick tunnel lets in whoever has its name" in table
    answers = answer(snapshot, (ip_address("127.0.0.1"),), ()).answers
    assert [(each.to, each.port) for each in answers] == [("127.0.0.1", 11434)]
    assert msgspec.json.decode(msgspec.json.encode(exposure), type=Exposure) == exposure


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("11434", ("localhost", 11434)),
        (":11434", ("localhost", 11434)),
        ("127.0.0.1:11434", ("127.0.0.1", 11434)),
        ("[::1]:11434", ("::1", 11434)),
        ("::1", ("::1", 80)),
        ("ollama", ("ollama", 80)),
        ("http://ollama", ("ollama", 80)),
        ("https://a:b@ollama/x", ("ollama", 443)),
        ("https+insecure://[::1]:8443", ("::1", 8443)),
        ("tcp://ollama:11434", ("ollama", 11434)),
    ],
)
def test_places(text: str, expected: tuple[str, int]) -> None:
    assert target(text, 80) == expected


@pytest.mark.parametrize("text", ["", "a:b", "a:0", "a:70000", "http://[::1"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(ValueError, match="port"):
        host_port(text)


def test_command_lines() -> None:
    line = command_line(["-a", "1", "--b=2", "word", "--c", "--d", "3", "--e", "--", "-x"], "c")
    assert (line.value("a"), line.value("b"), line.value("d")) == ("1", "2", "3")
    assert (line.has("c"), line.has("e"), line.has("f")) == (True, True, False)
    assert line.words == ("word",)
    assert command_line(["--c", "--", "-x"], "c").words == ("-x",)
    assert not command_line(["--c=false"], {"c"}).has("c")


@pytest.mark.parametrize(
    ("server", "zone"),
    [
        ("192.168.1.5", Zone.LAN),
        ("fd00::1", Zone.LAN),
        ("203.0.113.9", Zone.INTERNET),
        ("frp.example.com", Zone.INTERNET),
    ],
)
def test_where_the_far_end_is(server: str, zone: Zone) -> None:
    assert elsewhere(server) is zone


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.toml", "x = "),
        ("a.json", "{"),
        ("a.yml", "a: *b"),
        ("a.yml", "a: [1"),
        ("a.yml", "!!python/name:os.system x"),
        ("a.yml", "a: b\n" * (1 << 18)),
        ("a.json", "[" * 100_000),
        ("a.yml", "[" * 2000),
    ],
)
def test_what_is_no_document(path: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        document(path, text)


def inside(inode: int, peer: int, own: str, *listening: Listener) -> NetworkNamespace:
    """The network of a container on the host's bridge."""
    eth0 = replace(link(own, name="eth0", kind="veth"), parent=peer)
    found = space(eth0, routes=(default("172.18.0.1"),))
    return replace(found, inode=inode, host=False, listeners=Known(listening, "sock_diag"))


@pytest.mark.parametrize("port", [11434, 3000])
def test_a_container_beside_ollamas_own_by_the_name_that_compose_gives_it(port: int) -> None:
    ollama = server(in_container(2001, namespace=21))
    text = f"tunnel: w\ningress: [{{hostname: a.b, service: 'http://ollama:{port}'}}]\n"
    running, found = told("cloudflared", "cloudflared tunnel run", {"/c.yml": text})
    client = replace(running, container="c2", network_namespace=Known(22, "ns"))
    bridge = link("172.18.0.1/16", index=4, name="br-0123456789ab", kind="bridge")
    ports = [
        replace(link(index=n, name=f"veth{n}", kind="veth"), parent=2, master=4) for n in (11, 12)
    ]
    service = {"com.docker.compose.service": "ollama"}
    containers = [
        Container(
            id=name,
            name=name,
            running=True,
            state="running",
            network_namespace=inode,
            networks=(ContainerNetwork(name="ai_default", driver="bridge", addresses=(own,)),),
            labels=labels,
        )
        for name, inode, own, labels in (
            ("6f1e", 21, "172.18.0.2", service),
            ("c2", 22, "172.18.0.3", {}),
        )
    ]
    engine = ContainerEngine(name="docker", source="x", containers=Known(tuple(containers), "x"))
    snapshot = replace(
        host(
            namespaces=namespaces(
                space(bridge, *ports, routes=(), listening="127.0.0.1:1"),
                inside(21, 11, "172.18.0.2/16", listener("0.0.0.0:11434", owners=2001)),
                inside(22, 12, "172.18.0.3/16"),
            ),
            processes=(client,),
            servers=servers(ollama),
        ).snapshot,
        configurations=(found,),
        engines=(engine,),
    )
    ways = {each.id: word(each) for each in tunnels(snapshot)}
    assert ways == ({"https://a.b": "internet unknown unknown"} if port == 11434 else {})
    assert all(each.certain for each in tunnels(snapshot))
