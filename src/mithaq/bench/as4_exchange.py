"""One AS4 exchange, whole, in one process: push of a signed and encrypted payload, and its signed receipt, verified.

Run by the Python of the peers' environment: `as4_exchange.py SECONDS [PAYLOAD_BYTES]`; the last line is a JSON object.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import sys
import time

import as4
from as4.peppol import (
    build_peppol_message,
    create_peppol_external_party,
    create_peppol_internal_party,
    parse_peppol_message,
    parse_peppol_receipt,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

DOCUMENT = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2::Invoice##urn:cen.eu:en16931:2017::2.1"


def identity(name: str) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """A self-signed RSA-2048 certificate (the size of Peppol's own), as the other side would pin it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(days=1))
    return builder.not_valid_after(now + dt.timedelta(days=30)).sign(key, hashes.SHA256()), key


class Pair:
    """Two access points that know one another's certificates."""

    def __init__(self) -> None:
        sender, sender_key = identity("PXA000001")
        receiver, receiver_key = identity("PXB000001")
        self.receiver_certificate = receiver
        self.sender = create_peppol_internal_party("PXA000001", sender, as4.AS4LocalPrivateKey(sender_key))
        self.receiver = create_peppol_internal_party("PXB000001", receiver, as4.AS4LocalPrivateKey(receiver_key))
        self.remote = create_peppol_external_party("PXB000001", receiver)
        self.policy = as4.SecurityPolicy(signer_resolver=as4.pinned_certificates(sender))

    def exchange(self, payload: bytes) -> int:
        """Build, sign, encrypt; parse, verify, decrypt; sign a receipt; verify it. Returns the bytes on the wire."""
        message = build_peppol_message(
            payload,
            local_party=self.sender,
            remote_party=self.remote,
            sender="9932:9999999999",
            recipient="9932:1111111111",
            sender_country_id="XA",
            document_type_identifier_scheme="busdox-docid-qns",
            document_type_identifier_value=DOCUMENT,
            process_identifier="urn:fdc:peppol.eu:2017:poacc:billing:01:1.0",
        )
        body, boundary = message.get_request_data()
        receiving = parse_peppol_message(
            message.get_http_headers(boundary), body, local_party=self.receiver, security_policy=self.policy
        )
        if not receiving.successful or payload[-64:] not in next(iter(receiving.message.decrypted_data.values())):
            raise SystemExit(f"the message was not accepted: {receiving.error}")
        _, signal = receiving.build_signal()
        receipt = parse_peppol_receipt(signal, self.receiver_certificate)
        receipt.verify_non_repudiation(message.signed_references)
        return len(body) + len(signal)


def main(seconds: float, size: int) -> None:
    """Repeats the exchange for so many seconds and says how many there were a second of this process's own CPU."""
    envelope = b'<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"><Note>%s</Note></Invoice>'
    room = size - len(envelope) + 2
    pair, payload = Pair(), envelope % base64.b64encode(os.urandom(room))[:room]
    wire = pair.exchange(payload)  # also warms what is made once
    count, cpu, wall = 0, time.process_time(), time.perf_counter()
    while time.perf_counter() - wall < seconds:
        pair.exchange(payload)
        count += 1
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    figures = {"exchanges": count, "cpu_seconds": round(cpu, 3), "seconds": round(wall, 3)}
    print(json.dumps({**figures, "per_cpu_second": round(count / cpu, 2), "payload_bytes": size, "wire_bytes": wire}))


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1024)
