"""Fills a lab host: containers, nginx server blocks, processes. Runs in it, with its Python.

    python3 populate.py CONTAINERS SERVERS PROCESSES [ollama]

A container is what the audit sees of one: a process with a network namespace of its own behind
a veth on docker0, which listens at port 8000, and the rules and docker-proxy of Docker 20.10 for
a published port. With `ollama` the process is what the audit takes for an Ollama server. It stays
until it is ended; "ready" says that all is there.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

NEW_NETWORK = 0x40000000
SET_NAME = 15
"""CLONE_NEWNET (linux/sched.h) and PR_SET_NAME (linux/prctl.h)."""


CROWD = Path("/run/lab/crowd")
"""Where `ollama` is Python, and the command that it is given, `serve`, this script."""
ANSWERS = {"/api/version": {"version": "0.9.3"}, "/api/tags": {"models": []}}


def address(number: int) -> str:
    return f"172.17.{1 + number // 250}.{2 + number % 250}"


def server(listening: socket.socket, name: str, *options: str) -> None:
    """Become a program of this name and with these arguments that answers 404 at a socket."""
    os.set_inheritable(listening.fileno(), True)  # noqa: FBT003 - positional only
    words = [sys.executable, __file__, "serve", name, str(listening.fileno()), *options]
    os.execv(sys.executable, words)


def serve(name: str, descriptor: str) -> None:
    """Answer whoever asks."""
    ctypes.CDLL(None).prctl(SET_NAME, name.encode(), 0, 0, 0)
    listening = socket.socket(fileno=int(descriptor))
    while True:
        client, _ = listening.accept()
        with contextlib.suppress(OSError), client:
            client.recv(4096)
            client.sendall(b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n")


def ollama(listening: socket.socket) -> None:
    """Become a process that looks and answers like an Ollama server."""
    os.dup2(listening.fileno(), 3)
    os.chdir(CROWD)
    home = {"HOME": "/root", "PYTHONHOME": sys.base_prefix}
    os.execve(CROWD / "ollama", ["ollama", "serve"], home)


def serve_models() -> None:
    """Answer as a server without models does."""
    listening = socket.socket(fileno=3)
    while True:
        client, _ = listening.accept()
        with contextlib.suppress(OSError, IndexError), client:
            path = client.recv(4096).split()[1].decode()
            status = "200 OK" if path in ANSWERS else "404 Not Found"
            body = json.dumps(ANSWERS.get(path, {}))
            head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n"
            client.sendall(f"{head}Connection: close\r\n\r\n{body}".encode())


def container(become: Callable[..., None], *arguments: str) -> int:
    """A process in a new network namespace, its listener open."""
    ready, tell = os.pipe()
    pid = os.fork()
    if not pid:
        ctypes.CDLL(None).unshare(NEW_NETWORK)
        listening = socket.create_server(("0.0.0.0", 8000))
        os.write(tell, b"x")
        become(listening, *arguments)
    os.read(ready, 1)
    os.close(ready)
    os.close(tell)
    return pid


def docker_proxy(port: int, target: str) -> None:
    """A process of that name and those arguments, with its listener."""
    if os.fork():
        return
    options = ["-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", str(port)]
    options += ["-container-ip", target, "-container-port", "8000"]
    server(socket.create_server(("0.0.0.0", port)), "docker-proxy", *options)


def containers(count: int, *, servers: bool) -> None:
    if servers:
        CROWD.mkdir()
        shutil.copy(os.path.realpath(sys.executable), CROWD / "ollama")
        shutil.copy(__file__, CROWD / "serve")
        pids = [container(ollama) for _ in range(count)]
    else:
        pids = [container(server, "application") for _ in range(count)]
    links = ["link add docker0 type bridge", "address add 172.17.0.1/16 dev docker0"]
    links.append("link set docker0 up")
    for number, pid in enumerate(pids):
        links.append(f"link add veth{number} type veth peer name eth0 netns {pid}")
        links.append(f"link set veth{number} master docker0 up")
    subprocess.run(["ip", "-batch", "-"], input="\n".join(links), text=True, check=True)
    for number, pid in enumerate(pids):
        inside = "link set lo up\nlink set eth0 up\n"
        inside += f"address add {address(number)}/16 dev eth0\nroute add default via 172.17.0.1\n"
        enter = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-batch", "-"]
        subprocess.run(enter, input=inside, text=True, check=True)
    subprocess.run(["iptables-restore", "-n"], input=rules(count), text=True, check=True)
    subprocess.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
    for number in range(count):
        docker_proxy(20000 + number, address(number))


def rules(count: int) -> str:
    """As iptables-save prints those of Docker 20.10."""
    nat = ["*nat", ":DOCKER - [0:0]", "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"]
    nat.append("-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER")
    nat.append("-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE")
    nat.append("-A DOCKER -i docker0 -j RETURN")
    table = ["*filter", ":DOCKER - [0:0]", ":DOCKER-USER - [0:0]", ":FORWARD DROP [0:0]"]
    table += ["-A FORWARD -j DOCKER-USER", "-A DOCKER-USER -j RETURN"]
    table.append("-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
    table += ["-A FORWARD -o docker0 -j DOCKER", "-A FORWARD -i docker0 -j ACCEPT"]
    for number in range(count):
        to, port = address(number), 20000 + number
        nat.append(
            f"-A DOCKER ! -i docker0 -p tcp -m tcp --dport {port} -j DNAT "
            f"--to-destination {to}:8000"
        )
        table.append(
            f"-A DOCKER -d {to}/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 8000 -j ACCEPT"
        )
    return "\n".join([*nat, "COMMIT", *table, "COMMIT", ""])


def nginx(count: int, behind: int) -> None:
    """Virtual hosts of one nginx, each in a file: the first leads to Ollama, others elsewhere."""
    folder = Path("/etc/nginx/sites-enabled")
    for old in folder.iterdir():
        old.unlink()
    for number in range(count):
        to = "127.0.0.1:11434" if not number else f"{address(number % max(behind, 1))}:8000"
        login = 'auth_basic "x"; auth_basic_user_file /etc/nginx/users;' if number % 2 else ""
        (folder / f"site{number}").write_text(
            f"server {{ listen 80; server_name site{number}.example; {login}\n"
            f"  location / {{ proxy_pass http://{to}; proxy_set_header Host localhost; }}\n"
            "  location /static/ { root /var/www; }\n"
            "  location ~ \\.php$ { return 404; }\n}\n"
        )
    Path("/etc/nginx/users").write_text("a:b\n")
    if count:
        subprocess.run(["systemctl", "restart", "nginx"], check=True)


def main() -> None:
    if not sys.argv[1:]:
        serve_models()
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:4])
    count, servers, processes = map(int, sys.argv[1:4])
    if count:
        containers(count, servers=sys.argv[4:] == ["ollama"])
    nginx(servers, count)
    for _ in range(processes):
        if not os.fork():
            os.execv("/bin/sleep", ["worker", "infinity"])
    print("ready", flush=True)
    signal.pause()


main()
