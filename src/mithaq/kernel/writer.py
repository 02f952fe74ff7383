"""Group commit: whoever comes takes all that waits into one durable transaction (a commit costs more than all else)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mithaq.kernel.database import Database
from mithaq.kernel.errors import MithaqError, Unreachable

T = TypeVar("T")


class _Job(Generic[T]):
    """One piece of work with its outcome. `error` is set when it was refused, or when its transaction failed."""

    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[Connection], T]) -> None:
        self.work = work
        self.done = False
        self.error: BaseException | None = None
        self.result: T | None = None


class Writer:
    """The one way to write. A job that raises a `MithaqError` must have written nothing; the others are not disturbed.

    Any other failure rolls the whole transaction back and `reload` brings what is kept in memory back to what is on the
    disk; then each job of that group runs by itself, so that one bad job cannot take others with it.
    """

    def __init__(self, database: Database, reload: Callable[[Connection], None]) -> None:
        self._database: Final = database
        self._reload: Final = reload
        self._waiting: deque[_Job[Any]] = deque()
        self._turn = threading.Lock()
        self._stale = False
        self.after_commit: list[Callable[[], None]] = []

    def do(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a durable transaction, together with what others bring meanwhile; returns after the commit."""
        job = _Job(work)
        self._waiting.append(job)
        with self._turn:
            if not job.done:
                self._drain()
        if job.error is not None:
            raise job.error
        return job.result  # type: ignore[return-value]  # set whenever there is no error

    def _drain(self) -> None:
        jobs = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if self._together(jobs):
            self._tell()
            return
        for job in jobs:
            if self._together([job]):
                self._tell()
            else:
                job.done = True

    def _tell(self) -> None:
        """Not while memory may be ahead of the disk: what is told of here is signed."""
        if not self._stale:
            for called in self.after_commit:
                called()

    def _together(self, jobs: list[_Job[Any]]) -> bool:
        """One transaction for these jobs; False when it was rolled back, each job then carrying the failure.

        A failed commit may have reached the disk all the same: such jobs are not run again, or all would be said twice.
        """
        ran = False
        try:
            self._follow_disk()
            with self._database.write() as connection:
                for job in jobs:
                    _run(job, connection)
                ran = True
        except BaseException as failure:  # whatever it was, memory must follow the disk before anybody goes on
            self._stale = True
            for job in jobs:
                job.error, job.result, job.done = _as_unreachable(failure), None, ran
            if not isinstance(failure, Exception):  # an interruption of this thread
                raise
            try:
                self._follow_disk()
            except DBAPIError:  # the disk does not answer; the next job tries again before it does anything
                pass
            return ran
        for job in jobs:
            job.done = True
        return True

    def _follow_disk(self) -> None:
        if self._stale:
            with self._database.read() as connection:
                self._reload(connection)
            self._stale = False


def _run(job: _Job[Any], connection: Connection) -> None:
    job.error = None
    try:
        job.result = job.work(connection)
    except MithaqError as refusal:
        job.error = refusal


def _as_unreachable(failure: BaseException) -> BaseException:
    if isinstance(failure, DBAPIError) or not isinstance(failure, Exception):
        cause = failure.orig if isinstance(failure, DBAPIError) else failure
        wrapped = Unreachable("database.unwritable", value=type(cause).__name__)
        wrapped.__cause__ = failure
        return wrapped
    return failure
