"""`evidence` writes one statement with its proof; `verify` checks such a file with no network, no folder, no database."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from mithaq.cli import files
from mithaq.cli.offline import offline
from mithaq.cli.output import Output, lines_of
from mithaq.kernel import pairing, proof
from mithaq.kernel.errors import Malformed
from mithaq.kernel.proof import Evidence, Finding, Findings

REFUSED: Final = 3
_STEPS: Final = {
    1: "the file's shape",
    2: "the signatures of the log's party",
    3: "the receipts of the other parties",
    4: "the statement stands in the log",
    5: "whose keys these are",
}
_NOT_GIVEN: Final = "evidence.keys_not_given"
_MARKS: Final = {True: "holds", False: "does not hold", None: "cannot be told from the file"}


def verify(arguments: argparse.Namespace, output: Output) -> int:
    """Every step in words, then the verdict: trusted, only consistent in itself, or refused. Nothing leaves the process."""
    with offline():
        return _verify(arguments, output)


def _verify(arguments: argparse.Namespace, output: Output) -> int:
    evidence = Evidence.parse(files.read(arguments.file, proof.MAX_EVIDENCE))
    findings = proof.check(evidence, _trusted(arguments.keys))
    _show_statement(evidence, output)
    for each in findings.items:
        said = output.sentence(each.code, _readable(each, output))
        mark = "not compared" if each.code == _NOT_GIVEN else _MARKS[each.ok]
        output.text(f"({output.digits(str(each.step))}) {output.word(_STEPS[each.step])}: {output.word(mark)}")
        output.text(f"    {said}")
    absent = [str(each.facts["name"]) for each in findings.items if each.code == _NOT_GIVEN]
    verdict, line = _verdict(findings, given=bool(arguments.keys), absent=bool(absent))
    output.line(line, names=absent)
    output.result(
        {
            "verdict": verdict,
            "origin": evidence.origin,
            "statement": _decoded(evidence.statement),
            "steps": [{"step": e.step, "ok": e.ok, "code": e.code, "facts": dict(e.facts)} for e in findings.items],
        }
    )
    return 0 if findings.ok else REFUSED


def _verdict(findings: Findings, *, given: bool, absent: bool) -> tuple[str, str]:
    """(for programs, for people). Keys of one party alone leave the other's uncompared, which is no sign of a fault."""
    wrong = [each for each in findings.items if each.ok is False and each.code != _NOT_GIVEN]
    if findings.trusted:
        verdict, line = "trusted", "Verified, with the keys that you gave."
    elif findings.ok and given:
        verdict, line = "ok", "Nothing is wrong, but the file shows no receipt of another party."
    elif findings.ok:
        verdict, line = (
            "ok",
            "The file holds by itself. Whose keys these are, it cannot show: compare the fingerprints, or give --keys.",
        )
    elif absent and not wrong:
        verdict, line = (
            "not_compared",
            "The file holds by itself. Not compared, because their keys were not given: {names}. Give their pairing files too.",
        )
    else:
        verdict, line = "refused", "Refused: do not rely on this file."
    return verdict, line


def _trusted(paths: Sequence[str]) -> dict[str, list[str]] | None:
    """The keys of the pairing files by the name that they sign under; None when none were given."""
    trusted: dict[str, list[str]] = {}
    for path in paths:
        known = pairing.parse(files.read(path, pairing.MOST_BYTES))
        trusted[known.origin] = known.log_keys
        trusted[f"{known.origin}/mirror"] = known.mirror_keys
    return trusted or None


def _readable(finding: Finding, output: Output) -> dict[str, object]:
    facts = dict(finding.facts)
    at = facts.get("at")
    if isinstance(at, int):
        facts["at"] = dt.datetime.fromtimestamp(at, dt.UTC)
    if isinstance(facts.get("fingerprint"), str):
        facts["fingerprint"] = output.groups(str(facts["fingerprint"]))
    return facts


def _show_statement(evidence: Evidence, output: Output) -> None:
    """What the file says was said: shown before the verdict, so that both are read together."""
    output.line("A statement in the log {origin}:", origin=evidence.origin)
    said = _decoded(evidence.statement)
    pretty = msgspec.json.format(msgspec.json.encode(said), indent=2).decode() if isinstance(said, dict) else str(said)
    for line in lines_of(pretty):
        output.text(f"    {line}")  # without isolates: what is copied from here is the JSON as it stands
    output.text()


def _decoded(statement: bytes) -> Any:
    try:
        return msgspec.json.decode(statement)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return statement.decode("utf-8", "replace")


def evidence(arguments: argparse.Namespace, output: Output) -> int:
    """Write the evidence file of one statement, through the server where one holds the folder."""
    from mithaq.kernel.statement import split_reference

    try:
        party, n = split_reference(arguments.reference)
    except ValueError as failure:
        raise Malformed("cli.reference", value=arguments.reference[:60]) from failure
    raw = _evidence(arguments, output, party, n)
    found = _decoded(Evidence.parse(raw).statement)
    year = str(found.get("at", ""))[:4] if isinstance(found, dict) else ""
    if f"{party}-{year}-{n:06d}" != arguments.reference:
        raise Malformed("cli.reference", value=arguments.reference[:60])
    files.write(arguments.file, raw)
    output.line("The evidence of {reference} is in {value}.", reference=arguments.reference, value=arguments.file)
    output.result({"reference": arguments.reference, "file": arguments.file, "bytes": len(raw)})
    return 0


def _evidence(arguments: argparse.Namespace, output: Output, party: str, n: int) -> bytes:
    from mithaq.cli import remote
    from mithaq.cli.home import home_of, opened
    from mithaq.kernel.errors import Refused
    from mithaq.kernel.evidence import evidence as made

    home = home_of(arguments)
    try:
        with opened(home, output) as node:
            return made(node, party, n).encode()
    except Refused as reason:
        if reason.code != "node.already_running":
            raise
    return remote.get(home, f"/api/v1/statements/{party}/{n}/evidence", output.lang)
