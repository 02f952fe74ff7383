"""`open`: an enclosure into a file, for an office that it is sealed to; that it was opened, and why, is written down."""

from __future__ import annotations

import argparse
import re
from typing import BinaryIO, Final

from mithaq.cli import files, remote
from mithaq.cli.home import home_of, opened
from mithaq.cli.output import Output
from mithaq.kernel import words
from mithaq.kernel.errors import Malformed, Refused
from mithaq.settings import Home

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def open_(arguments: argparse.Namespace, output: Output) -> int:
    """Through the node of this folder, or through the server that holds it. The file is there whole or not at all."""
    home = home_of(arguments)
    home.settings()
    if not _DIGEST.fullmatch(arguments.digest):
        raise Malformed("enclosure.digest", field="digest")
    try:
        arguments.reason.encode()
    except UnicodeEncodeError as failure:  # bytes of a terminal that were no UTF-8 (PEP 383)
        raise Malformed("text.not_utf8", at=failure.start, field="reason") from failure
    if not arguments.reason.strip():  # told before the file is made, as the node would tell it
        raise Refused("enclosure.no_reason", field="reason")
    with files.new(arguments.to) as sink:
        _open(arguments, home, sink, output)
        size = sink.tell()
    output.line("Opened for {office}: {value}", office=arguments.office, value=arguments.to)
    output.text(f"    {words.size(size, output.lang)}")
    output.result({"digest": arguments.digest, "office": arguments.office, "file": arguments.to, "bytes": size})
    return 0


def _open(arguments: argparse.Namespace, home: Home, sink: BinaryIO, output: Output) -> None:
    try:
        with opened(home, output) as node:
            node.open(arguments.digest, arguments.office, sink, arguments.reason)
            return
    except Refused as reason:
        if reason.code != "node.already_running":
            raise
    query = {"office": arguments.office, "reason": arguments.reason}
    remote.download(home, f"/api/v1/enclosures/{arguments.digest}", query, sink, output.lang)
