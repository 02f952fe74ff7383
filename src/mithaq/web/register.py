"""What the API answers of a secretary's questions, and an official's own desk: notes, drafts, the last visit."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final
from weakref import WeakKeyDictionary

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mithaq.kernel.act import PartyCode
from mithaq.kernel.errors import Malformed, MithaqError, Refused
from mithaq.node import Node
from mithaq.register import answers, desk
from mithaq.register.asking import Asker
from mithaq.services.obligations.register import Register
from mithaq.web import saying
from mithaq.web.call import Call, as_json

_KEPT: Final[WeakKeyDictionary[Node, Register]] = WeakKeyDictionary()
"""The register of each node, kept between calls: what is asked again is folded again only where something was said."""

Number = Annotated[int, Meta(ge=1, le=2**53 - 1)]
About = Annotated[str, Meta(max_length=desk.LONGEST_ABOUT)]


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="note", tag_field="do"):
    """A note for oneself."""

    text: Annotated[str, Meta(min_length=1, max_length=desk.LONGEST_NOTE)]
    about: About = ""


class Draft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="draft", tag_field="do"):
    """A draft of what may be said: the object of `POST /api/v1/say`, finished or not."""

    saying: dict[str, Any]
    about: About = ""


class SayDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="say", tag_field="do"):
    """Say a draft, and take it from the desk."""

    id: Number


class Drop(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="drop", tag_field="do"):
    """Throw a note or a draft away."""

    id: Number


class Visited(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="visit", tag_field="do"):
    """Remember up to where one has looked: `upto` as an answer to `since` gave it."""

    upto: Annotated[dict[PartyCode, Annotated[int, Meta(ge=0, le=2**53 - 1)]], Meta(max_length=64)]


DeskBody = Note | Draft | SayDraft | Drop | Visited
_DECODER: Final[msgspec.json.Decoder[DeskBody]] = msgspec.json.Decoder(DeskBody)


def question(call: Call) -> Response:
    """One question with its filters; an auditor gets places, words and counts, and nothing of what was said."""
    register = _KEPT.setdefault(call.node, Register())
    asker = Asker(call.node.party, (call.node.party, *sorted(call.node.peers)), _today(call))
    with call.node.database.read() as connection:
        table = answers.Desk(connection, register, asker, _official(call))
        found = answers.answer(table, call.path["question"], call.query)
    return as_json(answers.bare(found) if call.bare else found)


def own_desk(call: Call) -> Response:
    """What lies on the caller's own desk; nobody else's, whatever the role."""
    with call.node.database.read() as connection:
        found = desk.kept(connection, _official(call))
    return as_json({"desk": found})


def put(call: Call) -> Response:
    """Keep a note or a draft, drop it, say a draft, or remember a visit."""
    body = _read(call)
    if isinstance(body, SayDraft):
        return _say(call, body.id)
    official, now = _official(call), int(call.node.clock())
    if isinstance(body, Note):
        number = call.node.writer.do(
            lambda connection: desk.keep(connection, official, "note", body.text, about=body.about, now=now)
        )
        return as_json({"id": number}, 201)
    if isinstance(body, Draft):
        content = msgspec.json.encode(body.saying).decode()
        number = call.node.writer.do(
            lambda connection: desk.keep(connection, official, "draft", content, about=body.about, now=now)
        )
        return as_json({"id": number}, 201)
    if isinstance(body, Drop):
        call.node.writer.do(lambda connection: desk.drop(connection, official, body.id))
        return as_json({"id": body.id, "dropped": True})
    call.node.writer.do(lambda connection: desk.remember_visit(connection, official, body.upto, now))
    return as_json({"visited": body.upto})


def _say(call: Call, number: int) -> Response:
    """As `POST /api/v1/say` says it, by the same checks; only what was said leaves the desk."""
    official = _official(call)
    with call.node.database.read() as connection:
        kept = desk.find(connection, official, number, "draft")
    wanted = saying.saying_of(call, kept.content.encode())
    outcome = call.node.say_all([wanted])[0]
    if isinstance(outcome, MithaqError):
        raise outcome
    call.node.writer.do(lambda connection: desk.drop(connection, official, number))
    found = saying.said_at(call, outcome)
    return as_json(found, 201, {"Location": found["location"]})


def _read(call: Call) -> DeskBody:
    if len(call.body) > saying.ONE_LIMIT:
        raise Malformed("api.body_too_large", limit=saying.ONE_LIMIT)
    try:
        return _DECODER.decode(call.body)
    except msgspec.ValidationError as failure:
        raise Malformed("desk.malformed", field="do") from failure
    except (msgspec.DecodeError, UnicodeDecodeError) as failure:
        raise Malformed("api.not_json") from failure
    except RecursionError as failure:
        raise Malformed("statement.too_deep") from failure


def _official(call: Call) -> str:
    if call.official is None:
        raise Refused("official.no_token", field="authorization")
    return call.official.id


def _today(call: Call) -> dt.date:
    return dt.datetime.fromtimestamp(int(call.node.clock()), dt.UTC).date()
