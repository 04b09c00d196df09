"""Services that Tor and i2pd publish in their networks: whoever knows the address gets in.

An address is no secret that a report should keep, nor one that it should tell: it is left out.
"""

from __future__ import annotations

import configparser
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ollama_audit.exposure.forwarders.relays.target import arguments
from ollama_audit.exposure.model import Login
from ollama_audit.exposure.tunnels.tunnel import Client, Tunnel, host_port, text_of

_SETTING = re.compile(r"^\s*[+/]?(?P<key>\w+)\s+(?P<value>.+?)\s*$")
_WHOEVER = "whoever knows its address gets in, from anywhere"


@dataclass(slots=True)
class _Onion:
    folder: str
    ports: list[str] = field(default_factory=list)


def tor(client: Client) -> Iterator[Tunnel]:
    """Each port of each onion service (tor(1), HiddenServiceDir and HiddenServicePort).

    Clients' keys in `authorized_clients` shut everybody else out (rend-spec-v3, "CLIENT-AUTH").
    """
    for onion in _onions(client):
        keys = posixpath.join(onion.folder, "authorized_clients") + "/"
        locked = any(file.path.startswith(keys) for file in client.found.files)
        for words in (port.split() for port in onion.ports):
            target = words[1] if len(words) > 1 else words[0]
            steps = (
                (client.unclear(f"it leads to {target}, which is not followed"),)
                if target.startswith("unix:")
                else client.to(
                    *host_port(target),
                    detail=onion.folder,
                    login=Login.REQUIRED if locked else Login.NONE,
                    login_because=(f"Tor asks for a key of {keys}*.auth",) if locked else (),
                )
            )
            yield Tunnel(
                label=f"onion service {posixpath.basename(onion.folder)}, port {words[0]}",
                steps=steps,
                sure=True,
                because=(_WHOEVER,),
            )


def _onions(client: Client) -> list[_Onion]:
    """The services that files and command line name; a port belongs to the folder before it."""
    found: list[_Onion] = []
    for key, value in (*_written(client), *_given(client)):
        plain = value.strip("\"'")
        if key == "hiddenservicedir":
            found.append(_Onion(plain.rstrip("/")))
        elif key == "hiddenserviceport" and found:
            found[-1].ports.append(plain)
    return found


def _written(client: Client) -> Iterator[tuple[str, str]]:
    for file in client.found.files:
        if file.path.endswith(".auth"):
            continue
        for line in text_of(file).splitlines():
            if setting := _SETTING.match(line.partition("#")[0]):
                yield setting["key"].lower(), setting["value"]


def _given(client: Client) -> Iterator[tuple[str, str]]:
    words = arguments(client.process)[1:]
    for index, word in enumerate(words[:-1]):
        if word.startswith("--"):
            yield word[2:].lower(), words[index + 1]


def i2pd(client: Client) -> Iterator[Tunnel]:
    """Each server tunnel of its tunnels.conf (i2pd documentation, "Server tunnels")."""
    for file in client.found.files:
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.read_string(text_of(file))
        for name in parser.sections():
            section = parser[name]
            if section.get("type", "") not in {"server", "http"} or "port" not in section:
                continue
            listed = section.get("accesslist", "")
            yield Tunnel(
                label=f"I2P server tunnel {name}",
                steps=client.to(
                    section.get("host", "127.0.0.1"), int(section["port"]), detail=file.path
                ),
                sure=not listed,
                because=("its accesslist names who gets in",) if listed else (_WHOEVER,),
                cure=f"look at accesslist of {name} in {file.path}" if listed else "",
            )
