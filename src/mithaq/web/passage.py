"""A file that passes from one thread to another in pieces: what is sealed or opened never lies on a disk in the clear."""

from __future__ import annotations

import io
from collections.abc import Iterator
from queue import Queue
from typing import Final

DEPTH: Final = 16
"""Pieces that wait at most: the faster side waits for the slower one."""


class Broken(Exception):  # what happened to it
    """The other side stopped before the end."""


class Passage(io.RawIOBase):
    """`write` on one side, `read` or iteration on the other. Ends by `end`, or by `fail` with the reason."""

    def __init__(self) -> None:
        self._pieces: Queue[bytes | BaseException] = Queue(DEPTH)
        self._rest = b""
        self._ended = False
        self._abandoned = False

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]  # narrower than io's buffer
        """Hand a piece on; waits while too many wait. Raises `Broken` when the reader has gone."""
        if self._abandoned:
            raise Broken
        if data:
            self._pieces.put(bytes(data))
        return len(data)

    def end(self) -> None:
        """Everything was written."""
        self._pieces.put(b"")

    def fail(self, reason: BaseException) -> None:
        """The writer stopped: whoever reads gets the reason."""
        self._pieces.put(reason)

    def abandon(self) -> None:
        """The reader stopped: let a waiting writer go on to its next piece, where it learns of it."""
        self._abandoned = True
        while not self._pieces.empty():
            self._pieces.get_nowait()

    def read(self, size: int = -1) -> bytes:
        """`size` bytes, fewer only at the end."""
        parts, wanted = [self._rest], size - len(self._rest)
        while not self._ended and (size < 0 or wanted > 0):
            piece = self._next()
            parts.append(piece)
            wanted -= len(piece)
        whole = b"".join(parts)
        size = len(whole) if size < 0 else size
        self._rest = whole[size:]
        return whole[:size]

    def pieces(self) -> Iterator[bytes]:
        """The pieces as they come, the first one waited for by the caller."""
        while not self._ended:
            piece = self._next()
            if piece:
                yield piece

    def _next(self) -> bytes:
        piece = self._pieces.get()
        if isinstance(piece, BaseException):
            self._ended = True
            raise piece
        self._ended = not piece
        return piece
