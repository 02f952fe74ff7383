"""The API's description, OpenAPI 3.1, made from the acts and from the table of routes: nothing is written twice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from mithaq import __version__
from mithaq.kernel import words
from mithaq.kernel.act import OFFICE, PARTY, REFERENCE, ecma
from mithaq.kernel.statement import Enclosure
from mithaq.node import CATALOGUE
from mithaq.register.answers import QUESTIONS
from mithaq.web.access import ACCESS, ANYONE
from mithaq.web.problem import MEDIA, Problem
from mithaq.web.register import DeskBody

_PLACE: Final = re.compile(r"\{(\w+)\}")
_REF: Final = "#/components/schemas/{name}"
_NUMBER: Final = {"type": "integer", "minimum": 0}
_PARAMETERS: Final[dict[str, dict[str, Any]]] = ecma(
    {
        "party": {"type": "string", "pattern": PARTY},
        "n": _NUMBER,
        "reference": {"type": "string", "pattern": REFERENCE},
        "from": _NUMBER,
        "limit": {"type": "integer", "minimum": 1, "maximum": 500},
        "to": {"type": "string", "description": "offices, separated by commas"},
        "media": {"type": "string"},
        "by": {"type": "string", "pattern": OFFICE},
        "office": {"type": "string", "pattern": OFFICE},
        "reason": {"type": "string", "minLength": 1},
        "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "check": {"type": "string", "enum": ["0", "1"]},
        "secret": {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"},
        "question": {"type": "string", "enum": sorted(QUESTIONS)},
        "side": {"type": "string", "pattern": PARTY, "description": "the side that has to act"},
        "clause": {"type": "string", "description": "a clause, or a whole agreement"},
        "body": {"type": "string", "pattern": REFERENCE},
        "month": {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"},
        "on": {"type": "string", "format": "date"},
        "year": {"type": "string", "pattern": "^[1-9][0-9]{3}$"},
        "moment": {"type": "string", "description": "a moment, a day, or last: the last visit"},
    }
)


class Described(NamedTuple):
    """A route as it is described: its key in ACCESS, a sentence (also its message id), query parameters, media type."""

    key: str
    about: str
    query: frozenset[str] = frozenset()
    media: str = "application/json"
    takes: str = "application/json"
    body: str = ""
    """The schema of the body, where it is not what `say` takes."""


def document(routes: Iterable[Described], language: str) -> dict[str, Any]:
    """The whole description, with the acts' sentences in the caller's language where they are translated."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        method, _, path = route.key.partition(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(route, method, path, language)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mithaq",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(language),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Described, method: str, path: str, language: str) -> dict[str, Any]:
    named = [(name, "path") for name in _PLACE.findall(path)] + [(name, "query") for name in sorted(route.query)]
    good = {"description": words.say(route.about, language), "content": {route.media: {}}}
    callers = sorted(caller for caller, grant in ACCESS[route.key].items() if grant != "no")
    operation: dict[str, Any] = {
        "operationId": _identifier(method, path),
        "summary": words.say(route.about, language),
        "parameters": [
            {"name": name, "in": where, "required": where == "path", "schema": _PARAMETERS[name]}
            for name, where in named
        ],
        "responses": {
            **({"201": good, "200": good} if method == "POST" else {"200": good}),
            "default": {
                "description": words.say("Refused", language),
                "content": {MEDIA: {"schema": {"$ref": _REF.format(name="Problem")}}},
            },
        },
        "x-callers": callers,
    }
    if ACCESS[route.key][ANYONE] == "no":
        operation["security"] = [{"token": []}]
    if method == "POST":
        taken = {"$ref": _REF.format(name=route.body)} if route.body else _body()
        content = {"schema": taken} if route.takes == "application/json" else {}
        operation["requestBody"] = {"required": True, "content": {route.takes: content}}
    return operation


def _identifier(method: str, path: str) -> str:
    words_ = [part.strip("{}").replace(".", "_") for part in path.split("/") if part not in {"", "api", "v1"}]
    return "_".join([method.lower(), *words_])


def _body() -> dict[str, Any]:
    one = {"$ref": _REF.format(name="Saying")}
    many = {
        "type": "object",
        "required": ["sayings"],
        "additionalProperties": False,
        "properties": {"sayings": {"type": "array", "items": one, "maxItems": 10_000}},
    }
    return {"oneOf": [one, many]}


def _schemas(language: str) -> dict[str, Any]:
    acts, components = CATALOGUE.schemas()
    (*_, desk), more = msgspec.json.schema_components([Enclosure, Problem, DeskBody], ref_template=_REF)
    schemas: dict[str, Any] = {**ecma(more), **components}
    for tag, reference in acts.items():
        name = reference["$ref"].rpartition("/")[2]
        about = {"title": tag, "description": words.say(CATALOGUE[tag].help, language)}
        schemas[name] = {**components[name], **about}
    schemas["Act"] = _union(acts)
    schemas["Desk"] = desk
    schemas["Saying"] = {
        "type": "object",
        "required": ["act", "by"],
        "additionalProperties": False,
        "properties": {
            "act": {"$ref": _REF.format(name="Act")},
            "clause": {"type": "string"},
            "by": {"type": "string"},
            "enclosures": {"type": "array", "maxItems": 16, "items": {"$ref": _REF.format(name="Enclosure")}},
        },
    }
    return schemas


def _union(acts: Mapping[str, Any]) -> dict[str, Any]:
    mapping = {tag: reference["$ref"] for tag, reference in acts.items()}
    return {"oneOf": list(acts.values()), "discriminator": {"propertyName": "do", "mapping": mapping}}
