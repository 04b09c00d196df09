"""What a full audit of a large host costs, by size: `python -m tests.benchmarks.large`.

A lab host with real systemd, Ollama and nginx is filled with containers, nginx server blocks and
processes, and audited in it: wall and processor time in seconds, the median of five, and peak
memory in MiB. Each kind grows alone and then all grow together, so that the curve can be read.
Needs root, like the lab. With `--ollama` every container is an Ollama server. `--profile FOLDER`
keeps a cProfile and the snapshot of the largest.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.lab.host import Host
from tests.lab.lab import booted
from tests.lab.outer import require

FULL = (200, 500, 5000)
SIZES = (
    (0, 0, 0),
    *((count, 0, 0) for count in (50, 100, 200)),
    *((0, count, 0) for count in (125, 250, 500)),
    *((0, 0, count) for count in (1250, 2500, 5000)),
    *(tuple(count * part // 4 for count in FULL) for part in (1, 2, 4)),
)

MEASURE = """
import os, statistics, sys, time
walls, cpus, peak = [], [], 0
for turn in range(int(sys.argv.pop(1))):
    with open(os.devnull, "r+b") as nowhere:
        began = time.perf_counter()
        actions = [(os.POSIX_SPAWN_DUP2, nowhere.fileno(), target) for target in (0, 1, 2)]
        pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=actions)
        _, _, used = os.wait4(pid, 0)
    if turn:
        walls.append(time.perf_counter() - began)
        cpus.append(used.ru_utime + used.ru_stime)
        peak = max(peak, used.ru_maxrss / 1024)
print(f"{statistics.median(walls):.3f} {statistics.median(cpus):.3f} {peak:.0f}")
"""


def filled(host: Host, size: tuple[int, ...], *, servers: bool) -> None:
    """Start the crowd and wait until all of it is there."""
    text = (Path(__file__).parent / "populate.py").read_text(encoding="utf-8")
    (host.root / "run/lab/populate.py").write_text(text, encoding="utf-8")
    words = " ".join([*map(str, size), *(["ollama"] if servers else [])])
    host.run(
        "systemd-run -q --unit=populate -p TasksMax=infinity -p LimitNOFILE=100000 "
        f"-p StandardOutput=file:/run/lab/populated python3 /run/lab/populate.py {words}"
    )
    host.wait("grep -q ready /run/lab/populated", 240)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--profile", type=Path)
    options.add_argument("--runs", type=int, default=6, help="the first is not counted")
    options.add_argument("--size", help="one size alone: CONTAINERS,SERVERS,PROCESSES")
    options.add_argument("--ollama", action="store_true", help="in every container")
    given = options.parse_args()
    require()
    print(
        f"{'containers':>10} {'servers':>8} {'processes':>9} {'wall s':>8} {'cpu s':>7} {'MiB':>5}"
    )
    sizes = [tuple(map(int, given.size.split(",")))] if given.size else SIZES
    for size in sizes:
        with booted(product=True) as host:
            filled(host, size, servers=given.ollama)
            program = host.run('readlink -f "$(command -v ollama-audit)"').out.strip()
            wall, cpu, peak = host.run(
                f"python3 - {given.runs} {program} -f json", given=MEASURE, timeout=300
            ).out.split()
            containers, servers, processes = size
            print(
                f"{containers:>10} {servers:>8} {processes:>9} {wall:>8} {cpu:>7} {peak:>5}",
                flush=True,
            )
            if given.profile and size == sizes[-1]:
                profile(host, program, given.profile)


def profile(host: Host, program: str, folder: Path) -> None:
    """Keep a snapshot, and a profile of one audit for `python -m pstats`."""
    interpreter = host.run(f"head -1 {program} | cut -c3-").out.strip()
    host.run(
        f"{interpreter} -m cProfile -o /run/lab/profile -m ollama_audit "
        "-f json -o /run/lab/a.json || true",
        timeout=300,
    )
    folder.mkdir(parents=True, exist_ok=True)
    host.run("ollama-audit snapshot -o /run/lab/s.json")
    (folder / "snapshot.json").write_bytes((host.root / "run/lab/s.json").read_bytes())
    (folder / "large.prof").write_bytes((host.root / "run/lab/profile").read_bytes())
    (folder / "large.json").write_bytes((host.root / "run/lab/a.json").read_bytes())


if __name__ == "__main__":
    main()
