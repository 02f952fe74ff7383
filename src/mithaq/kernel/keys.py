"""A node's own keys: how they are made, kept on disk under a passphrase, and shown to the other parties."""

from __future__ import annotations

import base64
import contextlib
import io
import ipaddress
import os
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mithaq.kernel import age, pairing
from mithaq.kernel.errors import Malformed, MithaqError, Refused, Unreachable
from mithaq.kernel.note import Signer, Verifier
from mithaq.kernel.pairing import PairingFile, fingerprint, parse

__all__ = ["DEFAULT_WORK", "LEAST_WORK", "NodeKeys", "PairingFile", "create", "fingerprint", "load", "parse"]

DEFAULT_WORK: Final = 17  # log2 of scrypt's N: 128 MiB of memory and about half a second
LEAST_WORK: Final = 10
MOST_FILE: Final = 1024 * 1024  # bytes
CERTIFICATE_YEARS: Final = 10

_HEAD = b"age-encryption.org/v1\n-> scrypt "
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")


class _Stored(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="mithaq-keys/1", kw_only=True
):
    """The JSON inside the age file; bytes are base64."""

    party: str
    commission: str
    log_ed25519: bytes
    log_mldsa44: bytes
    mirror_ed25519: bytes
    mirror_mldsa44: bytes
    request_ed25519: bytes
    offices: dict[str, str]
    tls_key: str
    tls_certificate: str


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """All secrets of one party's node in one commission. Seeds are 32 bytes each and independent of one another.

    Log and receipts have distinct keys, for they say distinct things (C2SP tlog-cosignature): a checkpoint "this is my
    log", a receipt "I hold yours". The receipts' name is `<commission>/<party>/mirror`.
    """

    party: str
    commission: str
    log_ed25519: bytes = field(repr=False)
    log_mldsa44: bytes = field(repr=False)
    mirror_ed25519: bytes = field(repr=False)
    mirror_mldsa44: bytes = field(repr=False)
    request_ed25519: bytes = field(repr=False)
    offices: dict[str, age.Identity] = field(repr=False)
    tls_key: str = field(repr=False)
    tls_certificate: str = field(repr=False)

    @property
    def origin(self) -> str:
        """The log's name: `<commission>/<party>`."""
        return f"{self.commission}/{self.party}"

    @property
    def mirror_name(self) -> str:
        """The name under which receipts are signed."""
        return f"{self.origin}/mirror"

    @property
    def request_key(self) -> Ed25519PrivateKey:
        """The key of this node's HTTP requests (RFC 9421)."""
        return Ed25519PrivateKey.from_private_bytes(self.request_ed25519)

    @property
    def tls_certificate_sha256(self) -> str:
        """SHA-256 of the DER certificate, lower-case hexadecimal: what the peers pin."""
        return x509.load_pem_x509_certificate(self.tls_certificate.encode("ascii")).fingerprint(hashes.SHA256()).hex()

    def log_signers(self) -> list[Signer]:
        """Of our checkpoints: Ed25519 (0x01), then ML-DSA-44 (0x06)."""
        return [Signer(self.origin, 0x01, self.log_ed25519), Signer(self.origin, 0x06, self.log_mldsa44)]

    def mirror_signers(self) -> list[Signer]:
        """Of our receipts: Ed25519 (0x04), then ML-DSA-44 (0x06)."""
        return [
            Signer(self.mirror_name, 0x04, self.mirror_ed25519),
            Signer(self.mirror_name, 0x06, self.mirror_mldsa44),
        ]

    def log_verifiers(self) -> list[Verifier]:
        """The public side of `log_signers`, in their order."""
        return [signer.verifier for signer in self.log_signers()]

    def mirror_verifiers(self) -> list[Verifier]:
        """The public side of `mirror_signers`, in their order."""
        return [signer.verifier for signer in self.mirror_signers()]

    def pairing(self, names: dict[str, str], address: str) -> PairingFile:
        """What the other parties are given: `names` in ar, en and fa, `address` the URL of this node."""
        public = PairingFile(
            commission=self.commission,
            party=self.party,
            names=names,
            address=address,
            log_keys=[verifier.vkey for verifier in self.log_verifiers()],
            mirror_keys=[verifier.vkey for verifier in self.mirror_verifiers()],
            request_key=base64.b64encode(self.request_key.public_key().public_bytes_raw()).decode("ascii"),
            tls_certificate_sha256=self.tls_certificate_sha256,
            offices={path: identity.recipient.to_text() for path, identity in self.offices.items()},
        )
        public.check()
        return public

    def save(self, path: Path, passphrase: str, *, work: int = DEFAULT_WORK, replace: bool = False) -> None:
        """Write one file, mode 0600, encrypted with scrypt (2^work); whole or not at all, also when the power fails.

        `age -d` opens it as well. Refused("keys.exists") unless `replace`: keys once written over are lost.
        """
        if work < LEAST_WORK:
            raise Refused("keys.work_too_low", work=work, least=LEAST_WORK)
        if not replace and os.path.lexists(path):
            raise Refused("keys.exists", path=str(path))
        stored = _Stored(
            **{name: getattr(self, name) for name in _Stored.__struct_fields__ if name != "offices"},
            offices={path: identity.to_text() for path, identity in self.offices.items()},
        )
        sealed = io.BytesIO()
        plain = io.BytesIO(msgspec.json.encode(stored, order="sorted"))
        age.encrypt(plain, sealed, [age.Passphrase(_normal(passphrase), work)])
        _write_atomically(path, sealed.getvalue())


def create(
    party: str, commission: str, offices: Sequence[str], hosts: Sequence[str], at: datetime | None = None
) -> NodeKeys:
    """New keys for a party's node. `offices` are paths (`IQ/traffic-police/basra`), `hosts` names or IP addresses for TLS.

    `at` is the moment of the certificate (now when left out).
    """
    pairing.check_identity(commission, party, offices)
    tls_key, tls_certificate = _self_signed(party, hosts, at or datetime.now(UTC))
    return NodeKeys(
        party=party,
        commission=commission,
        log_ed25519=secrets.token_bytes(32),
        log_mldsa44=secrets.token_bytes(32),
        mirror_ed25519=secrets.token_bytes(32),
        mirror_mldsa44=secrets.token_bytes(32),
        request_ed25519=secrets.token_bytes(32),
        offices={path: age.Identity.generate() for path in offices},
        tls_key=tls_key,
        tls_certificate=tls_certificate,
    )


def load(path: Path, passphrase: str) -> NodeKeys:
    """Read what `save` wrote, whatever its work factor (2^20 at most).

    Refused("keys.wrong_passphrase"), Malformed("keys.damaged", reason), Unreachable("keys.unreadable", path).
    """
    try:
        with path.open("rb") as file:
            sealed = file.read(MOST_FILE + 1)
    except OSError as error:
        raise Unreachable("keys.unreadable", path=str(path), reason=error.strerror) from error
    if len(sealed) > MOST_FILE or not sealed.startswith(_HEAD):
        raise Malformed("keys.damaged", reason="keys.not_a_key_file")
    plain = io.BytesIO()
    try:
        age.decrypt(io.BytesIO(sealed), plain, [age.Passphrase(_normal(passphrase))])
    except Malformed as error:
        raise Malformed("keys.damaged", reason=error.code) from error
    except Refused as error:
        if error.code == "age.not_for_us":
            raise Refused("keys.wrong_passphrase") from error
        raise
    return _restore(plain.getvalue())


def _restore(plain: bytes) -> NodeKeys:
    try:
        stored = msgspec.json.decode(plain, type=_Stored)
        pairing.check_identity(stored.commission, stored.party, list(stored.offices))
        values = {name: getattr(stored, name) for name in _Stored.__struct_fields__}
        values["offices"] = {path: age.Identity.from_text(text) for path, text in stored.offices.items()}
        keys = NodeKeys(**values)
        seeds = [values[name] for name in values if isinstance(values[name], bytes)]
        if any(len(seed) != 32 for seed in seeds) or len(set(seeds)) != len(seeds):
            raise Malformed("keys.damaged", reason="keys.seed")
        key = serialization.load_pem_private_key(stored.tls_key.encode("ascii"), None)
        certificate = x509.load_pem_x509_certificate(stored.tls_certificate.encode("ascii"))
        if key.public_key() != certificate.public_key():
            raise Malformed("keys.damaged", reason="keys.tls")
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise Malformed("keys.damaged", reason="keys.content") from error
    except MithaqError as error:
        raise Malformed("keys.damaged", reason=str(error.facts.get("reason", error.code))) from error
    return keys


def _normal(passphrase: str) -> str:
    """NFC, as the OpaqueString profile of RFC 8265 (section 4.2.2): the same words from another keyboard are the same."""
    normal = unicodedata.normalize("NFC", passphrase)
    if not normal:
        raise Refused("keys.empty_passphrase")
    if any("\ud800" <= character <= "\udfff" for character in normal):  # bytes that were not UTF-8
        raise Malformed("keys.passphrase")
    return normal


def _write_atomically(path: Path, data: bytes) -> None:
    """Temporary file, fsync, rename, fsync of the folder: after a crash there is the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Unreachable("keys.unwritable", path=str(path), reason=error.strerror) from error


def _self_signed(party: str, hosts: Sequence[str], at: datetime) -> tuple[str, str]:
    """P-256 (every OpenSSL 3 has it), 10 years, for `hosts`: peers pin the certificate itself, no authority signs it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, party)])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))  # the peer's clock may be behind ours
        .not_valid_after(at + timedelta(days=round(CERTIFICATE_YEARS * 365.25)))
        .add_extension(x509.SubjectAlternativeName(_alternative_names(hosts)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private.decode("ascii"), certificate.public_bytes(pem).decode("ascii")


def _alternative_names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            if not _HOST.fullmatch(host):
                raise Malformed("keys.host", host=host) from None
            names.append(x509.DNSName(host))
    if not names:
        raise Malformed("keys.host", host="")
    return names
