"""Compare the packet-filter engine with the kernel: `python -m tests.differential --help`.

Each case makes a random ruleset, loads it into a network namespace, reads it back, asks the
engine who gets through, and then tries: SYN, SYN+ACK and ACK from spoofed sources, or connect(2)
for clients of the host itself. Needs root, nftables, iptables, ipset and iproute2. All packets
stay in namespaces that it makes, named oa-diff-*, and takes away again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.differential.run import ALL_MODES, Plan, run


def main() -> int:
    """Run one mode; 1 when the engine and the kernel disagree."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("mode", choices=ALL_MODES)
    parser.add_argument("--rulesets", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="one ruleset alone, by the number it was shown by")
    parser.add_argument(
        "--modelled-only", action="store_true", help="no matches that nobody models on purpose"
    )
    parser.add_argument("--swarm", action="store_true", help="few features a case, in bursts")
    parser.add_argument("--keep", type=Path, help="folder for rulesets that disagree")
    parser.add_argument("--reasons", action="store_true", help="why probes are unknown (slower)")
    given = parser.parse_args()
    plan = Plan(
        mode=given.mode,
        rulesets=1 if given.case is not None else given.rulesets,
        seed=given.seed,
        unmodelled=0.0 if given.modelled_only else 0.12,
        swarm=given.swarm,
        case=given.case,
        keep=given.keep,
        reasons=given.reasons,
    )
    tally = run(plan)
    for seed, lines in list(tally.bad.items())[:10]:
        sys.stdout.write(f"case {seed}:\n")
        for line in lines[:4]:
            sys.stdout.write(f"  {line}\n")
    for reason, count in tally.reasons.most_common(20):
        sys.stdout.write(f"{100 * count / tally.counts['probes']:6.2f} %  {reason}\n")
    sys.stdout.write(f"{plan.mode}: {tally}\n")
    return 1 if tally.disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
