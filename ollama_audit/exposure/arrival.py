"""Some clients, and where their connections end."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.model import Encryption, Hop, Login


@dataclass(frozen=True, slots=True)
class Arrival:
    """Some sources, and where their connections end."""

    surely: AddressSet
    """They surely get to `server`."""
    possibly: AddressSet
    """They may; includes `surely`."""
    server: int = 0
    """The pid of the Ollama server; 0 when it is not known which, or whether there is one."""
    answered: bool = False
    """An Ollama server has answered there, whether or not it is known which."""
    own_request: bool = False
    """It is the answer to this host's own request that proves it, for that client and no other."""
    hops: tuple[Hop, ...] = ()
    login: Login = Login.NONE
    login_because: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    """The services on the way that are asked who may pass."""
    open_paths: tuple[str, ...] = ()
    only_paths: tuple[str, ...] = ()
    checks_host: bool = False
    """The server answers only to names of this machine, and nobody on the way has set one."""
    any_name: bool = False
    """The server surely answers whatever name a client asks it for, and so does the way to it."""
    tls: Encryption = Encryption.PLAIN
    because: tuple[str, ...] = ()
    """Why it is not sure, where it is not."""
    cure: str = ""
    guess: bool = False
    """They end at a program of which nothing says that it passes anything on; see `Onward`."""

    @property
    def certain(self) -> bool:
        """Whether it surely leads to an Ollama server."""
        return bool(self.server) or self.answered

    def within(self, sources: AddressSet, doubt: tuple[str, ...] = ()) -> Arrival:
        """The same for fewer sources; with a doubt, none of them surely."""
        surely = AddressSet.nothing(sources.version) if doubt else self.surely & sources
        return replace(
            self,
            surely=surely,
            possibly=self.possibly & sources,
            because=tuple(dict.fromkeys([*self.because, *doubt])),
        )
