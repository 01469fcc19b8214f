"""The part of the ledger that is in ClickHouse: every row as it was hashed, every entry's link."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from observability.clickhouse import Clickhouse, Params
from observability.ledger.entry import Entry, Header
from observability.ledger.proof import Link
from observability.ledger.rows_by_id import RowsById

WINDOW = 500
# What the row has in it of an answer that no client got: a shadow's, beside another decision. A
# client may have written it deeper in the row.
SHADOW = b'"shadow_of":"'
# What the row of a decision that broke a limit has in it, whatever else it has.
VIOLATED = b'"violations":[{"rule":'

# output_format_arrow_string_as_string = 0: rows come back as the bytes that were hashed, even if
# someone made them invalid text since.
_FOUND = """
SELECT decision_id, row FROM decisions WHERE decision_id IN {ids:Array(String)}
"""
# More threads for a handful of granules cost more than they read.
_POINT = "SETTINGS output_format_arrow_string_as_string = 0, max_threads = 1"
_ROWS_BY_ID = f"{_FOUND} {_POINT}"
# Only where an id was found twice: sorting costs as much as all the rest.
_FIRST_ROWS_BY_ID = (
    f"{_FOUND} ORDER BY decision_id, writer, seq, leaf LIMIT 1 BY decision_id {_POINT}"
)

_PLACE = """
SELECT writer, seq, leaf FROM decisions WHERE decision_id = {id:String}
ORDER BY writer, seq, leaf LIMIT 1
"""

# Ids sort by time, and the table by ids: the newest are read without sorting the table.
_NEWEST = """
SELECT row FROM decisions
WHERE ({family:Nullable(String)} IS NULL OR family = {family:Nullable(String)})
  AND ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL
       OR created >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND (position(row, {shadow:String}) = 0 OR NOT JSONHas(row, 'shadow_of'))
ORDER BY decision_id DESC LIMIT 1 BY decision_id LIMIT {limit:UInt32}
SETTINGS output_format_arrow_string_as_string = 0
"""

# A row that broke nothing says `[]`. There may be few that did: so the time is bounded from both
# sides, and what was found by the end of its seconds, the newest first, is the answer.
_VIOLATIONS = """
SELECT row FROM decisions
WHERE created >= {since:DateTime64(3, 'UTC')}
  AND ({family:Nullable(String)} IS NULL OR family = {family:Nullable(String)})
  AND position(row, {mark:String}) > 0
  AND (position(row, {shadow:String}) = 0 OR NOT JSONHas(row, 'shadow_of'))
  AND ({level:Nullable(String)} IS NULL OR position(row, {level:Nullable(String)}) > 0)
ORDER BY decision_id DESC LIMIT 1 BY decision_id LIMIT {limit:UInt32}
SETTINGS output_format_arrow_string_as_string = 0,
         max_execution_time = 6, timeout_overflow_mode = 'break'
"""

_KNOWN = """
SELECT entry_hash FROM ledger_entries
WHERE writer IN {writers:Array(String)} AND seq BETWEEN {first:UInt64} AND {last:UInt64}
  AND entry_hash IN {hashes:Array(String)}
"""

_CHAINS = "SELECT writer, max(seq) AS last FROM ledger_entries GROUP BY writer ORDER BY writer"

_NEXT = """
SELECT min(seq) AS next FROM ledger_entries
WHERE writer = {writer:String} AND seq >= {at:UInt64}
"""

_SPANS = """
SELECT writer, min(seq) AS first, max(seq) AS last FROM ledger_entries
WHERE created >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
  AND created < fromUnixTimestamp64Milli({before:Int64}, 'UTC')
GROUP BY writer ORDER BY writer
"""

_COUNT = "SELECT count() AS entries FROM ledger_entries"

_LINKS = """
SELECT writer, seq, toUnixTimestamp64Milli(created) AS created_ms, rows,
       prev_hash, root, entry_hash
FROM ledger_entries FINAL
WHERE writer = {writer:String} AND seq BETWEEN {first:UInt64} AND {last:UInt64}
ORDER BY seq, entry_hash
"""

# The times say nothing new, but let the engine skip what was written at others.
_ROWS = """
SELECT seq, row FROM decisions FINAL
WHERE writer = {writer:String} AND seq BETWEEN {first:UInt64} AND {last:UInt64}
  AND created BETWEEN fromUnixTimestamp64Milli({from:Int64}, 'UTC')
              AND fromUnixTimestamp64Milli({to:Int64}, 'UTC')
ORDER BY seq, leaf
SETTINGS output_format_arrow_string_as_string = 0
"""


@dataclass(frozen=True, slots=True)
class RowPosition:
    """Where a decision's row stands: the leaf of an entry."""

    writer: str
    seq: int
    leaf: int


class Archive:
    """Calls block, as those of the store do."""

    def __init__(self, store: Clickhouse) -> None:
        self._store = store
        self._rows_by_id = RowsById(store)

    def add(self, entries: Sequence[Entry]) -> list[int]:
        """Store what is not yet stored; gives the places of those entries.

        The rows go first: a stored link says that its rows are stored too.
        """
        known = self._stored_hashes(entries)
        places = [at for at, each in enumerate(entries) if each.entry_hash.hex() not in known]
        fresh = [entries[at] for at in places]
        if any(entry.rows for entry in fresh):
            columns = _row_columns(fresh)
            self._store.insert("decisions", columns)
            self._rows_by_id.add(columns["row"])
        if fresh:
            self._store.insert("ledger_entries", _link_columns(fresh))
        return places

    def fill_rows_by_id(self) -> bool:
        """Make lookups of what is here already faster, a step; says whether more is left."""
        return self._rows_by_id.fill()

    def rows(self, decision_ids: Sequence[str]) -> dict[str, bytes]:
        """Find the rows of these decisions; what is not here is left out."""
        found = self._rows_by_id.find(sorted(set(decision_ids)))
        missing = sorted(set(decision_ids) - found.keys())
        return found | self.rows_of_table(missing) if missing else found

    def rows_of_table(self, decision_ids: Sequence[str]) -> dict[str, bytes]:
        """Find them in the table alone, as all are found that have no copy by their id."""
        params: Params = {"ids": decision_ids}
        found = self._store.query(_ROWS_BY_ID, params)
        if len({each["decision_id"] for each in found}) < len(found):
            found = self._store.query(_FIRST_ROWS_BY_ID, params)
        return {each["decision_id"].decode(): each["row"] for each in found}

    def position(self, decision_id: str) -> RowPosition | None:
        found = self._store.query(_PLACE, {"id": decision_id})
        return RowPosition(**found[0]) if found else None

    def newest(self, limit: int, family: str | None, since: datetime | None) -> list[bytes]:
        """List the newest rows; what was stored twice once."""
        params: Params = {
            "limit": limit,
            "family": family,
            "since": since,
            "shadow": SHADOW.decode(),
        }
        found = self._store.query(_NEWEST, params)
        return [each["row"] for each in found]

    def violations(
        self, limit: int, family: str | None, severity: str | None, since: datetime
    ) -> list[bytes]:
        """List the newest rows since then that may have broken a limit of this severity."""
        params: Params = {
            "limit": limit,
            "family": family,
            "since": since,
            "mark": VIOLATED.decode(),
            "shadow": SHADOW.decode(),
            "level": None if severity is None else level_mark(severity).decode(),
        }
        return [each["row"] for each in self._store.query(_VIOLATIONS, params)]

    def link(self, writer: str, seq: int) -> Link | None:
        found = self._links(writer, seq, seq)
        return Link(_header(found[0]), *_hashes(found[0], "root", "entry_hash")) if found else None

    def entry(self, writer: str, seq: int) -> Entry | None:
        return next(iter(self.window(writer, seq, seq)), None)

    def count(self) -> int:
        """Count the entries; one that was stored twice may count twice."""
        return int(self._store.query(_COUNT)[0]["entries"])

    def spans(self, since_ms: int, before_ms: int) -> list[tuple[str, int, int]]:
        """Give each writer's first and last entry of a time."""
        found = self._store.query(_SPANS, {"since": since_ms, "before": before_ms})
        return [(each["writer"], int(each["first"]), int(each["last"])) for each in found]

    def entries(self) -> Iterator[Entry]:
        """Read every entry, sorted by writer and number, a window of each chain at a time."""
        for chain in self._store.query(_CHAINS):
            first = 0
            while first <= chain["last"]:
                window = self.window(chain["writer"], first, first + WINDOW - 1)
                yield from window
                first += WINDOW
                if not window and first <= chain["last"]:  # somebody made the gap: of any size
                    at: Params = {"writer": chain["writer"], "at": first}
                    first = int(self._store.query(_NEXT, at)[0]["next"])

    def _stored_hashes(self, entries: Sequence[Entry]) -> set[str]:
        if not entries:
            return set()
        numbers = [entry.header.seq for entry in entries]
        params: Params = {
            "writers": sorted({entry.header.writer for entry in entries}),
            "first": min(numbers),
            "last": max(numbers),
            "hashes": [entry.entry_hash.hex() for entry in entries],
        }
        return {each["entry_hash"] for each in self._store.query(_KNOWN, params)}

    def window(self, writer: str, first: int, last: int) -> list[Entry]:
        """Read a part of a chain: a few hundred entries cost little more than one."""
        links = self._links(writer, first, last)
        rows = self._rows(writer, links) if links else {}
        return [
            Entry(
                _header(link), *_hashes(link, "prev_hash", "entry_hash"), tuple(rows[link["seq"]])
            )
            for link in links
        ]

    def _links(self, writer: str, first: int, last: int) -> list[dict[str, Any]]:
        return self._store.query(_LINKS, {"writer": writer, "first": first, "last": last})

    def _rows(self, writer: str, links: Sequence[Mapping[str, Any]]) -> dict[int, list[bytes]]:
        created = [link["created_ms"] for link in links]
        params: Params = {
            "writer": writer,
            "first": links[0]["seq"],
            "last": links[-1]["seq"],
            "from": min(created),
            "to": max(created),
        }
        rows: dict[int, list[bytes]] = {link["seq"]: [] for link in links}
        for each in self._store.query(_ROWS, params):
            # A row whose entry is not known is being stored right now.
            rows.get(each["seq"], []).append(each["row"])
        return rows


def level_mark(severity: str) -> bytes:
    """Give what the row of a decision has in it that broke a limit of this severity."""
    return b'"level":"%s"' % severity.encode()


def _row_columns(entries: Sequence[Entry]) -> dict[str, Any]:
    counts = [len(entry.rows) for entry in entries]
    return {
        "created": np.repeat(_created(entries), counts),
        "writer": np.repeat(np.array([e.header.writer for e in entries], dtype=object), counts),
        "seq": np.repeat(np.array([e.header.seq for e in entries], dtype=np.uint64), counts),
        "leaf": np.concatenate([np.arange(count, dtype=np.uint32) for count in counts]),
        "row": pa.array([row for entry in entries for row in entry.rows], pa.binary()),
    }


def _link_columns(entries: Sequence[Entry]) -> dict[str, Any]:
    return {
        "writer": [entry.header.writer for entry in entries],
        "seq": np.array([entry.header.seq for entry in entries], dtype=np.uint64),
        "created": _created(entries),
        "rows": np.array([entry.header.count for entry in entries], dtype=np.uint32),
        "prev_hash": [entry.prev_hash.hex() for entry in entries],
        "root": [entry.root.hex() for entry in entries],
        "entry_hash": [entry.entry_hash.hex() for entry in entries],
    }


def _created(entries: Sequence[Entry]) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    return np.array([entry.header.created_ms for entry in entries], dtype="datetime64[ms]")


def _header(link: Mapping[str, Any]) -> Header:
    return Header(link["writer"], link["seq"], link["created_ms"], link["rows"])


def _hashes(link: Mapping[str, Any], first: str, second: str) -> tuple[bytes, bytes]:
    return _hash(link[first]), _hash(link[second])


def _hash(written: str) -> bytes:
    """Read a hash; what somebody put in its place is none, and fits no entry."""
    try:
        return bytes.fromhex(written)
    except ValueError:
        return written.encode()
