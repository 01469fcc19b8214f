"""What goes into a key's log and comes out of it: entries, snapshots, and how they are cut."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson

from deployments.runtime.state.position import ANY_MARK, mark_of

# An entry holds all events of one key in one batch.
EVENTS, IDS = b"e", b"i"
# The latest rows whose ids go with a snapshot: more than all batches that can be on their way.
KEPT_IDS = 2_048
# Redis answers nobody else while it appends so many, about a millisecond.
APPENDED_AT_ONCE = 64
# A full Redis refuses a call whole: large entries go by themselves, as they may find room.
APPENDED_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Entry:
    """What one batch did to one key."""

    events: list[Any]
    ids: list[str]


@dataclass(frozen=True, slots=True)
class QuotaPlace:
    """Where a key counts for who created it (see creation.py)."""

    owners: str
    owned: str
    name: str
    owner: str


@dataclass(frozen=True, slots=True)
class Append:
    """An entry on its way to a key's log."""

    key: str
    number: int
    events: bytes
    rows: list[str]
    # The mark of the entry before it, as its writer knows that.
    after: str = ANY_MARK
    # The first entry of a key that is new, or was deleted: it is listed from now on.
    begins: bool = False
    # Its last one: the key is deleted. Its rows are all that shall still be known.
    ends: bool = False
    # Of a key that begins: the place that it shall have from now on, whatever became of it.
    place: QuotaPlace | None = None

    @classmethod
    def of(
        cls,
        key: str,
        number: int,
        entry: Entry,
        *,
        after: str = ANY_MARK,
        begins: bool = False,
        ends: bool = False,
        place: QuotaPlace | None = None,
    ) -> Self:
        return cls(key, number, orjson.dumps(entry.events), entry.ids, after, begins, ends, place)

    @property
    def ids(self) -> bytes:
        return orjson.dumps(self.rows[-KEPT_IDS:] if self.ends else self.rows)

    @property
    def mark(self) -> str:
        """Give the mark by which the entry will be known."""
        return mark_of(self.events, self.ids)


@dataclass(frozen=True, slots=True)
class Saved:
    """What Redis holds of a key: the snapshot (None for no state yet), and what came after it."""

    number: int
    # The latest entry's.
    mark: str
    state: bytes | None
    tail: list[Entry]
    tail_bytes: int
    # Ids of the latest rows that the snapshot already stands for.
    seen: list[str]
    # Why none of it is here: another release writes entries or ids in a form of its own.
    unread: Exception | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing was written since the key was last deleted, or ever."""
        return self.state is None and not self.tail and self.unread is None


def size_of(append: Append) -> int:
    return len(append.events) + len(append.ids)


def pieces(places: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    """Cut them, in their order, into what one call appends."""
    piece: list[int] = []
    total = 0
    for at in places:
        if piece and (len(piece) == APPENDED_AT_ONCE or total + sizes[at] > APPENDED_BYTES):
            yield piece
            piece, total = [], 0
        piece.append(at)
        total += sizes[at]
    if piece:
        yield piece


def saved(snapshot: list[bytes | None], entries: list[tuple[bytes, dict[bytes, bytes]]]) -> Saved:
    number, state, ids, marked = snapshot
    latest, last = _number(number), _number(entries[-1][0]) if entries else 0
    mark = (marked or b"").decode()
    if last > latest:
        fields = entries[-1][1]
        mark = mark_of(fields.get(EVENTS, b""), fields.get(IDS, b""))
    try:
        tail, size = list[Entry](), 0
        for name, fields in entries:
            if (at := _number(name)) > latest:
                tail.append(Entry(_list(fields[EVENTS]), _list(fields[IDS])))
                size, latest = size + len(fields[EVENTS]), at
        return Saved(latest, mark, state or None, tail, size, _list(ids) if ids else [])
    except (ValueError, TypeError, KeyError) as why:
        return Saved(max(latest, last), mark, None, [], 0, [], why)


def _number(name: bytes | None) -> int:
    """Give the number in an entry's id or in a snapshot."""
    return int(name.split(b"-")[0]) if name is not None else 0


def _list(written: bytes) -> list[Any]:
    found = orjson.loads(written)
    if not isinstance(found, list):
        raise TypeError(f"expected a list, found {type(found).__name__}")
    return found
