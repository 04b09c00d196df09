"""What repairs do makes the rule pass; what is not surely right to change is left to people."""

from __future__ import annotations

import msgspec
import pytest

from ollama_audit.engine import judge
from ollama_audit.outcome import Evidence
from ollama_audit.registry import load_rules
from ollama_audit.repairs import Repair, repairs
from ollama_audit.rule import FileFact, FileRole, Host, Known, Rule, Stat, Status
from tests.hosts import BINARY, MODELS, UID, UNIT, files, folder, link, stat
from tests.test_rules import table

RULES = [rule for rule in load_rules() if any(r.name == "permissions" for r in rule.remedies)]
TAKEN = {"go-w": 0o022, "go-rwx": 0o077}
OTHERS = Evidence(UNIT, "writable by everybody, mode 0666")
NUMBERS = {"root": 0, "ollama": UID}


def mended(host: Host, done: tuple[Repair, ...]) -> Host:
    """The host with the repairs carried out, as chown(1) and chmod(1) do."""
    by_path = {repair.path: repair for repair in done}

    def after(fact: FileFact) -> FileFact:
        repair = by_path.get(fact.path)
        if repair is None or not isinstance(fact.stat, Known):
            return fact
        was: Stat = fact.stat.value
        user = repair.user or was.user
        now = msgspec.structs.replace(
            was, user=user, uid=NUMBERS.get(user, was.uid), mode=was.mode & ~TAKEN[repair.mode]
        )
        return msgspec.structs.replace(fact, stat=Known(now, fact.stat.source))

    snapshot = msgspec.structs.replace(
        host.snapshot, files=tuple(after(fact) for fact in host.snapshot.files)
    )
    return msgspec.structs.replace(host, snapshot=snapshot)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_mended_host_passes(rule: Rule) -> None:
    (remedy,) = rule.remedies
    failing = [case.host for case in table(rule) if case.status is Status.FAIL]
    treated = [host for host in failing if remedy.applies(host)]
    assert treated

    for host in treated:
        done = remedy.values(host)["repairs"]
        assert isinstance(done, tuple)
        outcome = judge(rule, mended(host, done))
        # An access list may remain to be looked at; what was proven bad is gone.
        assert outcome.status in (Status.PASS, Status.UNKNOWN), outcome


def test_a_mode_is_taken_from_a_file() -> None:
    facts = files({UNIT: (FileRole.UNIT, stat(mode=0o666))})

    assert repairs(facts, [OTHERS], owner="root:root") == (Repair(path=UNIT, mode="go-w"),)


def test_a_file_of_somebody_else_goes_to_root() -> None:
    facts = files({BINARY: (FileRole.BINARY, stat(mode=0o755, user="alice"))})

    assert repairs(facts, [Evidence(BINARY, "owned by alice, mode 0755")], owner="root:root") == (
        Repair(path=BINARY, owner="root:root", mode="go-w"),
    )


def test_models_are_mended_with_everything_below() -> None:
    facts = files({MODELS: (FileRole.MODELS, folder(0o777, user="ollama"))})

    assert repairs(facts, [Evidence(MODELS, "writable by everybody, mode 0777")], owner="") == (
        Repair(path=MODELS, mode="go-w", tree=True),
    )


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/opt", folder(0o777, user="alice")),
        ("/tmp", folder(0o1777)),
        ("/home/alice/ollama", stat(mode=0o755, user="alice")),
        ("/usr/local/link", link("/tmp/x")),
    ],
)
def test_the_rest_is_left_to_people(path: str, found: Stat) -> None:
    facts = files(
        {path: (FileRole.BINARY, found), UNIT: (FileRole.UNIT, stat(mode=0o666))},
    )
    why = "owned by alice" if found.user == "alice" else "writable by everybody"
    weak = [OTHERS, Evidence(path, f"{why}, mode {found.mode:04o}")]

    assert repairs(facts, weak, owner="root:root") == ()


def test_a_path_in_a_container_is_left_to_people() -> None:
    facts = tuple(
        msgspec.structs.replace(fact, pid=812) if fact.path == UNIT else fact
        for fact in files({UNIT: (FileRole.UNIT, stat(mode=0o666))})
    )

    assert repairs(facts, [OTHERS], owner="root:root") == ()
