"""An agreement as data: what is signed is its hash, and it holds nothing that is not bounded."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import rfc8785

from mithaq.demo import agreements as demo
from mithaq.kernel.mandate import Agreement, Entry
from tests import fixtures
from tests.nodes import treaty

ALL = [
    *demo.load(),
    *[
        (f"{name} {n}", text)
        for name in ("second_pair", "three")
        for n, text in enumerate(fixtures.load(name).agreements)
    ],
    ("treaty", treaty("XA", "XB")),
]


@pytest.mark.parametrize("name, text", ALL, ids=[name for name, _ in ALL])
def test_the_hash_is_of_the_bytes_of_rfc_8785(name: str, text: Agreement) -> None:
    import hashlib

    raw = msgspec.json.encode(text, order="sorted")
    assert rfc8785.dumps(json.loads(raw)) == raw
    assert text.hash() == hashlib.sha256(raw).hexdigest()
    assert msgspec.json.decode(raw, type=Agreement) == text


def test_any_change_changes_the_hash() -> None:
    text = treaty("XA", "XB")
    others = [
        treaty("XB", "XA"),
        treaty("XA", "XB", title="On other posts"),
        treaty("XA", "XB", entry=Entry("notification")),
        treaty("XA", "XB", concluded="Baghdad, 19 March 2023"),
        treaty("XA", "XB", clauses=text.clauses[:2]),
    ]
    assert len({each.hash() for each in (text, *others)}) == 6


def value(**more: Any) -> dict[str, Any]:
    return json.loads(msgspec.json.encode(treaty("XA", "XB"))) | more


def clause(**more: Any) -> dict[str, Any]:
    first = value()["clauses"][0]
    return value(clauses=[first | more])


def sealed(**more: Any) -> dict[str, Any]:
    first = value()["clauses"][0]["permits"][0]
    return clause(permits=[first | {"enclosures": first["enclosures"] | more}])


@pytest.mark.parametrize(
    "bad",
    [
        value(parties=["XA"]),
        value(parties=["XA", "xb"]),
        value(parties=["XA", "XB\n"]),
        value(parties=[f"X{n}" for n in range(33)]),
        value(clauses=[]),
        value(clauses=value()["clauses"] * 100),
        value(title={}),
        value(title={"english": "x"}),
        value(title={"en": ""}),
        value(marked={"english": "x"}),
        value(entry={"method": "silence"}),
        value(entry={"method": "signature", "day": "2026-02-30"}),
        value(concluded="x" * 121),
        value(extra=1),
        clause(number="one"),
        clause(number="1.2.3.4.5"),
        clause(number="1\n"),
        clause(permits=[{"act": "Channel.Say", "offices": ["XA"]}]),
        clause(permits=[{"act": "channel.say", "offices": []}]),
        clause(permits=[{"act": "channel.say", "offices": ["XA/*"]}]),
        clause(obliges=[{"owed_by": "XA", "owed_to": ["XB"], "what": {"en": "x"}, "due": "soon"}]),
        clause(obliges=[{"owed_by": "XA", "owed_to": [], "what": {"en": "x"}}]),
        sealed(max_bytes=0),
        sealed(max_bytes=2**40 + 1),
        sealed(max_bytes=1.5),
        sealed(keep_days=0),
        sealed(keep_days=36_526),
        sealed(max_count=17),
        sealed(media=["*/*"]),
        sealed(media=["application/pdf; x=1"]),
        sealed(to=[]),
    ],
)
def test_what_is_out_of_bounds_is_no_agreement(bad: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(bad), type=Agreement)


@pytest.mark.parametrize("due", ["", "2026-05", "2026-05-01", "P30D", "R/P6M", "P1Y"])
def test_a_due_time_is_a_day_a_month_a_period_a_recurrence_or_none(due: str) -> None:
    good = clause(obliges=[{"owed_by": "XA", "owed_to": ["XB"], "what": {"en": "x"}, "due": due}])
    assert msgspec.json.decode(json.dumps(good), type=Agreement).clauses[0].obliges[0].due == due
