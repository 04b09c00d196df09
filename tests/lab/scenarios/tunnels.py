"""Ollama on loopback, and the client of a tunnel beside it.

No such client is packaged for these hosts, and none would find its server from here. What runs is
a Python interpreter under the name of the client, with its arguments and files; where a client
says on loopback what it does, the script that it runs answers as the client's source does. So these
hosts show that the clients are found, read, asked and followed; what packets can show is that they
open no port.
"""

from __future__ import annotations

from tests.lab.scenario import NOTHING, OPEN, Scenario

STAND_IN = """
    stand_in() {  # NAME SCRIPT: an executable NAME that runs the script SCRIPT in /srv/NAME
      install -d "/srv/$1"; cp -L /usr/bin/python3 "/usr/local/bin/$1"
      { cat; echo 'import time; time.sleep(1e6)'; } >"/srv/$1/$2"
    }
    start() { systemd-run -q -p WorkingDirectory="/srv/$1" -E HOME=/root "/usr/local/bin/$@"; }
    until_open 11434
"""
ANSWERING = """
import http.server, json, os, socketserver, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.path in ANSWERS and HOST in {"", self.headers["Host"]}
        self.send_response(200 if known else 403); self.end_headers()
        self.wfile.write(json.dumps(ANSWERS.get(self.path)).encode())
    def log_message(self, *_): pass
"""
AS_INSTALLED = {"self4 -> lo4:11434": OPEN, "lan? -> *": NOTHING, "internet? -> *": NOTHING}


def tunnel(name: str, about: str, setup: str, findings: dict[str, str]) -> Scenario:
    """A client of a tunnel, the server as installed."""
    return Scenario(
        name=f"tunnel-{name}",
        about=about,
        setup=STAND_IN + setup,
        truth=AS_INSTALLED,
        findings=findings,
    )


EXPOSED = {"reachable-from-internet": "fail", "tunnel-without-login": "fail"}
UNSURE = {"reachable-from-internet": "unknown", "tunnel-without-login": "fail"}
HIDDEN = {"reachable-from-internet": "unknown", "tunnel-without-login": "unknown"}
CLOSED = {"reachable-from-internet": "pass", "tunnel-without-login": "not_applicable"}

SCENARIOS = [
    tunnel(
        "cloudflared-quick",
        "cloudflared tunnel --url with Ollama's own advice on the Host header",
        f"""
            stand_in cloudflared tunnel <<'END'
HOST, ANSWERS = "", {{"/quicktunnel": {{"hostname": "sunny-day.trycloudflare.com"}}}}
{ANSWERING}
server = http.server.ThreadingHTTPServer(("127.0.0.1", 20241), Handler)
threading.Thread(target=server.serve_forever).start()
END
            start cloudflared tunnel --url http://localhost:11434 \\
              --http-host-header localhost:11434
            until_open 20241
        """,
        EXPOSED,
    ),
    tunnel(
        "cloudflared-foreign-host",
        "the same without it: Ollama answers a foreign Host header with 403",
        """
            stand_in cloudflared tunnel </dev/null
            start cloudflared tunnel --url http://localhost:11434
        """,
        CLOSED,
    ),
    tunnel(
        "cloudflared-token",
        "a tunnel whose configuration Cloudflare keeps",
        """
            stand_in cloudflared tunnel </dev/null
            start cloudflared tunnel run --token eyJhIjoiZm9vYmFyYmF6In0
        """,
        HIDDEN,
    ),
    tunnel(
        "ngrok-file",
        "ngrok start by its file, with a password at its edge",
        """
            stand_in ngrok start </dev/null
            install -d /root/.config/ngrok
            cat >/root/.config/ngrok/ngrok.yml <<'END'
version: 2
authtoken: 4nq9771bPxe8ctg7LKr_2ClH7Y15Zqe4bWLWF9p
tunnels:
  ollama:
    proto: http
    addr: 11434
    host_header: rewrite
    basic_auth: ["ada:correct horse"]
END
            start ngrok start ollama
        """,
        {"reachable-from-internet": "pass", "tunnel-without-login": "pass"},
    ),
    tunnel(
        "tailscale-funnel",
        "tailscaled with a funnel, as its LocalAPI says",
        f"""
            stand_in tailscaled serve <<'END'
NODE = "box.tail1234.ts.net"
HOST, ANSWERS = "local-tailscaled.sock", {{
    "/localapi/v0/serve-config": {{
        "TCP": {{"443": {{"HTTPS": True}}}},
        "Web": {{NODE + ":443": {{"Handlers": {{"/": {{"Proxy": "http://127.0.0.1:11434"}}}}}}}},
        "AllowFunnel": {{NODE + ":443": True}},
    }},
    "/localapi/v0/status?peers=false": {{
        "BackendState": "Running", "TUN": True, "Self": {{"DNSName": NODE + "."}}
    }},
    "/localapi/v0/prefs": {{"ShieldsUp": False}},
}}
{ANSWERING}
class Server(socketserver.ThreadingUnixStreamServer):
    def get_request(self):
        return super().get_request()[0], ("unix", 0)
os.makedirs("/run/tailscale", exist_ok=True)
server = Server("/run/tailscale/tailscaled.sock", Handler)
threading.Thread(target=server.serve_forever).start()
END
            start tailscaled serve
            until test -S /run/tailscale/tailscaled.sock; do sleep 0.1; done
        """,
        EXPOSED,
    ),
    tunnel(
        "frp",
        "frpc by its file: who gets to its server is decided there",
        """
            stand_in frpc frpc </dev/null  # and one that its interpreter runs by name
            printf '#!/usr/bin/python3\nimport time; time.sleep(1e6)\n' >/usr/local/bin/frpc
            install -d /etc/frp
            cat >/etc/frp/frpc.toml <<'END'
serverAddr = "203.0.113.50"
auth.token = "correct horse"
[[proxies]]
name = "ollama"
type = "tcp"
localPort = 11434
remotePort = 6001
END
            start frpc -c /etc/frp/frpc.toml
        """,
        UNSURE,
    ),
    tunnel(
        "to-a-proxy",
        "bore to an nginx that asks for a password",
        """
            stand_in bore local </dev/null
            cat >/etc/nginx/sites-enabled/default <<'END'
server {
  listen 127.0.0.1:8080;
  location / {
    auth_basic ollama; auth_basic_user_file /etc/nginx/passwords;
    proxy_pass http://127.0.0.1:11434;
  }
}
END
            htpasswd -bc /etc/nginx/passwords ada secret; systemctl start nginx; until_open 8080
            start bore local 8080 --to bore.pub
        """,
        {"reachable-from-internet": "pass", "tunnel-without-login": "pass"},
    ),
]
