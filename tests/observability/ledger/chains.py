"""Verifies entries as a test has them: in any order, all at hand."""

from collections.abc import Iterable, Mapping

from observability.ledger.entry import Entry
from observability.ledger.verify import Head, Verification, verify_ordered


def verify_chains(
    entries: Iterable[Entry], pinned: Mapping[str, Head] | None = None
) -> Verification:
    """Verify entries, repeated ones included; `pinned` heads must still be there."""
    return verify_ordered(sorted(entries, key=_position), pinned or {})


def _position(entry: Entry) -> tuple[str, int]:
    return entry.header.writer, entry.header.seq
