"""An act's fields as options: their names, their help and their values are derived from the act's own class."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import inspect

from mithaq.cli import files
from mithaq.cli.output import Output
from mithaq.kernel.act import CLAUSE, OFFICE, PARTY, REFERENCE, Act, Kind
from mithaq.kernel.errors import Malformed
from mithaq.kernel.statement import LIMIT
from mithaq.kernel.text import ascii_digits, check_lines

PREFIX: Final = "field_"
"""What the names of an act's fields begin with among the arguments."""
RESERVED: Final = frozenset({"clause", "by", "enclose", "check", "home", "language", "json", "help"})
"""Names of options that every act has besides its own fields."""
_NUMBERS: Final = (inspect.IntType, inspect.DateType, inspect.DateTimeType)
_LISTS: Final = (inspect.VarTupleType, inspect.ListType, inspect.SetType, inspect.FrozenSetType)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NAMED: Final = {PARTY: "XA", OFFICE: "OFFICE", REFERENCE: "REF", CLAUSE: "CLAUSE"}
"""How a value is called in the help, by the pattern that it has."""
_STEP: Final = re.compile(r"[A-Za-z_]+|\[[^\]]*\]")
JSON_LIMIT: Final = 4 * LIMIT
"""Bytes of a JSON file that are read: an entry holds fewer, but people write with spaces."""


def fields(kind: Kind) -> Iterator[tuple[inspect.Field, inspect.Type, str]]:
    """(field, its type without description and None, its description in English) of an act."""
    info = inspect.type_info(kind.act)
    assert isinstance(info, inspect.StructType)  # every act is a Struct
    for field in info.fields:
        yield field, *_plain(field.type)


def add_to(parser: argparse.ArgumentParser, kind: Kind, output: Output, *, optional: tuple[str, ...] = ()) -> None:
    """One option for each field of the act. `optional` fields get a value from elsewhere when they are not given."""
    group = parser.add_argument_group(output.word("What is said"))
    for field, plain, description in fields(kind):
        flag = flag_of(kind, field.encode_name)
        options: dict[str, Any] = {"dest": f"{PREFIX}{field.name}", "default": None}
        options["help"] = _help(plain, description, output).replace("%", "%%")
        if isinstance(plain, inspect.BoolType):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
            continue
        options["required"] = field.required and field.name not in optional
        options["metavar"] = _metavar(plain)
        if isinstance(plain, inspect.DictType) or _is_list_of_texts(plain):
            options |= {"nargs": "+", "action": "extend"}
        group.add_argument(flag, **options)


def flag_of(kind: Kind, name: str) -> str:
    """The option of a field; one that every act has (`--clause`) is told apart by the act's own name."""
    prefix = f"{kind.tag.rpartition('.')[2]}_" if name in RESERVED else ""
    return f"--{prefix}{name}".replace("_", "-")


def act_of(kind: Kind, arguments: argparse.Namespace) -> Act:
    """The act that the options describe; what its class refuses is Malformed `statement.malformed` with the field."""
    given: dict[str, object] = {"do": kind.tag}
    for field, plain, _ in fields(kind):
        value = getattr(arguments, f"{PREFIX}{field.name}", None)
        if value is not None:
            given[field.encode_name] = _value(plain, value, field.encode_name)
    for name, value in given.items():
        for each in value if isinstance(value, list) else [value]:
            _check_typed(name, each)
    try:
        return act_from(given, kind.act)
    except Malformed as reason:
        raise _told_better(kind, given, reason) from reason


def _check_typed(name: str, value: object) -> None:
    """The text rules for one field: of the whole statement's text only a place in its JSON could be told."""
    if not isinstance(value, str) or _SURROGATE.search(value):
        return  # bytes that are no text are told as such later
    try:
        check_lines(value)
    except Malformed as reason:
        at = reason.facts.get("at")
        counted = {"at": at + 1} if isinstance(at, int) else {}  # people count from one
        raise Malformed(reason.code, **{**reason.facts, **counted, "field": f"act.{name}"}) from reason


def _told_better(kind: Kind, given: Mapping[str, object], reason: Malformed) -> Malformed:
    """What is wrong with a field, where its own type says it: how long it may be, how it is written."""
    for field, plain, description in fields(kind):
        name, value = f"act.{field.encode_name}", given.get(field.encode_name)
        if value is None:
            continue
        told = str(reason.facts.get("field", ""))
        if told.startswith((f"{name}.", f"{name}[")):
            form = _described(field.type, _STEP.findall(told.removeprefix(name)))
            return Malformed("cli.value", field=told, form=form or description) if form or description else reason
        if told == name:
            return _wrong(name, value, plain, description, reason)
    return reason


def _wrong(name: str, value: object, plain: inspect.Type, description: str, reason: Malformed) -> Malformed:
    if isinstance(plain, inspect.StrType) and plain.max_length and len(str(value)) > plain.max_length:
        return Malformed("cli.too_long", field=name, value=len(str(value)), limit=plain.max_length)
    if isinstance(plain, inspect.DateType | inspect.DateTimeType):
        return Malformed("cli.form", field=name, form=_metavar(plain))
    return Malformed("cli.value", field=name, form=description) if description else reason


def _described(kind: inspect.Type, path: Sequence[str]) -> str:
    """The description of what stands at a path within a type, else of the last thing around it that has one; may be empty."""
    plain, description = _plain(kind)
    if not path:
        return description
    step, rest = path[0], path[1:]
    inner: inspect.Type | None = None
    if isinstance(plain, inspect.StructType):
        inner = next((each.type for each in plain.fields if each.encode_name == step), None)
    elif isinstance(plain, _LISTS):
        inner = plain.item_type
    elif isinstance(plain, inspect.DictType):
        inner = plain.key_type if step == "[key]" else plain.value_type
    return (_described(inner, rest) if inner is not None else "") or description


def act_from(given: object, kind: Any) -> Act:
    """An act from plain values, through its class's own checks."""
    try:
        act: Act = msgspec.convert(given, kind)
    except msgspec.ValidationError as failure:
        raise Malformed("statement.malformed", field=f"act{_place(str(failure))[:120]}") from failure
    return act


def _place(message: str) -> str:
    """Where msgspec's sentence says that it is wrong, as `.text.parties`; what is missing or unknown is named itself."""
    path = message.rpartition("`$")[2].rstrip("`") if "`$" in message else ""
    if "missing required field `" in message or "unknown field `" in message:
        return f"{path}.{message.partition('field `')[2].partition('`')[0]}"
    return f"{path}[key]" if "at `key` in" in message else path


def checked(name: str, value: str, kind: Any) -> str:
    """What stands beside the act, `clause` or `by`, with the form that it must have in words when it has another."""
    try:
        found: str = msgspec.convert(value, kind)
    except msgspec.ValidationError as failure:
        raise Malformed("cli.value", field=name, form=_plain(inspect.type_info(kind))[1]) from failure
    return found


def decoded(text: str, field: str) -> object:
    """JSON as it stands, or the JSON of a file that `@` names. Malformed `cli.not_json`."""
    raw = files.read(text[1:], JSON_LIMIT) if text.startswith("@") else text.encode("utf-8", "surrogatepass")
    return from_json(raw, field)


def from_json(raw: bytes, field: str) -> object:
    """Plain values from JSON."""
    if len(raw) > JSON_LIMIT:
        raise Malformed("statement.oversized", value=len(raw), limit=LIMIT)
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise Malformed("cli.not_json", field=field) from failure


def _plain(kind: inspect.Type) -> tuple[inspect.Type, str]:
    """The type under descriptions and `| None`, with the outermost description."""
    description = ""
    while True:
        if isinstance(kind, inspect.Metadata):
            description = description or str((kind.extra_json_schema or {}).get("description", ""))
            kind = kind.type
        elif isinstance(kind, inspect.UnionType):
            rest = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
            if len(rest) != 1:
                return kind, description
            kind = rest[0]
        elif isinstance(kind, _LISTS) and not description:
            return kind, _plain(kind.item_type)[1]
        else:
            return kind, description


def _is_list_of_texts(plain: inspect.Type) -> bool:
    return isinstance(plain, _LISTS) and isinstance(_plain(plain.item_type)[0], inspect.StrType)


def _metavar(plain: inspect.Type) -> str:
    if isinstance(plain, inspect.IntType):
        return "N"
    if isinstance(plain, inspect.DateType):
        return "YYYY-MM-DD"
    if isinstance(plain, inspect.DateTimeType):
        return "YYYY-MM-DDTHH:MM:SSZ"
    if isinstance(plain, inspect.DictType):
        return "LANGUAGE=TEXT"
    text = _plain(plain.item_type)[0] if isinstance(plain, _LISTS) else plain
    if isinstance(text, inspect.StrType):
        return _NAMED.get(text.pattern or "", "TEXT")
    return "JSON|@FILE"


def _help(plain: inspect.Type, description: str, output: Output) -> str:
    parts = [output.word(description)] if description else []
    if isinstance(plain, inspect.DictType):
        parts.append(output.word("repeat for more languages"))
    elif _is_list_of_texts(plain):
        parts.append(output.word("repeat for more than one"))
    elif isinstance(plain, inspect.DateType):
        parts.append(output.word("a day"))
    elif isinstance(plain, inspect.DateTimeType):
        parts.append(output.word("a moment, UTC"))
    elif isinstance(plain, inspect.BoolType):
        parts.append(output.word("yes or no"))
    elif _metavar(plain).startswith("JSON"):
        parts.append(output.word("JSON, or the name of a JSON file after @"))
    if isinstance(plain, inspect.StrType) and plain.max_length and _metavar(plain) == "TEXT":
        parts.append(output.word("{limit} characters at most", limit=plain.max_length))
    return " ".join([*parts[:1], *(f"({each})" for each in parts[1:])])


def _value(plain: inspect.Type, value: Any, field: str) -> object:
    if isinstance(plain, inspect.BoolType):
        return value
    if isinstance(plain, inspect.DictType):
        pairs = [each.partition("=") for each in value]
        if any(not sign for _, sign, _ in pairs) or len({key for key, _, _ in pairs}) != len(pairs):
            raise Malformed("cli.value", field=f"act.{field}", form=_metavar(plain))
        return {key: text for key, _, text in pairs}
    if isinstance(plain, _NUMBERS):
        plainly = ascii_digits(value)
        return int(plainly) if isinstance(plain, inspect.IntType) and plainly.isdecimal() else plainly
    if isinstance(plain, inspect.StrType) or _is_list_of_texts(plain):
        return value
    return decoded(value, f"act.{field}")
