"""An Internet Gateway Device with odd answers, run in a router's network namespace.

    python igd.py MODE [NETWORK]

`MODE` is one of those of `Odd`, or `plain`. It is .1 of the network 192.168.1, and .77 as well,
where it answers as readily and writes `elsewhere` to standard output when it is asked there.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NETWORK = sys.argv[2] if __name__ == "__main__" and len(sys.argv) > 2 else "192.168.1"
ADDRESS, OTHER = f"{NETWORK}.1", f"{NETWORK}.77"
PPP = "urn:schemas-upnp-org:service:WANPPPConnection:1"
SIX = "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1"
MAPPINGS = [
    # external port, protocol, internal port, client, enabled, description, remote
    (8080, "TCP", 11434, f"{NETWORK}.10", 1, "ollama & co", ""),
    (2222, "TCP", 22, f"{NETWORK}.20", 1, "ssh", "198.51.100.7"),
    (8081, "UDP", 11434, f"{NETWORK}.10", 0, "off\u202e", "0.0.0.0"),
]
DESCRIPTION = """<?xml version="1.0"?>{doctype}
<root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major></specVersion>{base}
<device><friendlyName>{name}</friendlyName><deviceList><device><deviceList><device><serviceList>
<service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType>
<controlURL>/l3f</controlURL></service>
<service><serviceType>{six}</serviceType><controlURL>/control?wan=1</controlURL></service>
<service><serviceType>{kind}</serviceType><controlURL>{control}</controlURL></service>
</serviceList></device></deviceList></device></deviceList></device></root>"""
BLOW_UP = '<!DOCTYPE root [<!ENTITY a "aaaaaaaaaa">{}]>'.format(
    "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
)


class Odd(StrEnum):
    """What is wrong with the answers."""

    ELSEWHERE = "elsewhere"
    BASE = "base"
    BLOW_UP = "blow-up"
    DEEP = "deep"
    HUGE = "huge"
    REDIRECT = "redirect"
    NO_XML = "no-xml"
    OTHER_DEVICE = "other-device"
    SLOW = "slow"
    SPOOFED = "spoofed"
    FORBIDDEN = "forbidden"
    ENDLESS = "endless"
    GARBAGE = "garbage"
    NO_ADDRESS = "no-address"
    CUT = "cut"


MODE = sys.argv[1] if __name__ == "__main__" else "plain"


def location() -> str:
    host = OTHER if MODE == Odd.ELSEWHERE else ADDRESS
    return f"http://{host}:5000/root.xml"


def description() -> str:
    if MODE == Odd.NO_XML:
        return "<html><p>Please log in"
    if MODE == Odd.DEEP:
        return "<a>" * 20000
    if MODE == Odd.HUGE:
        return f"<root>{'x' * (300 << 10)}</root>"
    return DESCRIPTION.format(
        doctype=BLOW_UP if MODE == Odd.BLOW_UP else "",
        name="&j;" if MODE == Odd.BLOW_UP else "router",
        base=f"<URLBase>http://{OTHER}:5000/</URLBase>" if MODE == Odd.BASE else "",
        kind="urn:schemas-upnp-org:service:Printing:1" if MODE == Odd.OTHER_DEVICE else PPP,
        six=SIX,
        control="/control?wan=1",
    )


def mapping(index: int) -> tuple[int, str, int, str, int, str, str] | None:
    if MODE == Odd.ENDLESS:
        return (1024 + index, "TCP", 11434, f"{NETWORK}.10", 1, "again", "")
    if MODE == Odd.GARBAGE and index == 1:
        return (99999, "TCP", 11434, "my-laptop", 1, "", "")
    return MAPPINGS[index] if index < len(MAPPINGS) else None


def act(action: str, body: str) -> tuple[int, str]:
    if action == "GetExternalIPAddress":
        if MODE == Odd.NO_ADDRESS:
            return fault(501)
        return said(action, "<NewExternalIPAddress>203.0.113.9</NewExternalIPAddress>")
    if action == "GetFirewallStatus":
        return said(action, "<FirewallEnabled>0</FirewallEnabled>")
    if MODE == Odd.FORBIDDEN:
        return fault(606)
    index = int(body.split("<NewPortMappingIndex>")[1].split("<", maxsplit=1)[0])
    if MODE == Odd.CUT and index == 1:
        time.sleep(30)
    found = mapping(index)
    if found is None:
        return fault(713)
    names = ("ExternalPort", "Protocol", "InternalPort", "InternalClient", "Enabled")
    more = ("PortMappingDescription", "RemoteHost")
    return said(
        action,
        "".join(
            f"<New{name}>{str(value).replace('&', '&amp;')}</New{name}>"
            for name, value in zip((*names, *more), found, strict=True)
        ),
    )


def said(action: str, results: str) -> tuple[int, str]:
    return 200, (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<u:{action}Response xmlns:u="{PPP}">{results}</u:{action}Response></s:Body></s:Envelope>'
    )


def fault(code: int) -> tuple[int, str]:
    return 500, (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
        "<faultcode>s:Client</faultcode><detail><UPnPError><errorCode>"
        f"{code}</errorCode></UPnPError></detail></s:Fault></s:Body></s:Envelope>"
    )


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._note()
        if MODE == Odd.SLOW:
            time.sleep(30)
        if MODE == Odd.REDIRECT:
            self.send_response(302)
            self.send_header("Location", f"http://{OTHER}:5000/root.xml")
            self.end_headers()
            return
        self._answer(200, description())

    def do_POST(self) -> None:
        self._note()
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        action = self.headers["SOAPAction"].strip('"').partition("#")[2]
        assert self.path == "/control?wan=1"
        assert action.startswith("Get"), "a question that changes something"
        self._answer(*act(action, body))

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def _note(self) -> None:
        if self.connection.getsockname()[0] != ADDRESS:
            sys.stdout.write("elsewhere\n")
            sys.stdout.flush()

    def log_message(self, *_: object) -> None:
        pass


def discover() -> None:
    """Answer unicast searches."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((ADDRESS, 1900))
        while True:
            data, client = listening.recvfrom(2048)
            assert data.startswith(b"M-SEARCH * HTTP/1.1\r\n")
            assert b'MAN: "ssdp:discover"\r\n' in data
            answer = f"HTTP/1.1 200 OK\r\nST: {PPP}\r\nLocation: {location()}\r\nEXT:\r\n\r\n"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as from_other_port:
                from_other_port.bind((OTHER if MODE == Odd.SPOOFED else ADDRESS, 0))
                from_other_port.sendto(answer.encode(), client)


def control_ports() -> None:
    """NAT-PMP with another external address, so that it is seen which of the two counts."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((ADDRESS, 5351))
        while True:
            data, client = listening.recvfrom(2048)
            if data == bytes(2):
                address = socket.inet_aton("203.0.113.99")
                listening.sendto(struct.pack("!BBHI4s", 0, 128, 0, 7, address), client)


if __name__ == "__main__":
    threading.Thread(target=discover, daemon=True).start()
    if MODE in {"plain", Odd.NO_ADDRESS}:
        threading.Thread(target=control_ports, daemon=True).start()
    server = ThreadingHTTPServer(("0.0.0.0", 5000), Handler)
    server.daemon_threads = True
    server.serve_forever()
