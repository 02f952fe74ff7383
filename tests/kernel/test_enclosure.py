"""The store of enclosures: salted, sealed, verified before a byte is handed out, resumed, erased; and never all in memory."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import shutil
import subprocess
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mithaq.kernel import age
from mithaq.kernel.enclosure import SALT, Store
from mithaq.kernel.errors import Malformed, MithaqError, Refused, Unreachable
from tests.nodes import Clock
from tests.sealed import noise

GUARD = age.Identity.generate()
OTHER = age.Identity.generate()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "enclosures")


def sealed(store: Store, content: bytes, *identities: age.Identity) -> tuple[str, int]:
    return store.seal(io.BytesIO(content), [each.recipient for each in identities or (GUARD,)])


def opened(store: Store, digest: str, identity: age.Identity = GUARD) -> bytes:
    sink = io.BytesIO()
    store.open(digest, [identity], sink)
    return sink.getvalue()


def names(store: Store) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def code(failure: pytest.ExceptionInfo[MithaqError]) -> str:
    return failure.value.code


@pytest.mark.parametrize("size", [0, 1, age.CHUNK - 1, age.CHUNK, age.CHUNK + 1, 300_000])
def test_what_is_sealed_can_be_opened_by_the_named_office(store: Store, size: int) -> None:
    digest, length = sealed(store, noise(size))
    container = (store.folder / digest).read_bytes()
    assert (hashlib.sha256(container).hexdigest(), len(container)) == (digest, length) == (digest, store.size(digest))
    assert opened(store, digest) == noise(size)
    assert names(store) == [digest]


def test_the_same_file_sealed_twice_has_two_digests_and_two_salts(store: Store) -> None:
    one, other = sealed(store, b"the same")[0], sealed(store, b"the same")[0]
    assert one != other
    assert store.read(one, 0, SALT) != store.read(other, 0, SALT)


def test_it_is_readable_by_nobody_else_on_the_machine(store: Store) -> None:
    digest, _ = sealed(store, b"papers")
    assert (store.folder / digest).stat().st_mode & 0o077 == 0
    assert store.folder.stat().st_mode & 0o077 == 0


def test_each_of_several_offices_opens_it_and_a_third_one_does_not(store: Store) -> None:
    second = age.Identity.generate()
    digest, _ = sealed(store, b"papers", GUARD, second)
    assert opened(store, digest, second) == opened(store, digest) == b"papers"
    with pytest.raises(Refused) as failure:
        opened(store, digest, OTHER)
    assert code(failure) == "age.not_for_us"


@pytest.mark.parametrize("place", [0, SALT - 1, SALT, SALT + 200, -1])
def test_a_tampered_container_is_refused_before_a_byte_is_handed_out(store: Store, place: int) -> None:
    digest, _ = sealed(store, noise(200_000))
    container = bytearray((store.folder / digest).read_bytes())
    container[place] ^= 1
    (store.folder / digest).write_bytes(container)
    sink = io.BytesIO()
    with pytest.raises(Refused) as failure:
        store.open(digest, [GUARD], sink)
    assert code(failure) == "enclosure.wrong_digest"
    assert sink.getvalue() == b""


def test_a_whole_other_container_under_this_name_is_refused(store: Store) -> None:
    digest, other = sealed(store, b"one")[0], sealed(store, b"another")[0]
    shutil.copy(store.folder / other, store.folder / digest)
    with pytest.raises(Refused) as failure:
        opened(store, digest)
    assert code(failure) == "enclosure.wrong_digest"


def test_a_source_that_fails_leaves_nothing_behind(store: Store) -> None:
    class Failing(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(Unreachable) as failure:
        store.seal(Failing(), [GUARD.recipient])
    assert code(failure) == "enclosure.disk"
    assert names(store) == []


def test_without_a_recipient_nothing_is_sealed(store: Store) -> None:
    with pytest.raises(Refused) as failure:
        store.seal(io.BytesIO(b"papers"), [])
    assert code(failure) == "age.recipients"
    assert names(store) == []


@pytest.mark.parametrize("digest", ["", "../node.db", "a" * 63, "A" * 64, "a" * 64 + "/", "a" * 64 + "\n"])
def test_what_is_no_digest_never_becomes_a_path(store: Store, digest: str) -> None:
    for use in (
        lambda: store.read(digest, 0, 1),
        lambda: store.size(digest),
        lambda: store.append(digest, 0, b"", 0),
        lambda: store.erase(digest),
        lambda: opened(store, digest),
    ):
        with pytest.raises(Malformed) as failure:
            use()
        assert code(failure) == "enclosure.digest"


def test_what_is_not_here_is_refused(store: Store) -> None:
    for use in (lambda: store.read("a" * 64, 0, 1), lambda: opened(store, "a" * 64)):
        with pytest.raises(Refused) as failure:
            use()
        assert code(failure) == "enclosure.not_held"
    assert store.size("a" * 64) is None


@given(cuts=st.lists(st.integers(0, 3000), max_size=8), repeat=st.booleans())
def test_pieces_cut_anywhere_and_sent_again_make_the_same_container(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], *, repeat: bool
) -> None:
    content = noise(3000)
    digest = hashlib.sha256(content).hexdigest()
    store = Store(tmp_path_factory.mktemp("pieces"))
    places = [0, *sorted(cuts), len(content)]
    for start, end in itertools.pairwise(places):
        if start < len(content):
            for _ in range(1 + (repeat and end < len(content))):
                assert store.append(digest, start, content[start:end], len(content)) == end
    assert store.read(digest, 0, 5000) == content
    assert names(store) == [digest]


def test_a_part_goes_on_where_the_disk_says_and_not_beyond(store: Store) -> None:
    content = noise(100)
    digest = hashlib.sha256(content).hexdigest()
    store.append(digest, 0, content[:40], 100)
    with pytest.raises(Refused) as failure:
        store.append(digest, 41, content[41:], 100)
    assert code(failure) == "enclosure.gap"
    assert store.part_size(digest) == 40
    store.append(
        digest, 20, content[20:60], 100
    )  # what was behind it is dropped, as it may never have reached the disk
    assert store.append(digest, 60, content[60:], 100) == 100
    assert store.size(digest) == 100


def test_parts_of_two_senders_do_not_touch_each_other(store: Store) -> None:
    content = noise(100)
    digest = hashlib.sha256(content).hexdigest()
    store.append(digest, 0, content[:50], 100, "XA")
    store.append(digest, 0, bytes(50), 100, "XC")
    with pytest.raises(Refused):
        store.append(digest, 50, bytes(50), 100, "XC")
    assert store.part_size(digest, "XC") == 0
    assert store.append(digest, 50, content[50:], 100, "XA") == 100


@pytest.mark.parametrize(
    "data, expected", [(bytes(100), "enclosure.wrong_digest"), (noise(101), "enclosure.over_size")]
)
def test_another_digest_or_more_bytes_than_were_named_delete_the_part(store: Store, data: bytes, expected: str) -> None:
    digest = hashlib.sha256(noise(100)).hexdigest()
    store.append(digest, 0, data[:60], 100)
    with pytest.raises(Refused) as failure:
        store.append(digest, 60, data[60:], 100)
    assert code(failure) == expected
    assert names(store) == []


def test_erasing_overwrites_the_bytes_and_leaves_no_name(store: Store) -> None:
    digest, length = sealed(store, noise(3 * 2**20))
    store.append(digest, 0, b"a part", length, "XA")
    watched = os.open(store.folder / digest, os.O_RDONLY)  # the same file, after its name is gone
    try:
        store.erase(digest)
        assert os.pread(watched, length, 0) == bytes(length)
    finally:
        os.close(watched)
    assert names(store) == []
    store.erase(digest)


def test_what_was_sealed_and_never_said_is_swept_after_its_time(tmp_path: Path) -> None:
    clock = Clock()
    store = Store(tmp_path, clock)
    named, orphan = sealed(store, b"named")[0], sealed(store, b"orphan")[0]
    foreign = tmp_path / "notes.txt"
    foreign.write_text("not ours")
    os.utime(foreign, (0, 0))
    assert store.sweep({named}, clock() - 1) == 0
    clock.pass_days(1)
    assert store.sweep({named}, clock() - 1) == 1
    assert names(store) == sorted([named, "notes.txt"])
    assert orphan not in names(store)


def _stream(store: Store, size: int) -> None:
    """Seal, transfer and open `size` bytes that are never all there."""

    class Zeros(io.RawIOBase):
        left = size

        def readable(self) -> bool:
            return True

        def read(self, count: int = -1, /) -> bytes:
            count = min(count, self.left)
            self.left -= count
            return bytes(count)

    class Counting(io.RawIOBase):
        taken = 0

        def write(self, data: bytes, /) -> int:  # type: ignore[override]
            self.taken += len(data)
            return len(data)

    digest, length = store.seal(Zeros(), [GUARD.recipient])  # type: ignore[arg-type]
    there, offset = Store(store.folder.parent / "there"), 0
    while offset < length:
        piece = store.read(digest, offset, 4 * 2**20)
        offset = there.append(digest, offset, piece, length)
    sink = Counting()
    assert there.open(digest, [GUARD], sink) == size == sink.taken  # type: ignore[arg-type]


def test_32_mib_pass_through_without_being_held_in_memory(store: Store) -> None:
    tracemalloc.start()
    try:
        _stream(store, 32 * 2**20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * 2**20, f"{peak / 2**20:.1f} MiB at the peak"


@pytest.mark.long
def test_1_gib_passes_through_without_being_held_in_memory(store: Store) -> None:
    tracemalloc.start()
    try:
        _stream(store, 2**30)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * 2**20, f"{peak / 2**20:.1f} MiB at the peak"


def test_behind_the_salt_stands_what_the_age_program_opens(store: Store, tmp_path: Path) -> None:
    program = shutil.which("age")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True) if program else None
    if version is None or not version.stdout.startswith(("v1.3", "1.3")):
        pytest.skip("needs the age program, 1.3 or later, which knows the hybrid recipient")
    digest, _ = sealed(store, b"papers")
    (tmp_path / "key").write_text(GUARD.to_text())
    container = store.read(digest, SALT, 2**20)
    done = subprocess.run(
        [str(program), "-d", "-i", str(tmp_path / "key")], input=container, capture_output=True, check=True
    )
    assert done.stdout == b"papers"
