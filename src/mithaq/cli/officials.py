"""`official`: who may act for which office through the API, kept in the node's own database and never in a log."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mithaq.cli import files
from mithaq.cli.home import home_of
from mithaq.cli.output import Output
from mithaq.cli.remote import TOKEN_FILE
from mithaq.kernel import officials
from mithaq.kernel.errors import Refused, Unreachable
from mithaq.kernel.force import covered
from mithaq.settings import Home


def official(arguments: argparse.Namespace, output: Output) -> int:
    """Add, renew, end or list officials; no passphrase, since whoever can write the folder can do all of it anyway."""
    return {"add": _add, "renew": _renew, "end": _end, "list": _list}[arguments.doing](arguments, output)


def _add(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    party = home.settings().party
    if arguments.id == officials.OPERATOR:
        raise Refused("cli.operator", value=arguments.id)
    if not covered(arguments.office, [party]):
        raise Refused("cli.office_of_another", office=arguments.office, party=party, field="office")
    with _writing(home) as connection:
        token = officials.enrol(connection, arguments.id, arguments.office, arguments.role)
    output.line("{value} may act for {office} from now on.", value=arguments.id, office=arguments.office)
    _show_token(token, output)
    roles = sorted(set(arguments.role))
    output.result({"id": arguments.id, "office": arguments.office, "roles": roles, "token": token})
    return 0


def _renew(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    with _writing(home) as connection:
        token = officials.renew(connection, arguments.id)
    output.line("The old token of {value} opens nothing any more.", value=arguments.id)
    if arguments.id == officials.OPERATOR:  # the command line reads it from there; nobody types it
        file = home.path / TOKEN_FILE
        _write_token(file, token)
        output.line("The new token is in {value}.", value=str(file))
        output.result({"id": arguments.id, "file": str(file)})
        return 0
    _show_token(token, output)
    output.result({"id": arguments.id, "token": token})
    return 0


def _end(arguments: argparse.Namespace, output: Output) -> int:
    if arguments.id == officials.OPERATOR:  # without it no command could ask a running server any more
        raise Refused("cli.operator", value=arguments.id)
    at = int(time.time())
    with _writing(home_of(arguments)) as connection:
        officials.end(connection, arguments.id, at)
    output.line("The access of {value} has ended. The name is never given to another person.", value=arguments.id)
    output.result({"id": arguments.id, "ended": at})
    return 0


def _list(arguments: argparse.Namespace, output: Output) -> int:
    with connected(home_of(arguments), writes=False) as connection:
        everyone = officials.everyone(connection)
    found: list[dict[str, object]] = []
    for each in everyone:
        roles = sorted(each.roles)
        output.text(f"{output.code(each.id)}  {output.code(each.office)}  {output.code(', '.join(roles))}")
        if each.ended is not None:
            output.text("    " + output.word("ended on {at}", at=output.moment(each.ended)))
        found.append({"id": each.id, "office": each.office, "roles": roles, "ended": each.ended})
    if not found:
        output.line("There is nothing to show.")
    output.result({"officials": found})
    return 0


def _writing(home: Home) -> AbstractContextManager[Connection]:
    """One transaction beside a server that may be running, without the folder's lock and without the node.

    Safe, because it is one transaction on a table that no node keeps in memory: the server asks it anew at each call.
    SQLite: the file is in WAL mode, so the server's readers go on; BEGIN IMMEDIATE takes the write lock at once or waits
    for it, up to the 30 seconds of the connection's busy timeout (`Database._engine`), as the server's writer does for us.
    PostgreSQL: `write` waits for the advisory lock that the server's writer takes too.
    """
    return connected(home, writes=True)


@contextmanager
def connected(home: Home, *, writes: bool) -> Iterator[Connection]:
    """One transaction on a node's database, without its keys and its lock: to write, see `_writing`."""
    home.settings()  # a folder without a node is told before a database is made in it
    database = home.database()
    try:
        with database.write() if writes else database.read() as connection:
            yield connection
    except DBAPIError as failure:
        raise Unreachable("database.unwritable", value=type(failure.orig).__name__) from failure
    finally:
        database.close()


def _show_token(token: str, output: Output) -> None:
    output.line("The token, shown this once; hand it over closed:")
    output.text(f"    {output.code(token)}")


def _write_token(file: Path, token: str) -> None:
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as opened:
            opened.write(token + "\n")
    except OSError as failure:
        raise files.unwritable(str(file), failure) from failure
