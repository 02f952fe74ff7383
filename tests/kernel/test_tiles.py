"""What is read of a log: C2SP tlog-tiles, resource by resource."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mithaq.kernel import tiles
from mithaq.kernel.database import Database
from mithaq.kernel.exchange import BYTES, Answer
from mithaq.kernel.log import Log, split
from tests.kernel.test_log import tile_of

ENTRIES = [b"%d" % n for n in range(700)]


@pytest.fixture
def held(database_url: str) -> Iterator[tuple[Log, Database]]:
    database = Database(database_url)
    log = Log("XA")
    with database.write() as connection:
        log.append(connection, ENTRIES)
    yield log, database
    database.close()


def get(held: tuple[Log, Database], path: str, size: int = 700) -> Answer:
    log, database = held
    with database.read() as connection:
        return tiles.answer(log, size, path, connection)


@pytest.mark.parametrize(
    "number, path",
    [(0, "000"), (1, "001"), (999, "999"), (1000, "x001/000"), (1234067, "x001/x234/067"), (10**6, "x001/x000/000")],
)
def test_a_tiles_number_is_written_in_groups_of_three(number: int, path: str) -> None:
    assert tiles.path_of(number) == path


def test_tiles_and_bundles_are_served_as_they_are_at_that_size(held: tuple[Log, Database]) -> None:
    for number, width in ((0, 256), (1, 256), (2, 188)):
        suffix = "" if width == 256 else f".p/{width}"
        tile = get(held, f"tile/0/{number:03d}{suffix}")
        assert (tile.status, tile.media, tile.lasting) == (200, BYTES, True)
        assert tile.body == tile_of(ENTRIES, 0, number)
        bundle = get(held, f"tile/entries/{number:03d}{suffix}")
        assert split(bundle.body) == ENTRIES[number * 256 : number * 256 + width]
    assert get(held, "tile/1/000.p/2").body == tile_of(ENTRIES, 1, 0)


@pytest.mark.parametrize("width", [1, 2, 100, 187])
def test_a_smaller_partial_tile_of_an_earlier_size_is_still_there(held: tuple[Log, Database], width: int) -> None:
    assert get(held, f"tile/0/002.p/{width}").body == tile_of(ENTRIES, 0, 2)[: width * 32]
    assert split(get(held, f"tile/entries/002.p/{width}").body) == ENTRIES[512 : 512 + width]
    assert get(held, f"tile/0/000.p/{width}").body == tile_of(ENTRIES, 0, 0)[: width * 32]


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/002",
        "tile/0/003",
        "tile/0/002.p/189",
        "tile/0/002.p/256",
        "tile/0/000.p/256",
        "tile/0/002.p/0",
        "tile/0/002.p/01",
        "tile/0/002.p/",
        "tile/1/000",
        "tile/1/000.p/3",
        "tile/2/000.p/1",
        "tile/64/000",
        "tile/00/000",
        "tile/-1/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/x000/001",
        "tile/entries/003",
        "tile/entries/002",
        "tile/data/000",
        "tile/0/000/",
        "tile/0/\u0660\u0660\u0660",
        "tile/63/x999/x999/x999/x999/x999/999",
        "tile/0/x999/x999/x999/x999/x999/999",
        "",
        "tile",
        "../../x",
        "tile/0/000\n",
    ],
)
def test_what_is_not_there_or_not_named_as_it_must_be_is_404(held: tuple[Log, Database], path: str) -> None:
    assert get(held, path).status == 404


def test_nothing_beyond_the_checkpoint_that_is_served_is_shown(held: tuple[Log, Database]) -> None:
    assert get(held, "tile/0/001", size=511).status == 404
    assert get(held, "tile/0/001.p/255", size=511).status == 200
    assert get(held, "tile/0/000.p/1", size=0).status == 404


def test_a_tile_that_this_connection_cannot_read_in_full_is_not_served_as_lasting(held: tuple[Log, Database]) -> None:
    """Memory may be a moment ahead of what is committed: half a tile must never be kept for ever by a cache."""
    assert get(held, "tile/0/002.p/200", size=800).status == 404
    assert get(held, "tile/entries/002.p/200", size=800).status == 404
