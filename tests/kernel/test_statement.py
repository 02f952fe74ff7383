"""A statement's bytes: one canonical form and nothing else, whatever comes in."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from mithaq.kernel.errors import MithaqError
from mithaq.kernel.statement import LIMIT, Codec, Enclosure, Statement, split_reference
from mithaq.node import CATALOGUE
from mithaq.services.agreements import acts as agreements
from mithaq.services.channel import acts as channel
from mithaq.services.charter import acts as charter
from tests.nodes import START, treaty

CODEC = Codec(CATALOGUE)
SAY = channel.Say("Gate", "باب المنفذ يفتح في الثامنة", ("XB/border-guard",), START + dt.timedelta(days=1), urgent=True)
SEALED = Enclosure("ab" * 32, "application/pdf", 2**53 - 1, ("XB/border-guard",))
GOOD = Statement[Any](SAY, START, "XA/border-guard", "XA-2026-000001/1", "xa-xb.example", 7, (SEALED,), {"XB": 3})
ENTRY = CODEC.encode(GOOD)
ASCII = CODEC.encode(msgspec.structs.replace(GOOD, act=msgspec.structs.replace(SAY, text="The gate")))
PROPOSAL = CODEC.encode(Statement(agreements.Propose(treaty("XA", "XB")), START, "XA", "charter", "xa-xb.example", 0))


def refused(entry: bytes) -> str:
    with pytest.raises(MithaqError) as caught:
        CODEC.decode(entry)
    assert all(str(value).isascii() for value in caught.value.facts.values())
    return caught.value.code


def never_crashes(entry: bytes) -> None:
    """Either a refusal with a code, or exactly the canonical form."""
    try:
        statement = CODEC.decode(entry)
    except MithaqError as reason:
        assert str(reason.facts.get("field", "")).isascii()  # noqa: PT017  # what a stranger chose is repeated as ASCII
        return
    assert CODEC.encode(statement) == entry
    assert rfc8785.dumps(json.loads(entry)) == entry


def test_what_was_encoded_is_decoded_to_the_same_statement() -> None:
    assert CODEC.decode(ENTRY) == GOOD
    assert GOOD.reference == "XA-2026-000007"
    assert split_reference(GOOD.reference) == ("XA", 7)
    assert (GOOD.party, GOOD.do) == ("XA", "channel.say")


@pytest.mark.parametrize("entry", [ENTRY, PROPOSAL], ids=["say", "propose"])
def test_the_canonical_bytes_are_those_of_rfc_8785(entry: bytes) -> None:
    assert rfc8785.dumps(json.loads(entry)) == entry


LETTERS = st.characters(categories=("Lu", "Ll", "Lo", "Nd", "Zs", "Po", "So"), exclude_characters="\u3164\uffa0")


@given(
    subject=st.text(LETTERS, min_size=1, max_size=40),
    text=st.text(LETTERS | st.sampled_from('"\\\n\t/<>&'), min_size=1, max_size=80),
    urgent=st.booleans(),
    n=st.integers(0, 2**53 - 1),
    seen=st.dictionaries(st.sampled_from(["XB", "XC", "A-B", "AB"]), st.integers(1, 2**53 - 1)),
    languages=st.dictionaries(st.sampled_from(["ar", "fa", "en", "ckb"]), st.text(LETTERS, min_size=1), min_size=1),
)
def test_any_statement_that_is_accepted_has_the_bytes_of_rfc_8785(
    subject: str, text: str, urgent: bool, n: int, seen: dict[str, int], languages: dict[str, str]
) -> None:
    for act in (
        channel.Say(subject, text, ("XB/border-guard",), START if urgent else None, urgent),
        charter.OpenOffice("XA/post", "age1pq1" + "q" * 1952, languages),
    ):
        never_crashes(CODEC.encode(Statement(act, START, "XA", "charter", "xa-xb.example", n, (), seen)))


def changed(**more: object) -> bytes:
    return json.dumps(json.loads(ENTRY) | more, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def act_changed(**more: object) -> bytes:
    return changed(act=json.loads(ENTRY)["act"] | more)


def test_the_way_the_changes_below_are_made_changes_nothing_by_itself() -> None:
    assert changed() == ENTRY
    assert act_changed() == ENTRY


BAD = {
    "nothing": (b"", "statement.malformed"),
    "not JSON": (b"hello", "statement.malformed"),
    "a number": (b"7", "statement.malformed"),
    "null": (b"null", "statement.malformed"),
    "a list": (b"[]", "statement.malformed"),
    "cut off": (ENTRY[:-1], "statement.malformed"),
    "more behind it": (ENTRY + b"{}", "statement.malformed"),
    "a line end behind it": (ENTRY + b"\n", "statement.not_canonical"),
    "a space in it": (ENTRY.replace(b'"n":7', b'"n": 7'), "statement.not_canonical"),
    "a byte order mark": (b"\xef\xbb\xbf" + ENTRY, "statement.malformed"),
    "UTF-16": (ENTRY.decode().encode("utf-16"), "statement.malformed"),
    "broken UTF-8": (ENTRY.replace("باب".encode(), b"\xd8"), "statement.malformed"),
    "an overlong slash": (ENTRY.replace(b"Gate", b"\xc0\xaf"), "statement.malformed"),
    "a surrogate in UTF-8": (ENTRY.replace(b"Gate", b"\xed\xa0\x80"), "statement.malformed"),
    "an escaped lone surrogate": (ENTRY.replace(b"Gate", rb"\ud800"), "statement.malformed"),
    "an escaped letter": (ENTRY.replace(b"Gate", rb"\u0047ate"), "statement.not_canonical"),
    "an escaped slash": (ENTRY.replace(b"Gate", rb"Ga\/te"), "statement.not_canonical"),
    "a null character": (ENTRY.replace(b"Gate", rb"Ga\u0000te"), "text.forbidden_character"),
    "a delete character": (ENTRY.replace(b"Gate", b"Ga\x7fte"), "text.forbidden_character"),
    "a delete character in plain ASCII": (ASCII.replace(b"Gate", b"Ga\x7fte"), "text.forbidden_character"),
    "a subject of two lines": (act_changed(subject="Gate\nGate"), "statement.malformed"),
    "a control that is hidden": (ENTRY.replace(b"Gate", "Ga\u202ete".encode()), "text.forbidden_character"),
    "a text that is not NFC": (ENTRY.replace(b"Gate", "Gate\u0301".encode()), "text.not_nfc"),
    "keys out of order": (json.dumps(dict(reversed(json.loads(ENTRY).items()))).encode(), "statement.not_canonical"),
    "a key twice": (ENTRY[:-1] + b',"n":7}', "statement.not_canonical"),
    "a default written out": (changed(enclosures=[], seen={}), "statement.not_canonical"),
    "a default of the act written out": (act_changed(urgent=False), "statement.not_canonical"),
    "an unknown field": (changed(x=1), "statement.unknown_field"),
    "an unknown field in the act": (act_changed(x=1), "statement.unknown_field"),
    "an unknown field with a hidden name": (act_changed(**{"\u202e\u0000": 1}), "statement.unknown_field"),
    "an unknown act": (changed(act={"do": "channel.shout"}), "statement.unknown_act"),
    "an unknown act with a hidden name": (changed(act={"do": "\u202e"}), "statement.unknown_act"),
    "an act that is none": (changed(act={"do": 7}), "statement.malformed"),
    "an act without a name": (changed(act={}), "statement.malformed"),
    "a missing field": (json.dumps({"n": 7}).encode(), "statement.malformed"),
    "a float": (ENTRY.replace(b'"n":7', b'"n":7.5'), "statement.malformed"),
    "a whole float": (ENTRY.replace(b'"n":7', b'"n":7.0'), "statement.malformed"),
    "an exponent": (ENTRY.replace(b'"n":7', b'"n":7e0'), "statement.malformed"),
    "a negative number": (ENTRY.replace(b'"n":7', b'"n":-7'), "statement.malformed"),
    "minus nought": (ENTRY.replace(b'"n":7', b'"n":-0'), "statement.not_canonical"),
    "a leading nought": (ENTRY.replace(b'"n":7', b'"n":07'), "statement.malformed"),
    "2**53": (ENTRY.replace(b'"n":7', b'"n":9007199254740992'), "statement.malformed"),
    "2**64": (ENTRY.replace(b'"n":7', b'"n":18446744073709551616'), "statement.malformed"),
    "a number of 5,000 digits": (ENTRY.replace(b'"n":7', b'"n":' + b"9" * 5000), "statement.malformed"),
    "1e999": (ENTRY.replace(b'"n":7', b'"n":1e999'), "statement.malformed"),
    "NaN": (ENTRY.replace(b'"n":7', b'"n":NaN'), "statement.malformed"),
    "a number as text": (changed(n="7"), "statement.malformed"),
    "a yes as a number": (act_changed(urgent=1), "statement.malformed"),
    "seen of nothing": (changed(seen={"XB": 0}), "statement.malformed"),
    "seen of a name that is none": (changed(seen={"xb": 1}), "statement.malformed"),
    "a time without a zone": (changed(at="2026-03-01T08:00:00"), "statement.malformed"),
    "a time of another zone": (changed(at="2026-03-01T08:00:00+03:00"), "statement.not_canonical"),
    "a time with its zone as digits": (changed(at="2026-03-01T08:00:00+00:00"), "statement.not_canonical"),
    "a time with fractions": (changed(at="2026-03-01T08:00:00.500000Z"), "statement.not_canonical"),
    "a day that is none": (changed(at="2026-02-30T08:00:00Z"), "statement.malformed"),
    "a deadline of another zone": (act_changed(acknowledge_by="2026-03-02T08:00:00+03:00"), "statement.not_canonical"),
    "a deadline with fractions": (act_changed(acknowledge_by="2026-03-02T08:00:00.500000Z"), "statement.not_canonical"),
    "an office that is none": (changed(by="XA/../XB"), "statement.malformed"),
    "an office with a line end": (changed(by="XA/border-guard\n"), "statement.malformed"),
    "a clause with a line end": (changed(clause="charter\n"), "statement.malformed"),
    "a text that is empty": (act_changed(text=""), "statement.malformed"),
    "a text that is too long": (act_changed(text="x" * 8001), "statement.malformed"),
    "33 addressees": (act_changed(to=["XB"] * 33), "statement.malformed"),
    "17 enclosures": (changed(enclosures=json.loads(ENTRY)["enclosures"] * 17), "statement.malformed"),
    "too long": (b" " * (LIMIT + 1), "statement.oversized"),
    "deep": (b"[" * 30_000, "statement.too_deep"),
    "deep and closed": (b"[" * 30_000 + b"]" * 30_000, "statement.too_deep"),
    "deep in a field": (act_changed(text=json.loads("[" * 500 + "]" * 500)), "statement.too_deep"),
    "deep in an unknown field": (b'{"act":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, "statement.too_deep"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_the_canonical_form_is_malformed(name: str) -> None:
    entry, code = BAD[name]
    assert refused(entry) == code


@pytest.mark.parametrize("frames", [0, 200, 500])
def test_how_deep_is_too_deep_does_not_depend_on_who_asks(frames: int) -> None:
    def asked(more: int) -> str:
        return asked(more - 1) if more else refused(b'{"x":' + b"[" * 800 + b"]" * 800 + b"}")

    assert asked(frames) == "statement.too_deep"


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all objects with fields of ours: maps by language or party are none."""
    found: list[tuple[Any, ...]] = []
    if isinstance(value, dict):
        if not path or path[-1] not in {"text", "title", "seen", "names"} or "clauses" in value:
            found.append(path)
        for key, item in value.items():
            found += places(item, (*path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            found += places(item, (*path, position))
    return found


@pytest.mark.parametrize("path", [*places(json.loads(PROPOSAL)), ("enclosures", 0)], ids=str)
def test_an_unknown_field_is_refused_at_every_level(path: tuple[Any, ...]) -> None:
    whole = json.loads(ENTRY if path == ("enclosures", 0) else PROPOSAL)
    inside = whole
    for key in path:
        inside = inside[key]
    inside["zzz"] = 1
    assert refused(json.dumps(whole, separators=(",", ":"), sort_keys=True).encode()) == "statement.unknown_field"


def test_a_statement_that_grows_too_large_is_not_encoded() -> None:
    text = treaty(
        "XA",
        "XB",
        concluded="x",
        clauses=tuple(
            msgspec.structs.replace(treaty("XA", "XB").clauses[0], number=str(n), text={"en": "x" * 8000})
            for n in range(9)
        ),
    )
    with pytest.raises(MithaqError, match=r"statement\.oversized"):
        CODEC.encode(Statement(agreements.Propose(text), START, "XA", "charter", "xa-xb.example", 0))


@given(st.binary(max_size=400))
@example(b'{"act":{"do":"\xff')
def test_random_bytes_are_refused_with_a_code(entry: bytes) -> None:
    never_crashes(entry)


@given(st.sampled_from([ENTRY, ASCII, PROPOSAL]), st.data())
def test_an_entry_with_bytes_changed_is_refused_or_still_canonical(entry: bytes, data: st.DataObject) -> None:
    raw = bytearray(entry)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        what = data.draw(st.sampled_from(["change", "insert", "delete", "double"]))
        if what == "change":
            raw[at] = data.draw(st.integers(0, 255))
        elif what == "insert":
            raw[at:at] = data.draw(st.binary(min_size=1, max_size=4))
        elif what == "delete":
            del raw[at : at + data.draw(st.integers(1, 8))]
        else:
            raw[at:at] = raw[at : at + 20]
    never_crashes(bytes(raw))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["act", "at", "by", "clause", "commission", "n", "enclosures", "seen", "x"])


@given(st.dictionaries(FIELDS, JSON, max_size=3), st.dictionaries(st.text(max_size=8), JSON, max_size=2))
def test_an_entry_with_any_value_in_any_field_is_refused_or_still_canonical(
    outer: dict[str, Any], inner: dict[str, Any]
) -> None:
    value = json.loads(ENTRY) | outer
    if isinstance(value["act"], dict):
        value["act"] |= inner
    raw = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    never_crashes(raw.encode("utf-8", "surrogatepass"))
    never_crashes(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
