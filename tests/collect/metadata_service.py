"""A cloud's metadata service, run in a network namespace that owns 169.254.169.254.

    python metadata_service.py PROVIDER

Paths, headers and shapes are those of the providers' own documents; see collect/edge/metadata.py.
`slow` accepts and says nothing, `drip` sends a byte a tenth of a second, `endless` never stops.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "AQAEAHmf-token=="
MACS = "/latest/meta-data/network/interfaces/macs/"
MAC = "02:29:96:8f:6a:2d"

GOOGLE = [
    {
        "accessConfigs": [{"externalIp": "203.0.113.5", "type": "ONE_TO_ONE_NAT"}],
        "ip": "10.0.0.5",
        "mac": "42:01:0a:00:00:05",
        "network": "projects/123/networks/default",
    },
    {"accessConfigs": [{"externalIp": "", "type": "ONE_TO_ONE_NAT"}], "ip": "10.1.0.5"},
]
AZURE = [
    {
        "ipv4": {
            "ipAddress": [{"privateIpAddress": "10.0.0.5", "publicIpAddress": ""}],
            "subnet": [{"address": "10.0.0.0", "prefix": "24"}],
        },
        "ipv6": {"ipAddress": []},
        "macAddress": "000D3A328570",
    }
]
BALANCER = {
    "loadbalancer": {
        "publicIpAddresses": [
            {"frontendIpAddress": "203.0.113.5", "privateIpAddress": "10.0.0.5"},
            {"frontendIpAddress": "2001:db8::5", "privateIpAddress": "fd00::5"},
        ],
        "inboundRules": [
            {
                "frontendIpAddress": "203.0.113.6",
                "protocol": "tcp",
                "frontendPort": 80,
                "backendPort": 11434,
                "privateIpAddress": "10.0.0.5",
            }
        ],
        "outboundRules": [],
    }
}
DROPLET = {
    "droplet_id": 2756294,
    "interfaces": {
        "public": [
            {
                "ipv4": {"ip_address": "203.0.113.7", "netmask": "255.255.240.0"},
                "anchor_ipv4": {"ip_address": "10.17.0.5", "netmask": "255.255.0.0"},
                "type": "public",
            }
        ]
    },
    "reserved_ip": {"ipv4": {"ip_address": "203.0.113.9", "active": True}},
    "floating_ip": {"ipv4": {"active": False}},
}


def amazon(method: str, path: str, headers: Any) -> tuple[int, str]:
    if path == "/latest/api/token":
        lives = headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        return (200, TOKEN) if method == "PUT" and lives.isdigit() else (405, "")
    if headers.get("X-aws-ec2-metadata-token") != TOKEN:
        return 401, ""
    known = {
        MACS: f"{MAC}/\n02:29:96:8f:6a:2e/",
        f"{MACS}{MAC}/ipv4-associations/": "203.0.113.5\n203.0.113.6",
        f"{MACS}{MAC}/ipv4-associations/203.0.113.5": "10.0.0.5",
        f"{MACS}{MAC}/ipv4-associations/203.0.113.6": "10.0.0.6",
    }
    return (200, known[path]) if path in known else (404, "Not Found")


def google(_: str, path: str, headers: Any) -> tuple[int, str]:
    if headers.get("Metadata-Flavor") != "Google":
        return 403, ""
    if path == "/computeMetadata/v1/instance/network-interfaces/?recursive=true":
        return 200, json.dumps(GOOGLE)
    return 404, ""


def azure(_: str, path: str, headers: Any) -> tuple[int, str]:
    if headers.get("Metadata") != "true":
        return 400, ""
    if path == "/metadata/instance/network/interface?api-version=2021-02-01":
        return 200, json.dumps(AZURE)
    if path == "/metadata/loadbalancer?api-version=2020-10-01" and sys.argv[1] == "azure":
        return 200, json.dumps(BALANCER)
    return 400, ""


def plain(texts: dict[str, str]) -> Any:
    def answer(_: str, path: str, __: Any) -> tuple[int, str]:
        return (200, texts[path]) if path in texts else (404, "")

    return answer


PROVIDERS = {
    "amazon": amazon,
    "google": google,
    "azure": azure,
    "azure-alone": azure,
    "digitalocean": plain({"/metadata/v1.json": json.dumps(DROPLET)}),
    "hetzner": plain({"/hetzner/v1/metadata/public-ipv4": "203.0.113.5"}),
    "openstack": plain(
        {"/latest/meta-data/public-ipv4": "203.0.113.5", "/latest/meta-data/local-ipv4": "10.0.0.5"}
    ),
    "private": plain({"/latest/meta-data/local-ipv4": "10.0.0.5"}),
    "nonsense": plain(
        {"/latest/meta-data/public-ipv4": "<html>", "/latest/meta-data/local-ipv4": "x"}
    ),
}


class Handler(BaseHTTPRequestHandler):
    def answer(self) -> None:
        mode = sys.argv[1]
        if mode == "slow":
            time.sleep(30)
        if mode in {"drip", "endless"}:
            piece = b"H" if mode == "drip" else b"H" * 65536
            if mode == "endless":
                self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
            while True:
                self.wfile.write(piece)
                if mode == "drip":
                    time.sleep(0.1)
        status, text = PROVIDERS[mode](self.command, self.path, self.headers)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_PUT = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("169.254.169.254", 80), Handler)
    server.daemon_threads = True
    server.serve_forever()
