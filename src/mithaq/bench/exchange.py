"""The exchange: two node processes over loopback HTTP, every statement judged and durable on both sides, receipted.

Beside it, in the same run: AS4 (PyPI `as4`), and the floor of hashing and durable commits alone.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from mithaq.kernel import keys, merkle, pairing
from mithaq.kernel.carriage import carry_in, carry_out
from mithaq.kernel.database import Database
from mithaq.kernel.log import WIDTH, Log, split
from mithaq.kernel.mandate import Agreement, Clause, Entry, Permit
from mithaq.node import Node
from mithaq.services.agreements import acts
from mithaq.services.channel.records import messages
from mithaq.settings import Home, Settings

PARTIES: Final = ("XA", "XB")
COMMISSION: Final = "xa-xb.example"
PASSPHRASE: Final = "benchmark"  # noqa: S105  # of keys that live as long as the run
PAYLOAD: Final = 256
"""Characters of a message's text: about what an official writes; with its envelope some 490 bytes in the log."""
MILLION: Final = 1_000_000
Figures = dict[str, float | int | None]
Word = Callable[..., str]
"""A sentence of the interface in the reader's language."""


class Process:
    """A node process that obeys (see `load`)."""

    def __init__(self, home: Path) -> None:
        command = [sys.executable, "-m", "mithaq.bench.load", str(home), PASSPHRASE]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        self.ready = float(self._answer()["ready"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a node process of the benchmark ended early")
        return dict(msgspec.json.decode(line))

    def tell(self, do: str, **order: Any) -> None:
        """Give an order; `answer` waits for its end."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode({"do": do, **order}) + b"\n")
        self._process.stdin.flush()

    def ask(self, do: str, **order: Any) -> dict[str, Any]:
        """Give an order and wait for its answer."""
        self.tell(do, **order)
        return self._answer()

    def stop(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self.tell("stop")
            self._process.communicate(timeout=30)


def options(parser: argparse.ArgumentParser, word: Word) -> None:
    """How long, how much, how large."""
    seconds = word("seconds that the sustained load runs, {n} when left out", n=60)
    parser.add_argument("--seconds", type=float, default=60.0, metavar="N", help=seconds)
    backlog = word("statements said while the other node is stopped, {n} when left out", n=100_000)
    parser.add_argument("--backlog", type=int, default=100_000, metavar="N", help=backlog)
    singles = word("statements said one at a time, 50 a second, {n} when left out", n=500)
    parser.add_argument("--singles", type=int, default=500, metavar="N", help=singles)
    payload = word("bytes of a message's text, and of the peer's, {n} when left out", n=PAYLOAD)
    parser.add_argument("--payload", type=int, default=PAYLOAD, metavar="N", help=payload)


def run(given: argparse.Namespace) -> Figures:
    """The whole benchmark; the keys are those that `docs/benchmarks.md` explains."""
    size = given.payload
    payload = ("0123456789abcdef" * (size // 16 + 1))[:size]
    with tempfile.TemporaryDirectory(prefix="mithaq-bench-") as folder:
        clause = prepare(Path(folder))
        figures = _exchange(Path(folder), clause, payload, given.seconds, given.backlog, given.singles)
        figures |= _floor(Path(folder), payload, figures["per_cpu_second"])
        figures |= _stored(Path(folder), figures.pop("_statements"))
    peer = _as4(size)
    figures["as4_per_cpu_second"] = peer
    figures["ratio_to_as4"] = round(figures["per_cpu_second"] / peer, 1) if peer else None
    order = (
        "statements_per_second per_cpu_second as4_per_cpu_second ratio_to_as4 floor_share receipt_p50_ms receipt_p99_ms "
        "backlog_100k_seconds lost doubled bytes_per_statement rss_mib verify_entries_per_second "
        "rebuild_statements_per_second proof_ms_at_1m startup_seconds_at_1m sync_p50_ms entries_at_end"
    )
    return {name: figures[name] for name in order.split()}


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def homes(folder: Path) -> dict[str, Home]:
    """Two paired homes."""
    made = {party: Home(folder / party) for party in PARTIES}
    for (party, home), port in zip(made.items(), _free_ports(2), strict=True):
        own = keys.create(party, COMMISSION, [f"{party}/border-guard"], ["127.0.0.1"])
        address = f"http://127.0.0.1:{port}"
        names = dict.fromkeys(("ar", "en", "fa"), party)
        settings = Settings(party, COMMISSION, names, f"127.0.0.1:{port}", address)
        home.create(settings, own, PASSPHRASE, work=keys.LEAST_WORK)
    first, second = made["XA"], made["XB"]
    first.accept(pairing.parse(second.own_pairing_file("XB").read_bytes()))
    second.accept(pairing.parse(first.own_pairing_file("XA").read_bytes()))
    return made


def prepare(folder: Path) -> str:
    """Two paired homes with one agreement in force; the clause that lets both border guards talk."""
    permit = Permit("channel.say", ("XA/border-guard", "XB/border-guard"))
    text = Agreement({"en": "Talk"}, PARTIES, (Clause("1", {"en": "Talk."}, (permit,)),), Entry("signature"))
    nodes = {party: home.node(PASSPHRASE) for party, home in homes(folder).items()}
    reference = nodes["XA"].say(acts.Propose(text), clause="charter", by="XA").reference
    nodes["XA"].say(acts.Sign(reference, text.hash()), clause="charter", by="XA")
    deliver(nodes["XA"], nodes["XB"])
    nodes["XB"].say(acts.Sign(reference, text.hash()), clause="charter", by="XB")
    deliver(nodes["XB"], nodes["XA"])
    for node in nodes.values():
        node.database.close()
    return f"{reference}/1"


def deliver(sender: Node, receiver: Node) -> None:
    """Carry a whole log within this process, as a file would."""
    with io.BytesIO() as file:
        carry_out(sender, receiver.party, file)
        file.seek(0)
        carry_in(receiver, file)


def _exchange(folder: Path, clause: str, payload: str, seconds: float, backlog: int, singles: int) -> dict[str, Any]:
    sender, receiver = Process(folder / "XA"), Process(folder / "XB")
    begin = {"clause": clause, "by": "XA/border-guard", "to": "XB/border-guard", "text": payload}
    try:
        sender.ask("begin", **begin)
        sender.ask("load", seconds=min(2.0, seconds))
        before = sender.ask("figures")["cpu_seconds"] + receiver.ask("figures")["cpu_seconds"]
        load = sender.ask("load", seconds=seconds)
        after = sender.ask("figures")["cpu_seconds"] + receiver.ask("figures")["cpu_seconds"]
        times = sorted(sender.ask("single", count=singles, a_second=50)["milliseconds"])
        rss = receiver.ask("figures")["rss_mib"]
        receiver.stop()
        size = sender.ask("backlog", count=backlog)["size"]
        start = time.monotonic()
        receiver = Process(folder / "XB")
        sender.ask("drained")
        drained = time.monotonic() - start
        mine, theirs = sender.ask("figures"), receiver.ask("figures")
    finally:
        sender.stop()
        receiver.stop()
    return {
        "statements_per_second": round(load["statements"] / load["seconds"]),
        "per_cpu_second": round(load["statements"] / (after - before)),
        "receipt_p50_ms": round(statistics.median(times), 2),
        "receipt_p99_ms": round(times[int(len(times) * 0.99) - 1], 2),
        "backlog_100k_seconds": round(drained * 100_000 / backlog, 2),
        "rss_mib": round(max(rss, mine["rss_mib"], theirs["rss_mib"]), 1),
        "_statements": int(size),
    }


@contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    start = time.process_time()
    yield lambda: time.process_time() - start


def _floor(folder: Path, payload: str, ours: float) -> dict[str, Any]:
    """What cannot be saved on two sides: hashing an entry of that size, and storing it durably in groups."""
    entry = b"x" * (len(payload) + 300)
    groups, size = 40, 1024
    used = 0.0
    for side in ("a", "b"):
        database = Database(f"sqlite:///{folder}/floor-{side}.db")
        log = Log("floor")
        with _timed() as elapsed:
            for _ in range(groups):
                with database.write() as writing:
                    log.append(writing, [entry] * size)
                log.root()
            used += elapsed()
        database.close()
    floor = groups * size / used
    return {"floor_share": round(ours / floor, 3), "sync_p50_ms": _sync_ms(folder)}


def _sync_ms(folder: Path) -> float:
    times = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(bytes(4096))
            start = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    return round(statistics.median(times) * 1000, 3)


def _stored(folder: Path, size: int) -> dict[str, Any]:
    """What is on both disks at the end: nothing lost or doubled, how fast it is verified, rebuilt and proved."""
    bytes_stored = (folder / "XB" / "node.db").stat().st_size
    home = Home(folder / "XB")
    node = home.node(PASSPHRASE)
    log = node.post.mirrors["XA"].log
    with node.database.read() as reading:
        column = messages.c.reference
        references = reading.execute(column.table.select().with_only_columns(column)).scalars().all()
        verified = _verify(log, reading)
    expected = size - 2
    figures: dict[str, Any] = {
        "lost": expected - len(set(references)),
        "doubled": len(references) - len(set(references)),
        "bytes_per_statement": round(bytes_stored / size),
        "verify_entries_per_second": verified,
        "entries_at_end": size,
    }
    figures |= _at_a_million(node, log)
    with _timed() as elapsed:
        count = node.rebuild()
        figures["rebuild_statements_per_second"] = round(count / elapsed())
    node.database.close()
    return figures


def _verify(log: Log, reading: Any) -> int:
    """Recompute every leaf and the root from the stored entries of up to 200,000 statements."""
    count = min(log.size, 200_000) // WIDTH * WIDTH
    with _timed() as elapsed:
        frontier = merkle.Frontier()
        for start in range(0, count, WIDTH):
            frontier.extend(merkle.leaf_hashes(split(log.bundle(reading, start, start + WIDTH))))
        root = frontier.root()
        used = elapsed()
    if root != log.root_at(reading, count):
        raise SystemExit("the recomputed root differs from the stored tree")
    return round(count / used)


def _at_a_million(node: Node, log: Log) -> dict[str, float]:
    """The log filled up to a million entries with filler: the time of one proof, and of opening the log."""
    filler = [b"{}"] * 8192
    with node.database.write() as writing:
        grown = Log(log.name + "-million")
        while grown.size < MILLION:
            grown.append(writing, filler[: MILLION - grown.size])
    times = []
    with node.database.read() as reading:
        for index in range(0, MILLION, MILLION // 200):
            start = time.process_time()
            proof = merkle.inclusion_proof(index, MILLION, grown.reader(reading))
            times.append(time.process_time() - start)
            merkle.verify_inclusion(merkle.leaf_hash(b"{}"), index, MILLION, proof, grown.root())
        start = time.process_time()
        Log(grown.name).load(reading)
        opened = time.process_time() - start
    return {"proof_ms_at_1m": round(statistics.median(times) * 1000, 3), "startup_seconds_at_1m": round(opened, 3)}


def _as4(size: int) -> float | None:
    """One AS4 exchange after the other in the peers' own environment; None where that is not installed."""
    python = os.environ.get("MITHAQ_BENCH_PYTHON")
    if not python:
        return None
    script = Path(__file__).with_name("as4_exchange.py")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, str(script), "10", str(size)], capture_output=True, text=True, check=True, env=environment
    )
    return float(msgspec.json.decode(done.stdout.splitlines()[-1])["per_cpu_second"])
