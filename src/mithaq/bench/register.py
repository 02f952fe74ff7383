"""The register after ten years of a busy commission: what is asked of it, how long it takes, and how fast it is rebuilt."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec

from mithaq.bench.commission import Commission, Size
from mithaq.bench.exchange import Figures, Word

QUESTIONS: Final = 400


def options(parser: argparse.ArgumentParser, word: Word) -> None:
    """How much was said, and how often it is asked."""
    size = Size()
    agreements = word("agreements of 25 obligations each, {n} when left out", n=size.agreements)
    parser.add_argument("--agreements", type=int, default=size.agreements, metavar="N", help=agreements)
    statements = word("statements said by both sides, {n} when left out", n=size.statements)
    parser.add_argument("--statements", type=int, default=size.statements, metavar="N", help=statements)
    years = word("years in which they were said, {n} when left out", n=size.years)
    parser.add_argument("--years", type=int, default=size.years, metavar="N", help=years)
    questions = word("how often each question is asked, {n} when left out", n=QUESTIONS)
    parser.add_argument("--questions", type=int, default=QUESTIONS, metavar="N", help=questions)


def run(given: argparse.Namespace) -> Figures:
    """Two nodes say it all in this process; another one, that holds nothing yet, is asked."""
    with tempfile.TemporaryDirectory(prefix="mithaq-bench-") as folder:
        start = time.monotonic()
        commission = Commission(Path(folder), Size(given.agreements, given.statements, given.years))
        commission.fill()
        commission.close()
        filled = time.monotonic() - start
        command = [sys.executable, "-m", "mithaq.bench.questions", folder, str(given.questions)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        size = sum((Path(folder) / party / "node.db").stat().st_size for party in commission.nodes)
    figures: Figures = msgspec.json.decode(done.stdout.splitlines()[-1])
    said = sum(node.log.size for node in commission.nodes.values())
    figures |= {"statements": said, "obligations": commission.obligations, "clauses": len(commission.clauses)}
    return figures | {"bytes_per_statement": round(size / 2 / said), "fill_seconds": round(filled, 1)}
