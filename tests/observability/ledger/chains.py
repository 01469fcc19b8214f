"""Makes entries, and verifies them as a test has them: in any order, all at hand."""

from collections.abc import Iterable, Mapping, Sequence

from observability.ledger.decision import Decision
from observability.ledger.entry import NO_HASH, Entry, Header, hash_of
from observability.ledger.verify import Head, Verification, verify_ordered


def first_entry(decisions: Sequence[Decision], created_ms: int) -> Entry:
    """Make the first entry of a chain."""
    rows = tuple(each.row for each in decisions)
    header = Header("w", 1, created_ms, len(rows))
    unsealed = Entry(header, NO_HASH, NO_HASH, rows)
    return Entry(header, NO_HASH, hash_of(NO_HASH, header, unsealed.root), rows)


def verify_chains(
    entries: Iterable[Entry], pinned: Mapping[str, Head] | None = None
) -> Verification:
    """Verify entries, repeated ones included; `pinned` heads must still be there."""
    return verify_ordered(sorted(entries, key=_position), pinned or {})


def _position(entry: Entry) -> tuple[str, int]:
    return entry.header.writer, entry.header.seq
