"""Minutes of telemetry as the plan learns from them: whole ones, in each entity's own units.

Deploys move an entity's latency and work per request for good. So both are measured against the
entity's median of the same week, counted back from its last minute, and the latest week's medians
are what a plan reckons with.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from models.needs import CAPACITY
from models.protocols import BoolArray, Columns, FloatArray, IntArray

WANTED = ("ts", "entity", "request_rate", "cpu", "p50_ms", "p99_ms", "active_workers")
LEAST_MINUTES = round(60 * CAPACITY.least_hours)
"""Below, an entity counts as one without history: rows, and two hours however close they are."""
MINUTE = 60.0

_WEEK = 7 * 86_400
_BUSY = 0.8  # the quantile of the rate per worker from which on a worker is busy


class Entity(NamedTuple):
    """One entity's minutes, and what is usual for it in its latest week."""

    name: str
    ts: IntArray
    rate: FloatArray
    load: FloatArray
    cpu: FloatArray
    log_p99: FloatArray
    """Over the usual one."""
    full: float
    """The rate per worker that counts as load 1."""
    usual_p50: float
    usual_p99: float


def entities_of(columns: Columns) -> list[Entity]:
    """Take apart the columns of WANTED; entities with too few whole minutes are left out."""
    CAPACITY.refuse_without([name for name in WANTED if _is_there(columns, name)])
    whole = np.all(
        [np.isfinite(columns[name]) & (columns[name] > 0) for name in WANTED if name != "entity"],
        axis=0,
    )
    names, which = np.unique(columns["entity"], return_inverse=True)
    rows = [whole & (which == place) for place in range(len(names))]
    return [
        _entity(str(name), columns, own)
        for name, own in zip(names, rows, strict=True)
        if np.count_nonzero(own) >= _least(columns["ts"][own])
    ]


def cadence(ts: IntArray) -> float:
    """Find how many seconds lie between two rows of an entity; a minute where nothing tells."""
    apart = np.diff(np.unique(ts))
    return float(np.median(apart)) if apart.size else MINUTE


def _least(ts: IntArray) -> float:
    return max(LEAST_MINUTES, LEAST_MINUTES * MINUTE / cadence(ts))


def _is_there(columns: Columns, name: str) -> bool:
    """Whether it was measured at all."""
    return name in columns and (name in ("ts", "entity") or bool(np.isfinite(columns[name]).any()))


def _entity(name: str, columns: Columns, own: BoolArray) -> Entity:
    order = np.flatnonzero(own)
    order = order[np.argsort(columns["ts"][order], kind="stable")]
    ts, rate, cpu, p50, p99, workers = (columns[each][order] for each in WANTED if each != "entity")
    each, log_p99 = rate / workers, np.log(p99)
    load, usual = np.empty(ts.size), np.empty(ts.size)
    full = middle = 1.0
    # The oldest week first: the last one's medians stay.
    for week in _weeks(ts):
        full = _full(each[week], cpu[week])
        middle = float(np.median(log_p99[week]))
        load[week], usual[week] = each[week] / full, middle
    latest = _weeks(ts)[-1]
    return Entity(
        name=name,
        ts=ts.astype(np.int64),
        rate=rate,
        load=load,
        cpu=cpu,
        log_p99=log_p99 - usual,
        full=full,
        usual_p50=float(np.median(p50[latest])),
        usual_p99=float(np.exp(middle)),
    )


def _weeks(ts: IntArray) -> list[slice]:
    """Cut into weeks counted back from the last minute; one that is too short joins another."""
    ago = (ts[-1] - ts) // _WEEK
    edges = [0]
    for start in (np.flatnonzero(np.diff(ago)) + 1).tolist():
        if min(start - edges[-1], ts.size - start) >= LEAST_MINUTES:
            edges.append(start)
    return [slice(start, end) for start, end in pairwise([*edges, ts.size])]


def _full(rate_each: FloatArray, cpu: FloatArray) -> float:
    """Take the rate per worker over its processor share, in the median busy minute."""
    busy = rate_each >= np.quantile(rate_each, _BUSY)
    return float(np.median(rate_each[busy] / cpu[busy]))
