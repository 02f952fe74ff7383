"""Reading a log as C2SP tlog-tiles has it: checkpoint, tiles and entry bundles as static resources, for members."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import Connection

from mithaq.kernel.exchange import BYTES, Answer
from mithaq.kernel.log import WIDTH, Log, join

_TILE: Final = re.compile(
    r"tile/(?P<level>[0-9]|[1-5][0-9]|6[0-3]|entries)/(?P<number>(x[0-9]{3}/){0,5}[0-9]{3})(\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


def path_of(number: int) -> str:
    """A tile's number as path elements of three digits: 1234067 is `x001/x234/067`."""
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])


def answer(log: Log, size: int, path: str, connection: Connection) -> Answer:
    """A tile or an entry bundle of the log as it is at `size`; 404 for what is not there, or not named as it must be."""
    match = _TILE.fullmatch(path)
    if match is None:
        return Answer(404)
    number = int(match["number"].replace("x", "").replace("/", ""))
    if path_of(number) != match["number"]:
        return Answer(404)
    level = 0 if match["level"] == "entries" else int(match["level"])
    there = min(max((size >> (8 * level)) - number * WIDTH, 0), WIDTH)
    width = int(match["width"]) if match["width"] else WIDTH
    if not 0 < width <= there or (match["width"] and width >= WIDTH):
        return Answer(404)
    if match["level"] == "entries":
        found = log.entries(connection, number * WIDTH, number * WIDTH + width)
        complete, body = len(found) == width, join(found)
    else:
        body = log.tile(connection, level, number)[: width * 32]
        complete = len(body) == width * 32
    if not complete:  # `size` may be a moment ahead of what is committed, and a cache keeps for ever what it is given
        return Answer(404)
    return Answer(200, body, BYTES, lasting=True)
