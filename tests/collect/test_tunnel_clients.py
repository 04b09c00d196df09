"""What the client of a tunnel was told, from its files and from what it says on loopback."""

from __future__ import annotations

import base64
import json
import os
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ollama_audit.collect.configurations import read_configurations, start
from ollama_audit.collect.rooted import Rooted
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.configuration import Configuration
from ollama_audit.snapshot.process import Process
from tests.hosts import listener, namespace, process

SECRET = "s3cr3t-Value"
Answers = Mapping[str, object]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file system of its own."""

    def begin(self: Rooted, _: Process, *, ours: bool = False) -> None:
        del ours
        self._root = str(tmp_path)

    monkeypatch.setattr(Rooted, "__init__", begin)
    return tmp_path


@pytest.fixture
def serve() -> Iterator[Callable[[Answers], int]]:
    """Starts a server on loopback with these JSON documents; its port."""
    running: list[ThreadingHTTPServer] = []

    def begin(answers: Answers) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = answers.get(self.path)
                self.send_response(200 if found is not None else 404)
                self.end_headers()
                self.wfile.write(json.dumps(found).encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        running.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_address[1]

    yield begin
    for server in running:
        server.shutdown()
        server.server_close()


def read(
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    variables: Mapping[str, str] | None = None,
    *,
    port: int = 0,
    probe: bool = True,
) -> Configuration:
    """What is read of a client, which is this very process under another name."""
    words, pairs = tuple(line.split()), tuple((variables or {}).items())
    monkeypatch.setattr(start, "raw_arguments", lambda _: Known(words, "/proc"))
    monkeypatch.setattr(start, "raw_environment", lambda _: Known(pairs, "/proc"))
    client = process(os.getpid(), name=Path(words[0]).name, executable=words[0], parent=0)
    sockets = [listener(f"127.0.0.1:{port}", owners=os.getpid())] if port else []
    (found,) = read_configurations([client], [namespace(*sockets)], probe=probe)
    return found


def put(root: Path, path: str, text: str) -> None:
    (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    (root / path.lstrip("/")).write_text(text)


@pytest.mark.parametrize(
    ("line", "variables", "path"),
    [
        ("cloudflared tunnel run", {"HOME": "/root"}, "/root/.cloudflared/config.yml"),
        ("cloudflared tunnel run", {}, "/etc/cloudflared/config.yaml"),
        ("cloudflared --config /srv/c.yml tunnel run", {}, "/srv/c.yml"),
        ("cloudflared tunnel run", {"TUNNEL_CONFIG": "/srv/c.yml"}, "/srv/c.yml"),
        ("ngrok start --all", {"HOME": "/home/ada"}, "/home/ada/.config/ngrok/ngrok.yml"),
        ("ngrok start --all", {"HOME": "/home/ada"}, "/home/ada/.ngrok2/ngrok.yml"),
        ("ngrok start --all --config /srv/n.yml", {"HOME": "/root"}, "/srv/n.yml"),
        ("frpc -c /etc/frp/frpc.yaml", {}, "/etc/frp/frpc.yaml"),
        ("frpc --config=/etc/frp/frpc.yaml", {}, "/etc/frp/frpc.yaml"),
        ("rathole --client /etc/rathole/client.yml", {}, "/etc/rathole/client.yml"),
    ],
)
def test_a_file_is_found_where_its_program_looks(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    variables: dict[str, str],
    path: str,
) -> None:
    put(root, path, f"authtoken: {SECRET}\ntunnels: {{}}\n")
    found = read(monkeypatch, line, variables)
    assert found.main == path
    assert found.files[0].text == Known('authtoken: "***"\ntunnels: {}\n', path)


@pytest.mark.usefixtures("root")
def test_no_file_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, "cloudflared tunnel --url http://localhost:11434").files == ()


@pytest.mark.usefixtures("root")
def test_a_file_that_is_named_and_missing_is_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(monkeypatch, "cloudflared --config /srv/c.yml tunnel run")
    assert isinstance(found.files[0].text, Unknown)


@pytest.mark.usefixtures("root")
def test_cloudflared_says_what_it_goes_by(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answers], int]
) -> None:
    port = serve(
        {
            "/config": {"version": 3, "config": {"ingress": [{"service": "http://localhost:80"}]}},
            "/quicktunnel": {"hostname": ""},
        }
    )
    found = read(monkeypatch, f"cloudflared tunnel run --token {SECRET}", port=port)
    assert isinstance(found.running, Known)
    told = json.loads(found.running.value)
    assert told["config"]["ingress"] == [{"service": "http://localhost:80"}]
    assert SECRET not in str(found)
    unasked = read(monkeypatch, "cloudflared tunnel run", port=port, probe=False)
    assert unasked.running is None


@pytest.mark.usefixtures("root")
def test_ngrok_says_which_addresses_it_was_given(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answers], int]
) -> None:
    tunnel = {
        "name": "command_line",
        "public_url": "https://1a.ngrok-free.app",
        "proto": "https",
        "config": {"addr": "http://localhost:11434"},
        "metrics": {"conns": {"count": 3}},
    }
    port = serve({"/api/tunnels": {"tunnels": [tunnel], "uri": "/api/tunnels"}})
    found = read(monkeypatch, "ngrok http 11434", port=port)
    assert isinstance(found.running, Known)
    kept = {name: tunnel[name] for name in ("name", "public_url", "proto", "config")}
    assert json.loads(found.running.value) == {"tunnels": [kept], "endpoints": []}


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("answers", [{}, {"/config": [1], "/quicktunnel": "x"}, {"/config": None}])
def test_an_odd_answer_says_nothing(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answers], int], answers: Answers
) -> None:
    found = read(monkeypatch, "cloudflared tunnel run", port=serve(answers))
    if isinstance(found.running, Known):
        assert json.loads(found.running.value)["config"] is None


SERVE = {"TCP": {"443": {"HTTPS": True}}}
LOCAL_API = {
    "/localapi/v0/serve-config": SERVE,
    "/localapi/v0/status?peers=false": {
        "BackendState": "Running",
        "TUN": True,
        "Self": {"DNSName": "box.tail1234.ts.net.", "PublicKey": SECRET},
        "User": {"1": {"LoginName": SECRET}},
    },
    "/localapi/v0/prefs": {"ShieldsUp": False, "Config": {"PrivateNodeKey": SECRET}},
}


class UnixServer(socketserver.ThreadingUnixStreamServer):
    """An HTTP server at a Unix socket that, as tailscaled, wants the name of its socket."""

    def get_request(self) -> tuple[object, object]:  # type: ignore[override]
        return super().get_request()[0], ("unix", 0)


@pytest.fixture
def local_api(root: Path) -> Iterator[Path]:
    """A LocalAPI at the usual place of a root."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Host"] == "local-tailscaled.sock" and self.path in LOCAL_API
            self.send_response(200 if known else 403)
            self.end_headers()
            self.wfile.write(json.dumps(LOCAL_API.get(self.path)).encode())

        def log_message(self, *_: object) -> None:
            pass

    path = root / "run/tailscale/tailscaled.sock"
    path.parent.mkdir(parents=True)
    with UnixServer(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield path
        server.shutdown()


@pytest.mark.usefixtures("local_api")
def test_tailscaled_says_what_it_serves_and_nothing_else_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = read(monkeypatch, "/usr/sbin/tailscaled --port=41641")
    assert isinstance(found.running, Known)
    assert json.loads(found.running.value) == {
        "serve": SERVE,
        "status": {
            "BackendState": "Running",
            "TUN": True,
            "Self": {"DNSName": "box.tail1234.ts.net.", "HostName": None, "TailscaleIPs": None},
        },
        "prefs": {"ShieldsUp": False},
    }


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


STATE = {
    "_machinekey": encoded(f"privkey:{SECRET}"),
    "_current-profile": encoded("profile-ab12"),
    "profile-ab12": encoded(json.dumps({"ShieldsUp": True, "Config": {"PrivateNodeKey": SECRET}})),
    "_serve/ab12": encoded(json.dumps(SERVE)),
    "_serve/cd34": encoded(json.dumps({"TCP": {"1": {"TCPForward": "x:1"}}})),
}


@pytest.mark.parametrize("options", ["", " --statedir=/srv", " --state=/srv/tailscaled.state"])
def test_what_tailscaled_has_written_serves_where_it_does_not_answer(
    root: Path, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    folder = "/srv" if options else "/var/lib/tailscale"
    put(root, f"{folder}/tailscaled.state", json.dumps(STATE))
    for probe in (True, False):
        found = read(monkeypatch, f"/usr/sbin/tailscaled{options}", probe=probe)
        assert isinstance(found.running, Known)
        assert json.loads(found.running.value) == {"serve": SERVE, "prefs": {"ShieldsUp": True}}
        assert SECRET not in str(found)


@pytest.mark.parametrize("state", ["", "{", "[]", '{"_current-profile": 1}', '{"_serve/": "e3s="}'])
def test_an_odd_state_is_unknown(root: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    put(root, "/var/lib/tailscale/tailscaled.state", state)
    assert isinstance(read(monkeypatch, "tailscaled", probe=False).running, Unknown)


def test_frp_includes_and_its_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = str(Path.cwd())
    put(root, f"{here}/frpc.ini", "[common]\nincludes = ./confd/*.ini\n")
    put(root, f"{here}/confd/a.ini", "[a]\nlocal_port = 11434\n")
    put(root, "/srv/frp/one.toml", f'auth.token = "{SECRET}"\n')
    put(root, "/srv/frp/two.toml", 'includes = ["/srv/more/*.toml"]\n')
    put(root, "/srv/more/three.toml", "x = 1\n")
    found = read(monkeypatch, "frpc")
    assert [file.path for file in found.files] == [f"{here}/frpc.ini", f"{here}/./confd/a.ini"]
    found = read(monkeypatch, "frpc --config_dir /srv/frp")
    assert [Path(file.path).name for file in found.files] == ["one.toml", "two.toml", "three.toml"]
    assert SECRET not in str(found)
    assert read(monkeypatch, "frpc tcp -l 11434 -r 1 -s a.b").files == ()


def test_ssh_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "/root/.ssh/config", "Include more.d/*\nHost a\n  RemoteForward 1 b:2\n")
    put(root, "/root/.ssh/more.d/c", "Host c\n")
    put(root, "/etc/ssh/ssh_config", "Host *\n")
    put(root, "/srv/config", "Host d\n")

    def paths(line: str) -> list[str]:
        return [file.path for file in read(monkeypatch, line, {"HOME": "/root"}).files]

    usual = ["/root/.ssh/config", "/etc/ssh/ssh_config", "/root/.ssh/more.d/c"]
    assert paths("ssh -N a") == usual
    assert paths("ssh -F /srv/config a") == ["/srv/config"]
    assert paths("ssh -F none a") == []
