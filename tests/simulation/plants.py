"""Faults planted on purpose: the simulation and the stateful test must find each of them, or they prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

from sqlalchemy import Connection, Engine, event

from mithaq.kernel.database import Database
from mithaq.kernel.writer import T, Writer
from mithaq.node import Node
from mithaq.simulation.faults import Crash


class HastyWriter(Writer):
    """Lets its callers go on before the commit: the transaction is ended when the next one comes."""

    _open: AbstractContextManager[Connection] | None = None

    def __init__(self, database: Database, reload: Callable[[Connection], None]) -> None:
        super().__init__(database, reload)
        event.listen(database.engine, "engine_disposed", self._crashed)

    def _crashed(self, _engine: Engine) -> None:
        """The process is gone, and with it what was not committed."""
        if self._open is not None:
            ending, self._open = self._open, None
            with suppress(Crash):
                ending.__exit__(Crash, Crash(), None)

    def do(self, work: Callable[[Connection], T]) -> T:
        if self._open is not None:
            ending, self._open = self._open, None
            ending.__exit__(None, None, None)
            for called in self.after_commit:
                called()
        return super().do(work)

    def leave_open(self, work: Callable[[Connection], T]) -> T:
        HastyWriter.do(self, lambda _connection: None)
        opened = self._database.write()
        result = work(opened.__enter__())
        self._open = opened
        return result


class HastyNode(Node):
    """Signs and sends its receipts before the commit that makes them true (law 5 broken)."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        hasty = HastyWriter(self.database, self._load)
        hasty.after_commit = self.writer.after_commit
        self.writer = hasty  # type: ignore[misc]  # planted
        self.post._writer = hasty  # type: ignore[misc]  # planted
        add = self.post._add

        def add_hastily(request: Any) -> Any:
            if request.path != "add-entries":
                return add(request)
            patient, hasty.do = hasty.do, hasty.leave_open  # type: ignore[method-assign]  # planted
            try:
                return add(request)
            finally:
                hasty.do = patient  # type: ignore[method-assign]

        self.post._add = add_hastily  # type: ignore[method-assign]  # planted


class LawlessNode(Node):
    """Skips the second step: no clause is asked for."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        judge = self.judge
        judge.check = lambda _said, _connection: ()  # type: ignore[method-assign]  # planted
        start_over = judge.start_over

        def start_over_lawless() -> None:
            start_over()
            judge.mandates.authorise = lambda _said: ()  # type: ignore[method-assign]  # planted

        judge.start_over = start_over_lawless  # type: ignore[method-assign]  # planted


class CredulousNode(Node):
    """Its mirrors take any newer checkpoint for a continuation: the consistency proof is forgotten."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        for mirror in self.post.mirrors.values():
            mirror._check_consistent = lambda *_: None  # type: ignore[method-assign]  # planted
