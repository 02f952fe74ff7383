"""The node's journal for its operator: JSON lines that tell what happened and how often, and never what was said.

Whatever is logged passes an allow-list of keys, and each value a pattern that no sentence, name or token of a person fits:
a mistake elsewhere cannot put a body into a file that is backed up and read by others.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

KEYS: Final = frozenset(
    {
        "act",
        "code",
        "count",
        "error",
        "event",
        "incident",
        "level",
        "listen",
        "method",
        "n",
        "party",
        "reason",
        "route",
        "seconds",
        "size",
        "status",
        "timestamp",
    }
)
"""All that a line can hold. `route` is the pattern of a route (`/api/v1/statements/{party}`), never a path as asked for;
`reason` and `error` are a code or the name of an exception's class, never its text."""

_VALUES: Final = {
    "error": re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,79}"),
    "event": re.compile(r"[a-z_]+(\.[a-z_]+)*"),
    "act": re.compile(r"[a-z_]+\.[a-z_]+"),
    "code": re.compile(r"[a-z_]+(\.[a-z_]+)+"),
    "incident": re.compile(r"[0-9a-f]{32}"),
    "level": re.compile(r"[a-z]{1,10}"),
    "listen": re.compile(r"[a-z0-9.:\[\]-]{1,120}"),
    "method": re.compile(r"[A-Z]{1,10}"),
    "party": re.compile(r"[A-Z0-9][A-Z0-9-]{0,15}"),
    "reason": re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,79}"),
    "route": re.compile(r"(/[a-z0-9_.{}:-]{0,40}){1,12}"),
    "timestamp": re.compile(r"[0-9T:.Z+-]{1,40}"),
}
_NUMBERS: Final = KEYS - set(_VALUES)
_LONGEST: Final = 200
UNNAMED: Final = "journal.unnamed"


def only_allowed(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop every key that is not listed and every value that is not of its key's shape; an odd event becomes unnamed."""
    kept = {key: value for key, value in line.items() if key in KEYS and _fits(key, value)}
    kept.setdefault("event", UNNAMED)
    return kept


def _fits(key: str, value: object) -> bool:
    if key in _NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str) and len(value) <= _LONGEST and _VALUES[key].fullmatch(value) is not None


def _processors() -> list[Any]:
    return [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        only_allowed,  # last before the bytes: nothing that came earlier can add to a line
        structlog.processors.JSONRenderer(sort_keys=True),
    ]


def line(event: str, level: str, error: str = "") -> str:
    """A line for what another library reports, by the same allow-list."""
    told: MutableMapping[str, Any] = {"event": event, "level": level, **({"error": error} if error else {})}
    for processor in _processors()[1:]:
        told = processor(None, "", told)
    return str(told)


def configure(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send every `structlog.get_logger()` of this process to `stream` (standard error), through the allow-list."""
    structlog.configure(
        processors=_processors(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def journal(stream: TextIO | None = None, level: int = logging.INFO) -> Any:
    """A logger with the same allow-list that needs no `configure`, and so cannot be without it."""
    return structlog.wrap_logger(
        structlog.WriteLogger(stream or sys.stderr),
        processors=_processors(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
    )
