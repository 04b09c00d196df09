"""One configuration of a proxy: what is said of it, and what its program does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

import msgspec

from ollama_audit.exposure.forwarders import Onward
from ollama_audit.exposure.forwarders.web import REQUESTS
from ollama_audit.exposure.hostcheck import refused
from ollama_audit.snapshot import masking
from ollama_audit.snapshot.configuration import Configuration
from tests.differential.proxies.world import SOURCES, World
from tests.exposure.proxied import configured, steps
from tests.hosts import host

Header = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A configuration, and how it may be asked."""

    program: str
    """`nginx`, `caddy`, `haproxy`, `apache` or `lighttpd`."""
    files: Mapping[str, str]
    """Its main file first."""
    free: Sequence[Header] = ({},)
    """What a stranger may send."""
    keys: Sequence[Header] = ()
    """What only somebody with the secrets sends."""
    prefixes: Sequence[str] = ()
    """Below which paths it may be asked as well."""


@dataclass(slots=True)
class Tally:
    """How a run went."""

    counts: Counter[str] = field(default_factory=Counter)
    bad: dict[str, list[str]] = field(default_factory=dict)
    doubts: Counter[str] = field(default_factory=Counter)
    refusals: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        judged = sum(self.counts[each] for each in ("open", "login", "shut", "doubt"))
        share = 100 * self.counts["doubt"] / judged if judged else 0
        return (
            f"{self.counts['configurations']} configurations, {self.counts['refused']} refused, "
            f"{judged} answers, {self.counts['wrong']} wrong, {share:.2f} % unknown; truth: "
            f"{self.counts['is open']} open, {self.counts['is login']} login, "
            f"{self.counts['is shut']} shut"
        )


PROCESS = {"apache": "apache2"}
START = {
    "nginx": ("nginx", "-c", "{}"),
    "haproxy": ("haproxy", "-db", "-f", "{}"),
    "apache": ("apache2", "-X", "-f", "{}"),
    "lighttpd": ("lighttpd", "-D", "-f", "{}"),
}


def judge(world: World, name: str, case: Case, tally: Tally) -> None:
    """Run a case and count where what is said is not what happens."""
    requests = [
        (method, prefix + path) for prefix in ("", *case.prefixes) for method, path in REQUESTS
    ]
    main = next(iter(case.files))
    more: dict[str, object] = {"start": [word.format(main) for word in START.get(case.program, ())]}
    files = dict(case.files)
    if case.program == "caddy":
        more, files = {"load": files[main]}, {}
    answer = world.run(files, (*case.free, *case.keys), requests, **more)
    if answer.refused:
        tally.counts["refused"] += 1
        tally.refusals.append(f"{name}: {answer.refused.strip()[-300:]}")
        return
    tally.counts["configurations"] += 1
    found = _configuration(case, answer.running)
    for index, source in enumerate(SOURCES):
        if answer.heard and not answer.heard[index]:
            continue
        at = "[::]:80" if ":" in source else "0.0.0.0:80"
        mine = steps(found, PROCESS.get(case.program, case.program), at)
        attempts = {a for s, a, _ in answer.reached if s == index}
        truth = "shut"
        if attempts:
            truth = "open" if min(attempts) < len(case.free) else "login"
        said, why = verdict(mine, source)
        tally.counts[said] += 1
        tally.counts[f"is {truth}"] += 1
        if said == "doubt":
            tally.doubts[why] += 1
        elif (said, truth) == ("login", "shut"):
            # Not every mixture of keys is tried; what is said is that without one nobody gets in.
            tally.counts["unseen"] += 1
        elif said != truth and not (answer.asks[index] and {said, truth} == {"login", "shut"}):
            tally.counts["wrong"] += 1
            got = sorted(
                f"{requests[r][0]} {requests[r][1]} by {(*case.free, *case.keys)[a]}"
                for s, a, r in answer.reached
                if s == index
            )
            tally.bad.setdefault(name, []).append(
                f"{source}: said {said}{why and f' ({why})'}, is {truth}: {got[:3]}"
            )


def _configuration(case: Case, running: str) -> Configuration:
    if case.program == "caddy":
        return configured("caddy", {}, running=masking.json_configuration(running))
    texts = {
        path: masking.configuration(case.program, text)
        for path, text in case.files.items()
        if path.endswith((".conf", ".cfg", ".inc", ".htaccess", ".txt"))
    }
    found = configured(case.program, texts)
    return msgspec.structs.replace(found, names={"localhost": ("127.0.0.1", "::1")})


def verdict(found: tuple[Onward, ...], source: str) -> tuple[str, str]:
    """`open`, `login`, `shut` or `doubt` for a client, and why."""
    address = ip_address(source)
    snapshot = host().snapshot
    said = {"open": "", "login": "", "doubt": ""}
    seen: set[str] = set()
    for step in found:
        if step.admits is not None and int(address) not in step.admits.of(address.version):
            continue
        if step.namespace is None:
            seen.add("doubt")
            said["doubt"] = step.reason
            continue
        if (step.address, step.port) != ("127.0.0.1", 11434):
            continue
        if step.hosts is not None and all(refused(snapshot, each) for each in step.hosts):
            continue
        word = {"none": "open", "required": "login", "unknown": "doubt"}[step.login.value]
        seen.add(word)
        said[word] = "; ".join(step.login_because)
    for word in ("open", "doubt", "login"):
        if word in seen:
            return word, said[word]
    return "shut", ""
