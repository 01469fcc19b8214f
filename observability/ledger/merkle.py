"""Merkle trees over an entry's rows, as in Certificate Transparency (RFC 6962, section 2.1)."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(row: bytes) -> bytes:
    # The leading byte tells leaves from inner nodes, so that neither can pass for the other.
    return sha256(b"\x00" + row).digest()


def leaf_hashes(rows: Iterable[bytes]) -> list[bytes]:
    # Written out, like _parents, because it runs for every batch that is answered.
    return [sha256(b"\x00" + row).digest() for row in rows]


def root(leaves: Sequence[bytes]) -> bytes:
    """Hash leaf hashes up to a root. An odd node rides up unchanged: the same tree as the RFC's."""
    level = list(leaves)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Collect the siblings from leaf `index` up to the root, lowest first."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"there is no leaf {index}: the tree has {len(leaves)} leaves")
    level, found = list(leaves), []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            found.append(level[sibling])
        level, index = _parents(level), index // 2
    return found


def root_from_path(leaf: bytes, index: int, size: int, siblings: Sequence[bytes]) -> bytes | None:
    """Follow a path to its root; none if the path does not fit a tree of that size."""
    if not 0 <= index < size:
        return None
    node, rest = leaf, list(siblings)
    while size > 1:
        if index ^ 1 < size:
            if not rest:
                return None
            sibling = rest.pop(0)
            node = _inner(sibling, node) if index % 2 else _inner(node, sibling)
        index, size = index // 2, (size + 1) // 2
    return None if rest else node


def _parents(level: list[bytes]) -> list[bytes]:
    nodes = iter(level)
    above = [
        sha256(b"\x01" + left + right).digest() for left, right in zip(nodes, nodes, strict=False)
    ]
    if len(level) % 2:
        above.append(level[-1])
    return above


def _inner(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
