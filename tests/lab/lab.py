"""The lab as an API: `with booted(scenario) as host: host.run("systemctl status ollama")`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

from tests.lab.host import Host, booted_tree
from tests.lab.image.build import base_image
from tests.lab.outer import LabError
from tests.lab.product import layers
from tests.lab.scenario import Scenario, all_scenarios

PRELUDE = "set -euo pipefail\nexport DEBIAN_FRONTEND=noninteractive\n. /run/lab/functions.sh\n"


@contextmanager
def booted(
    scenario: Scenario | str = "as-installed", *, product: bool = False, peer: bool = False
) -> Iterator[Host]:
    """A host in the state of this scenario, taken away when the block ends.

    Args:
        scenario: The scenario or its name.
        product: Also install the checkout's wheel, so that `ollama-audit` is on the PATH.
        peer: Also install llm-host-guard.

    Raises:
        LabError: The host did not boot, or its set-up failed.
    """
    if isinstance(scenario, str):
        scenario = named(scenario)
    trees: list[Path] = [*layers(scenario.suite, product=product, peer=peer)]
    with booted_tree([*trees, base_image(scenario.suite)]) as host:
        functions = (Path(__file__).parent / "functions.sh").read_text()
        host.run("mkdir -p /run/lab && cat >/run/lab/functions.sh", given=functions)
        host.run(PRELUDE + scenario.setup, timeout=120)
        yield host


def prepare(suites: Iterable[str], *, product: bool, peer: bool) -> None:
    """Make images and layers before many scenarios want them at once."""
    for suite in sorted(suites):
        base_image(suite)
        layers(suite, product=product, peer=peer)


def named(name: str) -> Scenario:
    """The scenario of this name.

    Raises:
        LabError: There is none; with the nearest names.
    """
    known = all_scenarios()
    if name not in known:
        near = ", ".join(get_close_matches(name, known, 3)) or "see `python -m tests.lab list`"
        raise LabError(f"no scenario {name!r}; {near}")
    return known[name]


def chosen(patterns: Sequence[str]) -> list[Scenario]:
    """The scenarios of these names or shell patterns; all without any.

    Raises:
        LabError: A pattern matches none.
    """
    if not patterns:
        return list(all_scenarios().values())
    found = []
    for pattern in patterns:
        names = [name for name in all_scenarios() if fnmatchcase(name, pattern)]
        found += [all_scenarios()[name] for name in names] or [named(pattern)]
    return found
