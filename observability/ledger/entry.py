"""The ledger's record: one entry for a batch of decisions, and its bytes.

    entry_hash = sha256(0x02 || prev_hash || header || Merkle root over the rows)

The bytes are header, prev_hash, entry_hash, the rows' lengths, the rows. They are not compressed:
zlib's fastest level costs three times what all hashing costs, and saves less than that in Redis.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from observability.errors import DamagedEntryError
from observability.ledger import merkle
from observability.ledger.decision import Decision

VERSION = 1
HASH_BYTES = 32
NO_HASH = bytes(HASH_BYTES)

# version, sequence number, created ms, rows, length of the writer's name
_HEADER = struct.Struct(">BQQIB")
_NAME = re.compile(r"[A-Za-z0-9._~-]{1,128}")


@dataclass(frozen=True, slots=True)
class Header:
    """Who wrote the entry, as which of its chain, when, over how many rows."""

    writer: str
    seq: int
    created_ms: int
    count: int

    def encode(self) -> bytes:
        name = self.writer.encode()
        return _HEADER.pack(VERSION, self.seq, self.created_ms, self.count, len(name)) + name


@dataclass(frozen=True)
class Entry:
    """A link of a writer's chain. `seq` 0 is the genesis: it has no rows and names the writer."""

    header: Header
    prev_hash: bytes
    entry_hash: bytes
    rows: tuple[bytes, ...]

    @cached_property
    def leaves(self) -> list[bytes]:
        return merkle.leaf_hashes(self.rows)

    @cached_property
    def root(self) -> bytes:
        return merkle.root(self.leaves)

    @property
    def intact(self) -> bool:
        """Whether header and rows are those that were hashed."""
        return self.entry_hash == hash_of(self.prev_hash, self.header, self.root)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A batch hashed and framed, not yet linked to a chain: what can be done ahead of the write."""

    root: bytes
    count: int
    body: bytes


def seal(decisions: Sequence[Decision]) -> Sealed:
    """Hash and frame a batch's rows; refuses rows that do not hold their own ids."""
    # Ids and rows that slipped against each other show at the ends; every row would cost as much
    # as half the tree.
    for decision in (*decisions[:1], *decisions[-1:]):
        if decision.decision_id.encode() not in decision.row:
            raise ValueError(
                f"the row of decision {decision.decision_id!r} does not contain this id"
            )
    rows = [decision.row for decision in decisions]
    lengths = struct.pack(f">{len(rows)}I", *map(len, rows))
    root = merkle.root(merkle.leaf_hashes(rows))
    return Sealed(root, len(rows), lengths + b"".join(rows))


def hash_of(prev_hash: bytes, header: Header, root: bytes) -> bytes:
    return sha256(b"\x02" + prev_hash + header.encode() + root).digest()


def encode(header: Header, prev_hash: bytes, entry_hash: bytes, body: bytes) -> bytes:
    return b"".join((header.encode(), prev_hash, entry_hash, body))


def decode(data: bytes) -> Entry:
    """Read an entry's bytes. Their structure is checked here; the hashes by `Entry.intact`."""
    try:
        header, at = _header(data)
        lengths = struct.unpack_from(f">{header.count}I", data, at + 2 * HASH_BYTES)
    except (struct.error, UnicodeDecodeError) as error:
        raise DamagedEntryError(f"not a ledger entry: {error}") from error
    prev_hash = data[at : at + HASH_BYTES]
    entry_hash = data[at + HASH_BYTES : at + 2 * HASH_BYTES]
    rows = _rows(data, at + 2 * HASH_BYTES + 4 * header.count, lengths)
    return Entry(header, prev_hash, entry_hash, rows)


def checked_name(writer: str) -> str:
    """Return the name, which also becomes a file's: refuses what neither could carry."""
    if not _NAME.fullmatch(writer):
        raise ValueError(f"a writer's name is 1 to 128 of A-Z a-z 0-9 . _ ~ -, not {writer!r}")
    return writer


def _header(data: bytes) -> tuple[Header, int]:
    version, seq, created_ms, count, name_length = _HEADER.unpack_from(data)
    if version != VERSION:
        raise DamagedEntryError(
            f"the ledger entry has format {version}, but this release reads {VERSION}"
        )
    end = _HEADER.size + name_length
    writer = data[_HEADER.size : end].decode()
    return Header(writer, seq, created_ms, count), end


def _rows(data: bytes, at: int, lengths: Sequence[int]) -> tuple[bytes, ...]:
    if at + sum(lengths) != len(data):
        raise DamagedEntryError(
            f"a ledger entry should have {at + sum(lengths)} bytes, but has {len(data)}: it was "
            "cut short or extended"
        )
    rows = []
    for length in lengths:
        rows.append(data[at : at + length])
        at += length
    return tuple(rows)
