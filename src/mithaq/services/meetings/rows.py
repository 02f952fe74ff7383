"""Rows of the record tables as the values that standings are folded from."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from sqlalchemy import Row

from mithaq.kernel.act import Texts
from mithaq.services.meetings import acts, standing


def _day(text: str) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


def mark_of(row: Row[Any]) -> standing.Mark:
    """Which statement a row comes from."""
    return standing.Mark(row.party, row.n, row.reference, row.at, row.by)


def change_of(row: Row[Any]) -> standing.Change:
    """A row of `sides_table`."""
    return standing.Change(mark_of(row), msgspec.json.decode(row.side, type=acts.Side))


def body_text_of(row: Row[Any]) -> standing.BodyText:
    """A row of `bodies_table`."""
    return standing.BodyText(
        mark_of(row),
        msgspec.json.decode(row.name, type=Texts),
        row.kind,
        row.clause,
        row.agreement,
        msgspec.json.decode(row.sides, type=tuple[acts.Side, ...]),
        row.cadence,
        row.host,
        msgspec.json.decode(row.languages, type=tuple[str, ...]),
    )


def invitation_of(row: Row[Any]) -> standing.Invitation:
    """A row of `invitations_table`."""
    return standing.Invitation(
        mark_of(row),
        row.agreement,
        row.clause,
        row.kind,
        msgspec.json.decode(row.title, type=Texts),
        dt.date.fromisoformat(row.day),
        row.day_precision,
        row.place,
        msgspec.json.decode(row.to, type=tuple[str, ...]),
        row.body,
        msgspec.json.decode(row.agenda, type=tuple[acts.AgendaItem, ...]),
        msgspec.json.decode(row.delegation, type=tuple[acts.Delegate, ...]),
        row.hijri,
    )


def answer_of(row: Row[Any]) -> standing.Answer:
    """A row of `answers_table`."""
    delegation = msgspec.json.decode(row.delegation, type=tuple[acts.Delegate, ...])
    return standing.Answer(mark_of(row), row.what, _day(row.day), row.hijri, delegation, row.reason)


def minutes_text_of(row: Row[Any]) -> standing.MinutesText:
    """A row of `minutes_table`."""
    return standing.MinutesText(
        mark_of(row),
        row.meeting,
        row.hash,
        msgspec.json.decode(row.sides, type=tuple[str, ...]),
        msgspec.json.decode(row.items, type=tuple[acts.MinuteItem, ...]),
        _day(row.next),
        row.next_place,
        msgspec.json.decode(row.replaces, type=tuple[str, ...]),
    )


def signature_of(row: Row[Any]) -> standing.Signature:
    """A row of `signatures_table`."""
    return standing.Signature(mark_of(row), row.minutes, row.hash)


def objection_of(row: Row[Any]) -> standing.Objection:
    """A row of `dissents_table`."""
    return standing.Objection(mark_of(row), row.minutes, row.item, row.text)
