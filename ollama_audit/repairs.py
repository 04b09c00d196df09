"""Which owners and modes mend a file that others may change or read; all of it, or nothing.

Only what is surely right to change: a folder that belongs to somebody else, a sticky folder such
as /tmp, or a path inside a container is left to people, and so is then the whole finding.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ollama_audit.observed import Known, Observed
from ollama_audit.outcome import Evidence
from ollama_audit.permissions import blames_owner
from ollama_audit.snapshot.files import FileFact, FileKind, FileRole, Stat

_HOMES = ("/home/", "/root/", "/run/user/")
_STICKY = 0o1000


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """What is done to one path."""

    path: str
    owner: str = ""
    """`user:group`; empty when the owner is right."""
    mode: str = ""
    """As chmod(1) takes it; empty when only the owner is wrong."""
    tree: bool = False
    """Also to everything below it."""

    @property
    def user(self) -> str:
        """The user of `owner`."""
        return self.owner.partition(":")[0]


def repairs(
    files: Iterable[FileFact],
    weak: Iterable[Evidence],
    *,
    owner: str,
    mode: str = "go-w",
) -> tuple[Repair, ...]:
    """What makes every path that the evidence names safe; empty when that is for people to say.

    Args:
        files: The snapshot's.
        weak: Evidence whose source is the path, as `FileTree` makes it.
        owner: `user:group` for a file whose owner is not trusted; empty to leave it to people.
        mode: What is taken away, as chmod(1) takes it.
    """
    known = tuple(files)
    strange: dict[str, bool] = {}
    for evidence in weak:
        strange[evidence.source] = strange.get(evidence.source, False) or blames_owner(evidence)
    found = [
        _repair(known, path, owner if other else None, mode) for path, other in strange.items()
    ]
    whole = [repair for repair in found if repair is not None]
    return tuple(whole) if len(whole) == len(found) else ()


def _repair(files: tuple[FileFact, ...], path: str, owner: str | None, mode: str) -> Repair | None:
    """`owner`: None when it is right, empty when it is wrong and not for us to change."""
    facts = [fact for fact in files if fact.path == path]
    if not facts or any(fact.pid for fact in facts):
        return None
    stat: Observed[Stat] = facts[0].stat
    roles = {fact.role for fact in facts}
    if not isinstance(stat, Known) or stat.value.kind not in (FileKind.FILE, FileKind.FOLDER):
        return None
    is_file = stat.value.kind is FileKind.FILE
    models = FileRole.MODELS in roles
    if owner is not None and (not owner or not is_file or path.startswith(_HOMES)):
        return None
    if not is_file and stat.value.mode & _STICKY:
        return None
    return Repair(
        path=path,
        owner=owner or "",
        mode=mode,
        tree=models and not is_file,
    )
