"""Compares what two versions of a mapping, or of definitions, give of the same entities."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from features.candidates.bounds import CandidateBounds
from features.telemetry.columns import Bools, Floats, Texts
from settings.frozen import Frozen

# Quantiles of fewer numbers say little.
LEAST_NUMBERS = 10
_MEDIAN = 0.5
_LEVELS = (0.05, _MEDIAN, 0.95)
_NUMBER_BYTES = 8
# Of the 0.95 quantile: what lies nearer to zero than this counts as near as this.
_SMALL = 0.01


class VersionRows(NamedTuple):
    """What one version gives: a row an entity and interval."""

    entity: Texts
    columns: Mapping[str, Floats]
    """Of what it names, by metric or feature; NaN where there is no number."""
    intervals: int


class Figure(Frozen):
    """One thing that was compared."""

    of: str
    before: float
    after: float
    bound: str
    within: bool

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.of}: {self.before:.4g} before, {self.after:.4g} now ({self.bound})"


def compare(before: VersionRows, after: VersionRows, bounds: CandidateBounds) -> tuple[Figure, ...]:
    """Give a figure for each thing compared; where one is not within, the new one is refused.

    Where nothing was given before there is nothing to compare with, and any number will do.
    """
    if not _measured(before):
        count = sum(int(np.isfinite(each).sum()) for each in after.columns.values())
        return (Figure(of="numbers", before=0, after=count, bound="any", within=count > 0),)
    return (*_totals(before, after, bounds), *_columns(before, after, bounds))


def outside(figures: Iterable[Figure]) -> tuple[Figure, ...]:
    """Give what is out of its bounds."""
    return tuple(each for each in figures if not each.within)


def _measured(given: VersionRows) -> bool:
    return any(np.isfinite(each).any() for each in given.columns.values())


def _totals(before: VersionRows, after: VersionRows, bounds: CandidateBounds) -> Iterator[Figure]:
    there = set(before.entity.tolist())
    kept = len(there & set(after.entity.tolist()))
    yield Figure(
        of="entities that were there",
        before=len(there),
        after=kept,
        bound=f"at least {bounds.least_entities:g} of them",
        within=kept >= bounds.least_entities * len(there),
    )
    rows = len(before.entity) / before.intervals, len(after.entity) / max(after.intervals, 1)
    yield Figure(
        of="rows an interval",
        before=rows[0],
        after=rows[1],
        bound=f"{bounds.least_rows:g} to {bounds.most_rows:g} times as many",
        within=bounds.least_rows * rows[0] <= rows[1] <= bounds.most_rows * rows[0],
    )
    names = before.columns.keys()  # what comes to them is no growth
    size = _size(before, names) / before.intervals, _size(after, names) / max(after.intervals, 1)
    yield _alike("bytes an interval", size, bounds.most_size, 0.0)


def _size(given: VersionRows, names: Collection[str]) -> int:
    """Count the bytes of these columns' numbers, and of the entities that they are of."""
    columns = (each for name, each in given.columns.items() if name in names)
    numbers = sum(int(np.isfinite(each).sum()) for each in columns)
    entities = int(np.char.str_len(given.entity).sum()) if len(given.entity) else 0
    return _NUMBER_BYTES * numbers + entities


def _columns(before: VersionRows, after: VersionRows, bounds: CandidateBounds) -> Iterator[Figure]:
    """Compare each metric over the entities that both give."""
    common = np.intersect1d(before.entity, after.entity)
    here, there = np.isin(before.entity, common), np.isin(after.entity, common)
    for name, numbers in before.columns.items():
        if not np.isfinite(numbers).any():
            continue
        if name not in after.columns:
            yield _lost(name, bounds)
        elif len(common):
            yield from _column(name, numbers, after.columns[name], here, there, bounds)


def _lost(name: str, bounds: CandidateBounds) -> Figure:
    bound = "it may go" if bounds.may_lose else "what gave numbers has to stay"
    return Figure(of=f"{name} is there", before=1, after=0, bound=bound, within=bounds.may_lose)


def _column(
    name: str,
    before: Floats,
    after: Floats,
    here: Bools,
    there: Bools,
    bounds: CandidateBounds,
) -> Iterator[Figure]:
    before, after = before[here], after[there]
    nulls = _nulls(before), _nulls(after)
    yield Figure(
        of=f"share of {name} that is missing",
        before=nulls[0],
        after=nulls[1],
        bound=f"at most {bounds.most_nulls:g} more",
        within=nulls[1] - nulls[0] <= bounds.most_nulls + 1e-12,
    )
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if min(len(before), len(after)) < LEAST_NUMBERS:
        return
    old, new = np.quantile(before, _LEVELS), np.quantile(after, _LEVELS)
    floor = _SMALL * max(abs(float(old[-1])), abs(float(new[-1])))
    for level, *pair in zip(_LEVELS, old.tolist(), new.tolist(), strict=True):
        most = bounds.most_ratio if level == _MEDIAN else bounds.most_tail_ratio
        yield _alike(f"quantile {level:g} of {name}", (pair[0], pair[1]), most, floor)


def _nulls(numbers: Floats) -> float:
    return float(np.mean(~np.isfinite(numbers)))


def _alike(of: str, pair: tuple[float, float], most: float, floor: float) -> Figure:
    """Compare two numbers; of another sign they are not alike, unless they are as small."""
    before, after = pair
    small = max(abs(before), abs(after)) <= floor
    low, high = sorted((abs(before) + floor, abs(after) + floor))
    alike = high <= most * low and (before * after >= 0 or min(abs(before), abs(after)) <= floor)
    bound = f"at most {most:g} times as much, or as little"
    return Figure(of=of, before=before, after=after, bound=bound, within=small or alike)
