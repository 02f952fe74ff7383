"""RFC 9421 signatures of requests: what is taken, what an independent implementation says of it, and all that is refused."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import http_message_signatures as oracle
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from mithaq.kernel import signature
from mithaq.kernel.errors import Refused

NOW = 1_800_000_000
KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
KEYS = {"XA": KEY.public_key().public_bytes_raw(), "XC": OTHER.public_key().public_bytes_raw()}
PATH = "/exchange/add-entries"
BODY = b"packages"
COVERED = ("@method", "@path", "content-digest", "mithaq-party", "mithaq-to")


def signed(body: bytes = BODY, created: int = NOW, encoding: str = "") -> dict[str, str]:
    return signature.sign("POST", PATH, body, "XA", KEY, created, to="XB", encoding=encoding)


def verified(headers: Any, body: bytes = BODY, method: str = "POST", path: str = PATH, to: str = "XB") -> str:
    return signature.verify(method, path, headers, body, KEYS, NOW, to=to)


def refusal(headers: Any, **changed: Any) -> str:
    with pytest.raises(Refused) as refused:
        verified(headers, **changed)
    return refused.value.code


def base(headers: dict[str, str], names: tuple[str, ...], parameters: str) -> bytes:
    """The signature base written out by hand from RFC 9421, section 2.5."""
    derived = {"@method": "POST", "@path": PATH}
    lines = [f'"{name}": {derived.get(name) or headers[name]}' for name in names]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode()


def resigned(names: tuple[str, ...] = COVERED, more: str | None = None, **fields: str) -> dict[str, str]:
    """A request whose signature is arithmetically right, whatever it covers and states."""
    headers = signed() | {name.replace("_", "-"): value for name, value in fields.items()}
    stated = f';created={NOW};keyid="XA";alg="ed25519";tag="mithaq-exchange/1"' if more is None else more
    parameters = "(" + " ".join(f'"{name}"' for name in names) + ")" + stated
    value = base64.b64encode(KEY.sign(base(headers, names, parameters))).decode()
    return headers | {"signature-input": f"mithaq={parameters}", "signature": f"mithaq=:{value}:"}


# --- what is taken --------------------------------------------------------------------------------------------------


def test_a_signed_request_names_its_party() -> None:
    assert verified(signed()) == "XA"


def test_a_request_without_body_is_signed_over_the_digest_of_nothing() -> None:
    assert verified(signed(b""), b"") == "XA"


def test_a_compressed_body_is_signed_as_it_travels_and_its_encoding_is_covered() -> None:
    headers = signed(b"packed", encoding="gzip")
    assert '"content-encoding"' in headers["signature-input"]
    assert verified(headers, b"packed") == "XA"


def test_names_of_fields_are_read_in_any_case() -> None:
    assert verified({name.title(): value for name, value in signed().items()}) == "XA"


def test_the_parameters_may_stand_in_another_order() -> None:
    assert verified(resigned(more=f';tag="mithaq-exchange/1";alg="ed25519";keyid="XA";created={NOW}')) == "XA"


@given(st.binary(max_size=200), st.integers(-600, 600))
def test_whatever_is_signed_is_verified_within_the_skew_of_clocks(body: bytes, drift: int) -> None:
    assert verified(signed(body, NOW + drift), body) == "XA"


def test_what_is_signed_is_the_base_of_rfc_9421_written_out_by_hand() -> None:
    headers = signed(encoding="gzip")
    expected = (
        '"@method": POST\n'
        '"@path": /exchange/add-entries\n'
        '"content-digest": sha-256=:sose2YIfOMZFJOoT4ZJkuwdy+Ddq//1dih+Cd2IYM+s=:\n'
        '"content-encoding": gzip\n'
        '"mithaq-party": XA\n'
        '"mithaq-to": XB\n'
        '"@signature-params": ("@method" "@path" "content-digest" "content-encoding" "mithaq-party" "mithaq-to")'
        ';created=1800000000;keyid="XA";alg="ed25519";tag="mithaq-exchange/1"'
    )
    KEY.public_key().verify(base64.b64decode(headers["signature"][8:-1]), expected.encode())


# --- the oracle -----------------------------------------------------------------------------------------------------


class _Resolver(oracle.HTTPSignatureKeyResolver):  # type: ignore[misc]
    def resolve_public_key(self, key_id: str) -> Any:
        assert key_id == "XA"
        return KEY.public_key()

    def resolve_private_key(self, key_id: str) -> Any:
        assert key_id == "XA"
        return KEY


def message(headers: dict[str, str]) -> Any:
    return SimpleNamespace(method="POST", url="https://xb.example" + PATH, headers=dict(headers))


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_an_independent_implementation_verifies_what_we_sign(encoding: str) -> None:
    created = int(dt.datetime.now(dt.UTC).timestamp())
    verifier = oracle.HTTPMessageVerifier(signature_algorithm=oracle.algorithms.ED25519, key_resolver=_Resolver())
    result = verifier.verify(message(signed(created=created, encoding=encoding)), expect_tag=signature.TAG)[0]
    assert result.parameters["keyid"] == "XA"
    covered = {name.strip('"') for name in result.covered_components}
    assert covered - {"@signature-params"} == {*COVERED, *([encoding and "content-encoding"] if encoding else [])}


def test_we_verify_what_an_independent_implementation_signs() -> None:
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(BODY).digest()).decode()}:"
    asked = message({"content-digest": digest, "mithaq-party": "XA", "mithaq-to": "XB"})
    signer = oracle.HTTPMessageSigner(signature_algorithm=oracle.algorithms.ED25519, key_resolver=_Resolver())
    at = dt.datetime.fromtimestamp(NOW, dt.UTC)
    signer.sign(
        asked,
        key_id="XA",
        created=at,
        label="mithaq",
        tag=signature.TAG,
        covered_component_ids=COVERED,
        use_existing_digest=True,
    )
    assert verified(asked.headers) == "XA"


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["signature", "signature-input"])
def test_a_request_without_a_signature_is_refused(name: str) -> None:
    headers = signed()
    del headers[name]
    assert refusal(headers) == "signature.missing"


def test_a_party_without_a_known_key_is_refused() -> None:
    headers = signature.sign("POST", PATH, BODY, "XD", KEY, NOW, to="XB")
    assert refusal(headers) == "signature.unknown_party"


def test_a_party_cannot_sign_in_the_name_of_another() -> None:
    headers = signature.sign("POST", PATH, BODY, "XA", OTHER, NOW, to="XB")
    assert refusal(headers) == "signature.wrong"


def test_the_named_party_and_the_key_must_be_the_same() -> None:
    assert refusal(signed() | {"mithaq-party": "XC"}) == "signature.unknown_party"


def test_a_request_to_one_party_cannot_be_handed_on_to_another() -> None:
    assert refusal(signed(), to="XC") == "signature.recipient"


def test_a_recipient_changed_on_the_way_breaks_the_signature() -> None:
    assert refusal(signed() | {"mithaq-to": "XC"}, to="XC") == "signature.wrong"


def test_a_changed_body_is_refused() -> None:
    assert refusal(signed(), body=b"Packages") == "signature.digest"


def test_a_changed_digest_breaks_the_signature() -> None:
    digest = signature.content_digest(hashlib.sha256(b"other").digest())
    assert refusal(signed() | {"content-digest": digest}, body=b"other") == "signature.wrong"


@pytest.mark.parametrize("changed", [{"method": "GET"}, {"path": "/exchange/add-checkpoint"}])
def test_a_changed_method_or_path_breaks_the_signature(changed: dict[str, str]) -> None:
    assert refusal(signed(), **changed) == "signature.wrong"


@pytest.mark.parametrize("drift, code", [(-601, "signature.too_old"), (601, "signature.in_the_future")])
def test_a_request_of_another_time_is_refused(drift: int, code: str) -> None:
    assert refusal(signed(created=NOW + drift)) == code


@pytest.mark.parametrize("left_out", COVERED)
def test_a_signature_that_leaves_a_component_out_is_refused(left_out: str) -> None:
    assert refusal(resigned(tuple(name for name in COVERED if name != left_out))) == "signature.component"


def test_an_encoding_that_is_not_covered_is_refused() -> None:
    assert refusal(signed() | {"content-encoding": "gzip"}) == "signature.component"


def test_an_encoding_taken_off_on_the_way_is_refused() -> None:
    headers = signed(encoding="gzip")
    del headers["content-encoding"]
    assert refusal(headers) == "signature.component"


@pytest.mark.parametrize(
    "names", [(*COVERED, "date"), (*COVERED, "@path"), tuple(reversed(COVERED)), ("@method", *COVERED[1:], "@method")]
)
def test_a_list_of_components_other_than_ours_is_refused(names: tuple[str, ...]) -> None:
    assert refusal(resigned(names, date="x")) == "signature.component"


@pytest.mark.parametrize(
    "more",
    [
        f';created={NOW};keyid="XA";alg="ed25519"',
        f';created={NOW};keyid="XA";alg="ed25519";tag="another/1"',
        f';created={NOW};keyid="XA";alg="hmac-sha256";tag="mithaq-exchange/1"',
        f';created={NOW};created={NOW};keyid="XA";alg="ed25519";tag="mithaq-exchange/1"',
        f';created={NOW};keyid="XA";alg="ed25519";tag="mithaq-exchange/1";expires={NOW}',
        f';created="{NOW}";keyid="XA";alg="ed25519";tag="mithaq-exchange/1"',
        ';keyid="XA";alg="ed25519";tag="mithaq-exchange/1"',
    ],
)
def test_parameters_other_than_ours_are_refused(more: str) -> None:
    assert refusal(resigned(more=more)) == "signature.parameter"


def test_a_second_signature_beside_ours_is_refused() -> None:
    headers = signed()
    doubled = headers | {"signature-input": f"{headers['signature-input']}, {headers['signature-input']}"}
    assert refusal(doubled) == "signature.label"
    assert refusal(headers | {"signature": f"{headers['signature']}, {headers['signature']}"}) == "signature.label"


@pytest.mark.parametrize("name", ["Signature", "Signature-Input", "Content-Digest", "Mithaq-Party", "Mithaq-To"])
def test_a_field_that_comes_twice_is_refused(name: str) -> None:
    headers = signed()
    lines = [*headers.items(), (name, headers[name.lower()])]
    assert refusal(lines).startswith("signature.")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("mithaq=", "sig1="),
        lambda text: text[:-1],
        lambda text: text + " ",
        lambda text: text.replace(":", "::"),
        lambda text: text.replace("=:", '="', 1),
        lambda text: text[:30] + "-" + text[31:],
    ],
    ids=["label", "cut", "space", "colons", "string", "letter"],
)
def test_a_signature_in_another_form_is_refused(spoil: Callable[[str], str]) -> None:
    headers = signed()
    assert refusal(headers | {"signature": spoil(headers["signature"])}) == "signature.malformed"


def test_another_spelling_of_the_same_signature_is_refused() -> None:
    """The last base64 digit before "==" carries four bits that say nothing: only zeroes are taken."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    headers = signed()
    text = headers["signature"]
    again = text[:-4] + letters[letters.index(text[-4]) + 1] + text[-3:]
    assert base64.b64decode(again[8:-1]) == base64.b64decode(text[8:-1])
    assert refusal(headers | {"signature": again}) == "signature.malformed"


@pytest.mark.parametrize("algorithm", ["sha-512", "md5", ""])
def test_a_digest_by_another_algorithm_is_refused(algorithm: str) -> None:
    value = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    assert refusal(resigned(content_digest=f"{algorithm}=:{value}:")) == "signature.component"


@given(st.text(max_size=120), st.sampled_from(["signature", "signature-input", "content-digest", "mithaq-party"]))
def test_any_text_in_a_field_gives_a_refusal_and_nothing_else(text: str, name: str) -> None:
    assert refusal(signed() | {name: text}).startswith("signature.")


@given(st.text(max_size=60))
def test_any_text_as_a_path_gives_a_refusal_and_nothing_else(path: str) -> None:
    assert refusal(signed(), path=path).startswith("signature.")


def test_the_claimed_party_is_bounded_and_plain_whatever_was_sent() -> None:
    assert signature.claimed_party({"Mithaq-Party": "X\r\nA<script>"}) == "XAscript"
    assert len(signature.claimed_party({"Mithaq-Party": "X" * 9_999})) == 16
    assert signature.claimed_party({}) == ""
