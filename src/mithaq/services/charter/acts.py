"""What can be said under the charter alone, before and beside any agreement."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mithaq.kernel.act import CLAUSE, Act, Count, Digest, Office, PartyCode, Reference, Texts


class OpenOffice(Act, frozen=True, tag="charter.open_office"):
    """An office of ours can be written to: its names, and the public key to which enclosures for it are sealed."""

    office: Office
    recipient: Annotated[
        str, Meta(pattern=r"^age1pq1[a-z0-9]{1900,2000}\Z", description="age recipient, mlkem768x25519")
    ]
    names: Texts


class Refuse(Act, frozen=True, tag="charter.refuse"):
    """An entry of another party's log had no effect: which entry, which rule, which clause, which field."""

    log: PartyCode
    entry: Count
    code: Annotated[str, Meta(pattern=r"^[a-z0-9_]+\.[a-z0-9_]+\Z", max_length=80)]
    clause: Annotated[str, Meta(pattern=rf"{CLAUSE}|^\Z", max_length=60)] = ""
    field: Annotated[str, Meta(max_length=160)] = ""


class Telling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of two stories: a checkpoint with its signatures, the leaf hash at the entry concerned, its inclusion proof."""

    leaf: Digest
    note: Annotated[str, Meta(min_length=1, max_length=16_000)]
    proof: Annotated[tuple[Digest, ...], Meta(max_length=63)]


class Expose(Act, frozen=True, tag="charter.expose"):
    """A party signed two different entries at one place of its log: both checkpoints, with proofs; its log counts up to there."""

    log: PartyCode
    entry: Count
    one: Telling
    other: Telling


class Erase(Act, frozen=True, tag="charter.erase"):
    """Our copy of an enclosure, its salt and its key are destroyed: the clause's time for keeping it is over."""

    statement: Reference
    digest: Digest
