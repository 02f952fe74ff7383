"""One process that asks a filled register what a secretary asks, and prints its figures as one JSON line.

Run by `register`: `questions.py FOLDER QUESTIONS`. Beside the node that is asked stands the other side's, which says one
statement between any two questions; it is carried and heard before the next one.
"""

from __future__ import annotations

import gc
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from mithaq.bench.commission import END, Clock
from mithaq.bench.exchange import PARTIES, PASSPHRASE, deliver
from mithaq.bench.load import peak_rss_mib
from mithaq.register import answers
from mithaq.register.asking import Asker
from mithaq.services.obligations import acts
from mithaq.services.obligations.register import Register
from mithaq.settings import Home


class Asking:
    """The first party's node with its kept register, and the other side's, which goes on saying things."""

    def __init__(self, folder: Path) -> None:
        clock = Clock(END)
        self.own, self.other = (Home(folder / party).node(PASSPHRASE, clock) for party in PARTIES)
        gc.freeze()  # as `serve` does
        self._asker: Final = Asker(self.own.party, PARTIES, END)
        self._register: Final = Register()
        self._random: Final = random.Random(2)
        with self.own.database.read() as reading:
            standings = Register().obligations(reading, END)
        once = (each for each in standings if not each.ended and not each.occurrences)
        self.open: Final = [(each.obligation, each.duty.owed_by) for each in once]

    def ask(self, question: str, **given: str) -> float:
        """Milliseconds until the answer stands as JSON, which is what the API sends."""
        start = time.perf_counter()
        with self.own.database.read() as reading:
            desk = answers.Desk(reading, self._register, self._asker, "bench")
            msgspec.json.encode(answers.answer(desk, question, given))
        return (time.perf_counter() - start) * 1000

    def hear(self) -> None:
        """One statement more about an obligation that is open, from the other side."""
        obligation, owed_by = self.open[self._random.randrange(len(self.open))]
        kind = acts.Claim if owed_by == self.other.party else acts.Assess
        act = kind(obligation, 1, END, "As of today.")
        self.other.say(act, clause=obligation.partition(":")[0], by=f"{self.other.party}/border-guard")
        deliver(self.other, self.own)

    def clause(self) -> str:
        """One of the clauses, each as likely as the other."""
        return self._random.choice(self.open)[0].partition(":")[0]

    def times(self, question: str, count: int, *, of_a_clause: bool = False) -> list[float]:
        """Sorted milliseconds of so many answers, one new statement heard before each."""
        found = []
        for _ in range(count):
            self.hear()
            found.append(self.ask(question, **({"clause": self.clause()} if of_a_clause else {})))
        return sorted(found)


def at_99(times: list[float]) -> float:
    """The time within which 99 of 100 came."""
    return round(times[max(0, -(-len(times) * 99 // 100) - 1)], 2)


def main(folder: Path, count: int) -> None:
    """Ask, then fold everything anew; one JSON line."""
    asking = Asking(folder)
    cold = asking.ask("owed")
    owed = asking.times("owed", count)
    history = asking.times("clause", count, of_a_clause=True)
    yearly = [asking.ask("year", year=str(END.year - 1)) for _ in range(3)]
    this_year = [asking.ask("year", year=str(END.year)) for _ in range(3)]
    rss = peak_rss_mib()
    start = time.process_time()
    entries = asking.own.rebuild()
    used = time.process_time() - start
    figures = {
        "owed_today_p99_ms": at_99(owed),
        "owed_today_p50_ms": round(statistics.median(owed), 2),
        "owed_today_cold_ms": round(cold, 1),
        "clause_history_p99_ms": at_99(history),
        "clause_history_p50_ms": round(statistics.median(history), 2),
        "yearly_report_ms": round(max(yearly), 1),
        "yearly_report_this_year_ms": round(max(this_year), 1),
        "rebuild_statements_per_second": round(entries / used),
        "rss_mib": round(rss, 1),
        "rss_after_rebuild_mib": round(peak_rss_mib(), 1),
    }
    for node in (asking.own, asking.other):
        node.database.close()
    print(msgspec.json.encode(figures).decode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
