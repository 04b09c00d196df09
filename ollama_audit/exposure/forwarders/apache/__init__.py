"""Apache httpd 2.4: which requests a virtual host passes on, to where, and for whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from ipaddress import ip_address

from ollama_audit.exposure.forwarders.apache import access
from ollama_audit.exposure.forwarders.apache.expressions import Asked, judged
from ollama_audit.exposure.forwarders.apache.rewrite import Jump, rewritten
from ollama_audit.exposure.forwarders.apache.syntax import Node, SyntaxProblemError, override, tree
from ollama_audit.exposure.forwarders.clients import (
    EVERYONE,
    Clients,
    Gate,
    doubt,
    login,
    only,
)
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.web import (
    Passage,
    Upstream,
    host_and_port,
    in_force,
    prefixes_in,
    requests,
    resolve,
    steps,
)
from ollama_audit.exposure.model import Encryption
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.zones import own_addresses
from ollama_audit.snapshot.configuration import Configuration
from ollama_audit.snapshot.network import Family, Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process

Block = tuple[Node, ...]

_MOST_IFS = 4


def apache(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """The steps of a listener of Apache, over all virtual hosts that a client can choose."""
    found = in_force(
        terrain, listener, process, "sudo apachectl configtest && sudo systemctl reload apache2"
    )
    if isinstance(found, Onward):
        return (found,)
    try:
        main = tree(found)
    except SyntaxProblemError as problem:
        return (unclear(process, str(problem), kind="reverse-proxy", cure=problem.cure),)
    own = Clients(own_addresses(namespace, Family.IPV4), own_addresses(namespace, Family.IPV6))
    hosts = [
        (node.block or (), near)
        for node in main
        if node.name == "virtualhost" and (near := _serves(node.args, listener)) is not None
    ]
    result: list[Onward] = []
    for block, near in hosts or [((), False)]:
        server = _Server(main, block, found)
        tls = server.setting("sslengine").lower() == "on"
        gate = only(own if near else EVERYONE)
        passages = [
            passage
            for method, path in requests(server.prefixes())
            for passage in server.follow(method, path, gate, tls=tls)
        ]
        encryption = Encryption.TLS if tls else Encryption.PLAIN
        result += steps(terrain, namespace, process, "apache", passages, encryption)
    return tuple(result)


def _serves(addresses: tuple[str, ...], listener: Listener) -> bool | None:
    """Whether a virtual host answers there: None, or whether only for this host."""
    for text in addresses:
        host, _, port = text.rpartition(":") if re.search(r":(\d+|\*)$", text) else (text, "", "*")
        if port not in {"*", str(listener.port)}:
            continue
        host = host.strip("[]")
        if host in {"*", "_default_", ""}:
            return False
        try:
            address = ip_address(host)
        except ValueError:
            return False
        if address.is_unspecified or listener.wildcard or address == listener.ip:
            return address.is_loopback and not listener.on_loopback
    return None


class _Server:
    """A virtual host with what it takes over from the main server."""

    def __init__(self, main: Block, own: Block, found: Configuration) -> None:
        self.main = tuple(node for node in main if node.name != "virtualhost")
        self.own = own
        self.names = found.names
        self.everything = (*self.main, *own)
        self.htaccess = override(found, self._root()) if self._root() else ()

    def setting(self, name: str) -> str:
        """The last value of a directive of the server itself; empty for none."""
        found = [node.args[0] for node in self.everything if node.name == name and node.args]
        return found[-1] if found else ""

    def _root(self) -> str:
        """The document root, if files in it may override the configuration (AllowOverride)."""
        root = self.setting("documentroot").rstrip("/")
        allowed = [
            (len(node.args[-1]), each.args)
            for node in self.everything
            if node.name == "directory" and node.args
            if f"{root}/".startswith(f"{node.args[-1].rstrip('/')}/")
            for each in node.block or ()
            if each.name == "allowoverride"
        ]
        words = {word.lower() for word in max(allowed, default=(0, ("none",)))[1]}
        return "" if words <= {"none"} else root

    def prefixes(self) -> list[str]:
        """The literal paths that this server speaks of."""
        found: list[str] = []
        for node in self.everything:
            for arg in node.args[:2]:
                literal = re.match(r"(/[\w.-]+)+", arg.lstrip("^"))
                if literal and node.name in {
                    "proxypass",
                    "proxypassmatch",
                    "location",
                    "locationmatch",
                    "rewriterule",
                }:
                    found += prefixes_in(literal[0])
        return [each for each in dict.fromkeys(found) if each]

    def follow(self, method: str, path: str, gate: Gate, *, tls: bool) -> Iterator[Passage]:
        """Where a request goes."""
        if tls and self.setting("sslverifyclient").lower() == "require":
            gate &= login("SSLVerifyClient require")
        for jump in rewritten(self.own or self.main, method, path, gate, tls=tls):
            if jump.target:
                yield from self._passed(method, path, jump, tls=tls)
                continue
            mapped = self._mapped(jump.path)
            if mapped is None:
                yield from self._overridden(path, jump.gate)
            for target, detail in mapped or ():
                yield from self._passed(
                    method, path, Jump(jump.path, jump.gate, target, detail), tls=tls
                )

    def _passed(self, method: str, asked: str, jump: Jump, *, tls: bool) -> Iterator[Passage]:
        sections = [*self._proxies(jump.target), *self._locations(jump.path)]
        gate = jump.gate & self._admitted(sections, Asked(method, jump.path, tls))
        for block in sections:
            for node in block:
                if tls and node.name == "sslverifyclient" and node.args[:1] == ("require",):
                    gate &= login(f"SSLVerifyClient require ({node.at})")
                if node.name == "rewriteengine" and node.args[:1] and node.args[0].lower() == "on":
                    gate &= doubt(f"the rules of a section ({node.at}) are not followed")
        keep = self.setting("proxypreservehost").lower() == "on"
        for url in self._members(jump.target):
            if "|" in url or "://" not in url:
                reason = f"what answers at {url} is not followed"
                yield Passage(asked, asked, Upstream(reason=reason), gate, jump.detail)
                continue
            authority, _, rest = url.partition("://")[2].partition("/")
            try:
                host, port = host_and_port(url)
            except ValueError:
                if re.search(r":\d+[a-z]", url):
                    continue  # a slash is missing, and httpd answers 500
                reason = f"{url} is no address"
                yield Passage(asked, asked, Upstream(reason=reason), gate, jump.detail)
                continue
            for upstream in resolve(host, port, self.names):
                sent = None if keep else authority
                yield Passage(asked, f"/{rest}", upstream, gate, jump.detail, sent)

    def _admitted(self, sections: list[Block], asked: Asked) -> Gate:
        """Whom the sections admit, with those of an <If> for whom its expression holds."""
        nodes = (*self.everything, *(node for block in sections for node in block))
        blocks = [node for node in nodes if node.name in {"if", "elseif", "else"}]
        deciding = [node for node in blocks if _decides(node)]
        if any(node.name != "if" for node in deciding) or len(deciding) > _MOST_IFS:
            return doubt(f"<{deciding[0].name}> ({deciding[0].at}) is not judged")
        return self._parted(sections, deciding, asked)

    def _parted(self, sections: list[Block], conditions: list[Node], asked: Asked) -> Gate:
        if not conditions:
            return access.gate(sections, self.everything, asked)
        first, *rest = conditions
        fork = judged(" ".join(first.args), asked, f"<If> ({first.at})")
        yes = self._parted([*sections, first.block or ()], rest, asked)
        return (fork.yes & yes) | (fork.no & self._parted(sections, rest, asked))

    def _members(self, url: str) -> list[str]:
        """The addresses of a balancer, or the one address."""
        if not url.startswith("balancer://"):
            return [url]
        name, _, rest = url.removeprefix("balancer://").partition("/")
        return [
            f"{member.args[0].rstrip('/')}/{rest}"
            for node in self.everything
            if node.name == "proxy" and node.args[:1] == (f"balancer://{name}",)
            for member in node.block or ()
            if member.name == "balancermember" and member.args
        ] or [url]

    def _overridden(self, asked: str, gate: Gate) -> Iterator[Passage]:
        """Where the .htaccess of the document root may send what is in the file system."""
        for node in self.htaccess:
            flags = node.args[2].upper().strip("[]").split(",") if len(node.args) > 2 else []
            if node.name == "rewriterule" and {"P", "PROXY"} & {flag.strip() for flag in flags}:
                upstream = Upstream(reason=f"{node.at} passes requests on by rules of its own")
                yield Passage(asked, asked, upstream, gate, node.at)
                return

    def _mapped(  # noqa: C901, PLR0911, PLR0912 - three directives, in their order
        self, path: str
    ) -> list[tuple[str, str]] | None:
        """Where ProxyPass sends a path; the first that fits decides, `!` for nowhere.

        None when there is none, so that the path is one of the file system.
        """
        for block in reversed(self._locations(path)):
            for node in block:
                if node.name == "proxypass" and node.args:
                    if node.args[0] == "!":
                        return []
                    prefix = self._prefix_of(block)
                    return [(_joined(node.args[0], path, prefix), node.at)]
        for node in (*self.own, *self.main):
            if node.name == "proxypass" and len(node.args) > 1:
                if _below(path, node.args[0]):
                    if node.args[1] == "!":
                        return []
                    return [(_joined(node.args[1], path, node.args[0]), node.at)]
            elif node.name == "proxypassmatch" and len(node.args) > 1:
                found = _search(node.args[0], path)
                if found:
                    if node.args[1] == "!":
                        return []
                    url = node.args[1]
                    if "$" not in url:
                        return [(url.rstrip("/") + path, node.at)]
                    for number, text in enumerate(found.groups(), start=1):
                        url = url.replace(f"${number}", text or "")
                    return [(url.replace("$0", found[0]), node.at)]
        return None

    def _prefix_of(self, block: Block) -> str:
        for node in self.everything:
            if node.name == "location" and node.block is block and node.args[0] != "~":
                return node.args[0]
        return ""

    def _locations(self, path: str) -> list[Block]:
        found: list[Block] = []
        for node in self.everything:
            if node.block is None or not node.args:
                continue
            regex = node.name == "locationmatch" or (
                node.name == "location" and node.args[0] == "~"
            )
            if (regex and _search(node.args[-1], path)) or (
                node.name == "location" and not regex and _within(path, node.args[0])
            ):
                found.append(node.block)
        return found

    def _proxies(self, url: str) -> list[Block]:
        found: list[Block] = []
        for node in self.everything:
            if node.block is None or not node.args:
                continue
            wanted = node.args[-1]
            if (node.name == "proxymatch" and _search(wanted, url)) or (
                node.name == "proxy"
                and (wanted == "*" or url.startswith(wanted) or fnmatchcase(url, wanted))
            ):
                found.append(node.block)
        return found


def _decides(node: Node) -> bool:
    """Whether a section says something of who may, at any depth."""
    inside = node.block or ()
    return any(each.name in access.DECIDING or _decides(each) for each in inside)


def _search(pattern: str, text: str) -> re.Match[str] | None:
    try:
        return re.search(pattern, text)
    except (re.error, RecursionError):
        return None


def _below(path: str, prefix: str) -> bool:
    """Whether ProxyPass with this path fits, at the border of a component."""
    return path.startswith(prefix) and (
        prefix.endswith("/") or path[len(prefix) : len(prefix) + 1] in {"", "/"}
    )


def _within(path: str, location: str) -> bool:
    """Whether <Location> covers a path (core, "Location")."""
    if re.search(r"[*?\[]", location):
        return fnmatchcase(path, location) or fnmatchcase(path, f"{location.rstrip('/')}/*")
    return _below(path, location)


def _joined(url: str, path: str, prefix: str) -> str:
    """A URL with what follows the prefix; as written, so that slashes may be lost or doubled."""
    target = url + path.removeprefix(prefix)
    scheme, mark, rest = target.partition("://")
    authority, slash, tail = rest.partition("/")
    if not slash and re.search(r"\d[a-z]", authority):
        return target
    return f"{scheme}{mark}{authority}{slash}{tail.lstrip('/')}"
