"""The shape of the house (design, section 4): held by tests, so that nobody has to remember it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mithaq.kernel import words
from mithaq.kernel.act import Act
from mithaq.kernel.tables import RECORDS
from mithaq.node import CATALOGUE, SERVICES

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "mithaq"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if "vendor" not in path.parts)
FORBIDDEN = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}
CODE = re.compile(r"[a-z_]+[a-z0-9_]*\.[a-z0-9_]+")
ERRORS = {"Refused", "Malformed", "Unreachable"}
TAGS = sorted(CATALOGUE.kinds)

UNCOVERED: dict[str, str] = {
    "cli.server_silent": "a server that takes a connection and says nothing until time is up: a test would wait for it",
    "cli.file_unreadable": "rights on files do not bind root, who runs the tests in a container",
    "cli.file_unwritable": "as cli.file_unreadable",
    "cli.passphrases_differ": "a person types it at a terminal",
    "demo.node_ended": "a node process that dies while the demonstration runs",
    "demo.not_started": "as demo.node_ended",
    "demo.waited_in_vain": "as demo.node_ended",
    "home.unwritable": "as cli.file_unreadable",
    "serve.failed": "a node that does not come up for a reason that nobody foresaw",
    "check.peer_differs": "no test yet: a peer whose copy is another than ours, on the command line",
    "check.peer_has_none": "no test yet: as check.peer_differs",
    "check.receipt_differs": "no test yet: as check.peer_differs",
    "cli.enclose": "no test yet: a file to enclose that cannot be read",
    "cli.records_old": "no test yet: records of an older version, read without the writer",
    "database.unreadable": "no test yet: a database that goes away while the command line reads it",
    "demo.another_setup": "no test yet: a demonstration's folder with other parties in it",
    "evidence.not_covered": "no test yet: evidence asked for before the receipt is there",
    "exchange.budget": "no test yet: a peer that asks for more than its share",
    "official.exists": "no test yet: the same official entered twice",
    "peer.fault": "no test yet: a peer's answer that is no HTTP",
    "peer.refused_enclosure": "no test yet: a peer that has lost the file it named",
    "serve.tls": "no test yet: a certificate that cannot be loaded",
    "keys.unwritable": "a disk that fails between making a file and renaming it; the same code path as a full disk",
    "home.unreadable": "a folder whose rights change while it is read; root, who runs the tests in a container, may read all",
}
"""Codes that no test produces, each with the reason; the shorter, the better."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def codes_raised() -> dict[str, str]:
    """Every code that is written out where an error is made -> a place."""
    found: dict[str, str] = {}
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in ERRORS:
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.setdefault(first.value, f"{name_of(path)}:{node.lineno}")
    return found


CODES = codes_raised()

# --- acts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", TAGS)
def test_an_act_has_one_sentence_of_help_in_three_languages(tag: str) -> None:
    sentence = CATALOGUE[tag].help
    assert sentence.endswith(".")
    assert ". " not in sentence
    assert words.known(sentence), f"the help of {tag} has no translation in one of {words.LANGUAGES}"


@pytest.mark.parametrize("tag", TAGS)
def test_an_acts_check_and_effect_say_what_they_do(tag: str) -> None:
    kind = CATALOGUE[tag]
    assert kind.check.__doc__
    assert kind.effect.__doc__


@pytest.mark.parametrize("tag", TAGS)
def test_an_act_has_its_heading_in_the_docs(tag: str) -> None:
    service = CATALOGUE[tag].service
    pages = [ROOT / "docs" / "services" / f"{service}.md", ROOT / "docs" / f"{service}.md"]
    text = "".join(page.read_text("utf-8") for page in pages if page.exists())
    assert f"### `{tag}`" in text, f"no heading ### `{tag}` in docs/services/{service}.md"


def kinds_of(kind: Any, path: str) -> Iterator[tuple[str, msgspec.inspect.Type, Any]]:
    """Every type inside a type, with its path and the Metadata around it."""
    found = msgspec.inspect.type_info(kind) if not isinstance(kind, msgspec.inspect.Type) else kind
    if isinstance(found, msgspec.inspect.Metadata):
        found = found.type
    yield path, found, None
    if isinstance(found, msgspec.inspect.StructType):
        for field in found.fields:
            yield from kinds_of(field.type, f"{path}.{field.encode_name}")
    for name in ("item_type", "key_type", "value_type"):
        if (inner := getattr(found, name, None)) is not None:
            yield from kinds_of(inner, f"{path}[{name}]")
    for name in ("item_types", "types"):
        for inner in getattr(found, name, ()):
            yield from kinds_of(inner, path)


@pytest.mark.parametrize("tag", TAGS)
def test_every_field_of_an_act_is_bounded_and_no_number_is_a_float(tag: str) -> None:
    for path, kind, _ in kinds_of(CATALOGUE[tag].act, tag):
        assert not isinstance(kind, msgspec.inspect.FloatType | msgspec.inspect.AnyType | msgspec.inspect.RawType), path
        assert not isinstance(kind, msgspec.inspect.DecimalType | msgspec.inspect.BytesType), path
        if isinstance(kind, msgspec.inspect.IntType):
            assert kind.ge is not None, path
            assert kind.le is not None, path
            assert -(2**53) < kind.ge <= kind.le < 2**53, path
        if isinstance(kind, msgspec.inspect.StrType):
            assert kind.max_length is not None or (kind.pattern or "").endswith(r"\Z"), f"{path} has no bound"
            assert not kind.pattern or r"*\Z" not in kind.pattern or kind.max_length, f"{path} has no bound"
        if isinstance(kind, msgspec.inspect.VarTupleType | msgspec.inspect.ListType | msgspec.inspect.DictType):
            assert kind.max_length is not None, f"{path} has no bound"
        if isinstance(kind, msgspec.inspect.StructType):
            assert kind.forbid_unknown_fields, f"{path} takes unknown fields"
            assert kind.cls.__struct_config__.frozen, path
        if isinstance(kind, msgspec.inspect.DateTimeType):
            assert kind.tz is True, path
            assert path.count(".") == 2, f"{path}: a moment stands in the act itself, where the codec looks at its zone"


@pytest.mark.parametrize("tag", TAGS)
def test_every_pattern_stops_at_the_end_and_not_before_a_last_line_end(tag: str) -> None:
    for path, kind, _ in kinds_of(CATALOGUE[tag].act, tag):
        if isinstance(kind, msgspec.inspect.StrType) and kind.pattern:
            assert not re.search(kind.pattern, "\n"), path
            assert kind.pattern.endswith(r"\Z"), f"{path}: `$` lets a line end pass"


def test_acts_forbid_what_they_do_not_know() -> None:
    for kind in CATALOGUE.kinds.values():
        config = kind.act.__struct_config__
        assert issubclass(kind.act, Act)
        assert config.forbid_unknown_fields
        assert config.omit_defaults
        assert config.frozen


# --- records --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", RECORDS.sorted_tables, ids=lambda table: table.name)
def test_every_record_says_which_statement_it_came_from(table: Any) -> None:
    names = [column.name for column in table.columns]
    assert names[:2] == ["party", "n"]
    assert [column.name for column in table.primary_key][:2] == ["party", "n"]


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.__name__)
def test_every_service_has_the_same_files(service: Any) -> None:
    folder = Path(service.__file__).parent
    assert {"__init__.py", "acts.py", "rules.py", "records.py"} <= {path.name for path in folder.iterdir()}
    assert len(tree(folder / "__init__.py").body) == 1, "one docstring and nothing else"


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_its_sentence_in_three_languages(code: str) -> None:
    assert CODE.fullmatch(code), CODES[code]
    assert words.known(code), f"{code} ({CODES[code]}) has no sentence in one of {words.LANGUAGES}"


@pytest.mark.parametrize("lang", words.LANGUAGES)
def test_no_catalogue_keeps_a_code_that_is_written_nowhere(lang: str) -> None:
    catalogue = (SOURCE / "locale" / lang / "LC_MESSAGES" / "mithaq.po").read_text("utf-8")
    kept = {each for each in re.findall(r'^msgid "(.+)"$', catalogue, re.MULTILINE) if CODE.fullmatch(each)}
    assert kept - {each for path in MODULES for each in CODE.findall(path.read_text("utf-8"))} == set()


def test_every_code_is_produced_by_a_test_or_says_why_not() -> None:
    tests = "\n".join(
        path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py") if path.name != "test_shape.py"
    )
    bare = tests.replace("\\.", ".")
    missing = {code: place for code, place in CODES.items() if code not in bare and not _by_group(code, bare)}
    assert set(missing) - set(UNCOVERED) == set()
    assert set(UNCOVERED) <= set(CODES), "what is listed as uncovered and does not exist any more"


def _by_group(code: str, tests: str) -> bool:
    """A test may name the part behind the point alone, as `"seen_ahead"`, beside its group."""
    group, _, rest = code.partition(".")
    return f'"{rest}"' in tests and (f'"{group}.' in tests or f"{group}.{{" in tests)


# --- modules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is_for_and_keeps_its_size(path: Path) -> None:
    assert path.stem not in FORBIDDEN
    assert not FORBIDDEN & set(path.relative_to(SOURCE).parent.parts)
    lines = path.read_text("utf-8").count("\n")
    assert lines <= 500
    docstring = ast.get_docstring(tree(path))
    assert docstring or path.parts[-2] == "versions", "no docstring"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_fit_on_a_screen(path: Path) -> None:
    if path.parent.name == "versions":
        return  # a migration is one list of what was done on its day
    for function in functions(path):
        length = (function.end_lineno or 0) - function.lineno + 1
        assert length <= 45, f"{function.name} has {length} lines"


def test_a_broad_except_has_its_reason_beside_it() -> None:
    bare: list[str] = []
    for path in MODULES:
        lines = path.read_text("utf-8").splitlines()
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            names = {each.id for each in ast.walk(node.type) if isinstance(each, ast.Name)} if node.type else {""}
            passes_on = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None  # it only cleans up
            broad = names & {"", "Exception", "BaseException"}
            if broad and not passes_on and "#" not in lines[node.lineno - 1]:
                bare.append(f"{name_of(path)}:{node.lineno}")
    assert bare == []


def test_every_package_that_is_installed_for_people_is_used() -> None:
    lines = (ROOT / "requirements.in").read_text("utf-8").splitlines()
    wanted = {re.split(r"[\[<>=]", line)[0].replace("-", "_") for line in lines if line and not line.startswith("#")}
    source = "\n".join(path.read_text("utf-8") for path in MODULES)
    assert {each for each in wanted if not re.search(rf"\b{each}\b", source)} == set()


def test_nothing_of_the_kernel_knows_a_service_and_no_service_another() -> None:
    wrong: list[str] = []
    for path in MODULES:
        parts = path.relative_to(SOURCE).parts
        imported = [
            *(node.module or "" for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom)),
            *(each.name for node in ast.walk(tree(path)) if isinstance(node, ast.Import) for each in node.names),
        ]
        for name in imported:
            kernel_looks_up = parts[0] == "kernel" and re.match(r"mithaq\.(?!kernel\b)", name)
            service_looks_up = parts[0] == "services" and re.match(r"mithaq\.(?!kernel\b|services\b)", name)
            aside = parts[0] == "services" and name.startswith("mithaq.services.") and name.split(".")[2] != parts[1]
            if kernel_looks_up or service_looks_up or aside:
                wrong.append(f"{name_of(path)}: {name}")
    assert wrong == []
