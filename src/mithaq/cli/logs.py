"""`log`, `carry`, `rebuild`: the entries as they stand, their way by file, and the records folded anew from them."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from mithaq.cli import files
from mithaq.cli.entries import spoken
from mithaq.cli.home import home_of, opened
from mithaq.cli.output import Output
from mithaq.cli.parser import UsageError
from mithaq.cli.reading import reading
from mithaq.kernel.errors import Refused
from mithaq.node import Node

PAGE: Final = 1024
"""Entries read in one view of the database, so that a long print holds no transaction open."""
_PAUSE: Final = 0.5  # seconds between two looks of `--follow`
_TO_CARRY: Final = "cli.stop_to_carry"
_TO_REBUILD: Final = "cli.stop_to_rebuild"


def log(arguments: argparse.Namespace, output: Output) -> int:
    """Print entries of one log; with `--follow` until it is stopped. As JSON one object a line."""
    position = arguments.start
    if position < 0:
        raise UsageError("", output.word("--from must be zero or more"))
    while True:
        position = _page(arguments, output, position)
        if not arguments.follow:
            return 0
        sys.stdout.flush()
        time.sleep(_PAUSE)


def _page(arguments: argparse.Namespace, output: Output, position: int) -> int:
    """Print what there is from `position` on; returns the position after it."""
    while True:
        with reading(arguments) as reader:
            party = arguments.party or reader.party
            size = reader.log(party).size
            entries = reader.log(party).entries(reader.connection, position, min(size, position + PAGE))
        for n, entry in enumerate(entries, position):
            one = spoken(party, n, entry)
            if output.as_json:
                output.record(one.plain())
            for line in one.lines(output) if not output.as_json else ():
                output.text(line)
        position += len(entries)
        if len(entries) < PAGE:
            return position


def carry(arguments: argparse.Namespace, output: Output) -> int:
    """Write what a peer lacks into a file, or take in what a peer has written."""
    return (_carry_out if arguments.way == "out" else _carry_in)(arguments, output)


def _carry_out(arguments: argparse.Namespace, output: Output) -> int:
    from mithaq.kernel import carriage

    with _alone(arguments, output, _TO_CARRY) as node, _written(arguments.file) as sink:
        node.post.mirror(arguments.to)  # refuses a party that is no peer before a file is made
        carried = carriage.carry_out(node, arguments.to, sink)
    output.line("Written for {party}: {value}", party=arguments.to, value=arguments.file)
    output.text(f"    {output.counted('{n} entry', carried.entries)}")
    output.result({"file": arguments.file, **msgspec.structs.asdict(carried)})
    return 0


def _carry_in(arguments: argparse.Namespace, output: Output) -> int:
    from mithaq.kernel import carriage

    try:
        with Path(arguments.file).open("rb") as source, _alone(arguments, output, _TO_CARRY) as node:
            carried = carriage.carry_in(node, source)
    except OSError as failure:
        raise files.unreadable(arguments.file, failure) from failure
    output.line("Taken in from {party}: {value}", party=carried.sender, value=arguments.file)
    output.text(f"    {output.counted('{n} entry', carried.entries)}")
    if carried.receipted:
        output.line("{party} has receipted our log up to {n}.", party=carried.sender, n=carried.receipted)
    for digest, code in carried.refused.items():
        output.text(f"    {output.code(digest)}: {output.sentence(code, {'digest': digest})} [{output.code(code)}]")
    output.result({"file": arguments.file, **msgspec.structs.asdict(carried)})
    return 0


@contextlib.contextmanager
def _alone(arguments: argparse.Namespace, output: Output, held: str) -> Iterator[Node]:
    """The node; where another process holds it, the refusal `held`, which says what to do for this command."""
    home = home_of(arguments)
    with contextlib.ExitStack() as stack:
        try:
            node = stack.enter_context(opened(home, output))
        except Refused as reason:
            if reason.code != "node.already_running":
                raise
            raise Refused(held, value=str(home.path)) from reason
        yield node


@contextlib.contextmanager
def _written(path: str) -> Iterator[BinaryIO]:
    """A file that is there whole or not at all: a courier takes no half of it along."""
    partial = Path(f"{path}.part")
    try:
        with partial.open("wb") as sink:
            yield sink
        partial.replace(path)
    except OSError as failure:
        raise files.unwritable(path, failure) from failure
    finally:
        partial.unlink(missing_ok=True)


def rebuild(arguments: argparse.Namespace, output: Output) -> int:
    """Fold all records anew (law 9), in one transaction: who stops it leaves the old ones."""
    began = time.monotonic()
    with _alone(arguments, output, _TO_REBUILD) as node, _progress(node, output):
        entries = node.rebuild()
    seconds = round(time.monotonic() - began, 3)
    output.line("The records are folded anew from {n}.", n=output.counted("{n} entry", entries))
    output.result({"entries": entries, "seconds": seconds})
    return 0


@contextlib.contextmanager
def _progress(node: Node, output: Output) -> Iterator[None]:
    """On a terminal, one line a second of how far the folding is."""
    done = threading.Event()
    total = node.log.size + sum(mirror.log.size for mirror in node.post.mirrors.values())

    def tell() -> None:
        while not done.wait(1.0):
            heard = sum(each.heard for each in node.judge.progress.values())
            output.note("{n} of {all} entries", n=heard, all=total)

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    if sys.stderr.isatty():
        teller.start()
    try:
        yield
    finally:
        done.set()
        if teller.ident is not None:
            teller.join()
