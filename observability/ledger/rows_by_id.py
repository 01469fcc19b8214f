"""One row by its id: a copy of each decision's row in a store of keys, beside the archive's table.

The table is sorted for whole windows of it, and a search for one row costs it half a millisecond.
The copy answers in a few microseconds, and it alone proves nothing: what it does not have is looked
for in the table. So it may lag behind, lose its last second when the power fails, or be missing
altogether.
"""

import logging
from collections.abc import Sequence

import pyarrow as pa

from observability.clickhouse import Clickhouse
from observability.errors import QueryRejectedError

log = logging.getLogger(__name__)

TABLE = "decision_rows"
# A few tenths of a second of one core; what drains the ledger waits for no longer than that.
FILL_ROWS = 20_000

# How far the copying of older rows has come, as one more key: the store's log holds it behind the
# rows that it speaks of, so that no crash leaves the mark without them. It looks like no id.
_MARK = "filled down to"
_ABOVE_ALL = "~"
_DONE = ""

# The bytes that were hashed, as everywhere. More threads cost more than a few rows.
_POINT = "SETTINGS output_format_arrow_string_as_string = 0, max_threads = 1"
_FIND = f"""
SELECT decision_id, row FROM {TABLE} WHERE decision_id IN {{ids:Array(String)}} {_POINT}
"""  # noqa: S608 - our own constants
_LOWEST_OF_NEXT = """
SELECT decision_id FROM decisions WHERE decision_id < {below:String}
ORDER BY decision_id DESC LIMIT 1 OFFSET {rows:UInt32} SETTINGS max_threads = 1
"""
_COPY = f"""
INSERT INTO {TABLE} (decision_id, row)
SELECT decision_id, row FROM decisions
WHERE decision_id >= {{lowest:String}} AND decision_id < {{below:String}}
SETTINGS max_threads = 1, max_insert_threads = 1
"""  # noqa: S608 - as above


class RowsById:
    """Calls block, as those of the store do. A store that refuses them costs time and no answer."""

    def __init__(self, store: Clickhouse, fill_rows: int = FILL_ROWS) -> None:
        self._store = store
        self._fill_rows = fill_rows
        self._refused = False
        self._filled = False

    def find(self, decision_ids: Sequence[str]) -> dict[str, bytes]:
        """Find rows; one that is not among them may be in the archive all the same."""
        ids = [each for each in decision_ids if each != _MARK]
        try:
            return self._read(ids)
        except QueryRejectedError as error:
            self._note(error)
            return {}

    def add(self, rows: pa.BinaryArray) -> None:
        """Copy rows that the archive has; those of an id that is there already are replaced."""
        try:
            self._store.insert(TABLE, {"row": rows})
        except QueryRejectedError as error:
            self._note(error)

    def fill(self) -> bool:
        """Copy some of what an earlier release archived, newest first; says whether more is left.

        It may be killed anywhere, and goes on where its mark says.
        """
        if self._filled:
            return False
        try:
            below = self._read([_MARK]).get(_MARK, _ABOVE_ALL.encode()).decode()
            if below != _DONE:
                below = self._fill_below(below)
        except QueryRejectedError as error:
            self._note(error)
            return False
        self._filled = below == _DONE
        return not self._filled

    def _fill_below(self, below: str) -> str:
        following = self._store.query(_LOWEST_OF_NEXT, {"below": below, "rows": self._fill_rows})
        lowest = str(following[0]["decision_id"]) if following else _DONE
        self._store.query(_COPY, {"lowest": lowest, "below": below})
        self._store.insert(TABLE, {"decision_id": [_MARK], "row": [lowest.encode()]})
        return lowest

    def _read(self, ids: Sequence[str]) -> dict[str, bytes]:
        found = self._store.query(_FIND, {"ids": ids})
        return {each["decision_id"].decode(): each["row"] for each in found}

    def _note(self, error: QueryRejectedError) -> None:
        if not self._refused:
            log.warning(
                "decisions are looked up only in the archive's table, which is slower: %s", error
            )
        self._refused = True
