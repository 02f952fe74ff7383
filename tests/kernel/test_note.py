"""Signed notes, checkpoints and cosignatures: the C2SP example, the laws, and everything that must be refused."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from mithaq.kernel import note
from mithaq.kernel.errors import Malformed, MithaqError, Refused
from mithaq.kernel.merkle import EMPTY_ROOT
from mithaq.kernel.note import Checkpoint, Signer, Verifier

AT = 1_700_000_000
ORIGIN = "ab-cd.example/AB"
MIRROR = "cd.example/mirror"
LOG = [Signer(ORIGIN, note.ED25519, b"\x01" * 32), Signer(ORIGIN, note.MLDSA44_COSIGNATURE, b"\x02" * 32)]
COSIGNERS = [
    Signer(MIRROR, note.ED25519_COSIGNATURE, b"\x03" * 32),
    Signer(MIRROR, note.MLDSA44_COSIGNATURE, b"\x04" * 32),
]
LOG_KEYS = [each.verifier for each in LOG]
COSIGNER_KEYS = [each.verifier for each in COSIGNERS]
CHECKPOINT = Checkpoint(ORIGIN, 109_482, sha256(b"root").digest())
NOTE = note.sign(CHECKPOINT, LOG, AT)
LINES = note.cosign(CHECKPOINT, COSIGNERS, AT + 1)
BODY, FIRST, SECOND = CHECKPOINT.body, *[each + b"\n" for each in NOTE[len(CHECKPOINT.body) + 1 :].splitlines()]
LAW = settings(deadline=None, max_examples=60)


def test_the_example_of_the_signed_note_page_verifies() -> None:
    key = Verifier.from_vkey("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    signed = (
        "This is an example message.\n\n\u2014 example.com/foo "
        "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
    ).encode()
    assert note.open_note(signed, [key]) == b"This is an example message.\n"
    assert key.key_id.hex() == "530d903a"
    with pytest.raises(Refused, match=r"note\.signature_wrong"):
        note.open_note(signed.replace(b"example message", b"exemplar message"), [key])


def test_the_text_of_a_note_may_have_empty_lines_and_any_letters() -> None:
    text = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n".encode()
    assert note.open_note(text + b"\n" + LOG[0].sign_text(text, AT), LOG_KEYS[:1]) == text


def test_the_example_of_the_checkpoint_page_parses() -> None:
    body = b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    checkpoint = Checkpoint.parse(body)
    assert (checkpoint.origin, checkpoint.size, checkpoint.root[:2].hex()) == (
        "example.com/behind-the-sofa",
        20_852_163,
        "0ac5",
    )
    assert checkpoint.body == body


def test_an_ed25519_cosignature_signs_the_bytes_that_the_page_gives() -> None:
    line = note.read_lines(COSIGNERS[0].sign(CHECKPOINT, AT))[0]
    message = b"cosignature/v1\ntime 1700000000\n" + CHECKPOINT.body
    assert line.signature[:8] == AT.to_bytes(8, "big")
    Ed25519PublicKey.from_public_bytes(COSIGNER_KEYS[0].public).verify(line.signature[8:], message)


def test_an_mldsa_cosignature_signs_the_structure_that_the_page_gives() -> None:
    line = note.read_lines(COSIGNERS[1].sign(CHECKPOINT, AT))[0]
    message = b"".join(
        (
            b"subtree/v1\n\x00",
            bytes([len(MIRROR)]) + MIRROR.encode(),
            AT.to_bytes(8, "big"),
            bytes([len(ORIGIN)]) + ORIGIN.encode(),
            bytes(8),
            (109_482).to_bytes(8, "big"),
            CHECKPOINT.root,
        )
    )
    MLDSA44PublicKey.from_public_bytes(COSIGNER_KEYS[1].public).verify(line.signature[8:], message)


def test_a_checkpoint_signed_with_both_keys_opens_and_tells_its_times() -> None:
    signed = note.open_checkpoint(NOTE, LOG_KEYS)
    assert signed.checkpoint == CHECKPOINT
    assert signed.note == NOTE
    assert signed.timestamps == {LOG_KEYS[0].label: 0, LOG_KEYS[1].label: AT}


def test_a_receipt_is_checked_and_tells_its_latest_time() -> None:
    assert note.check_cosignature(CHECKPOINT, LINES, COSIGNER_KEYS) == AT + 1
    later = COSIGNERS[0].sign(CHECKPOINT, AT + 5) + COSIGNERS[1].sign(CHECKPOINT, AT + 2)
    assert note.check_cosignature(CHECKPOINT, later, COSIGNER_KEYS) == AT + 5


def test_a_receipt_may_be_added_to_the_note_and_opened_with_it() -> None:
    whole = note.add_lines(NOTE, LINES)
    assert len(note.open_checkpoint(whole, [*LOG_KEYS, *COSIGNER_KEYS]).timestamps) == 4
    assert len(note.open_checkpoint(whole, LOG_KEYS).timestamps) == 2
    assert len(note.open_checkpoint(NOTE, LOG_KEYS, known=COSIGNER_KEYS).timestamps) == 2


def test_signatures_of_unknown_keys_are_ignored_even_under_a_known_name_and_doubled() -> None:
    stranger = Signer(ORIGIN, note.ED25519, b"\x09" * 32).sign(CHECKPOINT, AT)
    namesake = f"\u2014 other.example {b64encode(LOG_KEYS[0].key_id + bytes(64)).decode()}\n".encode()
    assert note.open_checkpoint(NOTE + stranger + stranger + namesake, LOG_KEYS).checkpoint == CHECKPOINT


def test_sixteen_mldsa_signatures_fit_in_a_note() -> None:
    signers = [Signer(f"w{n}.example", note.MLDSA44_COSIGNATURE, bytes([n]) * 32) for n in range(14)]
    whole = note.add_lines(NOTE, note.cosign(CHECKPOINT, [*COSIGNERS[1:], *signers], AT))
    assert len(note.open_checkpoint(whole, [*LOG_KEYS, *(each.verifier for each in signers)]).timestamps) == 16


def test_extension_lines_of_others_are_kept_and_ours_never_have_any() -> None:
    extended = replace(CHECKPOINT, extensions=("timestamp 5", "شیء"))
    assert Checkpoint.parse(extended.body) == extended
    with pytest.raises(Refused, match=r"note\.extensions"):
        note.sign(extended, LOG, AT)
    assert note.check_cosignature(extended, note.cosign(extended, COSIGNERS, AT), COSIGNER_KEYS) == AT


def test_the_empty_tree_has_a_checkpoint_and_no_other_root() -> None:
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert note.open_checkpoint(note.sign(empty, LOG, AT), LOG_KEYS).checkpoint == empty
    with pytest.raises(Malformed, match=r"note\.checkpoint_root"):
        Checkpoint(ORIGIN, 0, bytes(32))


def test_the_origin_must_be_the_one_asked_for_or_the_name_of_a_listed_key() -> None:
    other = note.sign(replace(CHECKPOINT, origin="ab-cd.example/CD"), LOG, AT)
    with pytest.raises(Refused, match=r"note\.origin"):
        note.open_checkpoint(other, LOG_KEYS)
    with pytest.raises(Refused, match=r"note\.origin"):
        note.open_checkpoint(NOTE, LOG_KEYS, origin="ab-cd.example/CD")
    assert note.open_checkpoint(other, LOG_KEYS, origin="ab-cd.example/CD").checkpoint.size == CHECKPOINT.size


def line(name: str, raw: bytes) -> bytes:
    return f"\u2014 {name} {b64encode(raw).decode()}\n".encode()


def body(*lines: str) -> bytes:
    """A note over any lines, signed rightly with the Ed25519 key, with an ML-DSA line that belongs elsewhere."""
    text = "".join(f"{each}\n" for each in lines).encode()
    return text + b"\n" + LOG[0].sign_text(text, AT) + SECOND


def timed(at: int) -> bytes:
    """An ML-DSA line whose time field is replaced."""
    raw = note.read_lines(SECOND)[0]
    return BODY + b"\n" + FIRST + line(ORIGIN, raw.key_id + at.to_bytes(8, "big") + raw.signature[8:])


ROOT = b64encode(CHECKPOINT.root).decode()
ED_RAW = note.read_lines(FIRST)[0]
BAD_NOTES: dict[str, tuple[str, bytes]] = {
    "nothing": ("note.no_blank_line", b""),
    "only a newline": ("note.no_blank_line", b"\n"),
    "only two newlines": ("note.no_signature_line", b"\n\n"),
    "text alone": ("note.no_blank_line", BODY),
    "no signature line": ("note.no_signature_line", BODY + b"\n"),
    "no blank line": ("note.no_blank_line", BODY + FIRST + SECOND),
    "blank line at the end": ("note.no_signature_line", NOTE + b"\n"),
    "blank line between signatures": ("note.checkpoint_lines", BODY + b"\n" + FIRST + b"\n" + SECOND),
    "last newline cut": ("note.no_signature_line", NOTE[:-1]),
    "cut in a signature": ("note.no_signature_line", NOTE[:-100]),
    "signature shortened": ("note.base64", NOTE[:-4] + b"\n"),
    "only the Ed25519 signature": ("note.signature_missing", BODY + b"\n" + FIRST),
    "only the ML-DSA signature": ("note.signature_missing", BODY + b"\n" + SECOND),
    "signatures of strangers alone": ("note.signature_missing", BODY + b"\n" + LINES),
    "Ed25519 line doubled": ("note.signature_doubled", NOTE + FIRST),
    "ML-DSA line doubled": ("note.signature_doubled", NOTE + SECOND),
    "another valid signature of one key": ("note.signature_doubled", NOTE + LOG[1].sign(CHECKPOINT, AT + 1)),
    "name exchanged": ("note.signature_missing", NOTE.replace(b"\x94 ab-cd", b"\x94 ab-ce")),
    "key ID exchanged": ("note.signature_missing", BODY + b"\n" + line(ORIGIN, b"\0\0\0\0" + bytes(64)) + SECOND),
    "signature of zeros": ("note.signature_wrong", BODY + b"\n" + line(ORIGIN, ED_RAW.key_id + bytes(64)) + SECOND),
    "signature one byte short": (
        "note.signature_wrong",
        BODY + b"\n" + line(ORIGIN, ED_RAW.key_id + ED_RAW.signature[:-1]) + SECOND,
    ),
    "signature one byte long": (
        "note.signature_wrong",
        BODY + b"\n" + line(ORIGIN, ED_RAW.key_id + ED_RAW.signature + b"\0") + SECOND,
    ),
    "key ID without a signature": ("note.signature_line", BODY + b"\n" + line(ORIGIN, ED_RAW.key_id) + SECOND),
    "signature empty": ("note.signature_line", NOTE + f"\u2014 {ORIGIN} \n".encode()),
    "no signature after the name": ("note.signature_line", NOTE + f"\u2014 {ORIGIN}\n".encode()),
    "name empty": ("note.name", NOTE + "\u2014  AAAAAAAA\n".encode()),
    "name with a plus": ("note.name", NOTE + "\u2014 a+b AAAAAAAA\n".encode()),
    "name with a no-break space": ("note.name", NOTE + "\u2014 a\u00a0b AAAAAAAA\n".encode()),
    "name of 256 bytes": ("note.name", NOTE + f"\u2014 {'a' * 256} AAAAAAAA\n".encode()),
    "hyphen for em dash": ("note.signature_line", NOTE.replace("\u2014".encode(), b"-")),
    "en dash for em dash": ("note.signature_line", NOTE.replace("\u2014".encode(), "\u2013".encode())),
    "dash without space": ("note.signature_line", NOTE.replace("\u2014 ".encode(), "\u2014".encode())),
    "two spaces before base64": ("note.base64", NOTE.replace(b"/AB ", b"/AB  ")),
    "space after base64": ("note.base64", NOTE[:-1] + b" \n"),
    "base64 without padding": ("note.base64", NOTE + "\u2014 w.example AAAAAAA\n".encode()),
    "base64 with stray bits": ("note.base64", NOTE + "\u2014 w.example AAAAAAB=\n".encode()),
    "base64 of the URL alphabet": ("note.base64", NOTE + "\u2014 w.example AAAAAA-_\n".encode()),
    "not UTF-8": ("note.not_utf8", b"\xff" + NOTE),
    "overlong UTF-8": ("note.not_utf8", b"\xc0\xaf" + NOTE),
    "surrogate": ("note.not_utf8", b"\xed\xa0\x80" + NOTE),
    "line ends CRLF": ("note.control_character", NOTE.replace(b"\n", b"\r\n")),
    "tab": ("note.control_character", b"\t" + NOTE),
    "null byte": ("note.control_character", NOTE.replace(b"ab-cd", b"ab\0cd", 1)),
    "escape in a signature line": ("note.control_character", NOTE + "\u2014 a\x1b[2J AAAAAAAA\n".encode()),
    "longer than 64 KiB": ("note.too_long", NOTE + b"x" * note.MAX_NOTE),
    "33 signatures": ("note.too_many_signatures", NOTE + line("w.example", bytes(68)) * 31),
    "origin altered": ("note.origin", NOTE.replace(b"ab-cd", b"ab-ce", 1)),
    "size altered": ("note.signature_wrong", NOTE.replace(b"109482", b"109483")),
    "root altered": ("note.signature_wrong", NOTE.replace(ROOT.encode(), b64encode(bytes(32)))),
    "origin empty": ("note.checkpoint_lines", body("", "1", ROOT)),
    "size missing": ("note.checkpoint_lines", body(ORIGIN, ROOT)),
    "size empty": ("note.checkpoint_size", body(ORIGIN, "", ROOT)),
    "size with a leading zero": ("note.checkpoint_size", body(ORIGIN, "01", ROOT)),
    "size below zero": ("note.checkpoint_size", body(ORIGIN, "-1", ROOT)),
    "size with a plus": ("note.checkpoint_size", body(ORIGIN, "+1", ROOT)),
    "size with a space": ("note.checkpoint_size", body(ORIGIN, "1 ", ROOT)),
    "size in Persian digits": ("note.checkpoint_size", body(ORIGIN, "۱۲", ROOT)),
    "size in hex": ("note.checkpoint_size", body(ORIGIN, "0x1", ROOT)),
    "size with a point": ("note.checkpoint_size", body(ORIGIN, "1.0", ROOT)),
    "size of 2**63": ("note.checkpoint_size", body(ORIGIN, str(1 << 63), ROOT)),
    "size of 5000 digits": ("note.checkpoint_size", body(ORIGIN, "9" * 5000, ROOT)),
    "size 0 with a root": ("note.checkpoint_root", body(ORIGIN, "0", ROOT)),
    "root missing": ("note.checkpoint_lines", body(ORIGIN, "1")),
    "root of 31 bytes": ("note.checkpoint_root", body(ORIGIN, "1", b64encode(bytes(31)).decode())),
    "root of 33 bytes": ("note.checkpoint_root", body(ORIGIN, "1", b64encode(bytes(33)).decode())),
    "root not base64": ("note.base64", body(ORIGIN, "1", "!" * 44)),
    "root in hex": ("note.checkpoint_root", body(ORIGIN, "1", "ab" * 32)),
    "extension line empty": ("note.checkpoint_lines", body(ORIGIN, "1", ROOT, "", "x")),
    "ML-DSA time 0": ("note.timestamp", timed(0)),
    "ML-DSA time 2**63": ("note.timestamp", timed(1 << 63)),
    "ML-DSA time another": ("note.signature_wrong", timed(AT + 1)),
}


@pytest.mark.parametrize("name", BAD_NOTES)
def test_a_bad_note_is_refused_by_its_code(name: str) -> None:
    code, bad = BAD_NOTES[name]
    with pytest.raises(MithaqError) as caught:
        note.open_checkpoint(bad, LOG_KEYS)
    assert caught.value.code == code


WRONG_KIND = Verifier(ORIGIN, note.ED25519_COSIGNATURE, LOG_KEYS[0].public)
COLLIDING = Verifier(MIRROR, note.ED25519_COSIGNATURE, LOG_KEYS[0].public)
object.__setattr__(COLLIDING, "key_id", COSIGNER_KEYS[0].key_id)
BAD_KEYS: dict[str, tuple[str, list[Verifier]]] = {
    "no keys": ("note.no_keys", []),
    "another key of that name": ("note.signature_missing", [Signer(ORIGIN, 1, b"\x07" * 32).verifier]),
    "the same key as another kind": ("note.signature_missing", [WRONG_KIND]),
    "the same key under another name": ("note.origin", [replace(LOG_KEYS[0], name="x.example")]),
    "one key too many": ("note.signature_missing", [*LOG_KEYS, COSIGNER_KEYS[0]]),
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_good_note_is_refused_with_other_keys_than_its_own(name: str) -> None:
    code, keys = BAD_KEYS[name]
    with pytest.raises(Refused) as caught:
        note.open_checkpoint(NOTE, keys)
    assert caught.value.code == code


def test_two_keys_that_share_name_and_id_are_refused_rather_than_mixed_up() -> None:
    with pytest.raises(Refused, match=r"note\.keys_collide"):
        note.check_cosignature(CHECKPOINT, LINES, [COSIGNER_KEYS[0], COLLIDING])


BAD_LINES: dict[str, tuple[str, bytes]] = {
    "nothing": ("note.no_signature_line", b""),
    "no newline": ("note.no_signature_line", LINES[:-1]),
    "an empty line": ("note.signature_line", LINES + b"\n"),
    "a whole note": ("note.signature_line", note.add_lines(NOTE, LINES)),
    "one of two": ("note.signature_missing", COSIGNERS[1].sign(CHECKPOINT, AT)),
    "doubled": ("note.signature_doubled", LINES + LINES),
    "for another size": ("note.signature_wrong", note.cosign(replace(CHECKPOINT, size=5), COSIGNERS, AT)),
    "for another root": ("note.signature_wrong", note.cosign(replace(CHECKPOINT, root=bytes(32)), COSIGNERS, AT)),
    "for another log": ("note.signature_wrong", note.cosign(replace(CHECKPOINT, origin="x"), COSIGNERS, AT)),
    "the log's own": ("note.signature_missing", FIRST + SECOND),
    "too long": ("note.too_long", LINES * 20),
    "33 lines": ("note.too_many_signatures", line("w.example", bytes(68)) * 33),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_receipt_is_refused_by_its_code(name: str) -> None:
    code, bad = BAD_LINES[name]
    with pytest.raises(MithaqError) as caught:
        note.check_cosignature(CHECKPOINT, bad, COSIGNER_KEYS)
    assert caught.value.code == code


def test_a_key_that_says_no_time_gives_no_receipt() -> None:
    for act in (
        lambda: note.cosign(CHECKPOINT, LOG, AT),
        lambda: note.check_cosignature(CHECKPOINT, FIRST, LOG_KEYS[:1]),
    ):
        with pytest.raises(Refused, match=r"note\.not_a_cosigner"):
            act()


@pytest.mark.parametrize("at", [0, -1, 1 << 63, True, 1.5])
def test_nothing_is_signed_with_a_time_that_is_none(at: int) -> None:
    with pytest.raises(Malformed, match=r"note\.timestamp"):
        note.cosign(CHECKPOINT, COSIGNERS, at)


def test_nothing_is_signed_or_checked_by_no_keys() -> None:
    for act in (
        lambda: note.sign(CHECKPOINT, [], AT),
        lambda: note.cosign(CHECKPOINT, [], AT),
        lambda: note.check_cosignature(CHECKPOINT, LINES, []),
        lambda: note.open_note(NOTE, []),
        lambda: note.open_checkpoint(NOTE, [], origin=ORIGIN, known=LOG_KEYS),
    ):
        with pytest.raises(Refused, match=r"note\.no_keys"):
            act()


@pytest.mark.parametrize("signer", [*LOG, *COSIGNERS], ids=lambda each: f"{each.name} kind {each.kind}")
def test_a_vkey_reads_back_and_a_seed_is_never_shown(signer: Signer) -> None:
    assert Verifier.from_vkey(signer.verifier.vkey) == signer.verifier
    assert Signer(signer.name, signer.kind, signer.seed).verifier == signer.verifier
    assert repr(signer.seed) not in repr(signer)


VKEY = LOG_KEYS[0].vkey
NAME, KEY_ID, MATERIAL = VKEY.split("+", 2)
BAD_VKEYS = {
    "empty": "",
    "no parts": "abc",
    "two parts": f"{NAME}+{KEY_ID}",
    "name empty": f"+{KEY_ID}+{MATERIAL}",
    "name with a space": VKEY.replace("ab-cd", "ab cd"),
    "name with a newline": VKEY.replace("ab-cd", "ab\ncd"),
    "name with a surrogate": VKEY.replace("ab-cd", "ab\ud800cd"),
    "other name": VKEY.replace("ab-cd", "ab-ce"),
    "key ID of another": f"{NAME}+00000000+{MATERIAL}",
    "key ID in capitals": f"{NAME}+{KEY_ID.upper()}+{MATERIAL}",
    "key ID short": f"{NAME}+{KEY_ID[1:]}+{MATERIAL}",
    "material empty": f"{NAME}+{KEY_ID}+",
    "material not base64": f"{NAME}+{KEY_ID}+!",
    "material not ASCII": f"{NAME}+{KEY_ID}+é",
    "material short": f"{NAME}+{KEY_ID}+{b64encode(bytes([1]) + bytes(31)).decode()}",
    "kind 2": f"{NAME}+{KEY_ID}+{b64encode(bytes([2]) + bytes(32)).decode()}",
    "kind 6 of 32 bytes": f"{NAME}+{KEY_ID}+{b64encode(bytes([6]) + bytes(32)).decode()}",
    "a newline after": f"{VKEY}\n",
    "very long": f"{NAME}+{KEY_ID}+{'A' * 5000}",
}


@pytest.mark.parametrize("name", BAD_VKEYS)
def test_a_bad_vkey_is_malformed(name: str) -> None:
    with pytest.raises(Malformed, match=r"^note\."):
        Verifier.from_vkey(BAD_VKEYS[name])


def test_a_signer_needs_a_known_kind_and_a_seed_of_32_bytes() -> None:
    with pytest.raises(Malformed, match=r"note\.key_kind"):
        Signer(ORIGIN, 2, bytes(32))
    with pytest.raises(Malformed, match=r"note\.key_shape"):
        Signer(ORIGIN, 6, bytes(31))


def test_a_fingerprint_is_twelve_groups_of_five_digits_of_the_set_of_keys() -> None:
    vkeys = [each.vkey for each in LOG_KEYS]
    digits = note.fingerprint(vkeys)
    assert [len(each) for each in digits.split(" ")] == [5] * 12
    assert digits.replace(" ", "").isdecimal()
    assert digits == note.fingerprint([*reversed(vkeys), vkeys[0]])
    assert digits != note.fingerprint(vkeys[:1])
    with pytest.raises(Refused, match=r"note\.no_keys"):
        note.fingerprint([])
    with pytest.raises(Malformed):
        note.fingerprint([*vkeys, "not a key"])


def test_a_mirror_names_a_log_by_the_hash_of_its_origin() -> None:
    assert note.origin_hash(ORIGIN) == sha256(b"ab-cd.example/AB").hexdigest()


@LAW
@given(
    origin=st.text(st.characters(codec="utf-8", min_codepoint=0x20), min_size=1, max_size=60),
    size=st.integers(1, (1 << 63) - 1),
    root=st.binary(min_size=32, max_size=32),
    at=st.integers(1, (1 << 63) - 1),
)
def test_whatever_is_signed_opens_and_is_the_same(origin: str, size: int, root: bytes, at: int) -> None:
    checkpoint = Checkpoint(origin, size, root)
    assert Checkpoint.parse(checkpoint.body) == checkpoint
    signed = note.sign(checkpoint, LOG, at)
    assert note.open_checkpoint(signed, LOG_KEYS, origin=origin).checkpoint == checkpoint
    assert note.check_cosignature(checkpoint, note.cosign(checkpoint, COSIGNERS, at), COSIGNER_KEYS) == at


@LAW
@given(data=st.data())
def test_every_altered_byte_of_a_signed_checkpoint_is_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(NOTE) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda each: each != NOTE[at]))
    with pytest.raises(MithaqError):
        note.open_checkpoint(NOTE[:at] + bytes([value]) + NOTE[at + 1 :], LOG_KEYS)


@LAW
@given(raw=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda each: each.encode(errors="replace"))))
def test_anything_a_stranger_sends_is_answered_by_a_refusal(raw: bytes) -> None:
    readers: list[Callable[[], object]] = [
        lambda: note.open_checkpoint(raw, LOG_KEYS),
        lambda: note.open_checkpoint(BODY + b"\n" + raw, LOG_KEYS),
        lambda: note.check_cosignature(CHECKPOINT, raw, COSIGNER_KEYS),
        lambda: Verifier.from_vkey(raw.decode("latin-1")),
    ]
    for read in readers:
        with pytest.raises(MithaqError):
            read()
