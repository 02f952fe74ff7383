"""`./mithaq simulate`: many seeds, each its own world of two or three nodes; prints what held and what did not."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from mithaq.kernel import words
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


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for; help and errors in the language of the locale."""
    word = partial(words.say, lang=words.language(environ=os.environ))
    about = word("days of two or three nodes in seconds, with losses and crashes")
    parser = argparse.ArgumentParser(prog="mithaq simulate", description=about)
    seeds, hours = (
        word("how many worlds, {n} when left out", n=20),
        word("virtual hours of each, {n} when left out", n=24),
    )
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help=seeds)
    parser.add_argument("--hours", type=float, default=24.0, metavar="N", help=hours)
    seed = word("this world alone: a failure told again")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help=seed)
    parser.add_argument("--json", action="store_true", help=word("one JSON object as the last line"))
    parser.add_argument("--language", choices=words.LANGUAGES, help=word("the language of the messages"))
    options = parser.parse_args(argv)
    if options.seeds < 1 or options.hours <= 0:
        parser.error(word("--seeds and --hours must be above zero"))
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 when every invariant held in every world, else 1."""
    options = _options(argv)
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
