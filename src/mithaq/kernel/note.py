"""Signed notes, checkpoints and cosignatures, as the C2SP pages of those names have them.

Three kinds of key: 0x01 Ed25519 over the text, 0x04 Ed25519 cosignature and 0x06 ML-DSA-44 cosignature, both with a
time inside. Bytes and times in, bytes out: no clock, no file. Times are whole POSIX seconds, 0 < time < 2**63.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from mithaq.kernel.errors import Malformed, Refused
from mithaq.kernel.merkle_verify import EMPTY_ROOT, HASH_SIZE, MAX_SIZE

ED25519 = 0x01  # signed-note: over the note's text
ED25519_COSIGNATURE = 0x04  # tlog-cosignature: a time and the text
MLDSA44_COSIGNATURE = 0x06  # tlog-cosignature: cosigner, time, origin, size and root

MAX_NOTE = 64 * 1024  # bytes; room for the 16 ML-DSA signatures that signed-note asks verifiers to accept
MAX_SIGNATURES = 32
MAX_NAME = 255  # bytes; the ML-DSA message has one length byte for names and origins
MAX_VKEY = 4096  # characters; an ML-DSA-44 key takes about 1,800

_PUBLIC_SIZE = {ED25519: 32, ED25519_COSIGNATURE: 32, MLDSA44_COSIGNATURE: 1312}
_SIGNATURE_SIZE = {ED25519: 64, ED25519_COSIGNATURE: 8 + 64, MLDSA44_COSIGNATURE: 8 + 2420}
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_DASH = "\u2014 "  # em dash and space begin a signature line


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key under a name. `public` is 32 bytes (Ed25519) or 1312 bytes (ML-DSA-44)."""

    name: str
    kind: int
    public: bytes
    key_id: bytes = field(init=False, compare=False)
    _key: Ed25519PublicKey | MLDSA44PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_name(self.name)
        if _PUBLIC_SIZE.get(self.kind) != len(self.public):
            raise Malformed("note.key_shape", name=self.name)
        try:
            mldsa = self.kind == MLDSA44_COSIGNATURE
            key = (MLDSA44PublicKey if mldsa else Ed25519PublicKey).from_public_bytes(self.public)
        except ValueError:
            raise Malformed("note.key_shape", name=self.name) from None
        hashed = sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()
        object.__setattr__(self, "key_id", hashed[:4])
        object.__setattr__(self, "_key", key)

    @property
    def vkey(self) -> str:
        """The key as text: name+hex(key ID)+base64(kind || public)."""
        return f"{self.label}+{b64encode(bytes([self.kind]) + self.public).decode()}"

    @property
    def label(self) -> str:
        """name+hex(key ID): which key, briefly; what `SignedCheckpoint.timestamps` is keyed by."""
        return f"{self.name}+{self.key_id.hex()}"

    @classmethod
    def from_vkey(cls, vkey: str) -> Verifier:
        """Read a vkey strictly: canonical base64, lower-case key ID that fits, a kind this module knows."""
        if len(vkey) > MAX_VKEY or vkey.count("+") < 2:
            raise Malformed("note.vkey")
        name, key_id, encoded = vkey.split("+", 2)  # names have no plus, base64 may
        material = decode64(encoded)
        if not material or material[0] not in _PUBLIC_SIZE:
            raise Malformed("note.key_kind", name=name)
        verifier = cls(name, material[0], material[1:])
        if verifier.key_id.hex() != key_id:
            raise Malformed("note.key_id", name=name)
        return verifier

    def verify(self, text: bytes, signature: bytes) -> int:
        """Check a signature (without the key ID) over a note's text; return its time, 0 for kind 0x01."""
        if len(signature) != _SIGNATURE_SIZE[self.kind]:
            raise Refused("note.signature_wrong", name=self.name)
        at, message = 0, text
        if self.kind != ED25519:
            at, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            if not 0 < at < MAX_SIZE:
                raise Refused("note.timestamp", name=self.name)
            message = _message(self.name, self.kind, text, at)
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            raise Refused("note.signature_wrong", name=self.name) from None
        return at


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key under a name, made from a 32-byte seed (RFC 8032; FIPS 204)."""

    name: str
    kind: int
    seed: bytes = field(repr=False)
    verifier: Verifier = field(init=False, compare=False)
    _key: Ed25519PrivateKey | MLDSA44PrivateKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in _PUBLIC_SIZE:
            raise Malformed("note.key_kind", name=self.name)
        if len(self.seed) != 32:
            raise Malformed("note.key_shape", name=self.name)
        key: Ed25519PrivateKey | MLDSA44PrivateKey
        if self.kind == MLDSA44_COSIGNATURE:
            key = MLDSA44PrivateKey.from_seed_bytes(self.seed)
        else:
            key = Ed25519PrivateKey.from_private_bytes(self.seed)
        object.__setattr__(self, "_key", key)
        object.__setattr__(self, "verifier", Verifier(self.name, self.kind, key.public_key().public_bytes_raw()))

    def sign_text(self, text: bytes, at: int) -> bytes:
        """The signature line over a note's text; `at` is written into kinds 0x04 and 0x06."""
        if self.kind == ED25519:
            signature = self._key.sign(text)
        else:
            if type(at) is not int or not 0 < at < MAX_SIZE:
                raise Malformed("note.timestamp", name=self.name)
            signature = at.to_bytes(8, "big") + self._key.sign(_message(self.name, self.kind, text, at))
        return f"{_DASH}{self.name} {b64encode(self.verifier.key_id + signature).decode()}\n".encode()

    def sign(self, checkpoint: Checkpoint, at: int) -> bytes:
        """The signature line for a checkpoint."""
        return self.sign_text(checkpoint.body, at)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's origin, size in leaves and 32-byte root; `extensions` are kept when another's checkpoint has them."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lines = (self.origin, *self.extensions)
        if not all(line and "\n" not in line and not _CONTROL.search(line) for line in lines):
            raise Malformed("note.checkpoint_lines")
        if len(_utf8(self.origin)) > MAX_NAME:
            raise Malformed("note.checkpoint_lines")
        if type(self.size) is not int or not 0 <= self.size < MAX_SIZE:
            raise Malformed("note.checkpoint_size")
        if len(self.root) != HASH_SIZE or (self.size == 0 and self.root != EMPTY_ROOT):
            raise Malformed("note.checkpoint_root")

    @property
    def body(self) -> bytes:
        """The note's text: origin, size, root and any extension lines, each ended by a newline."""
        lines = (self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions)
        return _utf8("\n".join(lines) + "\n")

    @classmethod
    def parse(cls, body: bytes) -> Checkpoint:
        """Read a note's text as tlog-checkpoint has it; nothing else than what `body` writes is accepted."""
        lines = _text(body).split("\n")
        if len(lines) < 4 or lines[-1] != "":
            raise Malformed("note.checkpoint_lines")
        origin, size, root, *extensions = lines[:-1]
        if not _DECIMAL.fullmatch(size):
            raise Malformed("note.checkpoint_size")
        return cls(origin, int(size), decode64(root), tuple(extensions))


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint whose signatures held. `timestamps`: label of each key that signed -> time, 0 for kind 0x01."""

    checkpoint: Checkpoint
    note: bytes
    timestamps: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One line of a note: whose, by which key, and the signature after the key ID."""

    name: str
    key_id: bytes
    signature: bytes


def split(note: bytes) -> tuple[bytes, list[SignatureLine]]:
    """A note's text and its signature lines, checked for shape only: nothing is verified here."""
    if len(note) > MAX_NOTE:
        raise Malformed("note.too_long", limit=MAX_NOTE)
    _text(note)
    cut = note.rfind(b"\n\n")  # the last empty line: the text may have others
    if cut < 0:
        raise Malformed("note.no_blank_line")
    return note[: cut + 1], read_lines(note[cut + 2 :])


def read_lines(lines: bytes) -> list[SignatureLine]:
    """Signature lines by themselves, as a witness or mirror answers: 1 to 32 of them."""
    if len(lines) > MAX_NOTE:
        raise Malformed("note.too_long", limit=MAX_NOTE)
    if not lines.endswith(b"\n"):
        raise Malformed("note.no_signature_line")
    found = _text(lines).split("\n")[:-1]
    if len(found) > MAX_SIGNATURES:
        raise Malformed("note.too_many_signatures", limit=MAX_SIGNATURES)
    return [_read_line(line) for line in found]


def _read_line(line: str) -> SignatureLine:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise Malformed("note.signature_line")
    _check_name(name)
    raw = decode64(encoded)
    if len(raw) < 5:
        raise Malformed("note.signature_line")
    return SignatureLine(name, raw[:4], raw[4:])


def check_signatures(
    text: bytes, lines: Iterable[SignatureLine], required: Sequence[Verifier], known: Sequence[Verifier] = ()
) -> dict[str, int]:
    """The times by key label. Every required key must have signed; no known key may have signed wrongly.

    Signatures of keys that are neither are ignored, as signed-note says; a second line of one key is refused.
    """
    if not required and not known:
        raise Refused("note.no_keys")
    keys: dict[tuple[str, bytes], Verifier] = {}
    for verifier in (*required, *known):
        if keys.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise Refused("note.keys_collide", name=verifier.name)
    times: dict[str, int] = {}
    for line in lines:
        signed_by = keys.get((line.name, line.key_id))
        if signed_by is None:
            continue
        if signed_by.label in times:
            raise Refused("note.signature_doubled", name=line.name)
        times[signed_by.label] = signed_by.verify(text, line.signature)
    for verifier in required:
        if verifier.label not in times:
            raise Refused("note.signature_missing", name=verifier.name, key=verifier.key_id.hex())
    return times


def open_note(note: bytes, verifiers: Sequence[Verifier]) -> bytes:
    """The text of a note of any content, after every listed key's signature held."""
    text, lines = split(note)
    check_signatures(text, lines, verifiers)
    return text


def sign(checkpoint: Checkpoint, signers: Sequence[Signer], at: int) -> bytes:
    """The whole note of our own checkpoint, which never has extension lines (ML-DSA would not cover them)."""
    if checkpoint.extensions:
        raise Refused("note.extensions", origin=checkpoint.origin)
    return checkpoint.body + b"\n" + _sign_all(checkpoint, signers, at)


def open_checkpoint(
    note: bytes, verifiers: Sequence[Verifier], origin: str | None = None, known: Sequence[Verifier] = ()
) -> SignedCheckpoint:
    """A checkpoint after every listed key's signature held; `known` keys may be absent but not wrong.

    The origin must be the one given; without one, it must be the name of a listed key (tlog-checkpoint: the log's
    key name should match the origin), so that one log's keys never open another log's checkpoint.
    """
    if not verifiers:
        raise Refused("note.no_keys")
    text, lines = split(note)
    checkpoint = Checkpoint.parse(text)
    if checkpoint.origin not in ({each.name for each in verifiers} if origin is None else {origin}):
        raise Refused("note.origin", origin=checkpoint.origin)
    return SignedCheckpoint(checkpoint, note, check_signatures(text, lines, verifiers, known))


def cosign(checkpoint: Checkpoint, signers: Sequence[Signer], at: int) -> bytes:
    """Cosignature lines for another's checkpoint, kinds 0x04 and 0x06: the receipt, when a mirror gives it."""
    for signer in signers:
        require_cosigner(signer)
    return _sign_all(checkpoint, signers, at)


def require_cosigner(key: Signer | Verifier) -> None:
    """Refuse a key of kind 0x01 where a receipt is meant: it says nothing about when, and is no cosignature."""
    if key.kind == ED25519:
        raise Refused("note.not_a_cosigner", name=key.name)


def check_cosignature(checkpoint: Checkpoint, lines: bytes, verifiers: Sequence[Verifier]) -> int:
    """Check the lines that `cosign` made; every listed key is required. Returns the latest time."""
    for verifier in verifiers:
        require_cosigner(verifier)
    if not verifiers:
        raise Refused("note.no_keys")
    return max(check_signatures(checkpoint.body, read_lines(lines), verifiers).values())


def add_lines(note: bytes, lines: bytes) -> bytes:
    """The note with more signature lines under it; shape and bounds are checked, signatures are not."""
    read_lines(lines)
    longer = note + lines
    split(longer)
    return longer


def only_of(note: bytes, keys: Sequence[Verifier]) -> tuple[bytes, bytes]:
    """(text, signature lines) of a note with the lines of these keys alone; nothing is verified here."""
    text, lines = split(note)
    known = {(key.name, key.key_id) for key in keys}
    kept = [line for line in lines if (line.name, line.key_id) in known]
    made = [f"{_DASH}{line.name} {b64encode(line.key_id + line.signature).decode()}\n" for line in kept]
    return text, "".join(made).encode()


def origin_hash(origin: str) -> str:
    """What a mirror's path names a log by: SHA-256 of the origin in lower-case hex (tlog-mirror)."""
    return sha256(origin.encode()).hexdigest()


def fingerprint(vkeys: Sequence[str]) -> str:
    """Twelve groups of five digits to read aloud, over a set of vkeys in any order (as Signal's safety numbers)."""
    if not vkeys:
        raise Refused("note.no_keys")
    names = sorted({Verifier.from_vkey(vkey).vkey for vkey in vkeys})
    digest = sha256("\n".join(("mithaq-fingerprint/1", *names, "")).encode()).digest()
    # 10**60 is 2**57 times smaller than 2**256, so that every digit is as good as evenly spread.
    digits = f"{int.from_bytes(digest, 'big') % 10**60:060d}"
    return " ".join(digits[at : at + 5] for at in range(0, 60, 5))


def decode64(text: str) -> bytes:
    """Standard base64 (RFC 4648 section 4), canonical: padding as it must be, no stray bits, nothing between."""
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        raise Malformed("note.base64") from None
    if b64encode(raw).decode() != text:
        raise Malformed("note.base64")
    return raw


def _sign_all(checkpoint: Checkpoint, signers: Sequence[Signer], at: int) -> bytes:
    if not signers:
        raise Refused("note.no_keys")
    body = checkpoint.body
    return b"".join(signer.sign_text(body, at) for signer in signers)


def _message(name: str, kind: int, text: bytes, at: int) -> bytes:
    """What a cosigner signs (tlog-cosignature, "Ed25519 signed message" and "ML-DSA-44 signed message")."""
    if kind == ED25519_COSIGNATURE:
        return b"cosignature/v1\ntime %d\n" % at + text
    checkpoint = Checkpoint.parse(text)
    cosigner, origin = name.encode(), checkpoint.origin.encode()
    numbers = (0).to_bytes(8, "big") + checkpoint.size.to_bytes(8, "big")  # start is 0 for a checkpoint
    head = b"subtree/v1\n\0" + bytes([len(cosigner)]) + cosigner + at.to_bytes(8, "big")
    return head + bytes([len(origin)]) + origin + numbers + checkpoint.root


def _check_name(name: str) -> None:
    if not name or len(_utf8(name)) > MAX_NAME or "+" in name or any(each.isspace() for each in name):
        raise Malformed("note.name")
    if _CONTROL.search(name):
        raise Malformed("note.name")


def _text(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise Malformed("note.not_utf8") from None
    if _CONTROL.search(text):
        raise Malformed("note.control_character")
    return text


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        raise Malformed("note.not_utf8") from None
