"""`./mithaq simulate`: many seeds, each its own world of two or three nodes; prints what held and what did not."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from mithaq.simulation.world import World

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one seed gave."""

    seed: int
    parties: int
    statements: int
    crashes: int
    violations: list[str]
    seconds: float
    trace: str


def live(seed: int, hours: float) -> Outcome:
    """One world. Every third seed has three nodes, the others two."""
    parties = ("XA", "XB", "XC") if seed % 3 == 2 else ("XA", "XB")
    began = time.perf_counter()
    world = World(seed, parties)
    world.run(hours)
    seconds = time.perf_counter() - began
    return Outcome(seed, len(parties), world.statements, world.crashes, world.audit.violations, seconds, world.trace)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 when every invariant held in every world, else 1."""
    parser = argparse.ArgumentParser(prog="mithaq simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many worlds (default 20)")
    parser.add_argument("--hours", type=float, default=24.0, help="virtual hours of each (default 24)")
    parser.add_argument("--seed", type=int, default=None, help="only this seed: a failure told again")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args(argv)
    if options.seeds < 1 or options.hours <= 0:
        parser.error("--seeds and --hours must be above zero")
    seeds = [options.seed] if options.seed is not None else list(range(options.seeds))
    began = time.perf_counter()
    print(f"{'seed':>6} {'nodes':>5} {'statements':>10} {'crashes':>7} {'violations':>10} {'seconds':>8}  trace")
    outcomes = []
    with ProcessPoolExecutor(min(WORKERS, len(seeds))) as pool:
        for each in pool.map(live, seeds, [options.hours] * len(seeds)):
            outcomes.append(each)
            numbers = f"{each.seed:>6} {each.parties:>5} {each.statements:>10} {each.crashes:>7}"
            print(f"{numbers} {len(each.violations):>10} {each.seconds:>8.2f}  {each.trace[:16]}", flush=True)
            for violation in each.violations:
                print(f"       seed {each.seed}: {violation}", file=sys.stderr)
    summary = {
        "seeds": len(seeds),
        "hours": options.hours,
        "statements": sum(each.statements for each in outcomes),
        "crashes": sum(each.crashes for each in outcomes),
        "violations": sum(len(each.violations) for each in outcomes),
        "seconds": round(time.perf_counter() - began, 3),
    }
    print(", ".join(f"{name} {value}" for name, value in summary.items()))
    if options.json:
        print(json.dumps(summary))
    return 1 if summary["violations"] else 0
