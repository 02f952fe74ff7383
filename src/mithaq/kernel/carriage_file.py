"""Carrying by file: what the network would carry between two nodes, in one file for a courier.

The file holds the same requests and answers that HTTP carries: our log's part that the peer has not receipted (checkpoint,
entries, proofs), our receipt for the peer's log, pieces of enclosures, and our requests for enclosures. It names sender,
receiver and commission and is signed by the sender's request key, as a request on the wire is. It is not secret: enclosures
in it are sealed, but who says what to whom stands in the log, so the courier carries it closed.

    mithaq-carriage/1: one line of JSON (`Header`), then records: uint32 length, zlib data; a length of 0 ends them, and 64
    bytes of Ed25519 signature, over the line "mithaq-carriage/1" and the SHA-256 of all before them, end the file.
    A record, inflated: uint16 length, JSON (`Head`), body. All numbers are big-endian.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mithaq.kernel.errors import Malformed, Refused, Unreachable

FORMAT: Final = "mithaq-carriage/1"
MOST_HEADER: Final = 1024
MOST_RECORD: Final = 64 * 1024 * 1024
"""Bytes of a record at most, inflated; a request on the wire has 48 MiB."""

MOST_RECORDS: Final = 1 << 20
_PACKED: Final = MOST_RECORD + MOST_RECORD // 1000 + 1024  # what zlib makes of what cannot be made smaller
_SIGNATURE: Final = 64
_BLOCK: Final = 1024 * 1024


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag=FORMAT, kw_only=True):
    """From whom and to whom, in which commission; `at` is when it was written, `size` how long the sender's log was then."""

    commission: str
    sender: str
    receiver: str
    at: int
    size: int


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a record's body is.

    `request`: the body of a POST to `path`. `receipt`: signature lines for the receiver's log up to `size`.
    `wish`: a GET of `path`, without a body. `piece`: the answer to a GET of `path`.
    """

    kind: Literal["request", "receipt", "wish", "piece"]
    path: str = ""
    media: str = ""
    size: int = 0


class Outgoing:
    """A file being written: `put` records, then `close`."""

    def __init__(self, sink: BinaryIO, header: Header) -> None:
        self._sink = sink
        self._hash = hashlib.sha256()
        self._write(msgspec.json.encode(header, order="sorted") + b"\n")

    def put(self, head: Head, body: bytes = b"", *, sealed: bool = False) -> None:
        """One record; what is sealed does not grow smaller, so no time is spent on trying."""
        inner = msgspec.json.encode(head, order="sorted")
        packed = zlib.compress(len(inner).to_bytes(2, "big") + inner + body, 0 if sealed else 6)
        self._write(len(packed).to_bytes(4, "big") + packed)

    def close(self, key: Ed25519PrivateKey) -> None:
        """End and sign the file."""
        self._write(bytes(4))
        _put(self._sink, key.sign(_signed(self._hash)))

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        _put(self._sink, data)


class Incoming:
    """A file to be read: frames, bounds and signature of the whole are checked before a record is handed out."""

    def __init__(self, source: BinaryIO) -> None:
        """`source` must allow seeking. Malformed("carriage....") for what is no carriage file; the signature comes later."""
        self._source = source
        self._hash = hashlib.sha256()
        line = self._read_line()
        try:
            self.header: Final = msgspec.json.decode(line, type=Header)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("carriage.header") from None
        self._first = len(line)

    def verify(self, key: bytes) -> None:
        """Read the whole file once: every frame within its bounds, nothing behind the end, signed by this key (32 bytes)."""
        self._hash = hashlib.sha256()
        self._seek(0)
        self._take(self._first)
        for count in range(MOST_RECORDS + 1):
            size = int.from_bytes(self._take(4), "big")
            if size == 0:
                break
            if size > _PACKED or count == MOST_RECORDS:
                raise Malformed("carriage.too_large", limit=MOST_RECORD)
            while size:
                size -= len(self._take(min(size, _BLOCK)))
        signed = _signed(self._hash)
        signature = self._take(_SIGNATURE)
        if _get(self._source, 1):
            raise Malformed("carriage.trailing")
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
        except (InvalidSignature, ValueError):
            raise Refused("carriage.signature", party=self.header.sender) from None

    def records(self) -> Iterator[tuple[Head, bytes]]:
        """Every record in order. The file is read again, so bounds hold here too; contents carry their own proofs."""
        self._seek(self._first)
        for _ in range(MOST_RECORDS):
            size = int.from_bytes(self._take(4), "big")
            if size == 0:
                return
            if size > _PACKED:
                raise Malformed("carriage.too_large", limit=MOST_RECORD)
            place = self._source.tell() + size
            yield _unpack(self._take(size))
            self._seek(place)  # whoever takes the records may read others meanwhile
        raise Malformed("carriage.too_large", limit=MOST_RECORD)

    def _read_line(self) -> bytes:
        try:
            line = self._source.readline(MOST_HEADER)
        except OSError as failure:
            raise Unreachable("carriage.disk", reason=failure.strerror or "-") from failure
        if not line.endswith(b"\n"):
            raise Malformed("carriage.header")
        return line

    def _take(self, size: int) -> bytes:
        data = _get(self._source, size)
        if len(data) < size:
            raise Malformed("carriage.truncated")
        self._hash.update(data)
        return data

    def _seek(self, place: int) -> None:
        try:
            self._source.seek(place)
        except OSError as failure:
            raise Unreachable("carriage.disk", reason=failure.strerror or "-") from failure


def _unpack(packed: bytes) -> tuple[Head, bytes]:
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(packed, MOST_RECORD + 1)
    except zlib.error:
        raise Malformed("carriage.record") from None
    if len(data) > MOST_RECORD:
        raise Malformed("carriage.too_large", limit=MOST_RECORD)
    if not inflater.eof or inflater.unused_data:
        raise Malformed("carriage.record")
    end = 2 + int.from_bytes(data[:2], "big")
    try:
        return msgspec.json.decode(data[2:end], type=Head), data[end:]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("carriage.record") from None


def _signed(hashed: hashlib._Hash) -> bytes:
    """What is signed: no signature base of RFC 9421 begins so, and no note of C2SP."""
    return FORMAT.encode() + b"\n" + hashed.digest()


def _put(sink: BinaryIO, data: bytes) -> None:
    try:
        view = memoryview(data)
        while view:
            view = view[sink.write(view) :]
    except OSError as failure:
        raise Unreachable("carriage.disk", reason=failure.strerror or "-") from failure


def _get(source: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer only at the end of the file."""
    try:
        data = source.read(size)
        while data and len(data) < size:
            more = source.read(size - len(data))
            if not more:
                break
            data += more
    except OSError as failure:
        raise Unreachable("carriage.disk", reason=failure.strerror or "-") from failure
    return data
