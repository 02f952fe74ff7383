"""Group commit: one job's refusal disturbs no other, any other failure leaves memory as the disk is."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import OperationalError

from mithaq.kernel.database import Database
from mithaq.kernel.errors import Refused, Unreachable
from mithaq.kernel.tables import state
from mithaq.kernel.writer import Writer


class Store:
    """Keys on the disk and in memory: what the writer keeps together."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.memory: list[str] = []
        self.reloads = 0
        self.writer = Writer(self.database, self.reload)

    def reload(self, connection: Connection) -> None:
        self.reloads += 1
        self.memory = self.disk(connection)

    def disk(self, connection: Connection | None = None) -> list[str]:
        query = select(state.c.key).order_by(state.c.key)
        if connection is not None:
            return list(connection.execute(query).scalars())
        with self.database.read() as reading:
            return list(reading.execute(query).scalars())

    def put(self, key: str, failure: Exception | None = None) -> Callable[[Connection], str]:
        def work(connection: Connection) -> str:
            if isinstance(failure, Refused):
                raise failure
            self.memory.append(key)
            connection.execute(insert(state), {"key": key, "value": "1"})
            if failure is not None:
                raise failure
            return key

        return work

    def together(self, *jobs: Callable[[Connection], str]) -> list[object]:
        """Run all jobs in one group: they wait while a first one holds the turn. Returns results or failures."""
        outcomes: list[object] = [None] * len(jobs)
        holding, release = threading.Event(), threading.Event()

        def hold(_: Connection) -> None:
            holding.set()
            release.wait(20)

        def one(place: int, job: Callable[[Connection], str]) -> None:
            try:
                outcomes[place] = self.writer.do(job)
            except Exception as failure:  # whatever it was is what the test looks at
                outcomes[place] = failure

        first = threading.Thread(target=self.writer.do, args=(hold,))
        first.start()
        assert holding.wait(20)
        threads = [threading.Thread(target=one, args=item) for item in enumerate(jobs)]
        for count, thread in enumerate(threads, 1):
            thread.start()
            while len(self.writer._waiting) < count:
                pass
        release.set()
        for thread in [first, *threads]:
            thread.join()
        return outcomes


@pytest.fixture
def store(database_url: str) -> Store:
    return Store(database_url)


@pytest.fixture(autouse=True)
def closed(store: Store) -> object:
    yield
    store.database.close()


def test_what_waits_is_committed_together_and_each_gets_its_own_result(store: Store) -> None:
    commits: list[int] = []
    store.writer.after_commit.append(lambda: commits.append(1))
    assert store.together(*[store.put(key) for key in "abcde"]) == list("abcde")
    assert store.disk() == list("abcde")
    assert len(commits) == 2  # the one that held the turn, and all five


def test_a_refusal_disturbs_no_other_job_of_its_group(store: Store) -> None:
    outcomes = store.together(store.put("a"), store.put("b", Refused("mandate.no_clause")), store.put("c"))
    assert outcomes[0::2] == ["a", "c"]
    assert isinstance(outcomes[1], Refused)
    assert store.memory == store.disk() == ["a", "c"]
    assert store.reloads == 0


def test_any_other_failure_rolls_back_and_the_others_run_again_by_themselves(store: Store) -> None:
    outcomes = store.together(store.put("a"), store.put("b", ZeroDivisionError()), store.put("c"))
    assert outcomes[0::2] == ["a", "c"]
    assert isinstance(outcomes[1], ZeroDivisionError)
    assert store.memory == store.disk() == ["a", "c"]
    assert store.reloads == 2


def test_a_row_that_the_database_refuses_is_unreachable_and_leaves_nothing(store: Store) -> None:
    store.writer.do(store.put("a"))
    with pytest.raises(Unreachable, match=r"database\.unwritable"):
        store.writer.do(store.put("a"))
    assert store.memory == store.disk() == ["a"]
    assert store.writer.do(store.put("b")) == "b"


def test_when_even_the_reading_back_fails_nothing_is_written_before_it_succeeds(store: Store) -> None:
    store.writer.do(store.put("a"))
    honest, tries = store.writer._reload, []

    def broken(connection: Connection) -> None:
        tries.append(1)
        if len(tries) <= 2:
            raise OperationalError("SELECT", {}, Exception("the disk does not answer"))
        honest(connection)

    store.writer._reload = broken  # type: ignore[misc]
    with pytest.raises((ZeroDivisionError, Unreachable)):
        store.writer.do(store.put("b", ZeroDivisionError()))
    assert store.writer.do(store.put("c")) == "c"
    assert store.memory == store.disk() == ["a", "c"]


def test_while_memory_could_not_be_read_back_nobody_is_told_of_a_commit(store: Store) -> None:
    """What is told of a commit is signed: memory that is ahead of the disk would make us sign what was never stored."""
    told: list[list[str]] = []
    store.writer.after_commit.append(lambda: told.append(list(store.memory)))
    honest = store.writer._reload

    def broken(connection: Connection) -> None:
        raise OperationalError("SELECT", {}, Exception("the disk does not answer"))

    store.writer._reload = broken  # type: ignore[misc]
    with pytest.raises((ZeroDivisionError, Unreachable)):
        store.writer.do(store.put("lost", ZeroDivisionError()))
    assert told == []
    store.writer._reload = honest  # type: ignore[misc]
    store.writer.do(store.put("kept"))
    assert told == [["kept"]]


def test_an_interruption_leaves_memory_as_the_disk_is_and_nobody_believes_it_was_committed(store: Store) -> None:
    def interrupted(connection: Connection) -> str:
        store.put("lost")(connection)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.writer.do(interrupted)
    assert store.writer.do(store.put("kept")) == "kept"
    assert store.memory == store.disk() == ["kept"]


def test_a_commit_whose_outcome_is_unknown_is_not_run_again(store: Store) -> None:
    """The connection was lost while it was committed: it may be on the disk, and saying it again would double it."""
    runs: list[str] = []
    honest = store.database.write

    class LostAtCommit:
        def __init__(self) -> None:
            self.inner = honest()

        def __enter__(self) -> Connection:
            return self.inner.__enter__()

        def __exit__(self, *what: object) -> None:
            self.inner.__exit__(None, None, None)
            if what[0] is None:
                raise OperationalError("COMMIT", {}, Exception("connection lost"))

    def work(connection: Connection) -> str:
        runs.append("a")
        return store.put("a")(connection)

    store.database.write = LostAtCommit  # type: ignore[method-assign,assignment]
    with pytest.raises(Unreachable):
        store.writer.do(work)
    store.database.write = honest  # type: ignore[method-assign]
    assert runs == ["a"]
    assert store.memory == store.disk() == ["a"]


def test_sixteen_threads_write_each_once(store: Store) -> None:
    failures: list[Exception] = []

    def work(number: int) -> None:
        for each in range(10):
            try:
                store.writer.do(store.put(f"{number:02d}-{each}"))
            except Exception as failure:  # a thread has nobody else to tell
                failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sorted(store.memory) == store.disk()
    assert len(store.memory) == 160
