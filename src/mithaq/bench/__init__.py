"""Benchmarks, each with its peer or its physical limit measured in the same run. A benchmark never asserts."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial

import msgspec

from mithaq.bench import exchange
from mithaq.kernel import words

NAMES = {"exchange": exchange.run}


def _options(argv: Sequence[str]) -> argparse.Namespace:
    """What was asked for; help and errors in the language of the locale."""
    word = partial(words.say, lang=words.language(environ=os.environ))
    parser = argparse.ArgumentParser(prog="mithaq bench", description=word("measure the program beside its peers"))
    names = sorted(NAMES)
    parser.add_argument("name", choices=names, metavar="NAME", help=word("one of: {names}", names=", ".join(names)))
    seconds = word("seconds that the sustained load runs, {n} when left out", n=60)
    parser.add_argument("--seconds", type=float, default=60.0, metavar="N", help=seconds)
    backlog = word("statements said while the other node is stopped, {n} when left out", n=100_000)
    parser.add_argument("--backlog", type=int, default=100_000, metavar="N", help=backlog)
    singles = word("statements said one at a time, 50 a second, {n} when left out", n=500)
    parser.add_argument("--singles", type=int, default=500, metavar="N", help=singles)
    payload = word("bytes of a message's text, and of the peer's, {n} when left out", n=exchange.PAYLOAD)
    parser.add_argument("--payload", type=int, default=exchange.PAYLOAD, metavar="N", help=payload)
    parser.add_argument("--json", action="store_true", help=word("one JSON object as the last line"))
    parser.add_argument("--language", choices=words.LANGUAGES, help=word("the language of the messages"))
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """`mithaq bench NAME [--seconds S] [--json]`: a table, and with --json one JSON object as the last line."""
    options = _options(argv)
    figures = NAMES[options.name](options.seconds, options.backlog, options.singles, options.payload)
    width = max(len(name) for name in figures)
    for name, value in figures.items():
        print(f"{name:<{width}}  {value}")
    if options.json:
        print(msgspec.json.encode(figures).decode())
    return 0
