"""The mirror against C2SP tlog-mirror and tlog-witness, statement by statement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import select

from mithaq.kernel import note
from mithaq.kernel.errors import Malformed
from mithaq.kernel.exchange import MIRROR_INFO, SIZE, Answer, Request
from mithaq.kernel.mirror import MOST_PACKAGES, PENDING, decimal, format_add_checkpoint, parse_add_checkpoint
from mithaq.kernel.note import Checkpoint
from mithaq.kernel.tables import mirrored, pending
from mithaq.node import Node
from tests.nodes import Clock, Forger, MakeDatabase, ask, start

PARTIES = ("XA", "XB")


@pytest.fixture
def node(make_database: MakeDatabase, clock: Clock) -> Iterator[Node]:
    made = start("XA", PARTIES, make_database("xa"), clock)
    yield made
    made.database.close()


@pytest.fixture
def peer(clock: Clock) -> Forger:
    made = Forger("XB", PARTIES, clock)
    made.put(*[b"%d" % n for n in range(700)])
    return made


def promise(node: Node, peer: Forger, size: int) -> None:
    assert ask(node, peer.add_checkpoint(node.post.mirror("XB").pending_size, size)) == Answer(200)


def bring(node: Node, peer: Forger, size: int) -> None:
    promise(node, peer, size)
    assert ask(node, peer.add_entries(node.post.mirror("XB").log.size, size)).status == 200


def prefix(peer: Forger, start: int, end: int, count: int) -> Request:
    body = peer.head(start, end) + b"".join(peer.packages(start, end)[:count])
    return peer.add_entries(start, end, body=body)


def check_receipt(node: Node, peer: Forger, answer: Answer, size: int) -> None:
    assert answer.status == 200
    assert all(line.startswith("\u2014 ") for line in answer.body.decode().splitlines())
    assert answer.body.endswith(b"\n")
    receipt = Checkpoint(peer.keys.origin, size, peer.root(size))
    assert note.check_cosignature(receipt, answer.body, node.keys.mirror_verifiers()) == int(peer.clock())


def test_a_whole_upload_is_answered_with_the_mirrors_cosignatures(node: Node, peer: Forger) -> None:
    promise(node, peer, 700)
    check_receipt(node, peer, ask(node, peer.add_entries(0, 700)), 700)
    with node.database.read() as connection:
        row = connection.execute(select(mirrored)).one()
        assert (row.size, bytes(row.root)) == (700, peer.root())
        assert connection.execute(select(pending)).all() == []
        assert node.post.mirror("XB").log.entries(connection, 0, 700) == peer.entries


def test_add_checkpoint_signs_nothing_and_moves_the_pending_checkpoint_alone(node: Node, peer: Forger) -> None:
    promise(node, peer, 700)
    mirror = node.post.mirror("XB")
    assert (mirror.size, mirror.pending_size, mirror.log.size) == (0, 700, 0)
    answer = ask(node, Request("GET", f"{note.origin_hash(peer.keys.origin)}/checkpoint", party="XB"))
    assert answer.status == 404  # nothing is mirrored yet


def test_the_mirrors_checkpoint_carries_the_logs_and_the_mirrors_signatures(node: Node, peer: Forger) -> None:
    bring(node, peer, 300)
    promise(node, peer, 700)  # a promise changes nothing in what is served
    served = ask(node, Request("GET", f"{note.origin_hash(peer.keys.origin)}/checkpoint", party="XB"))
    keys = [*peer.keys.log_verifiers(), *node.keys.mirror_verifiers()]
    opened = note.open_checkpoint(served.body, keys, peer.keys.origin)
    assert (opened.checkpoint.size, opened.checkpoint.root) == (300, peer.root(300))


def test_a_prefix_is_answered_202_with_where_to_go_on(node: Node, peer: Forger) -> None:
    promise(node, peer, 700)
    answer = ask(node, prefix(peer, 0, 700, 1))
    assert (answer.status, answer.body, answer.media) == (202, b"700\n256\n\n", MIRROR_INFO)
    answer = ask(node, prefix(peer, 256, 700, 1))
    assert (answer.status, answer.body) == (202, b"700\n512\n\n")
    assert node.post.mirror("XB").size == 0
    check_receipt(node, peer, ask(node, peer.add_entries(512, 700)), 700)


def test_a_body_that_ends_inside_a_package_keeps_the_packages_before(node: Node, peer: Forger) -> None:
    promise(node, peer, 700)
    whole = peer.add_entries(0, 700)
    cut = len(prefix(peer, 0, 700, 2).body) + 17
    answer = ask(node, replace(whole, body=whole.body[:cut]))
    assert (answer.status, answer.body) == (202, b"700\n512\n\n")


def test_a_broken_package_behind_a_good_one_keeps_the_good_one(node: Node, peer: Forger) -> None:
    promise(node, peer, 700)
    packages = peer.packages(0, 700)
    broken = packages[1][:2] + bytes([packages[1][2] ^ 1]) + packages[1][3:]
    answer = ask(node, peer.add_entries(0, 700, body=peer.head(0, 700) + packages[0] + broken))
    assert answer.status == 422, 'tlog-mirror: "respond with a 422 ... and end processing"'
    assert node.post.mirror("XB").log.size == 256


def test_a_first_package_that_breaks_its_proof_is_422_and_a_cut_one_400(node: Node, peer: Forger) -> None:
    promise(node, peer, 700)
    whole = peer.add_entries(0, 700).body
    at = len(peer.head(0, 700)) + 2
    assert ask(node, peer.add_entries(0, 700, body=whole[:at] + b"X" + whole[at + 1 :])).status == 422
    for nothing in (peer.add_entries(0, 700, body=whole[: at + 40]), prefix(peer, 0, 700, 0)):
        assert ask(node, nothing) == Answer(400, b"mirror.truncated_package\n")
    assert node.post.mirror("XB").log.size == 0


def test_more_than_63_hashes_in_a_package_is_a_bad_request(node: Node, peer: Forger) -> None:
    promise(node, peer, 1)
    body = peer.head(0, 1) + b"\0\1" + b"0" + bytes([64]) + b"\0" * 32 * 64
    assert ask(node, peer.add_entries(0, 1, body=body)).status == 400


def test_what_is_held_already_is_skipped_and_receipted_again(node: Node, peer: Forger) -> None:
    bring(node, peer, 700)
    check_receipt(node, peer, ask(node, peer.add_entries(0, 700)), 700)
    check_receipt(node, peer, ask(node, peer.add_entries(300, 700)), 700)
    check_receipt(node, peer, ask(node, peer.add_entries(700, 700)), 700)
    assert node.post.mirror("XB").log.size == 700


def test_an_upload_for_an_older_promise_is_taken_and_one_below_the_mirrors_size_is_not(
    node: Node, peer: Forger
) -> None:
    for size in (100, 300, 700):
        promise(node, peer, size)
    check_receipt(node, peer, ask(node, peer.add_entries(0, 300)), 300)
    answer = ask(node, peer.add_entries(0, 100))
    assert (answer.status, answer.body, answer.media) == (409, b"700\n300\n\n", MIRROR_INFO)
    check_receipt(node, peer, ask(node, peer.add_entries(300, 700)), 700)
    answer = ask(node, peer.add_entries(0, 300))
    assert (answer.status, answer.body) == (409, b"700\n700\n\n")


@pytest.mark.parametrize("start, end", [(0, 699), (301, 700), (700, 701), (500, 500)])
def test_an_upload_that_does_not_meet_what_is_held_is_409_with_where_to_go_on(
    node: Node, peer: Forger, start: int, end: int
) -> None:
    bring(node, peer, 300)
    promise(node, peer, 700)
    answer = ask(node, peer.add_entries(start, end, body=peer.head(start, end)))
    assert (answer.status, answer.body, answer.media) == (409, b"700\n300\n\n", MIRROR_INFO)


def test_an_upload_that_begins_too_far_back_is_409(node: Node, clock: Clock) -> None:
    peer = Forger("XB", PARTIES, clock)
    peer.put(*[b"%d" % n for n in range(9000)])
    bring(node, peer, 9000)
    answer = ask(node, peer.add_entries(0, 9000, body=peer.head(0, 9000)))
    assert (answer.status, answer.body) == (409, b"9000\n9000\n\n")


@pytest.mark.parametrize("start, end", [(2, 1), (0, 2**63), (2**64 - 1, 2**64 - 1)])
def test_numbers_that_make_no_interval_are_a_bad_request(node: Node, peer: Forger, start: int, end: int) -> None:
    promise(node, peer, 700)
    assert ask(node, peer.add_entries(start, end, body=peer.head(start, end))).status == 400


def test_an_opaque_ticket_is_passed_over(node: Node, peer: Forger) -> None:
    promise(node, peer, 1)
    body = peer.head(0, 1, ticket=b"t" * 500) + b"".join(peer.packages(0, 1))
    check_receipt(node, peer, ask(node, peer.add_entries(0, 1, body=body)), 1)


def test_two_uploads_that_interleave_end_in_one_log(node: Node, peer: Forger) -> None:
    promise(node, peer, 300)
    assert ask(node, prefix(peer, 0, 300, 1)).status == 202
    promise(node, peer, 700)
    assert ask(node, prefix(peer, 0, 700, 2)).body == b"700\n512\n\n"
    check_receipt(node, peer, ask(node, peer.add_entries(256, 300)), 300)
    check_receipt(node, peer, ask(node, peer.add_entries(512, 700)), 700)
    with node.database.read() as connection:
        assert node.post.mirror("XB").log.entries(connection, 0, 700) == peer.entries


def test_a_receipt_is_given_only_for_what_a_restarted_node_still_holds(
    make_database: MakeDatabase, peer: Forger, clock: Clock
) -> None:
    node = start("XA", PARTIES, make_database("again"), clock)
    promise(node, peer, 700)
    assert ask(node, prefix(peer, 0, 700, 1)).status == 202
    node.database.close()
    node = start("XA", PARTIES, make_database("again"), clock)
    mirror = node.post.mirror("XB")
    assert (mirror.size, mirror.pending_size, mirror.log.size) == (0, 700, 256)
    check_receipt(node, peer, ask(node, peer.add_entries(256, 700)), 700)
    node.database.close()
    node = start("XA", PARTIES, make_database("again"), clock)
    assert node.post.mirror("XB").log.root() == peer.root()
    node.database.close()


def test_no_receipt_when_the_commit_fails_and_the_upload_can_be_sent_again(node: Node, peer: Forger) -> None:
    promise(node, peer, 700)
    mirror, body = node.post.mirror("XB"), peer.add_entries(0, 700).body

    def fail(connection: object) -> None:
        assert isinstance(mirror.add_entries(connection, body), Checkpoint)  # type: ignore[arg-type]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        node.writer.do(fail)
    assert (mirror.size, mirror.pending_size, mirror.log.size) == (0, 700, 0)
    check_receipt(node, peer, ask(node, peer.add_entries(0, 700)), 700)


def test_the_same_checkpoint_again_is_fine_and_a_first_one_may_be_of_any_size(node: Node, peer: Forger) -> None:
    promise(node, peer, 700)
    assert ask(node, peer.add_checkpoint(700, 700)).status == 200
    assert node.post.mirror("XB").pending_size == 700


def test_an_empty_log_is_held_and_receipted(node: Node, clock: Clock) -> None:
    peer = Forger("XB", PARTIES, clock)
    assert ask(node, peer.add_checkpoint(0, 0)).status == 200
    check_receipt(node, peer, ask(node, peer.add_entries(0, 0)), 0)


def test_a_proof_where_none_belongs_is_422(node: Node, peer: Forger) -> None:
    answer = ask(node, peer.add_checkpoint(0, 700, proof=[b"\0" * 32]))
    assert answer == Answer(422, b"mirror.broken_proof\n")
    promise(node, peer, 700)
    answer = ask(node, peer.add_checkpoint(700, 700, proof=[b"\0" * 32]))
    assert answer == Answer(422, b"mirror.conflicting_checkpoint\n")


def test_before_any_checkpoint_no_entries_are_taken(node: Node, peer: Forger) -> None:
    assert ask(node, peer.add_entries(0, 700)) == Answer(422, b"mirror.no_checkpoint\n")


def test_an_old_size_above_the_checkpoints_is_a_bad_request(node: Node, peer: Forger) -> None:
    promise(node, peer, 700)
    assert ask(node, peer.add_checkpoint(700, 300, proof=[])) == Answer(400, b"mirror.old_size\n")


def test_any_old_size_tells_the_client_which_one_is_held(node: Node, peer: Forger) -> None:
    promise(node, peer, 300)
    answer = ask(node, peer.add_checkpoint(0, 700))
    assert (answer.status, answer.body, answer.media) == (409, b"300\n", SIZE)


def test_a_body_of_add_checkpoint_is_read_as_it_was_written() -> None:
    proof = [bytes([n]) * 32 for n in range(63)]
    assert parse_add_checkpoint(format_add_checkpoint(7, proof, b"note")) == (7, proof, b"note")
    with pytest.raises(Malformed):
        parse_add_checkpoint(format_add_checkpoint(7, [*proof, b"\0" * 32], b"note"))


@pytest.mark.parametrize("text", [b"", b"01", b"+1", b" 1", b"1 ", b"1_0", b"9" * 20, "٣".encode()])
def test_a_decimal_is_ascii_without_leading_noughts(text: bytes) -> None:
    with pytest.raises(Malformed):
        decimal(text)


def test_a_checkpoint_with_extension_lines_is_not_taken(node: Node, peer: Forger) -> None:
    """ML-DSA does not cover them, and our cosignature of the log's text would not be over the note that we serve."""
    text = Checkpoint(peer.keys.origin, 700, peer.root(), ("an extension",)).body
    lines = b"".join(signer.sign_text(text, 1) for signer in peer.keys.log_signers())
    answer = ask(node, peer.add_checkpoint(0, 700, checkpoint=text + b"\n" + lines))
    assert (answer.status, answer.body) == (403, b"note.extensions\n")
    assert node.post.mirror("XB").pending_size == 0


def test_of_checkpoints_without_their_entries_only_the_last_several_are_kept(node: Node, peer: Forger) -> None:
    for size in range(1, PENDING + 20):
        promise(node, peer, size)
    mirror = node.post.mirror("XB")
    assert mirror.pending_size == PENDING + 19
    with node.database.read() as connection:
        kept = connection.execute(select(pending.c.size)).scalars().all()
    assert sorted(kept) == sorted(mirror._pending) == list(range(20, PENDING + 20))
    assert ask(node, peer.add_entries(0, 1)).status == 409
    check_receipt(node, peer, ask(node, peer.add_entries(0, 20)), 20)


def test_a_request_is_not_read_further_than_its_packages_may_be(node: Node, clock: Clock) -> None:
    """Two bytes make an entry: without a bound, one small compressed body would hold the writer for minutes."""
    flood = Forger("XB", PARTIES, clock)
    flood.put(*[b""] * (MOST_PACKAGES * 256 + 300))
    promise(node, flood, len(flood.entries))
    answer = ask(node, flood.add_entries(0, len(flood.entries)))
    end = MOST_PACKAGES * 256
    assert (answer.status, answer.media) == (202, MIRROR_INFO)
    assert answer.body == f"{len(flood.entries)}\n{end}\n\n".encode()
    check_receipt(node, flood, ask(node, flood.add_entries(end, len(flood.entries))), len(flood.entries))


def test_an_empty_tree_under_another_root_is_422_and_an_unreadable_note_400(node: Node) -> None:
    origin = node.post.mirror("XB").origin
    for text, status in ((f"{origin}\n0\n{'A' * 43}=\n\n\u2014 x AAAAAAAA\n", 422), (f"{origin}\n0\n", 400)):
        request = Request("POST", "add-checkpoint", f"old 0\n\n{text}".encode(), party="XB")
        assert ask(node, request).status == status
