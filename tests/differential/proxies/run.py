"""One run: many random configurations of one program."""

from __future__ import annotations

import random

from tests.differential.proxies.compare import Tally, judge
from tests.differential.proxies.grammars import GRAMMARS
from tests.differential.proxies.world import world


def run(program: str, configurations: int, seed: int = 1, case: int | None = None) -> Tally:
    """Run this many configurations, or the one of a number."""
    tally = Tally()
    chance = random.Random(seed)
    with world() as place:
        for _ in range(1 if case is not None else configurations):
            number = case if case is not None else chance.getrandbits(40)
            judge(place, str(number), GRAMMARS[program](random.Random(number)), tally)
    return tally
