"""The story of the demonstration, step by step, as a person would tell it; each step is asked of the real nodes."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from mithaq.demo import agreements, register_step
from mithaq.demo.side import Problem, Side, check_free
from mithaq.kernel import pairing, text, words
from mithaq.kernel.errors import MithaqError, Refused, Unreachable
from mithaq.kernel.mandate import Agreement

COMMISSION: Final = "ir-iq.example"
PORTS: Final = (8461, 8462)
BACKLOG: Final = 1000
GROUP: Final = 100
_RLM, _LRI, _PDI = "\u200f", "\u2066", "\u2069"
POST_OF: Final = {"IR": "IR/border-guard/mehran", "IQ": "IQ/border-guard/zurbatiyah"}


class Failed(Exception):  # the story's own word
    """A step did not show what it promises."""


class Story:
    """Two sides and the steps."""

    def __init__(self, folder: Path, ports: tuple[int, int], lang: str) -> None:
        self.lang: Final = lang
        self.mark: Final = _RLM if words.direction(lang) == "rtl" else ""
        self.names: Final[dict[str, Any]] = {**agreements.parties()}
        for offices in agreements.offices().values():
            self.names.update(offices)
        self.folder: Final = folder
        self.ir: Final = Side("IR", folder, ports[0])
        self.iq: Final = Side("IQ", folder, ports[1])
        self.sides: Final = (self.ir, self.iq)
        self.references: dict[str, str] = {}
        self.message = ""

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """Title (an English message id) and what is done."""
        return [
            ("Two nodes make their keys, exchange pairing files, and read one fingerprint aloud", self.pair),
            ("The agreements that five public reports speak of are proposed and signed", self.agree),
            ("A border post writes to the other side's post, with a sealed enclosure", self.write),
            (register_step.TITLE, lambda: register_step.FollowUp(self).tell()),
            ("What no clause allows is refused, and each refusal says why", self.refuse),
            ("The other node is stopped, 1,000 statements are said, and it returns", self.outage),
            ("One statement is proved to a stranger, without a network", self.prove),
        ]

    def tell(self, msgid: str, *, deeper: bool = False, **facts: Any) -> None:
        """One line of the story in the reader's language."""
        self.show(words.say(msgid, self.lang, isolate=True, **facts), deeper=deeper)

    def show(self, line: str, *, deeper: bool = False) -> None:
        """A line that is put together already. A mark before it: one that begins with Latin letters runs from the right too."""
        print(f"{self.mark}{'        ' if deeper else '    '}{line}", flush=True)

    def code(self, text: str) -> str:
        """A reference, a path or digits: from left to right in every line."""
        return f"{_LRI}{text}{_PDI}" if self.mark else text

    def named(self, code: str) -> str:
        """A party or an office by its name in the reader's language, with its code beside it."""
        texts = self.names.get(code, {})
        name = texts.get(self.lang, texts.get("en", ""))
        return f"{name} ({self.code(code)})" if name else self.code(code)

    def written(self, msgid: str, **facts: Any) -> str:
        """What the officials of the story write: in the reader's language, and without marks, for it stands in a log."""
        return words.say(msgid, self.lang, **facts)

    # --- 1 ------------------------------------------------------------------------------------------------------

    def pair(self) -> None:
        """Keys, pairing files, the digits, two processes."""
        names, offices = agreements.parties(), agreements.offices()
        for side in self.sides:
            made = side.make(COMMISSION, dict(names[side.party]), sorted(offices[side.party]))
            self.tell(
                "{party}: new keys and a folder of its own" if made else "{party}: reuses its folder and keys",
                party=self.named(side.party),
            )
        files = {side.party: pairing.parse(side.home.own_pairing_file(side.party).read_bytes()) for side in self.sides}
        digits = pairing.fingerprint(*files.values())
        self.tell("Both officers read these digits to one another; they must be the same:")
        groups = digits.split()
        for start in (0, 6):
            line = [self.code(text.digits(group, self.lang)) for group in groups[start : start + 6]]
            self.show(f"{_LRI}{'  '.join(line)}{_PDI}" if self.mark else "  ".join(line), deeper=True)
        self.ir.home.accept(files["IQ"])
        self.iq.home.accept(files["IR"])
        for side in self.sides:
            side.start()
            self.tell("{party}: its node answers at {address}", party=self.named(side.party), address=side.address)

    # --- 2 ------------------------------------------------------------------------------------------------------

    def agree(self) -> None:
        """Propose, sign on both sides, bring into force where the text asks for notification."""
        known = {each["hash"]: each["reference"] for each in self.ir.get("/api/v1/agreements")["agreements"]}
        for name, agreed in agreements.load():
            reference = known.get(agreed.hash()) or self._conclude(agreed)
            self.references[name] = reference
            title = agreed.title.get(self.lang, agreed.title["en"])
            self.show(f"{self.code(reference)}  {title}")
            self.show(agreed.marked.get(self.lang, ""), deeper=True)
            cited = sum(len(clause.cites) for clause in agreed.clauses)
            self.tell(
                "{clauses} clauses, {cited} sentences of the reports cited, in force for both sides",
                deeper=True,
                clauses=len(agreed.clauses),
                cited=cited,
            )

    def _conclude(self, agreed: Agreement) -> str:
        propose = {"do": "agreements.propose", "text": agreed}
        reference = self.ir.say(propose, "charter", "IR/foreign-affairs")
        sign = {"do": "agreements.sign", "agreement": reference, "hash": agreed.hash()}
        self.ir.say(sign, "charter", "IR/foreign-affairs")
        self._wait_for_agreement(self.iq, reference, lambda found: "IR" in found["signed"])
        self.iq.say(sign, "charter", "IQ/foreign-affairs")
        if agreed.entry.method == "notification":
            for side in self.sides:
                day = self._wait_for_agreement(side, reference, lambda found: len(found["signed"]) == 2)["signed"]
                notice = {"do": "agreements.bring_into_force", "agreement": reference, "day": max(day.values())}
                side.say(notice, "charter", f"{side.party}/foreign-affairs")
        for side in self.sides:
            self._wait_for_agreement(side, reference, lambda found: found["binds_from"])
        return reference

    def _wait_for_agreement(self, side: Side, reference: str, holds: Callable[[Any], Any]) -> Any:
        def is_there(answer: Any) -> bool:
            found = next((each for each in answer["agreements"] if each["reference"] == reference), None)
            return bool(found and holds(found))

        answer = side.wait_for("/api/v1/agreements", is_there)
        return next(each for each in answer["agreements"] if each["reference"] == reference)

    # --- 3 ------------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Say, deliver, open, acknowledge; the office that was not named cannot open."""
        clause, to = self._talk_clause(), POST_OF["IQ"]
        letter = words.say("Twelve buses with pilgrims will arrive before noon; please open the third lane.", self.lang)
        answer = self.ir.call(
            "POST",
            "/api/v1/enclosures",
            params={"to": to, "media": "text/plain", "by": POST_OF["IR"]},
            content=letter.encode(),
        )
        enclosure = msgspec.json.decode(answer.content)
        act = {"do": "channel.say", "to": [to]}
        act |= {"subject": self.written("Lane 3"), "text": self.written("Please see the enclosure.")}
        self.message = self.ir.say(act, clause, POST_OF["IR"], [enclosure])
        self.tell(
            "{by} says {reference} under clause {clause}, sealed to {to}",
            by=self.named(POST_OF["IR"]),
            reference=self.message,
            clause=clause,
            to=self.named(to),
        )
        self.iq.wait_for(
            "/api/v1/waiting", lambda found: any(each["reference"] == self.message for each in found["waiting"])
        )
        n = int(self.message.rsplit("-", 1)[1])
        self.ir.wait_for("/api/v1/receipts", lambda found: any(each["size"] > n for each in found["received"]))
        self.tell("Delivered; {party} has receipted it with both its signatures", party=self.named("IQ"))
        opened = self._open(enclosure["digest"], to)
        if opened != letter.encode():
            raise Failed("demo.enclosure_differs")
        self.tell("Opened by {office}: {text}", office=self.named(to), text=letter)
        try:
            self._open(enclosure["digest"], "IQ/customs")
        except Problem as problem:
            self.tell(
                "{office} was not named and cannot open it: {reason}",
                office=self.named("IQ/customs"),
                reason=self._reason(problem),
            )
        else:
            raise Failed("demo.third_office_opened")
        self.iq.say({"do": "channel.acknowledge", "message": self.message}, clause, to)
        path = f"/api/v1/messages/{self.message}"
        self.ir.wait_for(path, lambda found: found["messages"][0]["acknowledged"])
        self.tell("{office} has acknowledged it, and {party} knows", office=self.named(to), party=self.named("IR"))

    def _open(self, digest: str, office: str) -> bytes:
        def there(answer: Any) -> bool:
            return any(each["digest"] == digest and each["state"] == "held" for each in answer["enclosures"])

        self.iq.wait_for("/api/v1/enclosures", there)
        question = {"office": office, "reason": self.written("to prepare the lane")}
        return self.iq.call("GET", f"/api/v1/enclosures/{digest}", params=question).content

    def _talk_clause(self) -> str:
        return f"{self.references['security-pact']}/4"

    # --- 4 ------------------------------------------------------------------------------------------------------

    def refuse(self) -> None:
        """No clause; a clause that does not name the act; an office that is not entitled; a suspended clause."""
        act = {"do": "channel.say", "to": [POST_OF["IQ"]]}
        act |= {"subject": self.written("Lane 3"), "text": self.written("This must not be said.")}
        pact, border = self.references["security-pact"], self.references["border-memorandum"]
        self._must_refuse("mandate.no_clause", act, "", POST_OF["IR"])
        self._must_refuse("mandate.act_not_named", act, f"{pact}/1", POST_OF["IR"])
        self._must_refuse("mandate.office_not_entitled", act, f"{pact}/4", "IR/customs")
        reason = self.written("Works at the post.")
        suspend = {"do": "agreements.suspend", "agreement": border, "clause": "3", "reason": reason}
        self.iq.say(suspend, f"{border}/4", "IQ/foreign-affairs")
        self._wait_for_agreement(self.ir, border, lambda found: found["suspended"])
        self._must_refuse("mandate.suspended", act, f"{border}/3", POST_OF["IR"])
        self.iq.say(
            {"do": "agreements.resume", "agreement": border, "clause": "3"}, f"{border}/4", "IQ/foreign-affairs"
        )
        self._wait_for_agreement(self.ir, border, lambda found: not found["suspended"])

    def _must_refuse(self, code: str, act: Any, clause: str, by: str) -> None:
        try:
            self.ir.say(act, clause, by, lang=self.lang)
        except Problem as problem:
            if problem.details.get("code") != code:
                raise Failed("demo.refused_otherwise", code, problem.details.get("code")) from problem
            self.tell("Refused: {reason}", reason=self._reason(problem))
        else:
            raise Failed("demo.not_refused", code)

    def _reason(self, problem: Problem) -> str:
        code, facts = str(problem.details.get("code")), problem.details.get("facts", {})
        return (
            words.explained(code, facts, self.lang, isolate=True)
            if words.known(code)
            else str(problem.details.get("detail"))
        )

    # --- 5 ------------------------------------------------------------------------------------------------------

    def outage(self) -> None:
        """Stop, say, start, count."""
        before = self.iq.get("/api/v1/statements/IR", params={"from": 0, "limit": 1})["size"]
        self.iq.stop()
        self.tell("{party} is stopped", party=self.named("IQ"))
        clause, by = self._talk_clause(), POST_OF["IR"]
        said: list[str] = []
        for start in range(0, BACKLOG, GROUP):
            acts = [
                {
                    "do": "channel.say",
                    "subject": self.written("Count {n}", n=start + each),
                    "text": self.written("A bus has passed."),
                    "to": [POST_OF["IQ"]],
                }
                for each in range(GROUP)
            ]
            body = msgspec.json.encode({"sayings": [{"act": act, "clause": clause, "by": by} for act in acts]})
            outcomes = msgspec.json.decode(self.ir.call("POST", "/api/v1/say", content=body).content)["outcomes"]
            said += [outcome["reference"] for outcome in outcomes]
            self._progress(len(said))
        self.tell(
            "{party} has said {count} statements; none is lost, all wait", party=self.named("IR"), count=len(said)
        )
        self.iq.start()
        self.tell("{party} is back", party=self.named("IQ"))
        last = before + len(said)
        self.ir.wait_for("/api/v1/receipts", lambda found: any(each["size"] >= last for each in found["received"]))
        there = self._references_at_iq(last - len(said), last)
        if there != said:
            raise Failed("demo.lost_or_doubled")
        self.tell("All {count} are there, each once, and receipted", count=len(said))

    def _progress(self, count: int) -> None:
        if sys.stdout.isatty():
            far = self.code(f"{words.number(count, self.lang)} / {words.number(BACKLOG, self.lang)}")
            print(f"\r{self.mark}    {far}", end="", flush=True)
            if count >= BACKLOG:
                print()

    def _references_at_iq(self, start: int, stop: int) -> list[str]:
        found: list[str] = []
        while start < stop:
            page = self.iq.get("/api/v1/statements/IR", params={"from": start, "limit": min(500, stop - start)})
            found += [each["reference"] for each in page["entries"]]
            start = page["next"]
        return found

    # --- 6 ------------------------------------------------------------------------------------------------------

    def prove(self) -> None:
        """One file; another process that may open no connection."""
        n = int(self.message.rsplit("-", 1)[1])
        content = self.ir.call("GET", f"/api/v1/statements/IR/{n}/evidence").content
        file = self.folder / f"{self.message}.evidence.json"
        file.write_bytes(content)
        self.tell("Written: {file}", file=file)
        keys = [str(side.home.own_pairing_file(side.party)) for side in self.sides]
        command = [sys.executable, "-m", "mithaq", "--language", self.lang, "verify", str(file), "--keys", *keys]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ))
        for line in done.stdout.splitlines():
            print(f"        {line}")
        if done.returncode != 0:
            raise Failed("demo.not_verified", done.stderr.strip())


def main(argv: Sequence[str]) -> int:
    """`mithaq demo [--once] [--folder DIR] [--ports A,B]`: 0 when every step held, 1 naming the step that did not."""
    locale = words.language(environ=os.environ)
    parser = _parser(locale)
    options = parser.parse_args(argv)
    lang = words.language(options.language, environ=os.environ)
    ports = [int(port) for port in ",".join(options.ports).split(",") if port.isdecimal()]
    if len(ports) != 2 or ports[0] == ports[1] or not all(0 < port < 65_536 for port in ports):
        parser.error(words.say("--ports takes two numbers, such as 8461,8462", locale))
    story = Story(options.folder, (ports[0], ports[1]), lang)
    try:
        return _run(story, stay=not options.once)
    finally:
        for side in story.sides:
            side.close()


def _parser(lang: str) -> argparse.ArgumentParser:
    about = words.say("the whole story with two nodes on this machine", lang)
    parser = argparse.ArgumentParser(prog="mithaq demo", description=about)
    once = words.say("end after the story instead of staying up", lang)
    parser.add_argument("--once", action="store_true", help=once)
    folder = words.say("where the two nodes live", lang)
    parser.add_argument("--folder", type=Path, default=Path("mithaq-demo"), metavar="FOLDER", help=folder)
    ports = words.say("the two ports on 127.0.0.1, such as 8461,8462", lang)
    parser.add_argument("--ports", nargs="+", default=[",".join(map(str, PORTS))], metavar="PORT,PORT", help=ports)
    language = words.say("the language of the messages", lang)
    parser.add_argument("--language", default=None, choices=words.LANGUAGES, help=language)
    return parser


def _run(story: Story, *, stay: bool) -> int:
    try:
        story.folder.mkdir(parents=True, exist_ok=True)
        for side in story.sides:
            check_free(side.port)
    except OSError as failure:
        return _failed(story, 0, Unreachable("home.unwritable", value=str(story.folder), reason=failure.strerror))
    except MithaqError as failure:
        return _failed(story, 0, failure)
    steps = story.steps()
    for number, (title, step) in enumerate(steps, 1):
        place = story.code(f"{text.digits(number, story.lang)}/{text.digits(len(steps), story.lang)}")
        print(f"{story.mark}{place}  {words.say(title, story.lang)}", flush=True)
        try:
            step()
        except (MithaqError, Problem, Failed) as failure:
            return _failed(story, number, failure)
    if stay:
        _stay(story)
    return 0


def _failed(story: Story, number: int, failure: Exception) -> int:
    code, facts = "", {}
    if isinstance(failure, MithaqError):
        code, facts = failure.code, failure.facts
    elif isinstance(failure, Problem):
        code, facts = str(failure.details.get("code")), dict(failure.details.get("facts", {}))
    sentence = (
        words.explained(code, facts, story.lang, isolate=True)
        if words.known(code)
        else f"{type(failure).__name__}: {failure}"
    )
    if number:
        sentence = words.say("Step {number} did not hold: {reason}", story.lang, number=number, reason=sentence)
    print(f"{story.mark}{sentence}", file=sys.stderr)
    return 1


def _stay(story: Story) -> None:
    """Until Ctrl-C, or until a node ends by itself."""
    for side in story.sides:
        story.tell("{party}: its node answers at {address}", party=story.named(side.party), address=side.address)
    story.tell("Both stay up until you press Ctrl-C")
    ended = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: ended.set())
    while not ended.wait(1.0):
        if not all(side.running() for side in story.sides):
            raise Refused("demo.node_ended", value=str(story.folder))
