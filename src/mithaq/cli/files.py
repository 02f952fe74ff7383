"""Files that a person names on the command line: read bounded, written whole, an error of the disk said as such."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from mithaq.kernel.errors import Refused, Unreachable

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


@contextmanager
def new(path: str) -> Iterator[BinaryIO]:
    """A file that is there whole or not at all, for its owner alone (0600); one that is there already is never replaced.

    Its bytes go to `<path>.part` first. Refused `cli.file_exists`, before a byte is asked for.
    """
    file, partial = Path(path), Path(f"{path}.part")
    if os.path.lexists(file):
        raise Refused("cli.file_exists", value=path)
    try:
        handle = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as failure:
        raise Refused("cli.file_exists", value=str(partial)) from failure
    except OSError as failure:
        raise unwritable(path, failure) from failure
    try:
        with os.fdopen(handle, "w+b") as sink:
            yield sink
        _name(partial, file)
    except OSError as failure:
        raise unwritable(path, failure) from failure
    finally:
        partial.unlink(missing_ok=True)


def _name(partial: Path, file: Path) -> None:
    """Rename, without replacing what came to be there meanwhile: a hard link refuses that, where the disk has links."""
    try:
        file.hardlink_to(partial)
    except FileExistsError as failure:
        raise Refused("cli.file_exists", value=str(file)) from failure
    except OSError as failure:  # a stick's FAT has no links
        if os.path.lexists(file):
            raise Refused("cli.file_exists", value=str(file)) from failure
        partial.rename(file)


def unreadable(path: str, failure: OSError) -> Unreachable:
    """What a file that cannot be read is told as."""
    return Unreachable("cli.file_unreadable", value=path, reason=failure.strerror)


def unwritable(path: str, failure: OSError) -> Unreachable:
    """What a disk that does not take a file is told as."""
    return Unreachable("cli.file_unwritable", value=path, reason=failure.strerror)
