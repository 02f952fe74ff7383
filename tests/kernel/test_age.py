"""The age format: the specification's own vectors, another implementation as oracle, and everything that must be refused."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import tracemalloc
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import pyrage
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mithaq.kernel import age, bech32
from mithaq.kernel.age_keys import from_raw_base64, hkdf, raw_base64
from mithaq.kernel.errors import Malformed, MithaqError, Refused

C = age.CHUNK
SIZES = st.sampled_from([0, 1, C - 1, C, C + 1, 2 * C, 2 * C + 1]) | st.integers(0, 3 * C)
SPEC = Path(__file__).with_name("age_spec.txt").read_text("ascii").splitlines()[1:]
laws = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def sealed(plain: bytes, *recipients: age.Sealing) -> bytes:
    sink = io.BytesIO()
    written = age.encrypt(io.BytesIO(plain), sink, recipients)
    assert written == len(sink.getvalue())
    return sink.getvalue()


def opened(data: bytes, *identities: age.Opening) -> bytes:
    sink = io.BytesIO()
    assert age.decrypt(io.BytesIO(data), sink, identities) == len(sink.getvalue())
    return sink.getvalue()


def code(data: bytes, *identities: age.Opening) -> str:
    with pytest.raises(MithaqError) as caught:
        opened(data, *identities)
    return caught.value.code


class Zeros(io.RawIOBase):
    """As many zero bytes as are asked for, without holding them, in pieces as a socket gives them."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1) -> bytes:
        piece = bytes(min(size, self.left, 50_000))
        self.left -= len(piece)
        return piece


class Counting(io.RawIOBase):
    """Counts and hashes what is written and keeps none of it; takes at most 60,000 bytes at a time."""

    def __init__(self) -> None:
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, data: object) -> int:
        piece = cast("memoryview", data)[:60_000]
        self.size += len(piece)
        self.digest.update(piece)
        return len(piece)


def test_the_identity_printed_in_the_specification_gives_the_recipient_printed_there() -> None:
    identity = age.Identity.from_text(SPEC[0])
    assert identity.recipient.to_text() == SPEC[1]
    assert age.Recipient.from_text(SPEC[1]) == identity.recipient
    assert identity.to_text() == SPEC[0]


def test_the_hybrid_stanza_printed_in_the_specification_opens() -> None:
    stanza = age.Stanza(tuple(SPEC[2].split(" ")[1:]), from_raw_base64(SPEC[3]))
    assert age.Identity.from_text(SPEC[0]).unwrap([stanza]) == bytes.fromhex("df56f61c8e496609c18d25c197451803")
    assert age.Identity.generate().unwrap([stanza]) is None


def test_the_classic_identity_of_the_specification_gives_its_recipient() -> None:
    identity = age.X25519Identity.from_text(
        "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
    )
    assert identity.recipient.to_text() == "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"


def test_every_unarmoured_vector_of_the_public_test_kit_is_answered_as_it_says(shared: Path) -> None:
    folder = shared / "data" / "vectors" / "age"
    if not folder.is_dir():
        pytest.skip("needs the age test kit (C2SP/CCTV, age/testdata) in ../shared/data/vectors/age")
    seen = 0
    for path in sorted(folder.iterdir()):
        head, _, body = path.read_bytes().partition(b"\n\n")
        facts = [line.split(": ", 1) for line in head.decode().splitlines()]
        of = dict(facts)
        if "armored" in of:
            continue
        if "compressed" in of:
            body = zlib.decompress(body)
        identities: list[age.Opening] = [
            age.Identity.from_text(text) if "-PQ-" in text else age.X25519Identity.from_text(text)
            for name, text in facts
            if name == "identity"
        ]
        identities += [age.Passphrase(text) for name, text in facts if name == "passphrase"]
        seen += 1
        if of["expect"] == "success":
            assert hashlib.sha256(opened(body, *identities)).hexdigest() == of["payload"], path.name
        else:
            assert code(body, *identities).startswith("age."), path.name
    assert seen > 100


@laws
@given(size=SIZES, others=st.integers(0, 3), place=st.integers(0, 3))
def test_what_is_sealed_to_several_offices_opens_for_each_and_for_nobody_else(
    size: int, others: int, place: int
) -> None:
    identity, plain = age.Identity.generate(), os.urandom(size)
    recipients = [age.Identity.generate().recipient for _ in range(others)]
    recipients.insert(place, identity.recipient)
    data = sealed(plain, *recipients)
    assert opened(data, age.Identity.generate(), identity) == plain
    assert code(data, age.Identity.generate(), age.X25519Identity.generate()) == "age.not_for_us"
    assert age.header_recipient_count(age.read_header(io.BytesIO(data))) == others + 1


@laws
@given(size=SIZES)
def test_another_implementation_opens_what_we_seal_and_we_what_it_seals(size: int) -> None:
    identity, plain = age.X25519Identity.generate(), os.urandom(size)
    theirs = pyrage.x25519.Identity.from_str(identity.to_text())
    assert str(theirs.to_public()) == identity.recipient.to_text()
    assert pyrage.decrypt(sealed(plain, identity.recipient), [theirs]) == plain
    assert opened(pyrage.encrypt(plain, [theirs.to_public()]), identity) == plain


@pytest.mark.parametrize("size", [0, 1, C, C + 1])
def test_another_implementation_opens_what_we_seal_with_a_passphrase(size: int) -> None:
    plain = os.urandom(size)
    data = sealed(plain, age.Passphrase("رمز عبور", 10))
    assert pyrage.passphrase.decrypt(data, "رمز عبور") == plain
    assert opened(data, age.Passphrase("رمز عبور")) == plain
    assert code(data, age.Passphrase("رمز")) == "age.not_for_us"


@pytest.mark.long  # that implementation chooses a work factor of a second or more
def test_we_open_what_another_implementation_seals_with_a_passphrase() -> None:
    assert opened(pyrage.passphrase.encrypt(b"x" * (C + 1), "كلمة السر"), age.Passphrase("كلمة السر")) == b"x" * (C + 1)


def test_the_real_age_opens_a_hybrid_file_and_we_open_its(tmp_path: Path) -> None:
    program = shutil.which("age")
    if not program:
        pytest.skip("needs the program age, 1.3 or later, on PATH")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"(\d+)\.(\d+)", version)
    if not number or (int(number[1]), int(number[2])) < (1, 3):
        pytest.skip(f"needs age 1.3 or later for the hybrid recipient; this is {version.strip()}")
    identity, plain = age.Identity.generate(), os.urandom(C + 5)
    (tmp_path / "key").write_text(identity.to_text() + "\n")
    ours = subprocess.run(
        [program, "-d", "-i", str(tmp_path / "key")],
        input=sealed(plain, identity.recipient),
        capture_output=True,
        check=True,
    )
    assert ours.stdout == plain
    theirs = subprocess.run([program, "-r", identity.recipient.to_text()], input=plain, capture_output=True, check=True)
    assert opened(theirs.stdout, identity) == plain


@pytest.mark.parametrize("kind", [age.Identity, age.X25519Identity])
def test_a_change_of_any_single_byte_is_refused(kind: type[age.Identity | age.X25519Identity]) -> None:
    identity = kind.generate()
    data = sealed(b"under clause 3", identity.recipient)
    for at in range(len(data)):
        for bit in (0x01, 0x20, 0x80):
            altered = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
            assert code(altered, identity).startswith("age."), at


@laws
@given(st.data())
def test_a_change_of_any_byte_of_a_long_payload_is_refused_and_only_a_true_beginning_comes_out(
    data: st.DataObject,
) -> None:
    identity, plain = age.X25519Identity.generate(), os.urandom(2 * C + 9)
    whole = sealed(plain, identity.recipient)
    at = data.draw(st.integers(len(whole) - len(plain) - 48 - 16, len(whole) - 1))
    altered = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    sink = io.BytesIO()
    with pytest.raises(Malformed):
        age.decrypt(io.BytesIO(altered), sink, [identity])
    assert plain.startswith(sink.getvalue())
    assert len(sink.getvalue()) % C == 0


@pytest.mark.parametrize("size", [0, 1, C, 2 * C, 2 * C + 1])
def test_a_file_cut_anywhere_near_a_boundary_is_refused(size: int) -> None:
    identity = age.X25519Identity.generate()
    whole = sealed(bytes(size), identity.recipient)
    start = len(age.read_header(io.BytesIO(whole)).covered) + 1 + 43 + 1 + 16
    boundaries = [start + n * (C + 16) for n in range(4)]
    cuts = {at + shift for at in [*boundaries, len(whole)] for shift in (-17, -16, -1, 0, 1, 16)} | set(range(start))
    for cut in sorted(cuts):
        if cut < len(whole):
            assert code(whole[:cut], identity).startswith("age."), cut


@pytest.mark.parametrize("size", [0, 1, C - 1, C, C + 1])
@pytest.mark.parametrize("more", [1, 16, 17, C + 16])
def test_data_after_the_final_chunk_is_refused(size: int, more: int) -> None:
    identity = age.X25519Identity.generate()
    assert code(sealed(bytes(size), identity.recipient) + bytes(more), identity) in {"age.trailing_data", "age.chunk"}


def test_chunks_in_another_order_are_refused() -> None:
    identity = age.X25519Identity.generate()
    whole = sealed(os.urandom(3 * C), identity.recipient)
    start, step = len(whole) - 3 * (C + 16), C + 16
    first, second, last = (whole[start + n * step : start + (n + 1) * step] for n in range(3))
    assert code(whole[:start] + second + first + last, identity) == "age.chunk"
    assert code(whole[:start] + first + last, identity) == "age.chunk"
    assert code(whole[:start] + first + second, identity) == "age.truncated"


def test_an_empty_chunk_at_the_end_of_a_file_that_is_not_empty_is_refused() -> None:
    identity, file_key, nonce = age.X25519Identity.generate(), bytes(16), bytes(16)
    covered = b"age-encryption.org/v1\n" + identity.recipient.wrap(file_key).encode() + b"---"
    mac = raw_base64(age._mac(file_key, covered)).encode()
    cipher = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload"))
    full = cipher.encrypt(age._nonce(0, last=False), bytes(C), None)
    empty = cipher.encrypt(age._nonce(1, last=True), b"", None)
    assert code(covered + b" " + mac + b"\n" + nonce + full + empty, identity) == "age.empty_final_chunk"


def test_a_passphrase_stands_alone_and_hybrid_never_beside_classic() -> None:
    hybrid, classic, words = age.Identity.generate(), age.X25519Identity.generate(), age.Passphrase("x", 10)
    for recipients in ([words, hybrid.recipient], [words, words], [hybrid.recipient, classic.recipient]):
        with pytest.raises(Refused, match=r"age\.mixed_recipients"):
            age.encrypt(io.BytesIO(), io.BytesIO(), recipients)
    header = b"age-encryption.org/v1\n" + words.wrap(bytes(16)).encode() + hybrid.recipient.wrap(bytes(16)).encode()
    assert code(header + b"--- " + b"A" * 43 + b"\n", hybrid) == "age.scrypt_not_alone"


def test_none_and_too_many_recipients_are_refused_before_anything_is_written() -> None:
    recipient = age.Identity.generate().recipient
    for count in (0, 45, 65):
        sink = io.BytesIO()
        with pytest.raises(Refused, match=r"age\.recipients"):
            age.encrypt(io.BytesIO(b"x"), sink, [recipient] * count)
        assert sink.getvalue() == b""


def test_a_work_factor_beyond_the_limit_is_refused_before_any_work() -> None:
    stanza = age.Stanza(("scrypt", "A" * 22, "21"), bytes(32))
    with pytest.raises(Refused, match=r"age\.work_factor"):
        age.Passphrase("x").unwrap([stanza])
    for work in (0, 21):
        with pytest.raises(Refused, match=r"age\.work_factor"):
            age.Passphrase("x", work)
    for text in ("0", "01", "+1", "1 ", "0x1", "١٢", "99999"):
        with pytest.raises(MithaqError):
            age.Passphrase("x").unwrap([age.Stanza(("scrypt", "A" * 22, text), bytes(32))])


@pytest.mark.parametrize("size", [0, 31, 33, 48])
def test_a_stanza_whose_body_has_another_length_is_refused_before_it_is_tried(size: int) -> None:
    for identity, arguments in (
        (age.Identity.generate(), ("mlkem768x25519", "A" * 1494)),
        (age.X25519Identity.generate(), ("X25519", "A" * 43)),
        (age.Passphrase("x"), ("scrypt", "A" * 22, "10")),
    ):
        with pytest.raises(Malformed, match=r"age\.stanza"):
            identity.unwrap([age.Stanza(arguments, bytes(size))])


def test_a_header_without_end_is_read_up_to_its_bound_and_no_further() -> None:
    line = b"-> X " + b"a" * 90 + b"\n\n"
    for data in (b"age-encryption.org/v1\n" + line * 2000, b"age-encryption.org/v1\n-> " + b"a" * 10**6):
        source = io.BytesIO(data)
        with pytest.raises(Malformed, match=r"age\.header_too_large"):
            age.read_header(source)
        assert source.tell() <= age.MOST_HEADER


def test_keys_of_low_order_are_refused() -> None:
    with pytest.raises(Malformed, match=r"age\.recipient"):
        age.X25519Recipient(bytes(32)).wrap(bytes(16))
    stanza = age.Stanza(("X25519", "A" * 43), bytes(32))
    with pytest.raises(Malformed, match=r"age\.stanza"):
        age.X25519Identity.generate().unwrap([stanza])


def test_a_recipient_whose_lattice_key_is_not_reduced_is_refused() -> None:
    with pytest.raises(Malformed, match=r"age\.recipient"):
        age.Recipient(b"\xff" * 1216)


@laws
@given(st.binary(max_size=4000))
def test_no_bytes_whatever_raise_anything_but_our_own_errors(data: bytes) -> None:
    identity = age.Identity.generate()
    for prefix in (b"", b"age-encryption.org/v1\n", b"age-encryption.org/v1\n-> mlkem768x25519 "):
        assert code(prefix + data, identity, age.Passphrase("x", 10)).startswith("age.")


@given(st.binary(max_size=1300), st.sampled_from(["age", "age1pq", "AGE-SECRET-KEY-PQ-"]))
def test_bech32_gives_back_what_went_in_and_notices_every_single_change(data: bytes, prefix: str) -> None:
    text = bech32.encode(prefix, data)
    assert bech32.decode(prefix, text, "x.y") == data
    at = len(prefix) + 1 + (len(text) - len(prefix) - 1) // 2
    letter = "q" if text[at].lower() != "q" else "p"
    changed = text[:at] + (letter.upper() if prefix.isupper() else letter) + text[at + 1 :]
    for wrong in (changed, text[:-1], text + "q", text.swapcase(), f" {text}", f"{text}\n", ""):
        with pytest.raises(Malformed, match=r"x\.y"):
            bech32.decode(prefix, wrong, "x.y")


@pytest.mark.parametrize(
    "text",
    [
        "age1",
        "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwJ",
        "AGE1ZVKYG2LQZRAA2LNJVQEJ32NKUU0UES2S82HZRYE869XEEXVN73EQUNUJWJ",
        "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwb",
        "age1pq1" + "q" * 5000,
        "age1\u0661\u0662",
        "age1\u212a" + "q" * 60,
    ],
)
def test_a_recipient_in_mixed_case_or_with_a_foreign_letter_is_refused(text: str) -> None:
    for kind in (age.X25519Recipient, age.Recipient):
        with pytest.raises(Malformed, match=r"age\.recipient"):
            kind.from_text(text)


def test_a_secret_never_shows_in_its_representation() -> None:
    identity = age.Identity.generate()
    assert identity.seed.hex() not in repr(identity)
    assert repr(identity.seed)[2:-1] not in repr(identity)
    assert "geheim" not in repr(age.Passphrase("geheim"))


def roundtrip_in_flat_memory(size: int, folder: Path) -> int:
    identity, path = age.Identity.generate(), folder / "large.age"
    tracemalloc.start()
    try:
        with path.open("wb") as sink:
            written = age.encrypt(cast("BinaryIO", Zeros(size)), sink, [identity.recipient])
        assert written == path.stat().st_size
        counting = Counting()
        with path.open("rb", buffering=0) as source:
            assert age.decrypt(cast("BinaryIO", source), cast("BinaryIO", counting), [identity]) == size
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    zeros = hashlib.sha256()
    for _ in range(size // C):
        zeros.update(bytes(C))
    assert (counting.size, counting.digest.digest()) == (size, zeros.digest())
    return peak


def test_forty_mebibytes_pass_through_less_than_one_of_memory(tmp_path: Path) -> None:
    assert roundtrip_in_flat_memory(40 << 20, tmp_path) < 1 << 20


@pytest.mark.long
def test_one_gibibyte_passes_through_less_than_one_mebibyte_of_memory(tmp_path: Path) -> None:
    assert roundtrip_in_flat_memory(1 << 30, tmp_path) < 1 << 20
