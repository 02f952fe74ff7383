"""What every test may ask for."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mithaq.node import Node
from tests.nodes import Clock, MakeDatabase, paired

SHARED = Path(__file__).resolve().parents[2] / "shared"
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
_numbers = itertools.count()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real input and vectors beside the checkout; tests that need it say so when it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared with the public vectors and reports, which is not beside this checkout")
    return SHARED


def _as_postgres(*command: str) -> None:
    """PostgreSQL refuses to run as root; there, its own user runs it."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run([*prefix, *command], capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        pytest.fail(f"{Path(command[0]).name}: {done.stderr.strip() or done.stdout.strip()}")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL of this test run alone, on loopback and a socket of its own; the URL of its first database."""
    if not POSTGRES:
        pytest.skip("needs a PostgreSQL server's binaries in /usr/lib/postgresql (Debian: apt install postgresql)")
    if os.geteuid() == 0 and (shutil.which("runuser") is None or not _user_exists("postgres")):
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres to run it as")
    programs = POSTGRES[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="mithaq-pg-", dir=_memory()))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    data, port = folder / "data", _free_port()
    try:
        make = [
            str(programs / "initdb"),
            "-D",
            str(data),
            "-U",
            "mithaq",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]
        if int(programs.parent.name) >= 15:  # a language's own order, as on a server that people set up
            make += ["--locale-provider=icu", "--icu-locale=en"]
        _as_postgres(*make)
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c max_connections=200"
        control = str(programs / "pg_ctl")
        _as_postgres(control, "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql://mithaq@127.0.0.1:{port}/postgres"
        finally:
            _as_postgres(control, "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> Path | None:
    """Linux' folder in memory, where commits do not wait for a disk; None where it is small or no program may run in it."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or not os.access(memory, os.W_OK):
        return None
    found = os.statvfs(memory)
    roomy, runs = found.f_bavail * found.f_frsize >= 2 * 2**30, not found.f_flag & os.ST_NOEXEC
    return memory if roomy and runs else None


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def make_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeDatabase]:
    """Makes empty databases by name: the same test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield lambda name: f"sqlite:///{tmp_path / name}.db"
        return
    import psycopg

    server = request.getfixturevalue("postgresql")
    made: dict[str, str] = {}

    def make(name: str) -> str:
        if name not in made:
            made[name] = f"t{next(_numbers)}_{name.replace('-', '_')}"
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{made[name]}"')
        return f"{server.rpartition('/')[0]}/{made[name]}"

    yield make
    with psycopg.connect(server, autocommit=True) as connection:
        for database in made.values():
            connection.execute(f'DROP DATABASE "{database}" WITH (FORCE)')


@pytest.fixture
def database_url(make_database: MakeDatabase) -> str:
    """An empty database, SQLite and then PostgreSQL."""
    return make_database("node")


@pytest.fixture
def sqlite(tmp_path: Path) -> MakeDatabase:
    """Makes empty SQLite databases, where it does not matter which database it is."""
    return lambda name: f"sqlite:///{tmp_path / name}.db"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pair(make_database: MakeDatabase, clock: Clock) -> Iterator[tuple[Node, Node]]:
    """Two nodes, XA and XB, on either database."""
    with paired(make_database, ("XA", "XB"), clock) as (a, b):
        yield a, b


@pytest.fixture
def trio(make_database: MakeDatabase, clock: Clock) -> Iterator[tuple[Node, Node, Node]]:
    """Three nodes, XC, XD and XE, on either database."""
    with paired(make_database, ("XC", "XD", "XE"), clock) as (c, d, e):
        yield c, d, e


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the long matrices")


def pytest_configure(config: pytest.Config) -> None:
    """The tests' folders stand in memory where there is such a place: half the wait is the disk's. Long ones are too large."""
    memory = _memory()
    if memory and not config.getoption("--long"):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        for item in items:
            if "long" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="long: runs with --long"))
