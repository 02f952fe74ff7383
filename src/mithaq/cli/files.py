"""Files that a person names on the command line: read bounded, written whole, an error of the disk said as such."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from mithaq.kernel.errors import Unreachable

STANDARD_INPUT: Final = "-"


def read(path: str, limit: int) -> bytes:
    """At most `limit` + 1 bytes, so that who parses them sees when it was too long; `-` is standard input."""
    try:
        if path == STANDARD_INPUT:
            return sys.stdin.buffer.read(limit + 1)
        with Path(path).open("rb") as file:
            return file.read(limit + 1)
    except OSError as failure:
        raise unreadable(path, failure) from failure


def write(path: str, data: bytes) -> None:
    """Write a new file, or write one over."""
    try:
        Path(path).write_bytes(data)
    except OSError as failure:
        raise unwritable(path, failure) from failure


def unreadable(path: str, failure: OSError) -> Unreachable:
    """What a file that cannot be read is told as."""
    return Unreachable("cli.file_unreadable", value=path, reason=failure.strerror)


def unwritable(path: str, failure: OSError) -> Unreachable:
    """What a disk that does not take a file is told as."""
    return Unreachable("cli.file_unwritable", value=path, reason=failure.strerror)
