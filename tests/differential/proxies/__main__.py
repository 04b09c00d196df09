"""Compare what is said of proxies with what they do: `python -m tests.differential.proxies --help`.

Each case is a random configuration. Its program, of the lab's image, runs with it in namespaces of
its own, in front of a stub of Ollama, and is asked for every path of the API from several
addresses, as a stranger would and with the right key.
"""

from __future__ import annotations

import argparse
import sys

from tests.differential.proxies.grammars import GRAMMARS
from tests.differential.proxies.run import run
from tests.lab.outer import require


def main() -> int:
    """Run one program; 1 when it does something else than is said."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.differential.proxies", description=__doc__
    )
    parser.add_argument("program", choices=GRAMMARS)
    parser.add_argument("--configurations", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="one alone, by the number it was shown by")
    given = parser.parse_args()
    require()
    tally = run(given.program, given.configurations, given.seed, given.case)
    for name, lines in list(tally.bad.items())[:10]:
        sys.stdout.write(f"case {name}:\n" + "".join(f"  {line}\n" for line in lines[:3]))
    for why, count in tally.doubts.most_common(10):
        sys.stdout.write(f"{count:6} unknown: {why}\n")
    sys.stdout.write(f"{given.program}: {tally}\n")
    return 1 if tally.bad else 0


if __name__ == "__main__":
    sys.exit(main())
