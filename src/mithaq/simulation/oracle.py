"""A slow judge that shares no code with the node's: which clause was in force for a speaker, from the logs' JSON alone.

It reads plain JSON, knows nothing of the kernel's classes and keeps no state between questions but what it has read.
Amendments are not in the simulated work and not here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Event = tuple[str, int, dict[str, Any]]
CHARTER = {f"agreements.{each}" for each in ("bring_into_force", "decline", "propose", "sign")} | {
    f"charter.{each}" for each in ("erase", "expose", "open_office", "refuse")
}


class Oracle:
    """Asks of every entry: was there a clause in force, and does what the nodes decided agree with that?"""

    def __init__(self, logs: Mapping[str, Sequence[bytes]], verdicts: Mapping[tuple[str, int], str]) -> None:
        self._verdicts = verdicts
        self._logs = logs
        self._events: list[Event] = []
        for party, entries in logs.items():
            for n, entry in enumerate(entries):
                if (party, n) not in verdicts and b'"do":"agreements.' in entry:
                    self._events.append((party, n, json.loads(entry)))
        self._answers: dict[tuple[int, ...], dict[str, dict[str, Any]]] = {}

    def findings(self) -> Iterator[tuple[str, str]]:
        """("effect", …) for an effect without a clause in force, ("refused", …) for a refusal for want of one that was."""
        for party, entries in self._logs.items():
            for n, entry in enumerate(entries):
                code = self._verdicts.get((party, n), "")
                if code and not code.startswith("mandate."):
                    continue
                try:
                    said = json.loads(entry)
                    missing = self._missing(party, n, said)
                except (ValueError, KeyError, TypeError, AttributeError) as failure:
                    missing = f"unreadable: {failure!r}"
                if missing and not code:
                    yield "effect", f"{party} {n} {said['act']['do']} under {said['clause']}: {missing}"
                if code and not missing:
                    yield "refused", f"{party} {n} {said['act']['do']} under {said['clause']}: {code}"

    def _missing(self, party: str, n: int, said: dict[str, Any]) -> str:
        """What stands against it, or nothing."""
        if said["clause"] == "charter":
            return "" if said["act"]["do"] in CHARTER and not said.get("enclosures") else "charter does not name it"
        reference, _, number = said["clause"].rpartition("/")
        agreement = self._agreements(party, n, said.get("seen", {})).get(reference)
        if agreement is None:
            return "no such agreement was seen"
        found = [clause for clause in agreement["text"]["clauses"] if clause["number"] == number]
        if not found or party not in agreement["text"]["parties"]:
            return "no such clause, or not a party"
        day, since, until = said["at"][:10], _since(agreement), _until(agreement, party)
        if not since or day < since or (until and day > until):
            return f"not in force on {day}: from {since or 'never'} until {until or 'further notice'}"
        permits = found[0].get("permits", [])
        lifted = any(permit["act"] == "agreements.resume" for permit in permits)
        if not lifted and any(what in {"", number} for what, _ in agreement["suspended"]):
            return "suspended"
        offices = [office for permit in permits if permit["act"] == said["act"]["do"] for office in permit["offices"]]
        if not any((said["by"] + "/").startswith(office + "/") for office in offices):
            return "the act is not named, or the office is not entitled"
        return "" if not said.get("enclosures") else "the simulated clauses allow no enclosure"

    def _agreements(self, speaker: str, n: int, seen: Mapping[str, int]) -> dict[str, dict[str, Any]]:
        visible = [each for each in self._events if each[1] < (n if each[0] == speaker else seen.get(each[0], 0))]
        key = tuple(sorted(hash((party, place)) for party, place, _ in visible))
        if key not in self._answers:
            self._answers[key] = _add_up(visible)
        return self._answers[key]


def _add_up(events: Sequence[Event]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for party, n, said in events:
        if said["act"]["do"] == "agreements.propose":
            reference = f"{party}-{said['at'][:4]}-{n:06d}"
            found[reference] = {
                "text": said["act"]["text"],
                "signed": {},
                "notified": {},
                "left": {},
                "suspended": set(),
            }
    for party, _, said in events:
        act, day = said["act"], said["at"][:10]
        agreement = found.get(act.get("agreement", ""))
        if agreement is None:
            continue
        what = act["do"].partition(".")[2]
        if what == "sign":
            agreement["signed"].setdefault(party, day)
        elif what == "bring_into_force":
            agreement["notified"].setdefault(party, act["day"])
        elif what == "terminate":
            agreement["left"].setdefault(party, act["day"])
        elif what == "suspend":
            agreement["suspended"].add((act.get("clause", ""), party))
        elif what == "resume":
            agreement["suspended"].discard((act.get("clause", ""), party))
    return found


def _since(agreement: dict[str, Any]) -> str:
    entry, parties = agreement["text"]["entry"], agreement["text"]["parties"]
    bound = agreement["signed" if entry["method"] == "signature" else "notified"]
    if any(party not in bound or party not in agreement["signed"] for party in parties):
        return ""
    return str(max([*bound.values(), entry.get("day", "")]))


def _until(agreement: dict[str, Any], party: str) -> str:
    left, ends = agreement["left"], [agreement["text"]["entry"].get("until", "")]
    ends.append(left.get(party, ""))
    if left and len(agreement["text"]["parties"]) - len(left) < 2:
        ends.append(max(left.values()))
    return min([end for end in ends if end], default="")
