"""Listeners whose configuration says one thing, or nothing, and whose answers settle it."""

from __future__ import annotations

from tests.lab.scenario import LOGIN, NOTHING, OPEN, OTHER, Port, Scenario
from tests.lab.scenarios.proxies import BASIC, PASS, nginx

PROXY = """\
import http.server, sys, urllib.error, urllib.request


class Proxy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        try:
            answer = urllib.request.urlopen(urllib.request.Request(
                f"http://127.0.0.1:11434{self.path}", body, method=self.command))
        except urllib.error.HTTPError as error:
            answer = error
        self.send_response(answer.status)
        self.end_headers()
        self.wfile.write(answer.read())

    do_POST = do_GET


http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Proxy).serve_forever()
"""
"""A program that nobody knows."""

CERTIFICATE = """
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ai.example.org \\
      -keyout /etc/nginx/key.pem -out /etc/nginx/cert.pem 2>/dev/null
"""
TLS = (
    "listen 443 ssl; listen [::]:443 ssl; "
    "ssl_certificate /etc/nginx/cert.pem; ssl_certificate_key /etc/nginx/key.pem;"
)

SCENARIOS = [
    Scenario(
        name="login-service-says-yes",
        about="nginx asks a login service that lets everybody in, so that no login is enforced",
        setup=nginx(
            f"auth_request /ask; location / {{ {PASS} }} "
            "location = /ask { internal; proxy_pass http://127.0.0.1:9091; }",
            around="server { listen 127.0.0.1:9091; location / { return 200; } }",
        ),
        ports=(80,),
        truth={"lan? -> lan?:80": OPEN},
    ),
    Scenario(
        name="login-bypassed-by-regex",
        about="nginx: the location with the login never wins against a regular expression",
        setup=nginx(f"location /api/ {{ {BASIC} {PASS} }} location ~ ^/(api|v1)/ {{ {PASS} }}"),
        ports=(80,),
        truth={"lan? -> lan?:80": OPEN},
        findings={"answers-to-any-host-name": "fail"},
    ),
    Scenario(
        name="login-not-reloaded",
        about="nginx whose file has a login since this minute, and which was not reloaded",
        setup=nginx(f"location / {{ {PASS} }}")
        + f"sleep 4; sed -i 's|location / {{|{BASIC} location / {{|' "
        "/etc/nginx/sites-available/ollama",
        ports=(80,),
        truth={"lan? -> lan?:80": OPEN},
    ),
    Scenario(
        name="login-but-not-for-loopback",
        about="nginx: this machine freely, everybody else with a login",
        setup=nginx(f"satisfy any; allow 127.0.0.1; deny all; {BASIC} location / {{ {PASS} }}"),
        ports=(80,),
        truth={"self4 -> lo4:80": OPEN, "lan? -> lan?:80": LOGIN},
    ),
    Scenario(
        name="unknown-proxy",
        about="a proxy in Python that nobody knows",
        setup=f"""
            cat >/opt/proxy.py <<'END'
{PROXY}
END
            systemd-run -q python3 /opt/proxy.py
            until_open 11434
            until_open 8080
        """,
        ports=(8080, 11434),
        truth={"lan4 -> lan4:8080": OPEN, "self4 -> lo4:8080": OPEN, "lan6 -> *:8080": NOTHING},
        findings={"answers-to-any-host-name": "fail", "allows-every-origin": "fail"},
    ),
    Scenario(
        name="own-names-only",
        about="nginx that answers to its own name, and to no other",
        setup=nginx(
            f"server_name ai.example.org; location / {{ {PASS} }}",
            around="server { listen 80 default_server; listen [::]:80 default_server; "
            "return 444; }",
        ),
        ports=(Port(number=80, host="ai.example.org"),),
        truth={"lan? -> lan?:80": OPEN},
        findings={"answers-to-any-host-name": "pass", "allows-every-origin": "pass"},
    ),
    Scenario(
        name="unknown-web-server",
        about="a web server in Python that has nothing to do with Ollama",
        setup="""
            mkdir /srv/files
            systemd-run -q python3 -m http.server 8080 --directory /srv/files
            until_open 8080
        """,
        ports=(8080, 11434),
        truth={"lan4 -> lan4:8080": OTHER, "self4 -> lo4:8080": OTHER},
        findings={"answers-to-any-host-name": "pass"},
    ),
    Scenario(
        name="tls-open",
        about="nginx with TLS and without a login",
        setup=CERTIFICATE
        + nginx(f"location / {{ {PASS} }}", listen=TLS).replace("until_open 80", "until_open 443"),
        ports=(Port(number=443, tls=True),),
        truth={"lan? -> lan?:443": OPEN},
    ),
    Scenario(
        name="tls-login-service-says-yes",
        about="the same with a login service that lets everybody in",
        setup=CERTIFICATE
        + nginx(
            f"auth_request /ask; location / {{ {PASS} }} "
            "location = /ask { internal; proxy_pass http://127.0.0.1:9091; }",
            listen=TLS,
            around="server { listen 127.0.0.1:9091; location / { return 200; } }",
        ).replace("until_open 80", "until_open 443"),
        ports=(Port(number=443, tls=True),),
        truth={"lan? -> lan?:443": OPEN},
    ),
]
