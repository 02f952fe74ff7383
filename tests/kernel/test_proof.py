"""Proofs and evidence files: what they prove without a network, and what they must never be taken to prove."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithaq.kernel import merkle, note, proof
from mithaq.kernel.errors import Malformed, MithaqError, Refused
from mithaq.kernel.note import Checkpoint, Signer
from mithaq.kernel.proof import Evidence, Finding, Proof

AT = 1_700_000_000
ORIGIN = "ab-cd.example/AB"
MIRROR = "cd.example/mirror"
WITNESS = "witness.example"
LOG = [Signer(ORIGIN, note.ED25519, b"\x01" * 32), Signer(ORIGIN, note.MLDSA44_COSIGNATURE, b"\x02" * 32)]
COSIGNERS = {
    MIRROR: [
        Signer(MIRROR, note.ED25519_COSIGNATURE, b"\x03" * 32),
        Signer(MIRROR, note.MLDSA44_COSIGNATURE, b"\x04" * 32),
    ],
    WITNESS: [Signer(WITNESS, note.MLDSA44_COSIGNATURE, b"\x05" * 32)],
}
LOG_KEYS = [each.verifier for each in LOG]
KEYS = {name: [each.verifier for each in signers] for name, signers in COSIGNERS.items()}
INDEX = 7
STATEMENT = '{"act":"channel.say","text":"سلام، مرحبًا"}'.encode()
ENTRIES = [b"entry %d" % index for index in range(INDEX)] + [STATEMENT] + [b"later %d" % index for index in range(12)]
HASHES = merkle.leaf_hashes(ENTRIES)
LEAF = HASHES[INDEX]
CHECKPOINT = Checkpoint(ORIGIN, len(ENTRIES), merkle.root_of(HASHES))
RECEIPT = note.cosign(CHECKPOINT, COSIGNERS[MIRROR], AT + 1)
NOTE = note.add_lines(note.sign(CHECKPOINT, LOG, AT), RECEIPT)
PROOF = Proof(INDEX, tuple(merkle.inclusion_proof(INDEX, len(ENTRIES), merkle.reader_of(HASHES))), NOTE)
TEXT = PROOF.encode()
EVIDENCE = Evidence(
    statement=STATEMENT,
    proof=TEXT,
    origin=ORIGIN,
    log_keys=[each.vkey for each in LOG_KEYS],
    mirror_keys={MIRROR: [each.vkey for each in KEYS[MIRROR]]},
    about="The greeting of 14 November 2023, as AB said it to CD.",
)
FILE = EVIDENCE.encode()
TRUSTED = {ORIGIN: EVIDENCE.log_keys, MIRROR: EVIDENCE.mirror_keys[MIRROR], "c.example": ["unused"]}
LAW = settings(deadline=None, max_examples=60)


def test_a_proof_is_written_line_by_line_as_the_page_says() -> None:
    lines = replace(PROOF, extra=b"context").encode().split(b"\n")
    assert lines[:3] == [b"c2sp.org/tlog-proof@v1", b"extra Y29udGV4dA==", b"index 7"]
    assert [b64encode(each) for each in PROOF.hashes] == lines[3 : 3 + len(PROOF.hashes)]
    assert lines[3 + len(PROOF.hashes)] == b""
    assert b"\n".join(lines[4 + len(PROOF.hashes) :]) == NOTE


def test_a_proof_reads_back_and_verifies() -> None:
    read = proof.parse(TEXT)
    assert read == PROOF
    signed = proof.verify(read, LEAF, LOG_KEYS, KEYS, 1)
    assert signed.checkpoint == CHECKPOINT
    assert signed.timestamps[KEYS[MIRROR][1].label] == AT + 1


def test_the_only_entry_of_a_log_is_proved_by_no_hashes() -> None:
    checkpoint = Checkpoint(ORIGIN, 1, LEAF)
    alone = proof.parse(Proof(0, (), note.sign(checkpoint, LOG, AT)).encode())
    assert proof.verify(alone, LEAF, LOG_KEYS, {}, 0).checkpoint == checkpoint


def test_a_proof_may_carry_extra_data_that_nobody_signed() -> None:
    read = proof.parse(replace(PROOF, extra=b"\0anything").encode())
    assert read.extra == b"\0anything"
    proof.verify(read, LEAF, LOG_KEYS, KEYS, 1)


def broken(note_bytes: bytes) -> Proof:
    return replace(PROOF, checkpoint_note=note_bytes)


WRONG_RECEIPT = note.cosign(replace(CHECKPOINT, size=5), COSIGNERS[MIRROR], AT)
REFUSALS: dict[str, tuple[str, Callable[[], object]]] = {
    "(1) leaf of 31 bytes": ("merkle.hash_length", lambda: proof.verify(PROOF, LEAF[1:], LOG_KEYS, KEYS, 1)),
    "(2) no log keys": ("note.no_keys", lambda: proof.verify(PROOF, LEAF, [], KEYS, 1)),
    "(2) another origin": ("note.origin", lambda: proof.verify(PROOF, LEAF, LOG_KEYS, KEYS, 1, origin="x")),
    "(2) not signed by the log": (
        "note.signature_missing",
        lambda: proof.verify(broken(CHECKPOINT.body + b"\n" + RECEIPT), LEAF, LOG_KEYS, KEYS, 1),
    ),
    "(3) too few receipts": ("proof.receipts_missing", lambda: proof.verify(PROOF, LEAF, LOG_KEYS, KEYS, 2)),
    "(3) one of the mirror's two keys": (
        "proof.receipts_missing",
        lambda: proof.verify(
            broken(note.sign(CHECKPOINT, LOG, AT) + COSIGNERS[MIRROR][0].sign(CHECKPOINT, AT)), LEAF, LOG_KEYS, KEYS, 1
        ),
    ),
    "(3) a cosigner without keys counts for nothing": (
        "proof.receipts_missing",
        lambda: proof.verify(PROOF, LEAF, LOG_KEYS, {"x.example": []}, 1),
    ),
    "(3) a wrong receipt, though none is needed": (
        "note.signature_wrong",
        lambda: proof.verify(broken(note.sign(CHECKPOINT, LOG, AT) + WRONG_RECEIPT), LEAF, LOG_KEYS, KEYS, 0),
    ),
    "(3) a log's key as cosigner": (
        "note.not_a_cosigner",
        lambda: proof.verify(PROOF, LEAF, LOG_KEYS, {ORIGIN: LOG_KEYS[:1]}, 1),
    ),
    "(4) another entry": ("merkle.root", lambda: proof.verify(PROOF, HASHES[3], LOG_KEYS, KEYS, 1)),
    "(4) another index": ("merkle.root", lambda: proof.verify(replace(PROOF, index=6), LEAF, LOG_KEYS, KEYS, 1)),
    "(4) index beyond the tree": (
        "merkle.range",
        lambda: proof.verify(replace(PROOF, index=20), LEAF, LOG_KEYS, KEYS, 1),
    ),
    "(4) a hash left out": (
        "merkle.proof_length",
        lambda: proof.verify(replace(PROOF, hashes=PROOF.hashes[:-1]), LEAF, LOG_KEYS, KEYS, 1),
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_proof_is_refused_at_the_step_that_fails(name: str) -> None:
    code, act = REFUSALS[name]
    with pytest.raises(Refused) as caught:
        act()
    assert caught.value.code == code


HEAD = b"c2sp.org/tlog-proof@v1\n"
BAD_PROOFS: dict[str, tuple[str, bytes]] = {
    "nothing": ("proof.header", b""),
    "header alone": ("proof.header", HEAD),
    "another version": ("proof.header", TEXT.replace(b"@v1", b"@v2")),
    "header with a space": ("proof.header", TEXT.replace(b"@v1", b"@v1 ")),
    "no index": ("proof.index", TEXT.replace(b"index 7\n", b"")),
    "nothing between header and note": ("proof.index", HEAD + b"\n" + NOTE),
    "index with a leading zero": ("proof.index", TEXT.replace(b"index 7", b"index 07")),
    "index below zero": ("proof.index", TEXT.replace(b"index 7", b"index -7")),
    "index of 2**63": ("proof.index", TEXT.replace(b"index 7", b"index 9223372036854775808")),
    "index of 5000 digits": ("proof.index", TEXT.replace(b"index 7", b"index " + b"7" * 5000)),
    "index twice": ("note.base64", TEXT.replace(b"index 7", b"index 7\nindex 7")),
    "extra empty": ("proof.extra", TEXT.replace(b"index 7", b"extra \nindex 7")),
    "extra after index": ("note.base64", TEXT.replace(b"index 7", b"index 7\nextra AAAA")),
    "extra twice": ("proof.index", TEXT.replace(b"index 7", b"extra AAAA\nextra AAAA\nindex 7")),
    "extra not canonical": ("note.base64", TEXT.replace(b"index 7", b"extra AB==\nindex 7")),
    "extra too large": ("proof.extra", TEXT.replace(b"index 7", b"extra " + b"A" * 100_000 + b"\nindex 7")),
    "hash of 31 bytes": ("proof.hashes", TEXT.replace(b64encode(PROOF.hashes[0]), b64encode(bytes(31)))),
    "64 hashes": ("proof.hashes", TEXT.replace(b"index 7", b"index 7" + (b"\n" + b64encode(bytes(32))) * 64)),
    "line not ASCII": ("proof.lines", TEXT.replace(b"index 7", "index ۷".encode())),
    "CRLF": ("proof.header", TEXT.replace(b"\n", b"\r\n")),
    "two blank lines": ("note.checkpoint_size", TEXT.replace(NOTE, b"\n" + NOTE)),
    "no checkpoint": ("note.no_blank_line", TEXT.replace(NOTE, b"")),
    "checkpoint cut": ("note.no_signature_line", TEXT[:-1]),
    "too long": ("proof.too_long", TEXT + b"x" * proof.MAX_TEXT),
}


@pytest.mark.parametrize("name", BAD_PROOFS)
def test_a_bad_proof_is_malformed_by_its_code(name: str) -> None:
    code, bad = BAD_PROOFS[name]
    with pytest.raises(Malformed) as caught:
        proof.parse(bad)
    assert caught.value.code == code


@LAW
@given(data=st.data())
def test_every_altered_byte_of_a_proof_is_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TEXT) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda each: each != TEXT[at]))
    with pytest.raises(MithaqError):
        proof.verify(proof.parse(TEXT[:at] + bytes([value]) + TEXT[at + 1 :]), LEAF, LOG_KEYS, KEYS, 1)


@LAW
@given(
    index=st.integers(0, (1 << 63) - 1),
    hashes=st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    extra=st.none() | st.binary(min_size=1, max_size=200),
)
def test_every_proof_reads_back_as_it_was_written(index: int, hashes: list[bytes], extra: bytes | None) -> None:
    written = Proof(index, tuple(hashes), NOTE, extra)
    assert proof.parse(written.encode()) == written


def test_an_evidence_file_is_one_readable_text_and_reads_back() -> None:
    shown = json.loads(FILE)
    assert shown["format"] == "mithaq-evidence/1"
    assert shown["statement"] == STATEMENT.decode()
    assert shown["proof"][:2] == ["c2sp.org/tlog-proof@v1", "index 7"]
    assert FILE.count(b"\n") > 10
    assert "سلام، مرحبًا" in FILE.decode()
    assert Evidence.parse(FILE) == EVIDENCE


def outcome(evidence: Evidence, trusted: dict[str, list[str]] | None = None) -> list[tuple[int, bool | None, str]]:
    return [(each.step, each.ok, each.code) for each in proof.check(evidence, trusted).items]


SIGNED, RECEIPTED, INCLUDED = (
    (2, True, "evidence.signed"),
    (3, True, "evidence.receipted"),
    (4, True, "evidence.included"),
)
SHAPE = (1, True, "evidence.shape_holds")
CLAIMED = (5, None, "evidence.keys_claimed")


def test_evidence_with_the_keys_that_the_reader_knows_holds_in_every_step() -> None:
    findings = proof.check(EVIDENCE, TRUSTED)
    held = (5, True, "evidence.keys_trusted")
    assert outcome(EVIDENCE, TRUSTED) == [SHAPE, SIGNED, RECEIPTED, INCLUDED, held, held]
    assert findings.ok
    assert findings.trusted
    assert findings.items[1].facts == {"origin": ORIGIN, "size": 20, "keys": 2, "at": AT}
    assert findings.items[2].facts == {"name": MIRROR, "at": AT + 1}


def test_evidence_without_known_keys_says_so_and_prints_their_fingerprints() -> None:
    findings = proof.check(EVIDENCE)
    assert outcome(EVIDENCE) == [SHAPE, SIGNED, RECEIPTED, INCLUDED, CLAIMED, CLAIMED]
    assert findings.ok
    assert not findings.trusted
    assert findings.items[4].facts == {"name": ORIGIN, "fingerprint": note.fingerprint(EVIDENCE.log_keys)}


def test_evidence_under_keys_that_the_reader_does_not_know_is_refused() -> None:
    forged = {**TRUSTED, ORIGIN: [Signer(ORIGIN, note.ED25519, b"\x08" * 32).verifier.vkey]}
    assert outcome(EVIDENCE, forged)[4] == (5, False, "evidence.keys_differ")
    assert not proof.check(EVIDENCE, forged).ok
    assert outcome(EVIDENCE, {ORIGIN: EVIDENCE.log_keys})[5] == (5, False, "evidence.keys_not_given")


def test_evidence_that_leaves_out_the_post_quantum_key_is_refused() -> None:
    weaker = replace(EVIDENCE, log_keys=EVIDENCE.log_keys[:1])
    assert outcome(weaker, TRUSTED)[4] == (5, False, "evidence.keys_differ")


def test_evidence_without_a_receipt_says_so() -> None:
    alone = replace(EVIDENCE, mirror_keys={})
    assert outcome(alone)[2] == (3, None, "evidence.no_receipt")
    assert not proof.check(alone, TRUSTED).trusted


def test_an_altered_statement_is_found_by_the_inclusion_step_alone() -> None:
    altered = replace(EVIDENCE, statement=STATEMENT.replace("سلام".encode(), "کلام".encode()))
    assert outcome(altered) == [SHAPE, SIGNED, RECEIPTED, (4, False, "merkle.root"), CLAIMED, CLAIMED]
    assert not proof.check(altered).ok


def test_an_altered_checkpoint_is_found_by_every_step_that_it_breaks() -> None:
    altered = replace(EVIDENCE, proof=TEXT.replace(b64encode(CHECKPOINT.root), b64encode(bytes(32))))
    assert [(each.step, each.ok) for each in proof.check(altered).items[:4]] == [
        (1, True),
        (2, False),
        (3, False),
        (4, False),
    ]


def changed(**members: object) -> Evidence:
    return replace(EVIDENCE, **members)


MIRROR_VKEYS = EVIDENCE.mirror_keys[MIRROR]
BAD_SHAPES: dict[str, tuple[str, Evidence]] = {
    "statement empty": ("evidence.statement_size", changed(statement=b"")),
    "statement too large": ("evidence.statement_size", changed(statement=b"x" * 65_536)),
    "about too long": ("evidence.about_too_long", changed(about="x" * 1001)),
    "proof of another kind": ("proof.header", changed(proof=b"hello\n\n")),
    "no log key": ("evidence.key_count", changed(log_keys=[])),
    "17 log keys": ("evidence.key_count", changed(log_keys=list(EVIDENCE.log_keys) * 9)),
    "log key no key": ("note.vkey", changed(log_keys=["x"])),
    "log key of another": ("evidence.key_name", changed(log_keys=MIRROR_VKEYS)),
    "mirror without keys": ("evidence.key_count", changed(mirror_keys={MIRROR: []})),
    "mirror key of another": ("evidence.key_name", changed(mirror_keys={MIRROR: EVIDENCE.log_keys})),
    "the log as its own mirror": ("evidence.mirrors", changed(mirror_keys={ORIGIN: EVIDENCE.log_keys})),
    "17 mirrors": ("evidence.mirrors", changed(mirror_keys={f"m{n}": MIRROR_VKEYS for n in range(17)})),
}


@pytest.mark.parametrize("name", BAD_SHAPES)
def test_evidence_of_a_bad_shape_goes_no_further_than_the_first_step(name: str) -> None:
    code, bad = BAD_SHAPES[name]
    (only,) = proof.check(bad, TRUSTED).items
    assert (only.step, only.ok, only.code) == (1, False, code)


def test_a_key_without_a_time_is_no_mirror() -> None:
    name = "plain.example"
    signer = Signer(name, note.ED25519, b"\x06" * 32)
    plain = changed(
        proof=replace(PROOF, checkpoint_note=NOTE + signer.sign(CHECKPOINT, AT)).encode(),
        mirror_keys={name: [signer.verifier.vkey]},
    )
    assert proof.check(plain).items[2] == Finding(3, False, "note.not_a_cosigner", {"name": name})


BAD_FILES: dict[str, tuple[str, bytes]] = {
    "nothing": ("evidence.shape", b""),
    "no JSON": ("evidence.shape", b"c2sp.org/tlog-proof@v1\n"),
    "not UTF-8": ("evidence.shape", FILE.replace(b"greeting", b"greet\xff\xfe")),
    "a list": ("evidence.shape", b"[]"),
    "deep": ("evidence.shape", b"[" * 100_000),
    "deep in a member": ("evidence.shape", b'{"proof":' + b"[" * 100_000),
    "a member missing": ("evidence.shape", FILE.replace(b'"about"', b'"above"')),
    "an unknown member": ("evidence.shape", FILE.replace(b'{\n  "format"', b'{\n  "x": 1,\n  "format"')),
    "a number for a text": ("evidence.shape", FILE.replace(json.dumps(EVIDENCE.about).encode(), b"1")),
    "another format": ("evidence.format", FILE.replace(b"evidence/1", b"evidence/2")),
    "a member twice": ("evidence.not_canonical", FILE.replace(b"{", b'{\n  "about": "other",', 1)),
    "compact": ("evidence.not_canonical", json.dumps(json.loads(FILE)).encode()),
    "members in another order": (
        "evidence.not_canonical",
        json.dumps(dict(reversed(json.loads(FILE).items())), indent=2, ensure_ascii=False).encode() + b"\n",
    ),
    "a byte order mark": ("evidence.shape", b"\xef\xbb\xbf" + FILE),
    "lines joined": ("evidence.not_canonical", FILE.replace(b'",\n    "index 7"', b'\\nindex 7"')),
    "a surrogate": ("evidence.shape", FILE.replace(b"greeting", b"\\ud800")),
    "two files": ("evidence.shape", FILE + FILE),
    "space at the end": ("evidence.not_canonical", FILE + b" "),
    "too long": ("evidence.too_long", FILE + b" " * proof.MAX_EVIDENCE),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_evidence_file_is_malformed_by_its_code(name: str) -> None:
    code, bad = BAD_FILES[name]
    with pytest.raises(Malformed) as caught:
        Evidence.parse(bad)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "bad", [changed(statement=b"\xff"), changed(proof=b"\xff"), changed(about="\ud800"), changed(about="x" * (1 << 20))]
)
def test_evidence_that_no_file_can_hold_is_not_written(bad: Evidence) -> None:
    with pytest.raises(Malformed, match=r"^evidence\."):
        bad.encode()


@LAW
@given(data=st.data())
def test_no_altered_byte_of_a_file_keeps_a_trusted_answer_but_in_the_words_about_it(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(FILE) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda each: each != FILE[at]))
    try:
        read = Evidence.parse(FILE[:at] + bytes([value]) + FILE[at + 1 :])
    except Malformed:
        return
    assert not proof.check(read, TRUSTED).trusted or replace(read, about=EVIDENCE.about) == EVIDENCE
