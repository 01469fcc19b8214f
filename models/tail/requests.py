"""Latencies of single requests to learn from: sampled ones, or drawn from an interval's quantiles.

A Prometheus gives quantiles of an interval, seldom single requests. Then as many requests as there
would be exemplars are drawn from the curve through the quantiles, log latency straight against
log-odds as in curve.py, one from each eighth of the levels. Above the highest level, and below the
median, where nothing was measured, the nearest piece is carried on: latencies are taken to lie
about their median as far below as above. So a coverage of requests is then an estimate from
quantiles: it says how often requests of such curves are covered. docs/decisions/
quantiles-for-requests.md has how far that is from the truth on simulated telemetry.
"""

from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from models.protocols import BoolArray, Columns, FloatArray

DRAWN = 8
QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}
Target = Literal["exemplars", "quantiles", "both"]


class Requests(NamedTuple):
    latencies: FloatArray
    """(intervals, DRAWN) in ms; NaN where an interval has neither."""
    target: Target
    """What they are."""


def requests_of(columns: Columns, rng: np.random.Generator) -> Requests:
    """Take each interval's exemplars, or draw from its quantiles; `rng` draws nothing else."""
    size = len(columns["ts"])
    found = np.full((size, DRAWN), np.nan)
    if "exemplars" in columns:
        found = np.where(columns["exemplars"] > 0, columns["exemplars"], np.nan)
    sampled = np.isfinite(found).any(axis=1)
    curves = {name: columns[name] for name in QUANTILES if name in columns}
    drawn = _drawn(curves, np.flatnonzero(~sampled), found.shape[1], rng)
    found = np.where(sampled[:, None], found, drawn if drawn is not None else np.nan)
    from_curves = drawn is not None and bool(np.isfinite(drawn).any())
    if not from_curves:
        return Requests(found, "exemplars")
    return Requests(found, "both" if sampled.any() else "quantiles")


def _drawn(
    curves: Columns, rows: FloatArray | np.ndarray, each: int, rng: np.random.Generator
) -> FloatArray | None:
    """Draw for these rows; None where there is none of them, and the generator is left alone."""
    if not len(rows) or "p50_ms" not in curves:
        return None
    size = len(curves["p50_ms"])
    levels = (np.arange(each) + rng.random((len(rows), each))) / each
    odds = np.full((size, each), np.nan)
    odds[rows] = np.log(levels / (1 - levels))
    found = np.full((size, each), np.nan)
    names = list(curves)
    there = np.array([_measured(curves[name]) for name in names])
    there[:, ~np.isin(np.arange(size), rows)] = False
    for pattern in np.unique(there, axis=1).T:
        known = [name for name, is_there in zip(names, pattern, strict=True) if is_there]
        if "p50_ms" not in known or len(known) == 1:
            continue
        which = np.flatnonzero((there == pattern[:, None]).all(axis=0))
        logs = np.log(np.stack([curves[name][which] for name in known], axis=1))
        found[which] = np.exp(_on_curve(logs, [QUANTILES[name] for name in known], odds[which]))
    return found


def _measured(values: FloatArray) -> BoolArray:
    measured: BoolArray = np.isfinite(values) & (np.nan_to_num(values) > 0)
    return measured


def _on_curve(logs: FloatArray, levels: list[float], odds: FloatArray) -> FloatArray:
    """Read log latencies at log-odds off rows' curves, straight between levels and beyond them."""
    risen = np.maximum.accumulate(logs, axis=1)  # estimates of quantiles may cross
    places = [float(np.log(level / (1 - level))) for level in levels]
    found = np.empty_like(odds)
    pieces = list(enumerate(pairwise(places)))
    for at, (start, end) in pieces:
        slope = (risen[:, at + 1] - risen[:, at]) / (end - start)
        here = np.ones_like(odds, dtype=np.bool_) if at == 0 else odds >= start
        line = risen[:, [at]] + slope[:, None] * (odds - start)
        found = np.where(here, line, found)
    return found
