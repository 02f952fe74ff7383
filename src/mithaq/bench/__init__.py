"""Benchmarks, each with its peer or its physical limit measured in the same run. A benchmark never asserts."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial

import msgspec

from mithaq.bench import exchange, register
from mithaq.kernel import words

NAMES = {"exchange": exchange, "register": register}
"""Each has `options(parser, word)`, what can be set, and `run(given)`, its figures by name."""


def _options(argv: Sequence[str]) -> argparse.Namespace:
    """What was asked for; help and errors in the language of the locale."""
    word = partial(words.say, lang=words.language(environ=os.environ))
    parser = argparse.ArgumentParser(prog="mithaq bench", description=word("measure the program beside its peers"))
    names = sorted(NAMES)
    help_ = word("one of: {names}", names=", ".join(names))
    benchmarks = parser.add_subparsers(dest="name", required=True, metavar="NAME", help=help_)
    for name in names:
        one = benchmarks.add_parser(name, description=word("measure the program beside its peers"))
        NAMES[name].options(one, word)
        one.add_argument("--json", action="store_true", help=word("one JSON object as the last line"))
        one.add_argument("--language", choices=words.LANGUAGES, help=word("the language of the messages"))
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """`mithaq bench NAME [OPTIONS] [--json]`: a table, and with --json one JSON object as the last line."""
    given = _options(argv)
    figures = NAMES[given.name].run(given)
    width = max(len(name) for name in figures)
    for name, value in figures.items():
        print(f"{name:<{width}}  {value}")
    if given.json:
        print(msgspec.json.encode(figures).decode())
    return 0
