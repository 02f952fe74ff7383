"""`register note` and `register draft`: what stays on the own node; only saying a draft lets anybody else see it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable

import msgspec

from mithaq.cli import files, options, saying
from mithaq.cli.home import home_of
from mithaq.cli.officials import connected
from mithaq.cli.output import Output, lines_of
from mithaq.kernel.errors import Malformed
from mithaq.kernel.officials import OPERATOR
from mithaq.register import desk
from mithaq.register.desk import Kept, Kind


def note(arguments: argparse.Namespace, output: Output) -> int:
    """Write, show or drop the operator's notes; no passphrase, since nothing is signed."""
    if arguments.doing == "list":
        return _list(arguments, "note", output)
    if arguments.doing == "drop":
        return _drop(arguments, "note", output)
    return _keep(arguments, "note", arguments.text, output)


def draft(arguments: argparse.Namespace, output: Output) -> int:
    """Keep, show, say or drop the operator's drafts."""
    if arguments.doing == "list":
        return _list(arguments, "draft", output)
    if arguments.doing == "drop":
        return _drop(arguments, "draft", output)
    if arguments.doing == "say":
        return _say(arguments, output)
    raw = files.read(arguments.file, options.JSON_LIMIT)
    try:
        text = raw.decode()
    except UnicodeDecodeError as failure:
        raise Malformed("text.not_utf8", at=failure.start, field="draft") from failure
    return _keep(arguments, "draft", text, output)


def _keep(arguments: argparse.Namespace, kind: Kind, content: str, output: Output) -> int:
    now = int(time.time())
    with connected(home_of(arguments), writes=True) as connection:
        number = desk.keep(connection, OPERATOR, kind, content, about=arguments.about, now=now)
    output.line("It lies on your desk under number {value}; nobody else sees it.", value=number)
    output.result({"id": number, "kind": kind})
    return 0


def _list(arguments: argparse.Namespace, kind: Kind, output: Output) -> int:
    with connected(home_of(arguments), writes=False) as connection:
        found = desk.kept(connection, OPERATOR, kind)
    _show(found, output)
    output.result({f"{kind}s": msgspec.to_builtins(found)})
    return 0


def _show(found: Iterable[Kept], output: Output) -> None:
    for each in found:
        output.text(f"{output.code(str(each.id))}  {output.moment(each.changed)}  {output.code(each.about)}")
        for line in lines_of(each.content):
            output.text(f"    {output.isolated(line)}")
    if not found:
        output.line("There is nothing to show.")


def _drop(arguments: argparse.Namespace, kind: Kind, output: Output) -> int:
    with connected(home_of(arguments), writes=True) as connection:
        desk.find(connection, OPERATOR, arguments.id, kind)
        desk.drop(connection, OPERATOR, arguments.id)
    output.line("Number {value} is gone from your desk.", value=arguments.id)
    output.result({"id": arguments.id, "dropped": True})
    return 0


def _say(arguments: argparse.Namespace, output: Output) -> int:
    """Said like any statement, by the node or by the server that holds it; only then is it taken from the desk."""
    home = home_of(arguments)
    with connected(home, writes=False) as connection:
        kept = desk.find(connection, OPERATOR, arguments.id, "draft")
    wanted = saying.read_json(kept.content.encode(), argparse.Namespace())
    told = saying.deliver(wanted, (), home, output, check=arguments.check)
    if arguments.check:
        saying.tell(told, wanted, output, "Nothing stands against it: {help} under {clause}. It was not said.")
        return 0
    with connected(home, writes=True) as connection:
        desk.drop(connection, OPERATOR, arguments.id)
    saying.tell(told, wanted, output, "Said: {reference} ({help}) under {clause}.")
    return 0
