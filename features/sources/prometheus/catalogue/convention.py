"""What a convention is: one way in which software names what a metric of ours can be made of."""

from collections.abc import Iterator
from dataclasses import dataclass

from features.sources.rules import (
    Expression,
    Gauge,
    Matcher,
    Metric,
    Quantile,
    Rate,
    Ratio,
    Rule,
    Selector,
)

LEVELS: dict[Metric, float] = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}


@dataclass(frozen=True, slots=True)
class Convention:
    """One rule that gives one metric where certain series are there.

    An expression's `$entity` stands for the label that names the entity, and `$only` for the
    matchers that say which entities count; both are filled in once they are known.
    """

    software: str
    metric: Metric
    rule: Rule
    rank: int  # of those that give the same metric, the lowest is taken
    series: tuple[str, ...]  # all of these are there; the first one has the labels
    labels: tuple[str, ...] = ()
    caveat: str = ""

    @property
    def plain(self) -> bool:
        """Tell whether a receiver of samples can evaluate it, which runs no PromQL."""
        match self.rule:
            case Expression():
                return False
            case Quantile(native=native):
                return not native
            case _:
                return True


@dataclass(frozen=True, slots=True)
class Failures:
    """Which requests failed: those whose label has a value that matches."""

    label: str
    pattern: str


# HTTP counts the server's failures by 5xx. Some exporters write the class alone, as "5xx".
HTTP = tuple(
    Failures(label, "5..")
    for label in ("status", "code", "status_code", "http_response_status_code", "http_status_code")
)
# What OpenTelemetry counts as the server's own failures among gRPC's codes.
GRPC = (
    Failures("grpc_code", "Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss"),
)
GRPC_BY_NUMBER = (Failures("rpc_grpc_status_code", "2|4|12|13|14|15"),)


@dataclass(frozen=True, slots=True)
class Requests:
    """How one kind of software counts its requests and times them."""

    software: str
    rank: int
    counter: str | None = None
    durations: str | None = None  # a histogram or summary, without `_bucket`
    times: float = 1000.0  # from its unit to milliseconds
    failures: tuple[Failures, ...] = HTTP
    failing: str | None = None  # the counter by status, where it is not the one of requests
    where: tuple[Matcher, ...] = ()
    caveat: str = ""

    def conventions(self) -> Iterator[Convention]:
        """Give all that follows for rates, shares of failures and latencies."""
        for behind, counter in enumerate(self._counters()):
            yield self._convention("request_rate", Rate(of=self._of(counter)), counter, behind)
        for behind, counter in enumerate((self.failing,) if self.failing else self._counters()):
            for each in self.failures:
                yield self._failing(each, counter, behind)
        if self.durations is not None:
            yield from self._native_counts(self.durations)
            for metric, level in LEVELS.items():
                yield from self._latencies(metric, level, self.durations)

    def _counters(self) -> tuple[str, ...]:
        names = (self.counter, self.durations and f"{self.durations}_count")
        return tuple(name for name in names if name)

    def _of(self, name: str, *further: Matcher) -> Selector:
        return Selector(name=name, where=(*self.where, *further))

    def _convention(
        self, metric: Metric, rule: Rule, series: str, behind: int, *labels: str
    ) -> Convention:
        rank = self.rank + behind
        return Convention(self.software, metric, rule, rank, (series,), labels, self.caveat)

    def _failing(self, failures: Failures, counter: str, behind: int) -> Convention:
        failed = Matcher(label=failures.label, op="=~", value=failures.pattern)
        rule = Ratio(of=self._of(counter, failed), by=self._of(counter))
        return self._convention("error_rate", rule, counter, behind, failures.label)

    def _native_counts(self, name: str) -> Iterator[Convention]:
        """Give what the counters give, from a native histogram, which has no `_count` series."""
        every = _counts(self._text(name))
        yield self._convention("request_rate", Expression(promql=every), name, 2)
        for each in self.failures:
            failed = self._text(name, f'{each.label}=~"{each.pattern}"')
            share = f"({_counts(failed)} or 0 * {every}) / ({every} > 0)"
            yield self._convention("error_rate", Expression(promql=share), name, 2, each.label)

    def _text(self, name: str, *further: str) -> str:
        own = (f'{each.label}{each.op}"{each.value}"' for each in self.where)
        return f"{name}{{{','.join((*own, *further, '$only'))}}}"

    def _latencies(self, metric: Metric, level: float, name: str) -> Iterator[Convention]:
        of = self._of(name)
        classic = Quantile(of=of, level=level, times=self.times)
        yield self._convention(metric, classic, f"{name}_bucket", 0)
        native = Quantile(of=of, native=True, level=level, times=self.times)
        yield self._convention(metric, native, name, 1)
        ready = self._of(name, Matcher(label="quantile", value=f"{level:g}"))
        summary = Gauge(of=ready, over="avg", times=self.times)
        yield Convention(
            f"{self.software}, summary",
            metric,
            summary,
            self.rank + 2,
            (name,),
            ("quantile",),
            "the mean of the processes' own quantiles, which is not the quantile of all requests",
        )


def _counts(series: str) -> str:
    return f"histogram_count(sum by ($entity) (rate({series}[$interval])))"
