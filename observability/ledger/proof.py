"""Proof that one row is in the ledger: its path to the entry's root, and the entry's chain link.

Whoever holds a proof and a later entry's hash, noted down elsewhere, needs to trust nobody.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from observability.errors import LedgerError
from observability.ledger import merkle
from observability.ledger.entry import Entry, Header, hash_of


@dataclass(frozen=True, slots=True)
class Link:
    """An entry without its rows: enough to recompute its hash from the hash before it."""

    header: Header
    root: bytes
    entry_hash: bytes

    @classmethod
    def of(cls, entry: Entry) -> Self:
        return cls(entry.header, entry.root, entry.entry_hash)


@dataclass(frozen=True, slots=True)
class Proof:
    """A row, the way up to its entry, and the entry that came next (if there is one yet)."""

    row: bytes
    leaf: int
    path: tuple[bytes, ...]
    prev_hash: bytes
    link: Link
    successor: Link | None

    def to_json(self) -> dict[str, Any]:
        """Write it for clients: bytes as hex, the row as the text that was hashed."""
        return {
            "row": self.row.decode(),
            "leaf": self.leaf,
            "path": [sibling.hex() for sibling in self.path],
            "prev_hash": self.prev_hash.hex(),
            "entry": _link_to_json(self.link),
            "successor": None if self.successor is None else _link_to_json(self.successor),
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Self:
        try:
            return cls(
                row=form["row"].encode(),
                leaf=int(form["leaf"]),
                path=tuple(bytes.fromhex(sibling) for sibling in form["path"]),
                prev_hash=bytes.fromhex(form["prev_hash"]),
                link=_link_from_json(form["entry"]),
                successor=form["successor"] and _link_from_json(form["successor"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
            raise LedgerError(f"the document is not an inclusion proof: {error!r}") from error


def prove(entry: Entry, leaf: int, successor: Link | None) -> Proof:
    """Prove that row `leaf` is in the entry, and that the successor commits to the entry."""
    siblings = tuple(merkle.path(entry.leaves, leaf))
    return Proof(entry.rows[leaf], leaf, siblings, entry.prev_hash, Link.of(entry), successor)


def verify_proof(proof: Proof) -> bool:
    """Whether the row, its path, its entry and the entry's successor fit together."""
    link = proof.link
    leaf = merkle.leaf_hash(proof.row)
    root = merkle.root_from_path(leaf, proof.leaf, link.header.count, proof.path)
    return root == link.root and _follows(link, proof.prev_hash) and _succeeded(proof)


def _succeeded(proof: Proof) -> bool:
    link, successor = proof.link, proof.successor
    if successor is None:
        return True
    in_turn = (successor.header.writer, successor.header.seq) == (
        link.header.writer,
        link.header.seq + 1,
    )
    return in_turn and _follows(successor, link.entry_hash)


def _follows(link: Link, prev_hash: bytes) -> bool:
    return link.entry_hash == hash_of(prev_hash, link.header, link.root)


def _link_to_json(link: Link) -> dict[str, Any]:
    return {
        "writer": link.header.writer,
        "seq": link.header.seq,
        "created_ms": link.header.created_ms,
        "count": link.header.count,
        "root": link.root.hex(),
        "entry_hash": link.entry_hash.hex(),
    }


def _link_from_json(form: Mapping[str, Any]) -> Link:
    header = Header(form["writer"], form["seq"], form["created_ms"], form["count"])
    header.encode()  # numbers that fit no header are refused here, not when the proof is verified
    return Link(header, bytes.fromhex(form["root"]), bytes.fromhex(form["entry_hash"]))
