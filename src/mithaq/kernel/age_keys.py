"""Who an age file is sealed to (C2SP age.md "Native recipient types"): hybrid MLKEM768-X25519, X25519, passphrase."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from mithaq.kernel import bech32
from mithaq.kernel.errors import Malformed, Refused

MOST_WORK = 20  # log2 of scrypt's N: 1 GiB of memory; age.md asks for "an upper limit"
TAG = 16  # bytes that ChaCha20-Poly1305 adds

_KEY = 32  # bytes of an X25519 key, and of a hybrid seed
_HYBRID_INFO = b"age-encryption.org/mlkem768x25519"
_HYBRID_ENC = 1120  # bytes: ML-KEM-768 ciphertext (1,088), then the X25519 share (32)
_HYBRID_MLKEM = 1184  # bytes of the ML-KEM-768 encapsulation key, before the 32 of X25519
_HYBRID = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
_X25519_INFO = b"age-encryption.org/v1/X25519"
_ZERO_NONCE = bytes(12)
_WORK = re.compile(r"[1-9][0-9]{0,3}")  # four digits bound the number; the limit itself is checked after


@dataclass(frozen=True, slots=True)
class Stanza:
    """One wrapping of the file key: `arguments` (the first names the type) and the `body` (decoded)."""

    arguments: tuple[str, ...]
    body: bytes

    def encode(self) -> bytes:
        """The lines of age.md "Recipient stanza": the body wrapped at 64 columns, its last line always shorter."""
        text = raw_base64(self.body)
        lines = [text[at : at + 64] for at in range(0, len(text) + 1, 64)]
        return "".join(f"{line}\n" for line in (f"-> {' '.join(self.arguments)}", *lines)).encode("ascii")


class Sealing(Protocol):
    """A recipient: wraps the 16-byte file key."""

    def wrap(self, file_key: bytes) -> Stanza:
        """One stanza only this recipient's identity can open."""


class Opening(Protocol):
    """An identity: finds and opens its own stanza."""

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """The file key (16 bytes), or None when no stanza is for this identity."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """An MLKEM768-X25519 (X-Wing) recipient: 1,216 bytes, `age1pq1...`. Secure against quantum computers."""

    public: bytes

    def __post_init__(self) -> None:
        if len(self.public) != _HYBRID_MLKEM + _KEY:
            raise Malformed("age.recipient")
        self._key()

    @classmethod
    def from_text(cls, text: str) -> Recipient:
        """Read `age1pq1...`; Malformed("age.recipient") when the text or the ML-KEM key in it is not valid."""
        return cls(bech32.decode("age1pq", text, "age.recipient"))

    def to_text(self) -> str:
        """`age1pq1...`, 1,959 characters, lower case."""
        return bech32.encode("age1pq", self.public)

    def wrap(self, file_key: bytes) -> Stanza:
        """HPKE SealBase, RFC 9180 section 6.1; `encrypt` returns enc || ciphertext, which the stanza keeps apart."""
        try:
            sealed = _HYBRID.encrypt(file_key, self._key(), _HYBRID_INFO)
        except ValueError as error:  # an X25519 half of low order
            raise Malformed("age.recipient") from error
        return Stanza(("mlkem768x25519", raw_base64(sealed[:_HYBRID_ENC])), sealed[_HYBRID_ENC:])

    def _key(self) -> hpke.MLKEM768X25519PublicKey:
        try:
            mlkem = MLKEM768PublicKey.from_public_bytes(self.public[:_HYBRID_MLKEM])
            return hpke.MLKEM768X25519PublicKey(mlkem, X25519PublicKey.from_public_bytes(self.public[_HYBRID_MLKEM:]))
        except ValueError as error:
            raise Malformed("age.recipient") from error


@dataclass(frozen=True, slots=True)
class Identity:
    """An MLKEM768-X25519 identity: a seed of 32 bytes, `AGE-SECRET-KEY-PQ-1...`."""

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != _KEY:
            raise Malformed("age.identity")

    @classmethod
    def generate(cls) -> Identity:
        """A new identity from the system's random source."""
        return cls(os.urandom(32))

    @classmethod
    def from_text(cls, text: str) -> Identity:
        """Read `AGE-SECRET-KEY-PQ-1...`; else Malformed("age.identity"), which never repeats the text."""
        return cls(bech32.decode("AGE-SECRET-KEY-PQ-", text, "age.identity"))

    def to_text(self) -> str:
        """`AGE-SECRET-KEY-PQ-1...`, upper case: a secret."""
        return bech32.encode("AGE-SECRET-KEY-PQ-", self.seed)

    @property
    def recipient(self) -> Recipient:
        """The public side, to which others seal."""
        mlkem, x25519 = self._keys()
        return Recipient(mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw())

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """HPKE OpenBase of each `mlkem768x25519` stanza, its shape checked first (partitioning oracles)."""
        key = hpke.MLKEM768X25519PrivateKey(*self._keys())
        for stanza in _of_type("mlkem768x25519", 2, stanzas):
            encapsulated = sized(_HYBRID_ENC, stanza.arguments[1])
            try:
                return _HYBRID.decrypt(encapsulated + stanza.body, key, _HYBRID_INFO)
            except InvalidTag:
                continue
            except ValueError as error:  # an X25519 share of low order
                raise Malformed("age.stanza", type="mlkem768x25519") from error
        return None

    def _keys(self) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
        # X-Wing key expansion: SHAKE256(seed, 96) = ML-KEM d || z (64 bytes), then the X25519 scalar.
        expanded = hashlib.shake_256(self.seed).digest(96)
        return MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:])


@dataclass(frozen=True, slots=True)
class X25519Recipient:
    """A classic recipient, `age1...`: for exchange with tools that lack the hybrid one; not secure against quantum computers."""

    public: bytes

    def __post_init__(self) -> None:
        if len(self.public) != _KEY:
            raise Malformed("age.recipient")

    @classmethod
    def from_text(cls, text: str) -> X25519Recipient:
        """Read `age1...`, else Malformed("age.recipient")."""
        return cls(bech32.decode("age", text, "age.recipient"))

    def to_text(self) -> str:
        """`age1...`, 62 characters."""
        return bech32.encode("age", self.public)

    def wrap(self, file_key: bytes) -> Stanza:
        """age.md "X25519 recipient stanza": a fresh ephemeral secret for each stanza."""
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        try:
            shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(self.public))
        except ValueError as error:  # all zero: a recipient of low order
            raise Malformed("age.recipient") from error
        wrap_key = hkdf(shared, share + self.public, _X25519_INFO)
        body = ChaCha20Poly1305(wrap_key).encrypt(_ZERO_NONCE, file_key, None)
        return Stanza(("X25519", raw_base64(share)), body)


@dataclass(frozen=True, slots=True)
class X25519Identity:
    """A classic identity, `AGE-SECRET-KEY-1...`: 32 bytes."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != _KEY:
            raise Malformed("age.identity")

    @classmethod
    def generate(cls) -> X25519Identity:
        """A new identity from the system's random source."""
        return cls(os.urandom(32))

    @classmethod
    def from_text(cls, text: str) -> X25519Identity:
        """Read `AGE-SECRET-KEY-1...`, else Malformed("age.identity")."""
        return cls(bech32.decode("AGE-SECRET-KEY-", text, "age.identity"))

    def to_text(self) -> str:
        """`AGE-SECRET-KEY-1...`: a secret."""
        return bech32.encode("AGE-SECRET-KEY-", self.secret)

    @property
    def recipient(self) -> X25519Recipient:
        """The public side."""
        return X25519Recipient(X25519PrivateKey.from_private_bytes(self.secret).public_key().public_bytes_raw())

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """Try each `X25519` stanza; an all-zero shared secret aborts, as age.md demands."""
        key = X25519PrivateKey.from_private_bytes(self.secret)
        for stanza in _of_type("X25519", 2, stanzas):
            share = sized(32, stanza.arguments[1])
            try:
                shared = key.exchange(X25519PublicKey.from_public_bytes(share))
            except ValueError as error:
                raise Malformed("age.stanza", type="X25519") from error
            wrap_key = hkdf(shared, share + self.recipient.public, _X25519_INFO)
            opened = _open(wrap_key, stanza.body)
            if opened is not None:
                return opened
        return None


@dataclass(frozen=True, slots=True)
class Passphrase:
    """A scrypt recipient and identity in one. `work` is log2 of N when sealing; opening takes 1 to `MOST_WORK`."""

    passphrase: str = field(repr=False)
    work: int = 17

    def __post_init__(self) -> None:
        if not 1 <= self.work <= MOST_WORK:
            raise Refused("age.work_factor", work=self.work, most=MOST_WORK)

    def wrap(self, file_key: bytes) -> Stanza:
        """age.md "scrypt recipient stanza"; it must be the only one in its header."""
        salt = os.urandom(16)
        body = ChaCha20Poly1305(self._derive(salt, self.work)).encrypt(_ZERO_NONCE, file_key, None)
        return Stanza(("scrypt", raw_base64(salt), str(self.work)), body)

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """None also when the passphrase is wrong: the two cannot be told apart, by design."""
        for stanza in _of_type("scrypt", 3, stanzas):
            salt = sized(16, stanza.arguments[1])
            if not _WORK.fullmatch(stanza.arguments[2]):
                raise Malformed("age.stanza", type="scrypt")
            work = int(stanza.arguments[2])
            if work > MOST_WORK:
                raise Refused("age.work_factor", work=work, most=MOST_WORK)
            return _open(self._derive(salt, work), stanza.body)
        return None

    def _derive(self, salt: bytes, work: int) -> bytes:
        kdf = Scrypt(salt=b"age-encryption.org/v1/scrypt" + salt, length=32, n=1 << work, r=8, p=1)
        try:
            return kdf.derive(self.passphrase.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise Malformed("age.passphrase") from error
        except MemoryError as error:  # N = 2^20 takes 1 GiB
            raise Refused("age.work_factor", work=work, most=MOST_WORK) from error


def _of_type(name: str, arguments: int, stanzas: Sequence[Stanza]) -> Iterator[Stanza]:
    for stanza in stanzas:
        if stanza.arguments[0] != name:
            continue
        if len(stanza.arguments) != arguments or len(stanza.body) != 16 + TAG:
            raise Malformed("age.stanza", type=name)
        yield stanza


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(secret)


def _open(wrap_key: bytes, body: bytes) -> bytes | None:
    try:
        return ChaCha20Poly1305(wrap_key).decrypt(_ZERO_NONCE, body, None)
    except InvalidTag:
        return None


def raw_base64(data: bytes) -> str:
    return base64.b64encode(data).rstrip(b"=").decode("ascii")


def from_raw_base64(text: str) -> bytes:
    """Unpadded and canonical (RFC 4648 section 3.5), else Malformed."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("age.base64") from error
    if raw_base64(data) != text:
        raise Malformed("age.base64")
    return data


def sized(size: int, text: str) -> bytes:
    data = from_raw_base64(text)
    if len(data) != size:
        raise Malformed("age.base64")
    return data
