"""One node process of the exchange benchmark: serves a home and, when told on standard input, says statements.

Commands, one JSON a line, each answered by one JSON line on standard output: `load`, `single`, `backlog`, `drained`,
`figures`, `stop`. The load is said in this process, through `node.say_all`, as an office's own programs would.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from mithaq.kernel.errors import MithaqError
from mithaq.node import Node, Saying
from mithaq.serve import serve
from mithaq.services.channel import acts
from mithaq.settings import Home

GROUP = 1024
WINDOW = 32_768
"""Statements said and not yet receipted at most, so that a sustained rate is one that both sides keep up with."""


def cpu_seconds() -> float:
    """Processor time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_rss_mib() -> float:
    """The largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Load:
    """Says channel messages under one clause."""

    def __init__(self, node: Node, clause: str, by: str, to: str, text: str) -> None:
        self.node = node
        self.peer = next(iter(node.peers))
        self._sayings = [Saying(acts.Say("border traffic today", text, (to,)), clause, by)] * GROUP
        self._moved = threading.Event()
        node.writer.after_commit.append(self._moved.set)

    def _receipted(self) -> int:
        return self.node.post.uploads[self.peer].receipted

    def _say(self, count: int) -> None:
        for outcome in self.node.say_all(self._sayings[:count]):
            if isinstance(outcome, MithaqError):
                raise outcome

    def _await(self, size: int) -> None:
        while self._receipted() < size:
            self._moved.clear()
            if self._receipted() < size:
                self._moved.wait(0.05)

    def load(self, seconds: float) -> dict[str, float]:
        """Say as fast as the other side receipts, for so long, then wait for the last receipt."""
        start, cpu, before = time.monotonic(), cpu_seconds(), self.node.log.size
        while time.monotonic() - start < seconds:
            self._say(GROUP)
            self._await(self.node.log.size - WINDOW)
        self._await(self.node.log.size)
        wall, used = time.monotonic() - start, cpu_seconds() - cpu
        return {"statements": self.node.log.size - before, "seconds": wall, "cpu_seconds": used}

    def single(self, count: int, a_second: float) -> dict[str, list[float]]:
        """Say one at a time, so many a second; the time from saying to the verified receipt of each, in ms."""
        times = []
        for _ in range(count):
            start = time.monotonic()
            self._say(1)
            self._await(self.node.log.size)
            took = time.monotonic() - start
            times.append(took * 1000)
            time.sleep(max(0.0, 1 / a_second - took))
        return {"milliseconds": times}

    def backlog(self, count: int) -> dict[str, float]:
        """Say so many while the other side is away."""
        start = time.monotonic()
        for position in range(0, count, GROUP):
            self._say(min(GROUP, count - position))
        return {"seconds": time.monotonic() - start, "size": self.node.log.size}

    def drained(self) -> dict[str, float]:
        """Wait until everything is receipted."""
        self._await(self.node.log.size)
        return {"size": self.node.log.size}

    def figures(self) -> dict[str, float]:
        """What this process has used."""
        return {"cpu_seconds": cpu_seconds(), "rss_mib": peak_rss_mib(), "size": self.node.log.size}


def _obey(node: Node) -> None:
    load: Load | None = None
    for line in sys.stdin:
        order = msgspec.json.decode(line)
        name = order.pop("do")
        if name == "stop":
            break
        if name == "begin":
            load = Load(node, **order)
            answer: object = {}
        elif name == "figures" and load is None:
            answer = {"cpu_seconds": cpu_seconds(), "rss_mib": peak_rss_mib(), "size": node.log.size}
        else:
            answer = getattr(load, name)(**order)
        print(msgspec.json.encode(answer).decode(), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Serve the home named in the first argument, with the passphrase from the second."""
    home = Home(Path(sys.argv[1]))
    started = time.monotonic()

    def ready(running: Any) -> None:
        print(msgspec.json.encode({"ready": time.monotonic() - started}).decode(), flush=True)
        threading.Thread(target=_obey, args=(running.node,), daemon=True).start()

    serve(home, sys.argv[2], ready)


if __name__ == "__main__":
    main()
