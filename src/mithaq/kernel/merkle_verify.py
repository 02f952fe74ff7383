"""Checking Merkle proofs: each function returns None when the proof holds, or raises `Refused("merkle....")`.

RFC 9162 sections 2.1.3.2 and 2.1.4.2; for subtrees draft-ietf-plants-merkle-tree-certs sections 4.3.2 and 4.4.3.
Everything here may come from a stranger: sizes, hash lengths and the proof's length are checked before hashing.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest

from mithaq.kernel.errors import Refused

HASH_SIZE = 32
MAX_SIZE = 1 << 63  # exclusive: C2SP sizes are below 2**63
MAX_PROOF = 63  # tlog-mirror: num_hashes is at most 63
EMPTY_ROOT = sha256(b"").digest()

# A hash object that has taken the prefix is copied: faster than joining prefix, left and right (measured).
_node = sha256(b"\x01").copy


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 || left || right)."""
    h = _node()
    h.update(left)
    h.update(right)
    return h.digest()


def valid_subtree(start: int, end: int) -> bool:
    """Whether [start, end) is a subtree of the draft's section 4.1; the empty one is."""
    width = end - start
    if start < 0 or width < 0:
        return False
    return width <= 1 or start % (1 << (width - 1).bit_length()) == 0


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """That the leaf hash stands at `index` in the tree of `size` leaves with `root` (RFC 9162 2.1.3.2)."""
    _check_numbers(index=index, size=size)
    if index >= size:
        raise Refused("merkle.range", index=index, size=size)
    _check_hashes(proof, leaf, root)
    place, last, result = index, size - 1, leaf
    for each in proof:
        if last == 0:
            raise Refused("merkle.proof_length", hashes=len(proof))
        if place & 1 or place == last:
            result = node_hash(each, result)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            result = node_hash(result, each)
        place, last = place >> 1, last >> 1
    if last:
        raise Refused("merkle.proof_length", hashes=len(proof))
    if not compare_digest(result, root):
        raise Refused("merkle.root", index=index, size=size)


def verify_subtree_inclusion(
    leaf: bytes, index: int, start: int, end: int, proof: Sequence[bytes], root: bytes
) -> None:
    """That the leaf hash stands at `index` (counted in the whole log) in the subtree [start, end) with `root`."""
    _check_numbers(index=index, start=start, end=end)
    if not start <= index < end or not valid_subtree(start, end):
        raise Refused("merkle.range", index=index, start=start, end=end)
    verify_inclusion(leaf, index - start, end - start, proof, root)


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """That the tree of `old` leaves is a prefix of that of `new` leaves (RFC 9162 2.1.4.2).

    A size of 0 is refused: every tree begins with the empty one, there is nothing to prove; callers decide it.
    """
    _check_numbers(old=old, new=new)
    if not 0 < old <= new:
        raise Refused("merkle.range", old=old, new=new)
    verify_subtree_consistency(0, old, old_root, new, new_root, proof)


def verify_subtree_consistency(
    start: int, end: int, subtree_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> None:
    """That [start, end) with `subtree_root` is a subtree of the tree of `size` leaves with `root` (draft, 4.4.3).

    For an empty subtree only its own root (the empty hash) and an empty proof are asked.
    """
    _check_numbers(start=start, end=end, size=size)
    if end > size or not valid_subtree(start, end):
        raise Refused("merkle.range", start=start, end=end, size=size)
    if start == end:
        if proof:
            raise Refused("merkle.proof_length", hashes=len(proof))
        if subtree_root != EMPTY_ROOT:
            raise Refused("merkle.root", start=start, end=end, size=size)
        return
    _check_hashes(proof, subtree_root, root)
    made_subtree, made_root = _fold(start, end - 1, size - 1, subtree_root, proof)
    if not (compare_digest(made_subtree, subtree_root) and compare_digest(made_root, root)):
        raise Refused("merkle.root", start=start, end=end, size=size)


def _fold(first: int, last: int, tip: int, subtree: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The subtree's and the tree's root as the proof makes them; names: the draft's fn, sn and tn."""
    # Climb to where the proof begins: to the whole subtree, or to its largest complete part on the right.
    while first != last and (last & 1 or last == tip):
        first, last, tip = first >> 1, last >> 1, tip >> 1
    rest = list(proof)
    if first != last:
        if not rest:
            raise Refused("merkle.proof_length", hashes=0)
        subtree = rest.pop(0)
    whole = subtree
    for each in rest:
        if tip == 0:
            raise Refused("merkle.proof_length", hashes=len(proof))
        if last & 1 or last == tip:
            if first < last:
                subtree = node_hash(each, subtree)
            whole = node_hash(each, whole)
            while not last & 1 and last:
                first, last, tip = first >> 1, last >> 1, tip >> 1
        else:
            whole = node_hash(whole, each)
        first, last, tip = first >> 1, last >> 1, tip >> 1
    if tip:
        raise Refused("merkle.proof_length", hashes=len(proof))
    return subtree, whole


def _check_numbers(**numbers: int) -> None:
    for value in numbers.values():
        if type(value) is not int or not 0 <= value < MAX_SIZE:
            raise Refused("merkle.range", **numbers)


def _check_hashes(proof: Sequence[bytes], *hashes: bytes) -> None:
    if len(proof) > MAX_PROOF:
        raise Refused("merkle.proof_length", hashes=len(proof))
    for each in (*hashes, *proof):
        if type(each) is not bytes or len(each) != HASH_SIZE:
            raise Refused("merkle.hash_length")
