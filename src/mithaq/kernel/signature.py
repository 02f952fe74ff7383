"""The signature of a node's HTTP requests: RFC 9421 with RFC 9530's Content-Digest, narrowed to one use.

One label (`mithaq`), one algorithm (Ed25519), one list of covered components, one tag. All that is signed stands in the
head of a request, so a stranger is turned away before any of the body is read; the body is compared with its digest after.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mithaq.kernel.errors import Refused

TAG: Final = "mithaq-exchange/1"
LABEL: Final = "mithaq"
SKEW: Final = 600
"""Seconds that two parties' clocks may differ, and that a request may take on its way."""

PARTY: Final = "mithaq-party"
TO: Final = "mithaq-to"
"""Whom a request is meant for: signed, so that in a commission of three nobody hands it on to the third (RFC 9421, 7.2.3)."""

_REQUIRED: Final = ("@method", "@path", "content-digest", PARTY, TO)
_ENCODED: Final = ("@method", "@path", "content-digest", "content-encoding", PARTY, TO)
_PARAMETERS: Final = ("alg", "created", "keyid", "tag")
_INPUT: Final = re.compile(r'mithaq=(\(([^()]*)\)((?:;[a-z]+=(?:[0-9]{1,15}|"[^"\\,]*"))*))')
_PARAMETER: Final = re.compile(r';([a-z]+)=(?:([0-9]{1,15})|"([^"\\,]*)")')
_SIGNATURE: Final = re.compile(r"mithaq=:([A-Za-z0-9+/]{86}==):")
_DIGEST: Final = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Signed:
    """What a valid signature says: who sent the request, and the SHA-256 of the body as it is on the wire."""

    party: str
    digest: bytes

    def check_body(self, digest: bytes) -> None:
        """Refused `signature.digest` unless this is the digest of what came."""
        if digest != self.digest:
            raise Refused("signature.digest", party=self.party)


def sign(  # noqa: PLR0913  # what RFC 9421 signs here, each by its name
    method: str,
    path: str,
    body: bytes,
    party: str,
    key: Ed25519PrivateKey,
    created: int,
    *,
    to: str,
    encoding: str = "",
) -> dict[str, str]:
    """The header fields to send with a request of `party` to the party `to`.

    `body` is what goes on the wire: compressed, when `encoding` (Content-Encoding) says so. `created` is Unix seconds.
    """
    fields = {"content-digest": content_digest(hashlib.sha256(body).digest()), PARTY: party, TO: to}
    if encoding:
        fields["content-encoding"] = encoding
    names = " ".join(f'"{name}"' for name in (_ENCODED if encoding else _REQUIRED))
    parameters = f'({names});created={created};keyid="{party}";alg="ed25519";tag="{TAG}"'
    signature = key.sign(_base(method, path, fields, parameters))
    signed = {"signature-input": f"{LABEL}={parameters}", "signature": f"{LABEL}=:{b64encode(signature).decode()}:"}
    return fields | signed


def verify(  # noqa: PLR0913  # as sign
    method: str,
    path: str,
    headers: Headers,
    body: bytes,
    keys: Mapping[str, bytes],
    now: float,
    skew: int = SKEW,
    *,
    to: str,
) -> str:
    """The party that signed this request to us (`to`); `keys` are the parties' Ed25519 public keys, 32 bytes each.

    Raises Refused with a code `signature.…`.
    """
    signed = verify_head(method, path, headers, keys, now, skew, to=to)
    signed.check_body(hashlib.sha256(body).digest())
    return signed.party


def verify_head(
    method: str,
    path: str,
    headers: Headers,
    keys: Mapping[str, bytes],
    now: float,
    skew: int = SKEW,
    *,
    to: str,
) -> Signed:
    """As `verify`, before the body was read; the caller then calls `check_body`.

    (1) fields, (2) one label with its parameters, (3) party, (4) components, (5) recipient, (6) time, (7) signature.
    """
    fields = _fields(headers)
    listed, values, parameters = _signature_input(fields)
    party = values["keyid"]
    if fields.get(PARTY) != party or party not in keys:
        raise Refused("signature.unknown_party", party=_short(party))
    expected = _ENCODED if "content-encoding" in fields else _REQUIRED
    if listed != expected:
        raise Refused("signature.component", field=_difference(listed, expected))
    if fields.get(TO) != to:
        raise Refused("signature.recipient", party=party, value=_short(fields.get(TO, "")))
    digest = _DIGEST.fullmatch(fields.get("content-digest", ""))
    if digest is None:
        raise Refused("signature.component", field="content-digest")
    created = int(values["created"])
    if created > now + skew:
        raise Refused("signature.in_the_future", party=party, limit=skew)
    if created < now - skew:
        raise Refused("signature.too_old", party=party, limit=skew)
    signature = _SIGNATURE.fullmatch(fields["signature"])
    if signature is None:
        raise Refused("signature.malformed", field="signature")
    base = _base(method, path, fields, parameters)
    try:
        Ed25519PublicKey.from_public_bytes(keys[party]).verify(_decode(signature[1], "signature"), base)
    except InvalidSignature:
        raise Refused("signature.wrong", party=party) from None
    return Signed(party, _decode(digest[1], "content-digest"))


def claimed_party(headers: Headers) -> str:
    """Whom a request says that it is from, before anything was checked; empty when it says nothing."""
    return _short(_fields(headers).get(PARTY, ""))


def content_digest(digest: bytes) -> str:
    """The value of Content-Digest (RFC 9530) for a SHA-256."""
    return f"sha-256=:{b64encode(digest).decode()}:"


def _fields(headers: Headers) -> dict[str, str]:
    """Names in lower case; a field that came twice is one list (RFC 9110, 5.3), which nothing here accepts."""
    fields: dict[str, str] = {}
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        name = name.lower()  # noqa: PLW2901  # the same name, in the one spelling
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _signature_input(fields: Mapping[str, str]) -> tuple[tuple[str, ...], dict[str, str], str]:
    """(component names, parameters, both as they stand) of the one signature."""
    stated = fields.get("signature-input", "")
    if not stated or "signature" not in fields:
        raise Refused("signature.missing")
    parsed = _INPUT.fullmatch(stated)
    if parsed is None or not stated.isascii():
        raise Refused("signature.label" if stated.count("=(") > 1 else "signature.malformed", field="signature-input")
    if "," in fields["signature"]:
        raise Refused("signature.label", field="signature")
    names = parsed[2].split(" ")
    if any(len(name) < 3 or name[0] != '"' or name[-1] != '"' or '"' in name[1:-1] for name in names):
        raise Refused("signature.component", field="signature-input")
    found = [(name, number or text) for name, number, text in _PARAMETER.findall(parsed[3])]
    values = dict(found)
    wrong = len(values) != len(found) or tuple(sorted(values)) != _PARAMETERS
    if wrong or not values["created"].isdigit() or f";created={values['created']}" not in parsed[3]:
        raise Refused("signature.parameter", field="signature-input")
    for name, value in (("alg", "ed25519"), ("tag", TAG)):
        if values[name] != value:
            raise Refused("signature.parameter", field=name)
    return tuple(name[1:-1] for name in names), values, parsed[1]


def _base(method: str, path: str, fields: Mapping[str, str], parameters: str) -> bytes:
    """The signature base (RFC 9421, 2.5). Nothing in it can bring a line of its own: HTTP fields hold no line breaks."""
    values = {**fields, "@method": method, "@path": path}
    names = _ENCODED if "content-encoding" in fields else _REQUIRED
    lines = [f'"{name}": {values[name].strip()}' for name in names]
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    if base.count("\n") != len(names) or not base.isascii():
        raise Refused("signature.malformed", field="signature-input")
    return base.encode("ascii")


def _difference(listed: tuple[str, ...], expected: tuple[str, ...]) -> str:
    missing = [name for name in expected if name not in listed]
    return missing[0] if missing else "signature-input"


def _decode(text: str, field: str) -> bytes:
    """Base64 in its one spelling: another that decodes to the same bytes is not taken."""
    try:
        value = b64decode(text, validate=True)
    except binascii.Error:
        raise Refused("signature.malformed", field=field) from None
    if b64encode(value).decode() != text:
        raise Refused("signature.malformed", field=field)
    return value


def _short(text: str) -> str:
    """A stranger's word, fit for a message: bounded, and nothing but what a party's name is made of."""
    return re.sub(r"[^A-Za-z0-9-]", "", text[:16])
