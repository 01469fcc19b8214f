"""What lines add up to in an interval: counts, exact quantiles and a sample of latencies."""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from zlib import crc32

import numpy as np

from features.sources.checks import RawRows, checked
from features.sources.logs.patterns import LineRead
from features.sources.source import Gathered, Happened
from features.telemetry.columns import EXEMPLARS, Floats

# In thousandths: the rank of a quantile is then a whole number, and exact.
QUANTILES = {"p50_ms": 500, "p95_ms": 950, "p99_ms": 990, "p999_ms": 999}

Draw = Callable[[str, int], np.random.Generator]
Key = tuple[str, int]
"""An entity and the start of an interval."""


def draw_by_name(entity: str, ts: int) -> np.random.Generator:
    """Give an interval's own generator: lines that are read again give the same sample."""
    return np.random.default_rng((crc32(entity.encode("utf-8", "replace")), ts))


@dataclass(slots=True)
class Tally:
    """The lines of one entity in one interval."""

    requests: int = 0
    failed: int = 0
    deploy: bool = False
    restarts: list[float] = field(default_factory=list)
    latencies: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, line: LineRead) -> None:
        self.requests += line.request
        self.failed += line.failed
        self.deploy |= line.deploy
        if line.restart:
            self.restarts.append(line.time)
        if line.latency_ms is not None:
            self.latencies.append(line.latency_ms)


def gathered(
    tallies: Mapping[Key, Tally], *, cadence_seconds: int, errors: bool, now: float, draw: Draw
) -> Gathered:
    """Make rows of the tallies; `errors` says whether failed requests can be told from others."""
    keys = sorted(tallies)
    ordered = [tallies[key] for key in keys]
    latencies = [np.sort(np.frombuffer(each.latencies)) for each in ordered]
    metrics: dict[str, Sequence[float | None]] = {
        "request_rate": [each.requests / cadence_seconds or None for each in ordered],
        "error_rate": [
            each.failed / each.requests if errors and each.requests else None for each in ordered
        ],
    }
    for name, thousandths in QUANTILES.items():
        metrics[name] = [quantile(values, thousandths) for values in latencies]
    found = checked(
        RawRows([key[0] for key in keys], [key[1] for key in keys], metrics, _deploys(ordered)),
        now=now,
        cadence_seconds=cadence_seconds,
    )
    by_key = dict(zip(keys, latencies, strict=True))
    telemetry = found.telemetry
    samples = [
        sample(by_key[entity, ts], draw(entity, ts))
        for entity, ts in zip(telemetry.entity.tolist(), telemetry.ts.tolist(), strict=True)
    ]
    exemplars = np.array(samples, dtype=np.float64).reshape(len(telemetry), EXEMPLARS)
    return replace(
        found,
        telemetry=replace(telemetry, exemplars=exemplars),
        events=tuple(_restarts(zip(keys, ordered, strict=True))),
    )


def quantile(ordered: Floats, thousandths: int) -> float | None:
    """Give the smallest latency that at least such a share of the latencies does not exceed."""
    if not len(ordered):
        return None
    rank = -(-len(ordered) * thousandths // 1000)
    return float(ordered[rank - 1])


def sample(ordered: Floats, generator: np.random.Generator) -> Floats:
    """Draw latencies without replacement; NaN where there are fewer."""
    drawn = np.full(EXEMPLARS, np.nan)
    if len(ordered) <= EXEMPLARS:
        drawn[: len(ordered)] = ordered
    else:
        drawn[:] = generator.choice(ordered, EXEMPLARS, replace=False)
    return drawn


def _deploys(tallies: Sequence[Tally]) -> list[bool]:
    return [each.deploy for each in tallies]


def _restarts(tallies: Iterable[tuple[Key, Tally]]) -> Iterable[Happened]:
    for (entity, _), tally in tallies:
        if tally.restarts:
            yield Happened("restart", min(tally.restarts), entity, len(tally.restarts))
