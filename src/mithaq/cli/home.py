"""Which folder a command works on, the passphrase that opens its keys, and its node while nobody else holds it."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mithaq.cli.output import Output
from mithaq.kernel.errors import Refused
from mithaq.node import Node
from mithaq.settings import HOME_VARIABLE, PASSPHRASE_VARIABLE, Home

DEFAULT_FOLDER: Final = "mithaq-home"


def home_of(arguments: argparse.Namespace) -> Home:
    """`--home`, else MITHAQ_HOME, else ./mithaq-home."""
    return Home(Path(arguments.home or os.environ.get(HOME_VARIABLE) or DEFAULT_FOLDER))


def passphrase(output: Output, *, new: bool = False) -> str:
    """MITHAQ_PASSPHRASE, else what is typed on the terminal, unseen; a new one is typed twice."""
    given = os.environ.get(PASSPHRASE_VARIABLE)
    if given:
        return given
    if not sys.stdin.isatty():
        raise Refused("cli.no_passphrase", value=PASSPHRASE_VARIABLE)
    first = getpass.getpass(output.word("Passphrase of the node's keys:") + " ")
    if new and getpass.getpass(output.word("The same passphrase once more:") + " ") != first:
        raise Refused("cli.passphrases_differ")
    return first


@contextmanager
def opened(home: Home, output: Output) -> Iterator[Node]:
    """The node, held by this process alone; refused `node.already_running` while a server or another command holds it."""
    home.settings()  # a folder without a node is told before a passphrase is asked for
    home.lock()
    try:
        node = home.node(passphrase(output))
        try:
            yield node
        finally:
            node.database.close()
    finally:
        home.unlock()
