"""One POST for every act: read strictly, asked whether this official may, and handed to the node, which judges."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mithaq.kernel import officials
from mithaq.kernel.act import Office
from mithaq.kernel.errors import Malformed, MithaqError, Refused
from mithaq.kernel.statement import Enclosure, Statement
from mithaq.node import CATALOGUE, NODE_ACTS, Said, Saying
from mithaq.web import problem
from mithaq.web.call import Call, as_json

ONE_LIMIT: Final = 1024 * 1024
MANY_LIMIT: Final = 64 * 1024 * 1024
MOST: Final = 10_000
SAY: Final = "/api/v1/say"

Body: Final[Any] = msgspec.defstruct(
    "Saying",
    [
        ("act", CATALOGUE.union()),
        ("by", Office),
        ("clause", Annotated[str, Meta(max_length=60)], ""),
        ("enclosures", Annotated[tuple[Enclosure, ...], Meta(max_length=16)], ()),
    ],
    frozen=True,
    forbid_unknown_fields=True,
)
"""What an office wants said, as it comes over HTTP. Enclosures are sealed and held here already.
A clause that is left out is answered by the mandate, as a rule is, and not as a fault of shape."""

_DECODER: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(Body)
_OUTER: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MANY: Final = msgspec.json.Decoder(list[msgspec.Raw])


def say(call: Call) -> Response:
    """Say one act, or many in one durable commit, or with `?check=1` hear what stands against it and say nothing."""
    check = {"0": False, "1": True}.get(call.query.get("check", "0"))
    if check is None:
        raise Malformed("api.parameter", field="check")
    outer = _read(_OUTER, call.body)
    if "sayings" in outer:
        return _many(call, outer, check=check)
    if len(call.body) > ONE_LIMIT:
        raise Malformed("api.body_too_large", limit=ONE_LIMIT)
    saying = saying_of(call, call.body)
    if check:
        return as_json(_checked(call.node.check(saying)))
    outcome = call.node.say_all([saying])[0]
    if isinstance(outcome, MithaqError):
        raise outcome
    found = said_at(call, outcome)
    return as_json(found, 201, {"Location": found["location"]})


def _many(call: Call, outer: dict[str, msgspec.Raw], *, check: bool) -> Response:
    """Each is judged by itself; the answer has one outcome for each, in their order."""
    if len(outer) > 1:
        raise Malformed("statement.unknown_field", field=min(set(outer) - {"sayings"})[:60])
    raws = _read(_MANY, bytes(outer["sayings"]))
    if len(raws) > MOST:
        raise Malformed("api.too_many", value=len(raws), limit=MOST)
    outcomes: list[MithaqError | dict[str, Any]] = []
    wanted: list[tuple[int, Saying]] = []
    for position, raw in enumerate(raws):
        try:
            saying = saying_of(call, bytes(raw))
            if check:
                outcomes.append(_checked(call.node.check(saying)))
                continue
        except MithaqError as failure:
            outcomes.append(failure)
            continue
        wanted.append((position, saying))
        outcomes.append({})
    said = call.node.say_all([saying for _, saying in wanted]) if wanted else []
    for (position, _), outcome in zip(wanted, said, strict=True):
        outcomes[position] = outcome if isinstance(outcome, MithaqError) else {"status": 201, **said_at(call, outcome)}
    told = [_outcome(call, position, outcome) for position, outcome in enumerate(outcomes)]
    refused = sum(isinstance(each, MithaqError) for each in outcomes)
    return as_json({"said": len(wanted) and len(told) - refused, "refused": refused, "outcomes": told})


def _outcome(call: Call, position: int, outcome: MithaqError | dict[str, Any]) -> Any:
    if not isinstance(outcome, MithaqError):
        return outcome
    call.watch.refusals.labels(outcome.code).inc()
    return problem.describe(outcome, call.language, f"{SAY}#sayings[{position}]")


def saying_of(call: Call, raw: bytes) -> Saying:
    """Decode one, and ask whether this official may say it; whether the office may is the mandate's question."""
    try:
        body = _DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise call.node.judge.codec.diagnosis(raw, failure) from failure
    if call.official is None:
        raise Refused("official.no_token", field="authorization")
    officials.may_say(call.official, body.by)
    act = str(body.act.__struct_config__.tag)
    if act in NODE_ACTS:
        raise Refused("official.node_says", act=act, field="act")
    return Saying(body.act, body.clause, body.by, body.enclosures, call.official.id)


def said_at(call: Call, said: Said) -> dict[str, Any]:
    party = call.node.party
    location = f"/api/v1/statements/{party}/{said.n}"
    return {"reference": said.reference, "n": said.n, "log": call.node.keys.origin, "location": location}


def _checked(statement: Statement[Any]) -> dict[str, Any]:
    """What would be said: its number may differ by then, when others say something first."""
    return {"ok": True, "would_be": {"reference": statement.reference, "at": statement.at, "do": statement.do}}


def _read(decoder: msgspec.json.Decoder[Any], raw: bytes) -> Any:
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as failure:
        raise Malformed("statement.malformed", field="-") from failure
    except (msgspec.DecodeError, UnicodeDecodeError) as failure:
        raise Malformed("api.not_json") from failure
    except RecursionError as failure:
        raise Malformed("statement.too_deep") from failure
