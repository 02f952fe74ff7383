"""The grammar of the command line: every command with its options, and help in the reader's language."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn, cast

from mithaq.cli.output import Output
from mithaq.kernel import words

PROGRAM: Final = "mithaq"
DELEGATED: Final = {
    "demo": ("mithaq.demo.story", "the whole story with two nodes on this machine"),
    "simulate": ("mithaq.simulation.run", "days of two or three nodes in seconds, with losses and crashes"),
    "bench": ("mithaq.bench", "measure the program beside its peers"),
}
"""Commands with a grammar of their own: module (its `main(argv)` is called) and help."""

SHOWN: Final = (
    "agreements", "agreement", "clauses", "messages", "thread", "waiting", "refusals", "receipts", "peers", "offices",
    "enclosures", "statement",
)  # fmt: skip
"""What `show` knows."""

ASKED: Final = {
    "owed": ("what we owe and what is owed to us", ""),
    "overdue": ("what is past its due day", ""),
    "disputed": ("where a claim is disputed or joint verification is asked for", ""),
    "unanswered": ("claims and letters without an answer, the oldest first", ""),
    "clause": ("one clause with every statement behind it", "clause"),
    "year": ("the report of a year, clause by clause", "year"),
    "since": ("what has changed since a moment, or since the last visit", "moment"),
    "agenda": ("what the next meeting of a body has before it", "body"),
    "reminders": ("what is to be remembered on a day", ""),
    "note": ("private notes, which never leave this node", ""),
    "draft": ("private drafts, which nobody sees until they are said", ""),
}
"""What `register` knows: its help, and the filter that is typed in its place."""
NARROWED: Final = {
    "side": ("XA", "only what this side has to do"),
    "clause": ("CLAUSE", "only of this clause, or of this agreement"),
    "body": ("REF", "only what this body follows up"),
    "month": ("YYYY-MM", "only what falls in this month"),
    "on": ("DAY", "as of this day instead of today"),
}
"""The filters of `register`."""
DESK: Final = {
    "note": {"add": "write a note", "list": "show the notes", "drop": "throw a note away"},
    "draft": {
        "save": "keep a draft",
        "list": "show the drafts",
        "say": "say a draft, and take it from the desk",
        "drop": "throw a draft away",
    },
}
"""What can be done with what lies on the own desk."""

EXPORTS: Final = ("export", "minutes", "feed")
"""What `register` writes to files and opens to calendars."""

EXITS: Final = "Exit codes: 0 done, 1 a step failed, 2 usage, 3 refused, 4 malformed input, 5 unreachable: try later."
_WITH_VALUE: Final = ("--home", "--language")

Run = Callable[[argparse.Namespace, Output], int]


class UsageError(Exception):
    """The command line cannot be read: `usage` says how it should look, `message` what is wrong."""

    def __init__(self, usage: str, message: str) -> None:
        super().__init__(message)
        self.usage: Final = usage
        self.message: Final = message


class _Parser(argparse.ArgumentParser):
    """Raises instead of ending the process, so that one place speaks about errors."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(self.format_usage(), message)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """What a command does not know is told with its own usage, not with that of the whole program."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(vars(argparse)["_"]("unrecognized arguments: %s") % " ".join(rest))
        return found, rest


def read(argv: Sequence[str], lang: str) -> argparse.Namespace:
    """The arguments of a command; UsageError when they make no sense. `--help` and `--version` print and leave."""
    with speaking(lang):
        output = Output(lang, as_json=False)
        return build(output, with_acts="say" in argv).parse_args(_raw_first(argv))


def build(output: Output, *, with_acts: bool) -> argparse.ArgumentParser:
    """The whole grammar. `with_acts` adds one subcommand an act, which needs the catalogue and so the database layer."""
    word = output.word
    top = _Parser(
        prog=PROGRAM,
        description=word(
            "Carries out a border-cooperation agreement: one node a party, each holding the others' logs."
        ),
        epilog=word(EXITS),
        parents=[_everywhere(output, None)],
        allow_abbrev=False,
    )
    commands = top.add_subparsers(dest="command", metavar=word("COMMAND"), required=True, title=word("Commands"))

    def command(name: str, help_: str, run: str, *, json: bool = True) -> argparse.ArgumentParser:
        text = word(help_)
        everywhere = _everywhere(output, argparse.SUPPRESS, json=json)
        made: argparse.ArgumentParser = commands.add_parser(
            name, help=text, description=text, epilog=word(EXITS), parents=[everywhere], allow_abbrev=False
        )
        made.set_defaults(run=run)
        return made

    _add_setup(command, output)
    _add_saying(command, output, with_acts=with_acts)
    _add_reading(command, output)
    _add_register(command, output)
    _add_proofs(command, output)
    for name, (module, help_) in DELEGATED.items():
        commands.add_parser(name, help=word(help_), add_help=False).set_defaults(run=f"{module}:main")
    return top


Command = Callable[..., argparse.ArgumentParser]


def _everywhere(output: Output, default: Any, *, json: bool = True) -> Any:
    """Options that stand before or after the command alike."""
    parent = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    word = output.word
    parent.add_argument("--home", default=default, metavar="FOLDER", help=word("the node's folder (or MITHAQ_HOME)"))
    parent.add_argument("--language", default=default, metavar="ar|fa|en", help=word("the language of the messages"))
    if json:
        flag = word("one JSON object as the last line")
        parent.add_argument("--json", action="store_true", default=default or False, help=flag)
    return parent


def _add_setup(command: Command, output: Output) -> None:
    word = output.word
    init = command("init", "make a node: its folder, its keys, its pairing file", "setup:init")
    init.add_argument("--party", required=True, metavar="XA", help=word("ISO 3166 code of a party, such as IR"))
    init.add_argument("--commission", required=True, metavar="NAME", help=word("the commission's name: xa-xb.example"))
    names = word("the party's name in three languages: en=...,ar=...,fa=...")
    init.add_argument("--names", required=True, nargs="+", metavar="LANGUAGE=TEXT", help=names)
    office = word("an office that enclosures are sealed to; repeat for more than one")
    init.add_argument("--office", nargs="+", action="extend", default=[], metavar="XA/border-guard", help=office)
    init.add_argument("--listen", default="127.0.0.1:8460", metavar="HOST:PORT", help=word("where the node listens"))
    init.add_argument("--address", metavar="URL", help=word("the URL that the peers are told"))
    init.add_argument("--database", metavar="URL", help=word("SQLite in the folder when left out, or postgresql://..."))
    pair = command("pair", "accept a peer's pairing file after its fingerprint was read aloud", "setup:pair")
    pair.add_argument("file", metavar="FILE", help=word("the peer's pairing file"))
    digits = word("for scripts: the fingerprint, as it was read aloud")
    pair.add_argument("--yes-the-digits-are", metavar="DIGITS", help=digits)
    command("serve", "run the node until it is stopped", "setup:serve")
    _add_officials(command, output)


def _add_officials(command: Command, output: Output) -> None:
    word = output.word
    official = command("official", "say who may act for which office through the API", "officials:official")
    doings = official.add_subparsers(dest="doing", metavar="add|renew|end|list", required=True)
    everywhere = _everywhere(output, argparse.SUPPRESS)
    login = word("a login name, not a personal name")
    add = doings.add_parser("add", help=word("take an official in; prints the token once"), parents=[everywhere])
    add.add_argument("id", metavar="ID", help=login)
    add.add_argument(
        "--office", required=True, metavar="OFFICE", help=word("the office to act for, with those below it")
    )
    role = word("official, lead, custodian, auditor or administrator; repeat for more than one")
    add.add_argument("--role", required=True, action="append", metavar="ROLE", help=role)
    renew = doings.add_parser("renew", help=word("give a new token; the old one opens nothing"), parents=[everywhere])
    renew.add_argument("id", metavar="ID", help=login)
    end = doings.add_parser("end", help=word("end an official's access for good"), parents=[everywhere])
    end.add_argument("id", metavar="ID", help=login)
    doings.add_parser("list", help=word("everyone that was ever taken in"), parents=[everywhere])


def _add_saying(command: Command, output: Output, *, with_acts: bool) -> None:
    word = output.word
    say = command("say", "say an act under a clause", "saying:say", json=False)
    raw = word("a JSON file with act, clause and by, or - for standard input; without a file, the output as JSON")
    say.add_argument("--json", nargs="?", const=True, default=argparse.SUPPRESS, metavar="FILE", help=raw)
    _add_circumstances(say, output, required=False)
    acts = say.add_subparsers(dest="act", metavar=word("ACT"), title=word("Acts"))
    if not with_acts:
        return
    from mithaq.cli import options
    from mithaq.node import CATALOGUE

    everywhere = _everywhere(output, argparse.SUPPRESS)
    for tag, kind in sorted(CATALOGUE.kinds.items()):
        text = word(kind.help)
        one = acts.add_parser(
            tag, help=text, description=text, epilog=word(EXITS), parents=[everywhere], allow_abbrev=False
        )
        options.add_to(one, kind, output, optional=_derived(tag))
        _add_circumstances(one, output, required=True)


def _derived(tag: str) -> tuple[str, ...]:
    """Fields that the node's own folder knows: the public key of an office that was made by `init`."""
    return ("recipient",) if tag == "charter.open_office" else ()


def _add_circumstances(parser: argparse.ArgumentParser, output: Output, *, required: bool) -> None:
    word = output.word
    group = parser.add_argument_group(word("How it is said"))
    absent = argparse.SUPPRESS
    clause = word("the clause that allows it: IR-2026-000005/3, or charter")
    group.add_argument("--clause", required=required, default=absent, metavar="CLAUSE", help=clause)
    group.add_argument(
        "--by",
        required=required,
        default=absent,
        metavar="OFFICE",
        help=word("the office that speaks, such as IR/border-guard"),
    )
    enclosure = word("a file to seal, its media type, the offices that may open it; repeat for more than one")
    group.add_argument("--enclose", action="append", default=absent, metavar="FILE:MEDIA:OFFICE,...", help=enclosure)
    check = word("only tell what would be said, or what stands against it")
    group.add_argument("--check", action="store_true", default=absent, help=check)


def _add_reading(command: Command, output: Output) -> None:
    word = output.word
    show = command("show", "show what the statements add up to", "showing:show")
    show.add_argument("what", choices=SHOWN, metavar="WHAT", help=word("one of: {names}", names=", ".join(SHOWN)))
    show.add_argument("id", nargs="?", metavar="REF", help=word("its reference: IR-2026-000123"))
    opening = command("open", "open an enclosure into a file; that, and why, is written down", "opening:open_")
    opening.add_argument("digest", metavar="DIGEST", help=word("its digest, as its statement names it"))
    office = word("the office of ours that it is sealed to")
    opening.add_argument("--office", required=True, metavar="OFFICE", help=office)
    opening.add_argument("--reason", required=True, metavar="WHY", help=word("why it is opened"))
    opening.add_argument("--to", required=True, metavar="FILE", help=word("the new file"))
    log = command("log", "print a log's entries", "logs:log")
    log.add_argument("--party", metavar="XA", help=word("whose log; the own one when left out"))
    log.add_argument("--from", dest="start", type=int, default=0, metavar="N", help=word("the first entry to print"))
    log.add_argument("--follow", action="store_true", help=word("go on with what comes, until it is stopped"))
    carry = command("carry", "carry entries and receipts by file instead of a network", "logs:carry")
    ways = carry.add_subparsers(dest="way", metavar="out|in", required=True)
    everywhere = _everywhere(output, argparse.SUPPRESS)
    out = ways.add_parser("out", help=word("write what a peer lacks into a file"), parents=[everywhere])
    out.add_argument("file", metavar="FILE")
    out.add_argument("--to", required=True, metavar="XA", help=word("the party that it is for"))
    into = ways.add_parser("in", help=word("take in what a peer has written"), parents=[everywhere])
    into.add_argument("file", metavar="FILE")
    command("rebuild", "fold all records anew from the logs", "logs:rebuild")


def _add_register(command: Command, output: Output) -> None:
    word = output.word
    register = command("register", "ask what is owed, overdue, disputed, unanswered; keep the own desk", "register:ask")
    doings = register.add_subparsers(dest="question", metavar="|".join((*ASKED, *EXPORTS)), required=True)
    everywhere = _everywhere(output, argparse.SUPPRESS)
    for name, (help_, place) in ASKED.items():
        text = word(help_)
        one = doings.add_parser(name, help=text, description=text, parents=[everywhere], allow_abbrev=False)
        if name in DESK:
            _add_desk(one, name, output)
            continue
        if place:
            one.add_argument(place, metavar=place.upper(), nargs="?" if place == "moment" else None)
        for option, (metavar, about) in NARROWED.items():
            if option != place:
                one.add_argument(f"--{option}", default="", metavar=metavar, help=word(about))
        if name == "since":
            one.add_argument("--keep", action="store_true", help=word("do not remember this visit"))
    _add_exports(doings, output)


def _add_exports(doings: Any, output: Output) -> None:
    """The grammar of `register_export`."""
    word = output.word
    everywhere = _everywhere(output, argparse.SUPPRESS)

    def one(name: str, help_: str) -> argparse.ArgumentParser:
        text = word(help_)
        made: argparse.ArgumentParser = doings.add_parser(
            name, help=text, description=text, parents=[everywhere], allow_abbrev=False
        )
        made.set_defaults(run=f"register_export:{name}")
        return made

    export = one("export", "write the whole register to a new file or folder")
    export.add_argument("--form", required=True, choices=("json", "csv", "xlsx", "html"), metavar="json|csv|xlsx|html")
    export.add_argument("out", metavar="OUT", help=word("a new file, or a new folder for csv and html"))
    minutes = one("minutes", "print minutes as a page or as PDF")
    minutes.add_argument("reference", metavar="REF", help=word("its reference: IR-2026-000123"))
    minutes.add_argument("--form", required=True, choices=("html", "pdf"), metavar="html|pdf")
    minutes.add_argument("out", metavar="OUT", help=word("the new file"))
    feed = one("feed", "open, renew or close an official's calendar feed")
    feed.add_argument("doing", choices=("open", "close"), metavar="open|close")
    feed.add_argument("id", metavar="ID", help=word("a login name, not a personal name"))


def _add_desk(parser: argparse.ArgumentParser, name: str, output: Output) -> None:
    word = output.word
    parser.set_defaults(run=f"desk:{name}")
    doings = parser.add_subparsers(dest="doing", metavar="|".join(DESK[name]), required=True)
    everywhere = _everywhere(output, argparse.SUPPRESS)
    about = word("what it is about: a clause, an obligation, a meeting")
    for doing, help_ in DESK[name].items():
        one = doings.add_parser(doing, help=word(help_), parents=[everywhere], allow_abbrev=False)
        if doing == "add":
            one.add_argument("text", metavar="TEXT")
        elif doing == "save":
            one.add_argument("file", metavar="FILE", help=word("a JSON file as say --json reads it, or -"))
        elif doing != "list":
            one.add_argument("id", type=int, metavar="ID", help=word("its number on the desk"))
        if doing in {"add", "save"}:
            one.add_argument("--about", default="", metavar="REF", help=about)
        if doing == "say":
            check = word("only tell what would be said, or what stands against it")
            one.add_argument("--check", action="store_true", help=check)


def _add_proofs(command: Command, output: Output) -> None:
    word = output.word
    evidence = command("evidence", "write one statement with its proof into a file", "proofs:evidence")
    evidence.add_argument("reference", metavar="REF", help=word("its reference: IR-2026-000123"))
    evidence.add_argument("file", metavar="FILE")
    verify = command("verify", "verify an evidence file, without a network and without a node", "proofs:verify")
    verify.add_argument("file", metavar="FILE")
    keys = word("pairing files of the parties whose keys you trust")
    verify.add_argument("--keys", nargs="+", action="extend", default=[], metavar="PAIRING", help=keys)
    check = "recompute every root, receipt, digest and record of this node"
    command("check", check, "checking:check").add_argument(
        "--ask-peers", action="store_true", help=word("also ask the peers for their copies of our log")
    )


def function_of(run: str) -> Run:
    """The function behind a command, imported when it runs: `verify` never loads a database."""
    module, _, name = run.partition(":")
    return cast("Run", getattr(importlib.import_module(f"mithaq.cli.{module}"), name))


def delegated(argv: Sequence[str]) -> tuple[Callable[[list[str]], int] | None, list[str]]:
    """The `main` of another program with its arguments, when the command is one of `DELEGATED`."""
    position = 0
    while position < len(argv) and argv[position].startswith("-"):
        position += 2 if argv[position] in _WITH_VALUE else 1
    if position >= len(argv) or argv[position] not in DELEGATED:
        return None, []
    module = importlib.import_module(DELEGATED[argv[position]][0])
    before = ["--json"] if "--json" in argv[:position] else []
    return cast("Callable[[list[str]], int]", module.main), [*argv[position + 1 :], *before]


def asked_language(argv: Sequence[str]) -> str | None:
    """The value of `--language`, looked for before the grammar is built in that language."""
    for position, each in enumerate(argv):
        if each.startswith("--language="):
            return each.partition("=")[2]
        if each == "--language" and position + 1 < len(argv):
            return argv[position + 1]
    return None


def asked_json(argv: Sequence[str]) -> bool:
    """Whether a program listens: also an error is one JSON object then."""
    return "--json" in argv


def _raw_first(argv: Sequence[str]) -> list[str]:
    """`say --json channel.say ...` means JSON output, not a file of that name: the flag goes behind the act."""
    given = list(argv)
    for position in range(len(given) - 2):
        if given[position : position + 2] == ["say", "--json"] and "." in given[position + 2]:
            from mithaq.node import CATALOGUE

            if given[position + 2] in CATALOGUE:
                given[position + 1], given[position + 2] = given[position + 2], given[position + 1]
    return given


@contextmanager
def speaking(lang: str) -> Iterator[None]:
    """Let argparse's own words come from our catalogues: it looks them up through a module global named `_`."""

    def translated(message: str | None) -> str | None:
        bare = message.strip() if message else ""
        return message.replace(bare, words.say(bare, lang)) if message and bare else message

    before = vars(argparse)["_"]
    vars(argparse)["_"] = translated
    try:
        yield
    finally:
        vars(argparse)["_"] = before
        sys.stdout.flush()
