"""What was published of each entity, and since when it was to be read.

Who learns from the past asks here which vector was served at a moment. The digest is of the very
bytes that were written: what is computed again later can be held against it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from features.store import PUBLISHED_SECONDS
from features.telemetry.tables import ColumnStore
from features.vectors.published import OWN
from features.vectors.vector import Layout, Vector

Ints = npt.NDArray[np.int64]
_SERVED_MS = PUBLISHED_SECONDS * 1000

_BETWEEN = """
SELECT toInt64(indexOf({entities:Array(String)}, entity)) - 1 AS who,
       toUnixTimestamp64Milli(since) AS since_ms, toUnixTimestamp64Milli(moment) AS moment_ms,
       cadence, toString(layout) AS layout_id, digest
FROM publications
WHERE entity IN {entities:Array(String)}
      AND since > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
      AND since <= fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')
ORDER BY entity, since, moment
"""


def note(
    store: ColumnStore,
    vectors: Mapping[str, Vector],
    *,
    moment_ms: int,
    written_ms: int,
    layout: Layout = OWN,
) -> None:
    """Note vectors that were computed as of a moment, and can be read since they were written."""
    entities = [*vectors]
    encoded = [each.encode(layout) for each in vectors.values()]
    # A clock may be ahead of the other: nothing counts before the moment that it speaks of.
    since = np.full(len(entities), max(moment_ms, written_ms))
    columns = {
        "entity": np.array(entities, dtype=np.str_),
        "since": since.astype("datetime64[ms]"),
        "moment": np.full(len(entities), moment_ms).astype("datetime64[ms]"),
        "cadence": np.array([each.cadence_seconds for each in vectors.values()]),
        "layout": np.full(len(entities), layout.id.hex()),
        "digest": np.array([digest_of(each) for each in encoded], dtype=np.uint64),
    }
    store.insert("publications", columns)


def digest_of(vector: bytes) -> int:
    """Give a short hash of a vector as it is stored."""
    return int.from_bytes(sha256(vector).digest()[:8], "little")


@dataclass(frozen=True, slots=True)
class Served:
    """What was served to each question; where nothing was, `found` is false."""

    found: npt.NDArray[np.bool_]
    moment_ms: Ints
    cadence: npt.NDArray[np.float64]
    layout: npt.NDArray[np.str_]
    digest: npt.NDArray[np.uint64]


def served(store: ColumnStore, entities: Sequence[str], who: Ints, at_ms: Ints) -> Served:
    """Look up what was the newest publication of `entities[who]` at each moment.

    The entities are sorted. Redis forgets what nobody publishes again, and so does this.
    """
    params = {
        "entities": list(entities),
        "from_ms": int(at_ms.min()) - _SERVED_MS,
        "until_ms": int(at_ms.max()),
    }
    known = store.columns(_BETWEEN, params)
    if not len(known["who"]):
        return _nothing(len(at_ms))
    last = _last_before(known["who"], known["since_ms"].astype(np.int64), who, at_ms)
    chosen = np.maximum(last, 0)
    recent = at_ms - known["since_ms"][chosen] < _SERVED_MS
    return Served(
        (last >= 0) & (known["who"][chosen] == who) & recent,
        known["moment_ms"][chosen].astype(np.int64),
        known["cadence"][chosen],
        known["layout_id"][chosen].astype(str),
        known["digest"][chosen],
    )


def _last_before(known_who: Ints, since_ms: Ints, who: Ints, at_ms: Ints) -> Ints:
    """Find the last row of the same entity that is not later; rows are by entity and time."""
    found = np.empty(len(who), dtype=np.int64)
    starts = np.searchsorted(known_who, np.arange(who.max() + 2))
    for each in np.unique(who):
        mine = who == each
        begin, end = starts[each], starts[each + 1]
        found[mine] = begin - 1 + np.searchsorted(since_ms[begin:end], at_ms[mine], side="right")
    return found


def _nothing(rows: int) -> Served:
    return Served(
        np.zeros(rows, dtype=np.bool_),
        np.zeros(rows, dtype=np.int64),
        np.full(rows, np.nan),
        np.full(rows, ""),
        np.zeros(rows, dtype=np.uint64),
    )
