"""Evaluates a mapping's rules at the end of an interval, as Prometheus does what they stand for.

What each rule stands for is written as PromQL in features/sources/prometheus/promql.py; both give
the same numbers from the same samples, and a test holds them against each other.
"""

from itertools import pairwise
from typing import assert_never

import numpy as np

from features.sources.remote_write.editions import Edition
from features.sources.remote_write.log import Columns
from features.sources.remote_write.needed import buckets_of
from features.sources.remote_write.quantiles import quantile
from features.sources.remote_write.rates import Window, rates
from features.sources.remote_write.registry import Registry
from features.sources.remote_write.vectors import Latest, OfSeries, Vector, within
from features.sources.rules import (
    Expression,
    Gauge,
    GaugeRatio,
    Mapping,
    Quantile,
    Rate,
    Ratio,
    Rule,
    Selector,
)
from features.telemetry.columns import Ints


class Evaluation:
    """The rules of one mapping over samples, at one time."""

    def __init__(
        self,
        registry: Registry,
        samples: Columns,
        end_seconds: int,
        cadence_seconds: int,
        edition: Edition,
    ) -> None:
        self._registry = registry
        self._edition = edition
        self._count = len(registry.entities)
        self._cadence = cadence_seconds * 1000
        end = end_seconds * 1000
        self._latest = Latest(samples, len(registry), end, edition)
        self._rates, self._resets = self._all_rates(samples, end)

    def rule(self, rule: Rule) -> Vector:
        """Evaluate one rule; the entities' values stand in the order of the registry."""
        match rule:
            case Rate():
                return self._rate(rule.of).times(rule.times)
            case Ratio():
                return self._ratio(rule)
            case Quantile():
                return self._nothing() if rule.native else self._quantile(rule).times(rule.times)
            case Gauge():
                return self._gauge(rule.of, rule.over).times(rule.times)
            case GaugeRatio():
                lower = self._gauge(rule.by, "sum")
                return self._gauge(rule.of, "sum").over(lower, lower.values != 0)
            case Expression():
                return self._nothing()
        assert_never(rule)

    def resets(self, mapping: Mapping) -> int:
        """Count how often counters fell in the window."""
        counters: list[Selector] = []
        for rule in mapping.metrics.values():
            match rule:
                case Rate():
                    counters.append(rule.of)
                case Ratio():
                    counters += [rule.of, rule.by]
                case _:
                    continue
        rows = [self._registry.select(each).rows for each in dict.fromkeys(counters)]
        return int(self._resets[np.unique(np.concatenate(rows))].sum()) if rows else 0

    def _nothing(self) -> Vector:
        return Vector(np.zeros(self._count, np.bool_), np.zeros(self._count))

    def _rate(self, selector: Selector) -> Vector:
        selected = self._registry.select(selector)
        return self._rates.at(selected.rows).together(selected.entities, self._count, "sum")

    def _ratio(self, rule: Ratio) -> Vector:
        upper, lower = self._rate(rule.of), self._rate(rule.by)
        # Many programs create the series of errors with the first error.
        filled = np.where(upper.there, upper.values, lower.values * 0)
        return Vector(upper.there | lower.there, filled).over(lower, lower.values > 0)

    def _quantile(self, rule: Quantile) -> Vector:
        selected = self._registry.select(buckets_of(rule))
        found = self._rates.at(selected.rows)
        which = found.there & ~np.isnan(selected.bounds)
        entities, bounds = selected.entities[which], selected.bounds[which]
        order = np.lexsort((bounds, entities))
        entities, bounds, counts = entities[order], bounds[order], found.values[which][order]
        # Series of one bucket of one entity are added up.
        another = (entities[1:] != entities[:-1]) | (bounds[1:] != bounds[:-1])
        starts = np.flatnonzero(np.append(True, another)[: len(entities)])
        counts = np.add.reduceat(counts, starts) if len(starts) else counts
        entities, bounds = entities[starts], bounds[starts]
        values = np.full(self._count, np.nan)
        edges = np.append(np.flatnonzero(np.diff(entities, prepend=-1)), len(entities)).tolist()
        for first, stop in pairwise(edges):
            values[entities[first]] = quantile(
                rule.level, bounds[first:stop], counts[first:stop], self._edition
            )
        # Without observations it is NaN, which no comparison lets through.
        return Vector(values >= 0, values)

    def _gauge(self, selector: Selector, over: str) -> Vector:
        selected = self._registry.select(selector)
        # Of this interval only, where Prometheus itself would go back five minutes.
        fresh = self._latest.at(selected.rows, fresher_than=self._cadence)
        return fresh.together(selected.entities, self._count, over)

    def _all_rates(self, samples: Columns, end: int) -> tuple[OfSeries, Ints]:
        start = end - self._cadence
        rows, times, values = within(samples, start, end, self._edition)
        with np.errstate(invalid="ignore"):
            found = rates(Window(rows.astype(np.int64), times, values, start, end), self._edition)
        resets = np.zeros(len(self._registry), np.int64)
        resets[found.rows] = found.resets
        return OfSeries.of(len(self._registry), found.rows, found.values), resets
