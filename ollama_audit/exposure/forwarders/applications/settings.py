"""What an application was told, and the step that it takes towards the Ollama that it uses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ollama_audit.exposure.forwarders.document import mapping
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.web import Upstream, host_and_port, resolve
from ollama_audit.exposure.model import Hop, Login
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.configuration import Configuration
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process

USUAL = "http://localhost:11434"
"""Where applications look for Ollama when nobody told them."""


@dataclass(frozen=True, slots=True)
class Access:
    """Whether an application asks for a login, and why that is known or not."""

    login: Login
    because: tuple[str, ...] = ()
    cure: str = ""


def free() -> Access:
    """No login is asked for."""
    return Access(Login.NONE)


def locked(because: str) -> Access:
    """Everybody must log in."""
    return Access(Login.REQUIRED, (because,))


def unknown(because: str, cure: str = "") -> Access:
    """It cannot be said."""
    return Access(Login.UNKNOWN, (because,), cure)


@dataclass(frozen=True, slots=True)
class Application:
    """One application at one of its listeners."""

    terrain: Terrain
    namespace: NetworkNamespace
    listener: Listener
    process: Process
    found: Configuration
    name: str

    @property
    def unread(self) -> str:
        """Why its variables are not known; empty when they are."""
        environment = self.found.environment
        return environment.reason if isinstance(environment, Unknown) else ""

    def variable(self, name: str) -> str | None:
        """A variable: its value, `***` when that is withheld, None when it is not set or empty."""
        if isinstance(self.found.environment, Known):
            for setting in self.found.environment.value:
                if setting.name == name:
                    return "***" if setting.value is None else setting.value.strip() or None
        return None

    def given(self, *names: str) -> str | None:
        """The value of an option on the command line, `--name VALUE` or `--name=VALUE`."""
        words = self.process.arguments.value if isinstance(self.process.arguments, Known) else ()
        for index, word in enumerate(words):
            option, sign, value = word.partition("=")
            if option in names:
                return value if sign else next(iter(words[index + 1 : index + 2]), "")
        return None

    @property
    def told(self) -> dict[str, object]:
        """What it said of itself while it runs; empty when it was not asked or did not answer."""
        if not isinstance(self.found.running, Known):
            return {}
        try:
            return mapping(json.loads(self.found.running.value))
        except ValueError:
            return {}

    def texts(self) -> Iterator[tuple[str, str]]:
        """Path and text of each file that was read."""
        for file in self.found.files:
            if isinstance(file.text, Known):
                yield file.path, file.text.value

    @property
    def unread_file(self) -> str:
        """Which file could not be read, and why; empty for none."""
        for file in self.found.files:
            if isinstance(file.text, Unknown):
                return f"{file.path}: {file.text.reason}"
        return ""

    def toward(
        self, urls: Iterable[str], access: Access, only_paths: tuple[str, ...] = ()
    ) -> tuple[Onward, ...]:
        """The steps to these servers."""
        return tuple(
            self._step(upstream, access, only_paths, host)
            for url in dict.fromkeys(urls)
            for host, upstream in self._upstreams(url)
        )

    def nowhere(self, reason: str, access: Access, cure: str = "") -> Onward:
        """The step of which it is not known where it leads."""
        step = unclear(self.process, reason, cure=access.cure or cure)
        return replace(
            step,
            hop=self._hop,
            login=access.login,
            login_because=access.because,
            tls=self._plain.tls,
        )

    def leads_here(self, steps: Iterable[Onward]) -> bool:
        """Whether one of the steps ends at an address of this host or of a container of it."""
        return any(
            step.address
            and (
                self.terrain.wires.interface(self.namespace, step.address) is not None
                or bool(self.terrain.wires.holders(step.address, self.namespace))
            )
            for step in steps
        )

    @property
    def _hop(self) -> Hop:
        label = f"{self.name} ({self.process.pid})"
        return Hop(kind="application", name=label, pid=self.process.pid, detail=self.found.main)

    @property
    def _plain(self) -> Onward:
        return Onward(hop=self._hop)

    def _upstreams(self, url: str) -> Iterator[tuple[str, Upstream]]:
        """The Host header that goes to a server, and each of its addresses."""
        address = url if "://" in url else f"http://{url}"
        try:
            host, port = host_and_port(address)
        except ValueError:
            yield "", Upstream(reason=f"{url} is no address")
            return
        for upstream in resolve(host, port, self.found.names):
            yield host, upstream

    def _step(
        self, upstream: Upstream, access: Access, only_paths: tuple[str, ...], host: str
    ) -> Onward:
        return replace(
            self._plain,
            namespace=self.namespace if upstream.address else None,
            address=upstream.address,
            port=upstream.port,
            login=access.login,
            login_because=access.because,
            only_paths=only_paths,
            hosts=(host,),
            reason=upstream.reason,
            cure=access.cure or upstream.cure,
        )
