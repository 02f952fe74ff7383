"""Evidence that needs no network: the C2SP tlog-proof, and Mithaq's evidence file around it.

A proof binds one entry to a signed, receipted checkpoint; an evidence file adds the entry and the keys, so that a
court can check one file. Whose keys they are is the one thing that a file cannot prove about itself: step 5.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from mithaq.kernel import merkle, note
from mithaq.kernel.errors import Malformed, MithaqError, Refused
from mithaq.kernel.note import SignedCheckpoint, Verifier

MAX_EXTRA = 64 * 1024  # bytes of a proof's extra data
MAX_TEXT = 256 * 1024  # bytes of a whole proof: a note, 63 hashes and the extra data fit
MAX_EVIDENCE = 1024 * 1024  # bytes of an evidence file
MAX_STATEMENT = 65_535  # bytes of an entry: the uint16 before it in tiles and packages
MAX_KEYS = 16  # keys a name, and mirrors a file
MAX_ABOUT = 1000  # characters

_HEADER = "c2sp.org/tlog-proof@v1"
_FORMAT = "mithaq-evidence/1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Proof:
    """An entry's index, its inclusion proof (32-byte hashes, leaf's sibling first) and the signed checkpoint.

    `extra` is opaque and signed by nobody: never trust it.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint_note: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if type(self.index) is not int or not 0 <= self.index < merkle.MAX_SIZE:
            raise Malformed("proof.index")
        if len(self.hashes) > merkle.MAX_PROOF or any(len(each) != merkle.HASH_SIZE for each in self.hashes):
            raise Malformed("proof.hashes")
        if self.extra is not None and not 0 < len(self.extra) <= MAX_EXTRA:
            raise Malformed("proof.extra", limit=MAX_EXTRA)
        body, _ = note.split(self.checkpoint_note)
        note.Checkpoint.parse(body)

    def encode(self) -> bytes:
        """The text of tlog-proof.md, section "Format"."""
        extra = [] if self.extra is None else [f"extra {b64encode(self.extra).decode()}"]
        hashes = [b64encode(each).decode() for each in self.hashes]
        lines = [_HEADER, *extra, f"index {self.index}", *hashes, "", ""]
        return "\n".join(lines).encode() + self.checkpoint_note


def parse(raw: bytes) -> Proof:
    """Read a tlog-proof strictly: whatever is accepted encodes to the same bytes again."""
    if len(raw) > MAX_TEXT:
        raise Malformed("proof.too_long", limit=MAX_TEXT)
    head, blank, checkpoint_note = raw.partition(b"\n\n")
    header, _, told = head.partition(b"\n")
    if not blank or header != _HEADER.encode():
        raise Malformed("proof.header")
    try:
        rest = told.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise Malformed("proof.lines") from None
    extra = note.decode64(rest.pop(0).removeprefix("extra ")) if rest[0].startswith("extra ") else None
    found = _INDEX.fullmatch(rest[0]) if rest else None
    if found is None:
        raise Malformed("proof.index")
    if len(rest) - 1 > merkle.MAX_PROOF:
        raise Malformed("proof.hashes")
    return Proof(int(found[1]), tuple(note.decode64(each) for each in rest[1:]), checkpoint_note, extra)


def verify(
    proof: Proof,
    leaf_hash: bytes,
    log_verifiers: Sequence[Verifier],
    cosigners: Mapping[str, Sequence[Verifier]],
    k: int,
    origin: str | None = None,
) -> SignedCheckpoint:
    """Steps 1 to 4 of tlog-proof.md, "Verifying a tlog proof"; raises at the first that fails.

    (1) the leaf hash, computed by the caller from the entry, is one
    (2) the origin is acceptable (see `note.open_checkpoint`) and all of the log's keys have signed the checkpoint
    (3) no known cosigner's signature is wrong, and at least `k` cosigners have signed with all of their keys
    (4) the inclusion proof binds the leaf hash to the checkpoint's root
    """
    # (1)
    if len(leaf_hash) != merkle.HASH_SIZE:
        raise Refused("merkle.hash_length")
    # (2), and (3) as far as single signatures go: those of known cosigners may be absent, never wrong
    known = [verifier for keys in cosigners.values() for verifier in keys]
    for verifier in known:
        note.require_cosigner(verifier)
    signed = note.open_checkpoint(proof.checkpoint_note, log_verifiers, origin, known)
    # (3) k of n, the policy that tlog-proof.md gives as its example
    have = sum(bool(keys) and all(key.label in signed.timestamps for key in keys) for keys in cosigners.values())
    if have < k:
        raise Refused("proof.receipts_missing", have=have, need=k)
    # (4)
    checkpoint = signed.checkpoint
    merkle.verify_inclusion(leaf_hash, proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return signed


class _File(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The evidence file as it is written: pretty JSON, the proof line by line, so that people can read it."""

    format: str
    about: str
    origin: str
    statement: str
    proof: list[str]
    log_keys: list[str]
    mirror_keys: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One entry with all that is needed to check it. Keys are vkeys; `about` is a sentence for the reader, no proof."""

    statement: bytes
    proof: bytes
    origin: str
    log_keys: Sequence[str]
    mirror_keys: Mapping[str, Sequence[str]]
    about: str

    def encode(self) -> bytes:
        """The file, at most 1 MiB, in one canonical form."""
        written = _File(
            format=_FORMAT,
            about=self.about,
            origin=self.origin,
            statement=_utf8(self.statement),
            proof=_utf8(self.proof).split("\n"),
            log_keys=list(self.log_keys),
            mirror_keys={name: list(keys) for name, keys in sorted(self.mirror_keys.items())},
        )
        try:
            raw = msgspec.json.format(msgspec.json.encode(written), indent=2) + b"\n"
        except UnicodeEncodeError:
            raise Malformed("evidence.not_utf8") from None
        if len(raw) > MAX_EVIDENCE:
            raise Malformed("evidence.too_long", limit=MAX_EVIDENCE)
        return raw

    @classmethod
    def parse(cls, raw: bytes) -> Evidence:
        """Read a file strictly: what is accepted encodes to the same bytes again. Nothing is verified yet."""
        if len(raw) > MAX_EVIDENCE:
            raise Malformed("evidence.too_long", limit=MAX_EVIDENCE)
        try:
            read = msgspec.json.decode(raw, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Malformed("evidence.shape") from None
        if read.format != _FORMAT:
            raise Malformed("evidence.format", format=read.format[:40])
        statement, proof = _bytes(read.statement), _bytes("\n".join(read.proof))
        evidence = cls(statement, proof, read.origin, read.log_keys, read.mirror_keys, read.about)
        if evidence.encode() != raw:  # also a member given twice, other spacing, lines with newlines in them
            raise Malformed("evidence.not_canonical")
        return evidence


@dataclass(frozen=True, slots=True)
class Finding:
    """What one step found: `ok` is True, False, or None where the file alone cannot tell."""

    step: int
    ok: bool | None
    code: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Findings:
    """All findings of a check, in the order of the steps."""

    items: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Nothing is wrong. That the keys are whose they are said to be is `trusted`."""
        return all(each.ok is not False for each in self.items)

    @property
    def trusted(self) -> bool:
        """Every step holds without a reservation: receipts are there, and the keys are those that were given."""
        return all(each.ok for each in self.items)


def check(evidence: Evidence, trusted: Mapping[str, Sequence[str]] | None = None) -> Findings:
    """Check an evidence file; every step that can be made is made, so that a reader sees all that is wrong.

    (1) shape: the statement's size, the proof, the keys and whose they are; the rest needs it
    (2) the log's signatures over the checkpoint, with every key of the file
    (3) the receipts: each mirror's cosignatures, with every key of the file
    (4) inclusion: the statement stands at the proof's index under the checkpoint's root
    (5) the keys: those of `trusted` (name -> vkeys), exactly; without it they are the file's own claim, and the
        finding carries their fingerprint, to be compared with the one that the parties read aloud at pairing
    """
    items: list[Finding] = []

    def step(number: int, code: str, made: Callable[[], Mapping[str, object]]) -> None:
        try:
            items.append(Finding(number, True, code, made()))
        except MithaqError as error:
            items.append(Finding(number, False, error.code, error.facts))

    # (1)
    try:
        proof, log, mirrors = _shape(evidence)
        text, lines = note.split(proof.checkpoint_note)
        checkpoint = note.Checkpoint.parse(text)
    except MithaqError as error:
        return Findings((Finding(1, False, error.code, error.facts),))
    items.append(Finding(1, True, "evidence.shape_holds", {"origin": evidence.origin, "index": proof.index}))
    # (2)
    step(2, "evidence.signed", partial(_signed, proof, log, evidence.origin))
    # (3)
    for name, keys in mirrors.items():
        step(3, "evidence.receipted", partial(_receipt, name, text, lines, keys))
    if not mirrors:
        items.append(Finding(3, None, "evidence.no_receipt", {"origin": evidence.origin}))
    # (4)
    step(4, "evidence.included", partial(_included, evidence.statement, proof, checkpoint))
    # (5)
    for name, vkeys in {evidence.origin: evidence.log_keys, **evidence.mirror_keys}.items():
        items.append(_keys_finding(name, vkeys, trusted))
    return Findings(tuple(items))


def _shape(evidence: Evidence) -> tuple[Proof, list[Verifier], dict[str, list[Verifier]]]:
    if not 0 < len(evidence.statement) <= MAX_STATEMENT:
        raise Malformed("evidence.statement_size", limit=MAX_STATEMENT)
    if len(evidence.about) > MAX_ABOUT:
        raise Malformed("evidence.about_too_long", limit=MAX_ABOUT)
    if len(evidence.mirror_keys) > MAX_KEYS or evidence.origin in evidence.mirror_keys:
        raise Malformed("evidence.mirrors")
    log = _verifiers(evidence.origin, evidence.log_keys)
    mirrors = {name: _verifiers(name, keys) for name, keys in evidence.mirror_keys.items()}
    return parse(evidence.proof), log, mirrors


def _verifiers(name: str, vkeys: Sequence[str]) -> list[Verifier]:
    if not 0 < len(vkeys) <= MAX_KEYS:
        raise Malformed("evidence.key_count", name=name, limit=MAX_KEYS)
    verifiers = [Verifier.from_vkey(vkey) for vkey in vkeys]
    if any(each.name != name for each in verifiers):
        raise Malformed("evidence.key_name", name=name)
    return verifiers


def _signed(proof: Proof, keys: Sequence[Verifier], origin: str) -> dict[str, object]:
    signed = note.open_checkpoint(proof.checkpoint_note, keys, origin)
    at = max(signed.timestamps.values()) or None  # an Ed25519 note signature alone says no time
    return {"origin": origin, "size": signed.checkpoint.size, "keys": len(keys), "at": at}


def _receipt(
    name: str, text: bytes, lines: Sequence[note.SignatureLine], keys: Sequence[Verifier]
) -> dict[str, object]:
    for key in keys:
        note.require_cosigner(key)
    return {"name": name, "at": max(note.check_signatures(text, lines, keys).values())}


def _included(statement: bytes, proof: Proof, checkpoint: note.Checkpoint) -> dict[str, object]:
    leaf = merkle.leaf_hash(statement)
    merkle.verify_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return {"index": proof.index, "size": checkpoint.size}


def _keys_finding(name: str, vkeys: Sequence[str], trusted: Mapping[str, Sequence[str]] | None) -> Finding:
    facts = {"name": name, "fingerprint": note.fingerprint(vkeys)}
    if trusted is None:
        return Finding(5, None, "evidence.keys_claimed", facts)
    if name not in trusted:
        return Finding(5, False, "evidence.keys_not_given", facts)
    # Exactly: a file that left out the post-quantum key would otherwise be as good as one signed with it.
    if set(trusted.get(name, ())) != set(vkeys):
        return Finding(5, False, "evidence.keys_differ", facts)
    return Finding(5, True, "evidence.keys_trusted", facts)


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise Malformed("evidence.not_utf8") from None


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Malformed("evidence.not_utf8") from None
