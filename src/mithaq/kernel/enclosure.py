"""Enclosures on disk: sealed files by the digest that a statement names, whole or in part, until they are erased.

A container is a salt of 32 random bytes followed by an age file, sealed to the offices that are named. The digest in the log
is SHA-256 over the whole container. So the log, which is kept for ever, tells nothing about the content: salt, file key and
nonce are random and stand in no log, and whoever holds neither salt nor ciphertext can test no guess of what was sent, even
where the guess is one of ten possible forms. Once the container is erased on both sides, that is everybody.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, cast

from mithaq.kernel import age
from mithaq.kernel.errors import Malformed, Refused, Unreachable

SALT: Final = 32
"""Bytes of the salt that a container begins with."""

BLOCK: Final = 1024 * 1024
"""Bytes that are read or overwritten at a time."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Store:
    """The folder of enclosures: `<digest>` is whole and verified, `<digest>.<sender>.part` is on its way.

    Nothing but the containers is kept here; which of them are wanted, by whom and until when is in the database
    (`transfer.Transfers`). Thread-safe. A disk that fails is Unreachable("enclosure.disk").
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder: Final = folder
        self._clock: Final = clock
        self._changing = threading.Lock()
        with _disk():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def seal(self, source: BinaryIO, recipients: Sequence[age.Recipient]) -> tuple[str, int]:
        """Seal all of `source`; (digest, size in bytes) of the container, durable when this returns. Memory: a few chunks."""
        temporary = self.folder / f".sealing-{secrets.token_hex(16)}"
        try:
            with _disk(), _create(temporary) as file:
                container = _Hashing(file)
                container.write(os.urandom(SALT))
                age.encrypt(source, cast("BinaryIO", container), recipients)
                _sync(file)
            digest = container.hash.hexdigest()
            self._finish(temporary, digest)
        except BaseException:  # whatever it was, also an interruption: half a container must not stay
            with contextlib.suppress(FileNotFoundError, Unreachable):
                _destroy(temporary)
            raise
        return digest, container.size

    def size(self, digest: str) -> int | None:
        """Bytes of a whole container, None when it is not here."""
        return _size(self._path(digest))

    def part_size(self, digest: str, source: str = "") -> int:
        """Bytes of a container that came from `source` so far."""
        return _size(self._part(digest, source)) or 0

    def open(self, digest: str, identities: Sequence[age.Opening], sink: BinaryIO) -> int:
        """Open a container into `sink`; returns the bytes of plaintext.

        The whole container is hashed before the first byte is handed out: what stands on the disk under this name but
        has another digest is Refused("enclosure.wrong_digest"). Refused("age.not_for_us") when no identity fits.
        """
        with _disk(), self._reading(digest) as file:
            if _digest_of(file) != digest:
                raise Refused("enclosure.wrong_digest", digest=digest)
            file.seek(SALT)
            return age.decrypt(file, sink, identities)

    def read(self, digest: str, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes of a container from `offset` on; empty at its end."""
        with _disk(), self._reading(digest) as file:
            file.seek(offset)
            return file.read(limit)

    def append(self, digest: str, offset: int, data: bytes, size: int, source: str = "") -> int:
        """Take the bytes of a container of `size` from `offset` on; returns how many are here durably.

        What was here beyond `offset` is dropped first. At `size` the whole is verified and becomes `<digest>`. Another
        digest, or more bytes than `size`, deletes the part: Refused("enclosure.wrong_digest" or "enclosure.over_size").
        """
        part, end = self._part(digest, source), offset + len(data)
        with _disk(), self._changing:
            if offset > (_size(part) or 0):
                raise Refused("enclosure.gap", digest=digest, value=offset, limit=_size(part) or 0)
            if end > size:
                _remove(part)
                raise Refused("enclosure.over_size", digest=digest, value=end, limit=size)
            with _open_part(part) as file:
                file.truncate(offset)
                file.seek(offset)
                file.write(data)
                _sync(file)
                whole = _digest_of(file) if end == size else ""
            if whole and whole != digest:
                _remove(part)
                raise Refused("enclosure.wrong_digest", digest=digest)
        if whole:
            self._finish(part, digest)
        return end

    def drop(self, digest: str, source: str = "") -> None:
        """Destroy what came from `source` so far."""
        with _disk(), self._changing, contextlib.suppress(FileNotFoundError):
            _destroy(self._part(digest, source))

    def erase(self, digest: str) -> None:
        """Destroy a container and every part of it: zeros over it, fsync, unlink, fsync of the folder. Idempotent.

        What this can do: nothing that reads this file system finds salt or ciphertext again. What it cannot: an SSD writes
        the zeros elsewhere and keeps the old cells until it collects them; a file system with a journal of data, with
        copy-on-write or with snapshots keeps old blocks; backups keep what they took. The real protection is that it was
        never stored in the clear: what may linger is sealed to an office's key, and without that key it is noise. So keep
        the folder out of backups that outlive the clauses, and on an encrypted volume.
        """
        whole = self._path(digest)
        with _disk(), self._changing:
            for path in (whole, *self.folder.glob(f"{digest}.*part")):
                with contextlib.suppress(FileNotFoundError):
                    _destroy(path)
            _sync_folder(self.folder)

    def sweep(self, named: Collection[str], before: float) -> int:
        """Erase containers that no statement names (sealed, then never said) and that are older than `before`."""
        count = 0
        with _disk():
            for path in list(self.folder.iterdir()):
                digest = path.name.partition(".")[0]
                ours = path.name.startswith(".sealing-") or _DIGEST.fullmatch(digest)
                if ours and digest not in named and path.stat().st_mtime < before:
                    with self._changing:
                        _destroy(path)
                    count += 1
        return count

    def _finish(self, temporary: Path, digest: str) -> None:
        """Give a verified container its name; its time is our clock's, by which `sweep` knows its age."""
        with _disk():
            os.utime(temporary, (self._clock(), self._clock()))
            temporary.replace(self._path(digest))
            _sync_folder(self.folder)

    def _reading(self, digest: str) -> BinaryIO:
        try:
            return self._path(digest).open("rb")
        except FileNotFoundError:
            raise Refused("enclosure.not_held", digest=digest) from None

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):  # it becomes a file's name
            raise Malformed("enclosure.digest", field="digest")
        return self.folder / digest

    def _part(self, digest: str, source: str) -> Path:
        return self._path(digest).with_name(f"{digest}.{source}.part" if source else f"{digest}.part")


class _Hashing:
    """A sink that hashes and counts what passes."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | memoryview) -> int:
        written = self._sink.write(data)
        self.hash.update(data[:written])
        self.size += written
        return written


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        raise Unreachable("enclosure.disk", reason=failure.strerror or type(failure).__name__) from failure


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b")


def _open_part(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _digest_of(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _destroy(path: Path) -> None:
    """Zeros over every byte, then the name."""
    with path.open("r+b", buffering=0) as file:
        left = os.fstat(file.fileno()).st_size
        zeros = memoryview(bytes(min(BLOCK, left)))
        while left > 0:
            left -= file.write(zeros[:left])
        os.fsync(file.fileno())
    path.unlink()
