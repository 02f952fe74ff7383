"""One command from the words that a person typed to the exit code: the one place where an error becomes a sentence."""

from __future__ import annotations

import os
import secrets
import sys
import traceback
from collections.abc import Sequence
from typing import Final

from mithaq.cli import parser
from mithaq.cli.output import Output
from mithaq.kernel import words
from mithaq.kernel.errors import Malformed, MithaqError, Refused, Unreachable

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
REFUSED: Final = 3
MALFORMED: Final = 4
UNREACHABLE: Final = 5
FAULT: Final = 70  # EX_SOFTWARE of BSD's sysexits
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count

_DEBUG: Final = "MITHAQ_DEBUG"
_BY_KIND: Final = ((Refused, REFUSED), (Malformed, MALFORMED), (Unreachable, UNREACHABLE))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. The one place where an error becomes a sentence."""
    given = list(sys.argv[1:] if argv is None else argv)
    lang = words.language(parser.asked_language(given), environ=os.environ)
    output = Output(lang, as_json=parser.asked_json(given))
    try:
        code = _run(given, output)
        sys.stdout.flush()
    except parser.UsageError as wrong:
        output.usage(wrong.usage, wrong.message, USAGE)
        return USAGE
    except MithaqError as reason:
        code = next((code for kind, code in _BY_KIND if isinstance(reason, kind)), FAILED)
        output.problem(reason, code)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has closed: nothing is wrong. Python flushes stdout once more at its end, into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as fault:  # the last line of defence: a person gets one line with a number, never a traceback
        _report(fault, output)
        return FAULT
    return code


def _run(given: list[str], output: Output) -> int:
    command, rest = parser.delegated(given)
    if command is not None:
        if parser.asked_language(given):
            os.environ["LANGUAGE"] = output.lang  # the other program asks the locale
        with parser.speaking(output.lang):
            return command(rest)
    arguments = parser.read(given, output.lang)
    run = parser.function_of(arguments.run)
    return run(arguments, output)


def _report(fault: Exception, output: Output) -> None:
    incident = secrets.token_hex(4)
    if os.environ.get(_DEBUG) == "1":
        traceback.print_exception(fault)
    kind = type(fault).__name__
    output.problem(MithaqError("cli.incident", incident=incident, kind=kind), FAULT)
