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
LONGEST_RESTART_SECONDS = 600
# Some exporters compute the start from a clock and an age, and it wavers.
WAVERING_SECONDS = 1
# Of the processes that are there; less is a crash, and what is rolled out replaces as much at once.
REPLACED_SHARE = 0.25
# How often it is counted, at the most, how many processes there were.
COUNTED_SECONDS = 60


def expression_of(rule: Rule, entity: str, cadence_seconds: int) -> str:
    """Write one rule for entities that are named by a label."""
    return _Writer(entity, cadence_seconds).rule(rule)


def deploys_of(
    starts: Selector, entity: str, cadence_seconds: int, version_label: str | None = None
) -> str:
    """Give what has a value where a deploy of an entity began in the interval.

    That is where enough of its processes are younger than all before, and as many of those before
    are gone, for one that came in addition replaces none; or where a version came up that was not
    there before. An entity that was not there before has no deploy, it is new. As this looks back
    by itself, it does not matter where a range of intervals begins.
    """
    writer = _Writer(entity, cadence_seconds)
    replaced = writer.replaced(writer.selector(starts))
    if version_label is None:
        return replaced
    return f"({replaced}) or {writer.another(writer.selector(starts), version_label)}"


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

    def replaced(self, each: str) -> str:
        """Keep the entities of which a share of the processes was replaced within an interval."""
        seconds = lookback_seconds(self._cadence)
        before = f"max_over_time({each}[{seconds}s] offset {self._cadence}s)"
        youngest = (
            f"on ({self._entity}) group_left () ({self.by('max', before)} + {WAVERING_SECONDS})"
        )
        now, step = self.by("count", each), counted_seconds(self._cadence)
        young, kept = (self.by("count", f"{each} {than} {youngest}") for than in (">", "<="))
        most = f"max_over_time(({now})[{seconds}s:{step}s] offset {self._cadence}s)"
        enough = f"{now} * {REPLACED_SHARE}"
        return f"{young} >= {enough} and {most} - ({kept} or {now} * 0) >= {enough}"

    def another(self, each: str, label: str) -> str:
        """Keep the entities of which a version came up, where another was known before."""
        each = f'{each.removesuffix("}")},{label}!=""}}'
        before = (
            f"max_over_time({each}[{lookback_seconds(self._cadence)}s] offset {self._cadence}s)"
        )
        versions, earlier = (self.by("count", which, label) for which in (each, before))
        known = f"and on ({self._entity}) {self.by('count', before)}"
        return self.by("count", f"({versions} unless {earlier}) {known}")

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


def lookback_seconds(cadence_seconds: int) -> int:
    """Tell how far a deploy looks back from the interval before."""
    return max(LONGEST_RESTART_SECONDS, cadence_seconds)


def counted_seconds(cadence_seconds: int) -> int:
    return max(COUNTED_SECONDS, cadence_seconds)


def _times(expression: str, factor: float) -> str:
    return expression if factor == 1.0 else f"{expression} * {factor!r}"


def _quoted(value: str) -> str:
    for plain, escaped in (("\\", r"\\"), ('"', r"\""), ("\n", r"\n")):
        value = value.replace(plain, escaped)
    return f'"{value}"'
