"""Benchmarks, each with its peer or its physical limit measured in the same run. A benchmark never asserts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import msgspec

from mithaq.bench import exchange

NAMES = {"exchange": exchange.run}


def main(argv: Sequence[str]) -> int:
    """`mithaq bench NAME [--seconds S] [--json]`: a table, and with --json one JSON object as the last line."""
    parser = argparse.ArgumentParser(prog="mithaq bench", description=__doc__)
    parser.add_argument("name", choices=sorted(NAMES))
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the sustained load runs")
    parser.add_argument("--backlog", type=int, default=100_000, help="statements said while the other node is stopped")
    parser.add_argument("--singles", type=int, default=500, help="statements said one at a time, 50 a second")
    size = exchange.PAYLOAD
    parser.add_argument("--payload", type=int, default=size, help=f"bytes of a message's text ({size}); the peer's too")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args(argv)
    figures = NAMES[options.name](options.seconds, options.backlog, options.singles, options.payload)
    width = max(len(name) for name in figures)
    for name, value in figures.items():
        print(f"{name:<{width}}  {value}")
    if options.json:
        print(msgspec.json.encode(figures).decode())
    return 0
