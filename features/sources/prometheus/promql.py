"""Writes rules as PromQL: each gives one series for each entity.

An expression is evaluated at the end of each interval, over a window of the cadence. Windows are
never longer, so that neighbours share no sample: a rate needs two samples in its window, and
where scrapes are rarer than that there is none. Ask less often there, with a cadence of four
scrapes or more.
"""

from collections.abc import Iterable
from typing import assert_never

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

# A process that was away for no longer counts as started anew.
_LONGEST_RESTART_SECONDS = 600
# Some exporters compute the start from a clock and an age, and it wavers.
_WAVERING_SECONDS = 1


def expression_of(rule: Rule, entity: str, cadence_seconds: int) -> str:
    """Write one rule for entities that are named by a label."""
    return _Writer(entity, cadence_seconds).rule(rule)


def deploys_of(starts: Selector, entity: str, cadence_seconds: int) -> str:
    """Give what has a value where an entity's latest process is younger than an interval before.

    An entity that was not there before has no deploy, it is new. As this looks back by itself, it
    does not matter where a range of intervals begins.
    """
    writer = _Writer(entity, cadence_seconds)
    each = writer.selector(starts)
    seconds = max(_LONGEST_RESTART_SECONDS, cadence_seconds)
    before = f"max_over_time({each}[{seconds}s] offset {cadence_seconds}s)"
    return f"{writer.by('max', each)} > {writer.by('max', before)} + {_WAVERING_SECONDS}"


def presence_of(mapping: Mapping, cadence_seconds: int) -> str:
    """Give what has a value where any series of a mapping has a sample."""
    writer = _Writer(mapping.entity, cadence_seconds)
    parts = [f"count({each})" for rule in mapping.metrics.values() for each in writer.series(rule)]
    return " or ".join(dict.fromkeys(parts))


class _Writer:
    """Writes for one label of entities and one cadence."""

    def __init__(self, entity: str, cadence_seconds: int) -> None:
        self._entity = entity
        self._cadence = cadence_seconds

    def rule(self, rule: Rule) -> str:
        match rule:
            case Rate():
                return _times(self._rate(rule.of), rule.times)
            case Ratio():
                return self._ratio(rule)
            case Quantile():
                return _times(self._quantile(rule), rule.times)
            case Gauge():
                return _times(self.by(rule.over, self._fresh(rule.of)), rule.times)
            case GaugeRatio():
                upper, lower = (self.by("sum", self._fresh(each)) for each in (rule.of, rule.by))
                return f"{upper} / ({lower} != 0)"
            case Expression():
                return rule.promql.replace("$interval", f"{self._cadence}s")
        assert_never(rule)

    def series(self, rule: Rule) -> Iterable[str]:
        match rule:
            case Expression():
                return [f"({self.rule(rule)})"]
            case Quantile():
                return [self.selector(rule.of, "" if rule.native else "_count")]
            case Ratio() | GaugeRatio():
                return [self.selector(rule.by)]
            case _:
                return [self.selector(rule.of)]

    def by(self, operator: str, inner: str, *labels: str) -> str:
        return f"{operator} by ({', '.join((self._entity, *labels))}) ({inner})"

    def selector(self, selector: Selector, suffix: str = "") -> str:
        matchers = [f"{each.label}{each.op}{_quoted(each.value)}" for each in selector.where]
        # Series without the label would be an entity without a name.
        matchers.append(f'{self._entity}!=""')
        return f"{selector.name}{suffix}{{{','.join(matchers)}}}"

    def _rate(self, selector: Selector, *labels: str, suffix: str = "") -> str:
        inner = f"rate({self.selector(selector, suffix)}[{self._cadence}s])"
        return self.by("sum", inner, *labels)

    def _ratio(self, rule: Ratio) -> str:
        upper, lower = self._rate(rule.of), self._rate(rule.by)
        # Many programs create the series of errors with the first error.
        return f"({upper} or {lower} * 0) / ({lower} > 0)"

    def _quantile(self, rule: Quantile) -> str:
        buckets = (
            self._rate(rule.of) if rule.native else self._rate(rule.of, "le", suffix="_bucket")
        )
        # Without observations it is NaN, which no comparison lets through.
        return f"(histogram_quantile({rule.level!r}, {buckets}) >= 0)"

    def _fresh(self, selector: Selector) -> str:
        """Take samples of the interval only: a server itself would go back five minutes."""
        each = self.selector(selector)
        return f"{each} and timestamp({each}) > time() - {self._cadence}"


def _times(expression: str, factor: float) -> str:
    return expression if factor == 1.0 else f"{expression} * {factor!r}"


def _quoted(value: str) -> str:
    for plain, escaped in (("\\", r"\\"), ('"', r"\""), ("\n", r"\n")):
        value = value.replace(plain, escaped)
    return f'"{value}"'
