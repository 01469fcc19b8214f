"""The timeline in the column store: append events, read them newest first, a page at a time."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import orjson

from observability.clickhouse import Clickhouse
from observability.timeline.event import Event

# Where a page ends: the time of its last event and the event's id.
CURSOR = r"^\d{1,13}_[0-9a-f]{32}$"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

# An event that was inserted twice, of which the engine has not yet made one, is read once: as it
# was known first.
_READ = """
SELECT toUnixTimestamp64Milli(time) AS time_ms, toUnixTimestamp64Milli(known) AS known_ms,
       kind, entity, source, summary, details, id
FROM timeline
WHERE ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL
       OR time >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL
       OR time < {until:Nullable(DateTime64(3, 'UTC'))})
  AND (empty({kinds:Array(String)}) OR kind IN {kinds:Array(String)})
  AND ({entity:Nullable(String)} IS NULL OR entity = {entity:Nullable(String)})
  AND (empty({before_id:String}) OR id < {before_id:String}
       OR time < {before:Nullable(DateTime64(3, 'UTC'))})
ORDER BY time DESC, id DESC, known LIMIT 1 BY time, id LIMIT {limit:UInt32}
"""


class Page(NamedTuple):
    """Events, newest first, and where the next page begins; None where this is the last."""

    events: list[dict[str, Any]]
    next: str | None


def append(store: Clickhouse, events: Sequence[Event], known: float) -> None:
    """Append events that the platform knows of since `known`, epoch seconds.

    One that is appended again, after a crash, stays one.
    """
    if not events:
        return
    store.insert(
        "timeline",
        {
            "time": _times([each.time_ms for each in events]),
            "known": _times([round(known * 1000)] * len(events)),
            "kind": [each.kind for each in events],
            "entity": [each.entity for each in events],
            "source": [each.source for each in events],
            "summary": [each.summary for each in events],
            "details": [_text(each) for each in events],
            "id": [each.id for each in events],
        },
    )


def read(
    store: Clickhouse,
    limit: int,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    kinds: Sequence[str] = (),
    entity: str | None = None,
    before: str | None = None,
) -> Page:
    """Read the newest events in [since, until); `before` is the `next` of the page in front."""
    place, before_id = _place(before)
    if place is not None:  # for the engine, which reads the table by time
        behind = place + MILLISECOND
        until = behind if until is None else min(until, behind)
    found = store.query(
        _READ,
        {
            "since": since,
            "until": until,
            "kinds": kinds,
            "entity": entity,
            "before": place,
            "before_id": before_id,
            "limit": limit + 1,
        },
    )
    page = found[:limit]
    more = len(found) > limit
    return Page(
        [_event(row) for row in page],
        f"{page[-1]['time_ms']}_{page[-1]['id']}" if more else None,
    )


def _place(before: str | None) -> tuple[datetime | None, str]:
    if before is None:
        return None, ""
    if not re.fullmatch(CURSOR, before):
        raise ValueError(f"{before!r} is no place on the timeline: give the `next` of a page")
    time_ms, _, event_id = before.partition("_")
    return _moment(int(time_ms)), event_id


def _event(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "time": _moment(row["time_ms"]),
        "known": _moment(row["known_ms"]),
        "kind": row["kind"],
        "entity": row["entity"],
        "source": row["source"],
        "summary": row["summary"],
        "details": orjson.loads(row["details"]),
    }


def _moment(milliseconds: int) -> datetime:
    return EPOCH + milliseconds * MILLISECOND


def _times(milliseconds: list[int]) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    return np.array(milliseconds, dtype="datetime64[ms]")


def _text(event: Event) -> str:
    return orjson.dumps(event.details, option=orjson.OPT_SORT_KEYS).decode()
