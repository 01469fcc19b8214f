"""Replays chains of entries and says what does not fit."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from observability.ledger.entry import NO_HASH, Entry

FaultKind = Literal["altered", "gap", "unlinked", "conflict", "truncated", "damaged"]

_NOTHING_PINNED: Mapping[str, "Head"] = {}


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a chain. Whoever notes one down can tell later if the chain was cut."""

    seq: int
    entry_hash: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that does not fit: which kind, of whose entry, and in words.

    What cannot be read at all (`damaged`) has no writer and no number, only the words.
    """

    kind: FaultKind
    writer: str
    seq: int
    message: str


@dataclass(slots=True)
class Verification:
    """What a replay saw: every chain's head, and the faults (none in a whole ledger)."""

    entries: int = 0
    rows: int = 0
    heads: dict[str, Head] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        return not self.faults


def verify_ordered(
    entries: Iterable[Entry], pinned: Mapping[str, Head] = _NOTHING_PINNED
) -> Verification:
    """Verify entries sorted by writer and number, one at a time: for more than fits in memory."""
    result = Verification()
    for writer, chain in groupby(entries, key=lambda entry: entry.header.writer):
        result.faults += _replay(chain, result, pinned.get(writer))
    for writer in pinned.keys() - result.heads.keys():
        head = pinned[writer]
        result.faults.append(Fault("truncated", writer, head.seq, "the whole chain is missing"))
    return result


def _replay(chain: Iterable[Entry], result: Verification, pinned: Head | None) -> Iterator[Fault]:
    last: Entry | None = None
    for entry in chain:
        yield from _altered(entry)
        if last is not None and last.header.seq == entry.header.seq:
            yield from _repeated(last, entry)
            continue
        yield from _joint(last, entry)
        if pinned is not None and pinned.seq == entry.header.seq:
            yield from _rewritten(entry, pinned)
        result.entries += 1
        result.rows += len(entry.rows)
        last = entry
    if last is not None:
        result.heads[last.header.writer] = Head(last.header.seq, last.entry_hash)
        yield from _cut(last, pinned)


def _altered(entry: Entry) -> Iterator[Fault]:
    if not entry.intact:
        yield _fault("altered", entry, "the header or the rows do not match their hashes")


def _repeated(last: Entry, entry: Entry) -> Iterator[Fault]:
    """Allow an entry to arrive twice after an outage, but never as two different ones."""
    if last.entry_hash != entry.entry_hash:
        yield _fault("conflict", entry, "two different entries have this number")


def _joint(last: Entry | None, entry: Entry) -> Iterator[Fault]:
    expected = 0 if last is None else last.header.seq + 1
    if entry.header.seq > expected:
        yield _fault("gap", entry, f"entries {expected} to {entry.header.seq - 1} are missing")
    elif entry.prev_hash != (NO_HASH if last is None else last.entry_hash):
        yield _fault("unlinked", entry, "it does not continue the entry before it")


def _rewritten(entry: Entry, pinned: Head) -> Iterator[Fault]:
    if entry.entry_hash != pinned.entry_hash:
        yield _fault("conflict", entry, "it differs from the entry that was noted before")


def _cut(last: Entry, pinned: Head | None) -> Iterator[Fault]:
    if pinned is not None and pinned.seq > last.header.seq:
        yield _fault(
            "truncated", last, f"the chain ends here, but entry {pinned.seq} was noted before"
        )


def _fault(kind: FaultKind, entry: Entry, message: str) -> Fault:
    return Fault(kind, entry.header.writer, entry.header.seq, message)
