"""TLS between nodes: version 1.3, and the one certificate whose digest stands in the peer's pairing file."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives import serialization

from mithaq.kernel.errors import Refused, Unreachable


class Pinned(ssl.SSLContext):
    """A client's context that knows one certificate, by the SHA-256 of its DER (64 hexadecimal digits).

    Nothing of a request leaves before the comparison: `wrap_socket` makes the handshake, in which the peer proved that it
    holds the certificate's key (RFC 8446, 4.4.3: CertificateVerify), compares, and only then hands out the socket. Authorities
    and names of hosts play no part, for the pin says more than they could. What would get round the comparison is closed.
    """

    party: str
    pin: str

    def __new__(cls, party: str, pin: str) -> Self:
        """A context for `party`."""
        context = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        context.party, context.pin = party, pin
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the chain is not looked at; `wrap_socket` compares the certificate itself
        return context

    def wrap_socket(self, sock: socket.socket, *_: Any, server_hostname: Any = None, **__: Any) -> ssl.SSLSocket:
        """Shake hands, then compare; Refused("peer.certificate") after closing when it is another certificate."""
        wrapped = super().wrap_socket(sock, server_hostname=server_hostname, do_handshake_on_connect=True)
        shown = hashlib.sha256(wrapped.getpeercert(binary_form=True) or b"").hexdigest()
        if not hmac.compare_digest(shown, self.pin):
            wrapped.close()
            raise Refused("peer.certificate", party=self.party, value=shown)
        return wrapped

    def wrap_bio(self, *_: Any, **__: Any) -> ssl.SSLObject:
        """Closed: a handshake made elsewhere would not be compared."""
        raise NotImplementedError


def serving(key: str, certificate: str) -> ssl.SSLContext:
    """A server's context from PEM texts. OpenSSL reads files only, so the key passes through one, sealed for the moment."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    password = secrets.token_hex(32)
    private = serialization.load_pem_private_key(key.encode("ascii"), None)
    sealed = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode("ascii")),
    )
    try:
        with tempfile.TemporaryDirectory(prefix="mithaq-") as folder:
            file = Path(folder) / "tls.pem"
            file.write_bytes(sealed + certificate.encode("ascii"))
            context.load_cert_chain(file, password=password)
    except OSError as failure:
        raise Unreachable("serve.tls", reason=type(failure).__name__) from failure
    return context
