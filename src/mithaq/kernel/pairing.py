"""Pairing files: what a party publishes of itself (names, address, keys), and the digits that two officers read aloud."""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import re
import unicodedata
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from mithaq.kernel.age import Recipient
from mithaq.kernel.errors import Malformed, MithaqError, Refused
from mithaq.kernel.note import Verifier

MOST_BYTES: Final = 256 * 1024
LANGUAGES: Final = ("ar", "en", "fa")
LOG_KINDS: Final = (0x01, 0x06)  # Ed25519 note signature, ML-DSA-44 cosignature: design section 6
MIRROR_KINDS: Final = (0x04, 0x06)  # Ed25519 and ML-DSA-44 cosignature

_PARTY = re.compile(r"[A-Z0-9][A-Z0-9-]{0,15}")
_COMMISSION = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,98}[a-z0-9])?")  # a schema-less name, as tlog-checkpoint advises
_OFFICE = re.compile(r"[A-Z0-9][A-Z0-9-]{0,15}(?:/[a-z0-9-]{1,40}){1,5}")
_ADDRESS = re.compile(r"https?://[!-~]{1,500}")
_JOINERS = {"\u200c", "\u200d"}  # Persian and Arabic words need them; every other invisible character is refused
_FIELD = 2**255 - 19
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7  # y of the points of order 8
_SMALL_ORDER = frozenset({0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8})


class PairingFile(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="mithaq-pairing/1", kw_only=True
):
    """What one party gives the others, once, by hand. All in it is public; `check` says what every field must be.

    `log_keys` and `mirror_keys` are C2SP vkeys, `request_key` the Ed25519 key (32 bytes, base64) of its RFC 9421
    signatures, `tls_certificate_sha256` the digest of the DER certificate, `offices` the age recipients by office path.
    """

    commission: str
    party: str
    names: dict[str, str]
    address: str
    log_keys: list[str]
    mirror_keys: list[str]
    request_key: str
    tls_certificate_sha256: str
    offices: dict[str, str]

    @property
    def origin(self) -> str:
        """The name of the party's log: `<commission>/<party>`."""
        return f"{self.commission}/{self.party}"

    def encode(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, UTF-8, one newline at the end."""
        return msgspec.json.encode(self, order="sorted") + b"\n"

    def log_verifiers(self) -> list[Verifier]:
        """Of the party's checkpoints: one Ed25519 (0x01), one ML-DSA-44 (0x06)."""
        return _verifiers("log_keys", self.log_keys, self.origin, LOG_KINDS)

    def mirror_verifiers(self) -> list[Verifier]:
        """Of the party's receipts: one Ed25519 (0x04), one ML-DSA-44 (0x06)."""
        return _verifiers("mirror_keys", self.mirror_keys, f"{self.origin}/mirror", MIRROR_KINDS)

    def request_public(self) -> bytes:
        """The Ed25519 public key (32 bytes) of the party's RFC 9421 request signatures."""
        try:
            public = base64.b64decode(self.request_key, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Malformed("pairing.field", field="request_key") from error
        if len(public) != 32 or base64.b64encode(public).decode("ascii") != self.request_key:
            raise Malformed("pairing.field", field="request_key")
        return public

    def recipients(self) -> dict[str, Recipient]:
        """The age recipient of each office, by its path."""
        return {path: self._recipient(path, text) for path, text in self.offices.items()}

    def check(self) -> None:
        """Every field, every key; Malformed("pairing.field", field) for the first that is not as it must be."""
        _matches("commission", _COMMISSION, self.commission)
        _matches("party", _PARTY, self.party)
        if sorted(self.names) != list(LANGUAGES):
            raise Malformed("pairing.field", field="names")
        for language, name in self.names.items():
            if not _is_line(name):
                raise Malformed("pairing.field", field=f"names.{language}")
        if not _is_address(self.address):
            raise Malformed("pairing.field", field="address")
        _matches("tls_certificate_sha256", re.compile(r"[0-9a-f]{64}"), self.tls_certificate_sha256)
        _matches_offices(self.party, self.offices)
        self.recipients()
        self._check_signing_keys()

    def public_keys(self) -> list[bytes]:
        """Every signing key of the party, in the order log, mirror, request."""
        verifiers = [*self.log_verifiers(), *self.mirror_verifiers()]
        return [*(bytes(verifier.public) for verifier in verifiers), self.request_public()]

    def _check_signing_keys(self) -> None:
        keys = self.public_keys()
        if len(set(keys)) != len(keys):  # C2SP signed-note: a key SHOULD NOT serve two kinds of statement
            raise Malformed("pairing.key_reused")
        if any(len(key) == 32 and _is_weak(key) for key in keys):
            raise Malformed("pairing.weak_key")

    def _recipient(self, path: str, text: str) -> Recipient:
        try:
            return Recipient.from_text(text)
        except MithaqError as error:
            raise Malformed("pairing.field", field=f"offices.{path}") from error


def parse(data: bytes) -> PairingFile:
    """Read a pairing file: bounded, every field and key checked, and the bytes themselves canonical."""
    if len(data) > MOST_BYTES:
        raise Malformed("pairing.too_large", most=MOST_BYTES)
    try:
        pairing = msgspec.json.decode(data, type=PairingFile)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed("pairing.not_readable") from error
    pairing.check()
    if pairing.encode() != data:
        raise Malformed("pairing.not_canonical")
    return pairing


def fingerprint(*pairings: PairingFile) -> str:
    """12 groups of 5 decimal digits over all the files (two or more), whoever names them first.

    Each group is 40 bits of a SHA-512 modulo 100,000, as in Signal's safety numbers: 199 bits in all. Refused when the
    files do not belong together: another commission, one party twice, or one key under two parties (an echo of our own).
    """
    if len({pairing.commission for pairing in pairings}) != 1:
        raise Refused("pairing.other_commission")
    if len(pairings) < 2 or len({pairing.party for pairing in pairings}) != len(pairings):
        raise Refused("pairing.same_party")
    keys = [key for pairing in pairings for key in pairing.public_keys()]
    if len(set(keys)) != len(keys):
        raise Refused("pairing.shared_key")
    encoded = [pairing.encode() for pairing in sorted(pairings, key=lambda pairing: pairing.party)]
    joined = b"".join(len(text).to_bytes(8, "big") + text for text in encoded)
    digest = hashlib.sha512(b"mithaq-fingerprint/1\n" + joined).digest()
    return " ".join(f"{int.from_bytes(digest[at : at + 5], 'big') % 100_000:05}" for at in range(0, 60, 5))


def check_identity(commission: str, party: str, offices: Sequence[str]) -> None:
    """The same patterns for a node's own keys, before they are made."""
    _matches("commission", _COMMISSION, commission)
    _matches("party", _PARTY, party)
    _matches_offices(party, offices)


def _matches(field: str, pattern: re.Pattern[str], text: str) -> None:
    if not pattern.fullmatch(text):
        raise Malformed("pairing.field", field=field)


def _matches_offices(party: str, offices: Sequence[str] | dict[str, str]) -> None:
    for path in offices:
        if not _OFFICE.fullmatch(path) or not path.startswith(f"{party}/"):
            raise Malformed("pairing.field", field="offices")


def _verifiers(field: str, vkeys: Sequence[str], name: str, kinds: tuple[int, ...]) -> list[Verifier]:
    try:
        verifiers = [Verifier.from_vkey(vkey) for vkey in vkeys[: len(kinds) + 1]]
    except MithaqError as error:
        raise Malformed("pairing.field", field=field) from error
    if tuple(verifier.kind for verifier in verifiers) != kinds or any(verifier.name != name for verifier in verifiers):
        raise Malformed("pairing.field", field=field)
    if [verifier.vkey for verifier in verifiers] != list(vkeys):  # another spelling of the same key
        raise Malformed("pairing.field", field=field)
    return verifiers


def _is_line(text: str) -> bool:
    """NFC, 1 to 120 characters, without control or invisible characters (the joiners aside) or spaces at the ends."""
    if not 1 <= len(text) <= 120 or text != text.strip() or not unicodedata.is_normalized("NFC", text):
        return False
    categories = (unicodedata.category(character) for character in text if character not in _JOINERS)
    return all(category[0] != "C" and category not in {"Zl", "Zp"} for category in categories)


def _is_address(address: str) -> bool:
    """A URL without user, query or fragment; plain HTTP on loopback alone (design section 6)."""
    if not _ADDRESS.fullmatch(address) or "\\" in address:
        return False
    try:
        url = urlsplit(address)
        host, port = url.hostname, url.port
    except ValueError:
        return False
    if not host or port == 0 or "@" in url.netloc or "?" in address or "#" in address:
        return False
    return url.scheme == "https" or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_weak(public: bytes) -> bool:
    """Not a canonical Ed25519 encoding, or of small order: with such a key one signature fits many texts.

    Its owner could disown what it signed, so RFC 8032 section 5.1.3 is taken strictly, and the small orders (1, 2, 4, 8)
    are refused as well.
    """
    y = int.from_bytes(public, "little") & (1 << 255) - 1
    return y >= _FIELD or y in _SMALL_ORDER
