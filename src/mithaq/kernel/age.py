"""The age v1 file format (C2SP age.md): a file sealed to recipients, streamed in chunks of 64 KiB.

Complete in itself: it knows nothing of nodes or agreements. What it writes, `age` 1.3 or later opens.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mithaq.kernel.age_keys import (
    MOST_WORK,
    TAG,
    Identity,
    Opening,
    Passphrase,
    Recipient,
    Sealing,
    Stanza,
    X25519Identity,
    X25519Recipient,
    from_raw_base64,
    hkdf,
    raw_base64,
    sized,
)
from mithaq.kernel.errors import Malformed, Refused

__all__ = [
    "CHUNK",
    "MOST_HEADER",
    "MOST_STANZAS",
    "MOST_WORK",
    "Header",
    "Identity",
    "Opening",
    "Passphrase",
    "Recipient",
    "Sealing",
    "Stanza",
    "X25519Identity",
    "X25519Recipient",
    "decrypt",
    "encrypt",
    "header_recipient_count",
    "read_header",
]

CHUNK = 64 * 1024  # bytes of plaintext a chunk, age.md "Payload"
MOST_HEADER = 64 * 1024  # bytes; ours, age.md sets no limit
MOST_STANZAS = 64  # ours as well: bounds the work that is done before the MAC is known to be right

_VERSION = b"age-encryption.org/v1\n"
_NONCE = 16  # bytes
_COLUMNS = 64
_ARGUMENTS = re.compile(rb"-> ([!-~]+(?: [!-~]+)*)\n")
_BODY_LINE = re.compile(rb"([A-Za-z0-9+/]{0,64})\n")
_END = re.compile(rb"--- ([A-Za-z0-9+/]{43})\n")


@dataclass(frozen=True, slots=True)
class Header:
    """The textual header as read: its stanzas, the bytes under the MAC, and the MAC (32 bytes)."""

    stanzas: tuple[Stanza, ...]
    covered: bytes
    mac: bytes


def encrypt(source: BinaryIO, sink: BinaryIO, recipients: Sequence[Sealing]) -> int:
    """Seal all of `source` to every recipient; returns the bytes written to `sink`. Memory: a few chunks, whatever the size.

    Refused("age.recipients") for none or more than fit; Refused("age.mixed_recipients") when a passphrase stands beside
    another recipient (age.md: MUST be alone) or a hybrid one beside a classic one (age.md: SHOULD NOT).
    """
    if len({type(recipient) for recipient in recipients}) > 1 or (
        len(recipients) > 1 and isinstance(recipients[0], Passphrase)
    ):
        raise Refused("age.mixed_recipients")
    if not 1 <= len(recipients) <= MOST_STANZAS:
        raise Refused("age.recipients", count=len(recipients))
    file_key, nonce = os.urandom(16), os.urandom(_NONCE)
    covered = _VERSION + b"".join(recipient.wrap(file_key).encode() for recipient in recipients) + b"---"
    header = covered + b" " + raw_base64(_mac(file_key, covered)).encode("ascii") + b"\n"
    if len(header) > MOST_HEADER:
        raise Refused("age.recipients", count=len(recipients))
    cipher = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload"))
    _write(sink, header + nonce)
    written = len(header) + len(nonce)
    for index, chunk, last in _chunks(source, CHUNK):
        sealed = cipher.encrypt(_nonce(index, last=last), chunk, None)
        _write(sink, sealed)
        written += len(sealed)
    return written


def decrypt(source: BinaryIO, sink: BinaryIO, identities: Sequence[Opening]) -> int:
    """Open `source` (read to its end) with the first identity that fits; returns the bytes of plaintext written to `sink`.

    Every chunk is authenticated before it is written, and the end of the file only by the last: when this raises, what
    `sink` holds is a true beginning of the file at best, and the caller drops it. Refused("age.not_for_us") when no
    identity fits; Malformed("age....") for everything that age.md forbids.
    """
    cipher = _payload_cipher(source, _open_file_key(read_header(source), identities))
    written = 0
    for index, chunk, last in _chunks(source, CHUNK + TAG):
        plain = _open_chunk(cipher, index, chunk, last=last)
        if not plain and index:  # "MUST NOT be empty unless the whole payload is empty"
            raise Malformed("age.empty_final_chunk")
        _write(sink, plain)
        written += len(plain)
    return written


def read_header(source: BinaryIO) -> Header:
    """Read exactly the header, at most `MOST_HEADER` bytes and `MOST_STANZAS` stanzas; its MAC is not checked yet."""
    lines = _header_lines(source)
    if next(lines) != _VERSION:
        raise Malformed("age.version")
    covered, stanzas = bytearray(_VERSION), list[Stanza]()
    for line in lines:
        end = _END.fullmatch(line)
        if end:
            mac = sized(32, end.group(1).decode("ascii"))
            break
        stanza, raw = _stanza(line, lines)
        stanzas.append(stanza)
        covered += raw
        if len(stanzas) > MOST_STANZAS:
            raise Malformed("age.header_too_large")
    if not stanzas:
        raise Malformed("age.header")
    if len(stanzas) > 1 and any(stanza.arguments[0] == "scrypt" for stanza in stanzas):
        raise Malformed("age.scrypt_not_alone")
    return Header(tuple(stanzas), bytes(covered + b"---"), mac)


def header_recipient_count(header: Header) -> int:
    """To how many recipients the file says it is sealed: known before anything is opened, so a clause can bound it."""
    return len(header.stanzas)


def _open_file_key(header: Header, identities: Sequence[Opening]) -> bytes:
    for identity in identities:
        file_key = identity.unwrap(header.stanzas)
        if file_key is None:
            continue
        if not hmac.compare_digest(_mac(file_key, header.covered), header.mac):
            raise Malformed("age.mac")
        return file_key
    raise Refused("age.not_for_us")


def _header_lines(source: BinaryIO) -> Iterator[bytes]:
    left = MOST_HEADER
    while True:
        line = source.readline(left)
        left -= len(line)
        if line.endswith(b"\n"):
            yield line
        else:
            raise Malformed("age.header_too_large" if left == 0 else "age.truncated")


def _stanza(first: bytes, lines: Iterator[bytes]) -> tuple[Stanza, bytes]:
    arguments = _ARGUMENTS.fullmatch(first)
    if not arguments:
        raise Malformed("age.header")
    raw, body = bytearray(first), bytearray()
    for line in lines:
        match = _BODY_LINE.fullmatch(line)
        if not match:
            raise Malformed("age.header")
        raw += line
        body += match.group(1)
        if len(match.group(1)) < _COLUMNS:
            break
    names = tuple(arguments.group(1).decode("ascii").split(" "))
    return Stanza(names, from_raw_base64(body.decode("ascii"))), bytes(raw)


def _payload_cipher(source: BinaryIO, file_key: bytes) -> ChaCha20Poly1305:
    nonce = _read(source, _NONCE)
    if len(nonce) != _NONCE:
        raise Malformed("age.truncated")
    return ChaCha20Poly1305(hkdf(file_key, nonce, b"payload"))


def _open_chunk(cipher: ChaCha20Poly1305, index: int, chunk: bytes, *, last: bool) -> bytes:
    if len(chunk) < TAG:
        raise Malformed("age.truncated")
    try:
        return cipher.decrypt(_nonce(index, last=last), chunk, None)
    except InvalidTag:
        pass
    # The same chunk under the other nonce tells what happened to the file; its plaintext is not used.
    try:
        cipher.decrypt(_nonce(index, last=not last), chunk, None)
    except InvalidTag:
        raise Malformed("age.chunk", index=index) from None
    raise Malformed("age.truncated" if last else "age.trailing_data")


def _chunks(source: BinaryIO, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Number, bytes and "is it the last" of each chunk: always one at least, and a full one can be the last."""
    index, chunk = 0, _read(source, size)
    while True:
        following = _read(source, size) if len(chunk) == size else b""
        yield index, chunk, not following
        if not following:
            return
        index, chunk = index + 1, following


def _read(source: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer only at the end: an unbuffered file or a socket may answer in pieces."""
    data = source.read(size)
    if len(data) == size or not data:
        return data
    parts, have = [data], len(data)
    while have < size:
        data = source.read(size - have)
        if not data:
            break
        parts.append(data)
        have += len(data)
    return b"".join(parts)


def _write(sink: BinaryIO, data: bytes) -> None:
    """All of `data`: an unbuffered file may take less than it was given."""
    view = memoryview(data)
    while view:
        view = view[sink.write(view) :]


def _nonce(index: int, *, last: bool) -> bytes:
    return index.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _mac(file_key: bytes, covered: bytes) -> bytes:
    return hmac.digest(hkdf(file_key, b"", b"header"), covered, "sha256")
