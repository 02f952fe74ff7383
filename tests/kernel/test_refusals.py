"""Codes of the formats that no other test produces by name."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from mithaq.kernel import age, merkle, proof
from mithaq.kernel.age_keys import from_raw_base64
from mithaq.kernel.errors import MithaqError


def opened(change: Callable[[bytes], bytes]) -> None:
    identity, sealed = age.X25519Identity.generate(), io.BytesIO()
    age.encrypt(io.BytesIO(b"text"), sealed, [identity.recipient])
    age.decrypt(io.BytesIO(change(sealed.getvalue())), io.BytesIO(), [identity])


def other_mac(data: bytes) -> bytes:
    at = data.index(b"\n--- ") + 5
    return data[:at] + (b"A" if data[at : at + 1] != b"A" else b"B") + data[at + 1 :]


@pytest.mark.parametrize(
    "code, made",
    [
        ("age.version", lambda: opened(lambda data: data.replace(b"/v1\n", b"/v2\n", 1))),
        ("age.mac", lambda: opened(other_mac)),
        ("age.base64", lambda: from_raw_base64("AB")),
        ("age.base64", lambda: from_raw_base64("A!")),
        ("merkle.frontier", lambda: merkle.Frontier(3, [b"\0" * 32])),
        ("merkle.frontier", lambda: merkle.Frontier(1, [b"\0" * 31])),
        ("evidence.not_utf8", lambda: proof._utf8(b"\xff")),
    ],
    ids=["version", "mac", "stray bits", "no base64", "too few hashes", "a short hash", "no text"],
)
def test_a_broken_format_is_refused_by_its_code(code: str, made: Callable[[], object]) -> None:
    with pytest.raises(MithaqError) as caught:
        made()
    assert caught.value.code == code
