"""A writer's own chain of entries: no writer waits for another, so n gateways need no lock."""

from collections.abc import Sequence

from observability.ledger.entry import (
    NO_HASH,
    Header,
    Sealed,
    checked_name,
    encode,
    hash_of,
    seal,
)

_NO_ROWS: Sealed = seal([])


class Chain:
    """Where a writer's chain stands, and how it goes on."""

    def __init__(self, writer: str) -> None:
        self.writer = checked_name(writer)
        self._next_seq = 0
        self._head = NO_HASH

    def link(self, batches: Sequence[Sealed], created_ms: int) -> list[bytes]:
        """Make these batches entries; the first ever is led by the genesis entry."""
        genesis = [] if self._next_seq else [_NO_ROWS]
        return [self._link(sealed, created_ms) for sealed in (*genesis, *batches)]

    def _link(self, sealed: Sealed, created_ms: int) -> bytes:
        header = Header(self.writer, self._next_seq, created_ms, sealed.count)
        entry_hash = hash_of(self._head, header, sealed.root)
        encoded = encode(header, self._head, entry_hash, sealed.body)
        self._next_seq += 1
        self._head = entry_hash
        return encoded
