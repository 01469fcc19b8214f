"""The metrics of all replicas as one: each writes a snapshot, whoever is asked merges them.

Counters and histograms are summed over every replica that ever lived, so that they never go back
when one dies. Gauges are taken from replicas that live, by a rule for each gauge.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from observability.errors import SnapshotError

GaugeRule = Literal["sum", "min", "max", "mean", "latest"]

STALE_AFTER_S = 15.0

_SUMMED = frozenset({"counter", "histogram", "summary"})
_PARTS_OF_ONE = 2**24
_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one replica had counted at a moment (seconds since 1970)."""

    at: float
    families: list[Metric]


def snapshot(registry: CollectorRegistry, at: float) -> bytes:
    """Write down everything the registry knows."""
    return encode(Snapshot(at, list(registry.collect())))


def encode(taken: Snapshot) -> bytes:
    return orjson.dumps({"at": taken.at, "families": [_to_json(each) for each in taken.families]})


def decode(data: bytes) -> Snapshot:
    try:
        form = orjson.loads(data)
        return Snapshot(float(form["at"]), [_from_json(family) for family in form["families"]])
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotError(f"the bytes are not a metrics snapshot: {error!r}") from error


def merge(
    snapshots: Iterable[bytes],
    *,
    now: float,
    rules: Mapping[str, GaugeRule],
    stale_after_s: float = STALE_AFTER_S,
) -> list[Metric]:
    """One family for each name; gauges only from snapshots that are not stale."""
    taken = sorted(map(decode, snapshots), key=lambda each: each.at)
    merged: dict[str, Metric] = {}
    values: dict[_Key, list[float]] = {}
    for each in taken:
        stale = now - each.at > stale_after_s
        for family in each.families:
            if family.type in _SUMMED or not stale:
                merged.setdefault(family.name, _empty(family))
                _collect(family.samples, values, merged[family.name])
    for family in merged.values():
        rule = "sum" if family.type in _SUMMED else rules.get(family.name, "max")
        family.samples = [
            _combined(sample, values[_key(sample)], rule) for sample in family.samples
        ]
    return list(merged.values())


def minus(taken: Snapshot, counted: Snapshot) -> Snapshot:
    """Take off what was counted elsewhere already; gauges stay as they are."""
    before = {_key(s): s.value for family in counted.families for s in family.samples}
    families = []
    for family in taken.families:
        left = _empty(family)
        summed = family.type in _SUMMED
        left.samples = [
            Sample(s.name, s.labels, s.value - before.get(_key(s), 0.0)) if summed else s
            for s in family.samples
        ]
        families.append(left)
    return Snapshot(taken.at, families)


def text(families: Iterable[Metric]) -> str:
    """Write the format that Prometheus scrapes."""
    registry = CollectorRegistry()
    registry.register(_Merged(families))
    return generate_latest(registry).decode()


def document(families: Iterable[Metric]) -> dict[str, Any]:
    """Write the same as JSON; what is not a finite number is null."""
    return {
        family.name: {
            "type": family.type,
            "help": family.documentation,
            "samples": [
                {
                    "name": sample.name,
                    "labels": sample.labels,
                    "value": sample.value if math.isfinite(sample.value) else None,
                }
                for sample in family.samples
            ],
        }
        for family in families
    }


class _Merged(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def _collect(samples: Sequence[Sample], values: dict[_Key, list[float]], into: Metric) -> None:
    for sample in samples:
        found = values.get(_key(sample))
        if found is None:
            values[_key(sample)] = [sample.value]
            into.samples.append(sample)
        else:
            found.append(sample.value)


def _combined(sample: Sample, values: Sequence[float], rule: GaugeRule) -> Sample:
    """Combine one sample's values, which are in the order of their snapshots' age.

    NaN is a gauge that its process does not know: it says nothing where another's is known.
    """
    if rule != "sum":
        values = [value for value in values if not math.isnan(value)] or values
    match rule:
        case "sum":
            value = math.fsum(values)
        case "min":
            value = min(values)
        case "max":
            value = max(values)
        case "mean":
            value = fmean(values)
        case "latest":
            value = values[-1]
    return Sample(sample.name, sample.labels, value)


def _key(sample: Sample) -> _Key:
    return sample.name, tuple(sorted(sample.labels.items()))


def _empty(family: Metric) -> Metric:
    return Metric(family.name, family.documentation, family.type)


def _to_json(family: Metric) -> dict[str, Any]:
    # JSON has no infinity and no NaN, so those travel as text. `_created` only says when a replica
    # started, which means nothing in a sum.
    summed = family.type in _SUMMED
    return {
        "name": family.name,
        "type": family.type,
        "help": family.documentation,
        "samples": [
            (s.name, s.labels, _number(s.value, exact_sums=summed))
            for s in family.samples
            if not s.name.endswith("_created")
        ],
    }


def _number(value: float, *, exact_sums: bool) -> float | str:
    """Round what will be summed to a few hundred-millionths, in binary.

    Such sums are exact in any order. A rounding error of the last digit would let a counter go
    back, and Prometheus takes that for a restart.
    """
    if not math.isfinite(value):
        return str(value)
    return round(value * _PARTS_OF_ONE) / _PARTS_OF_ONE if exact_sums else value


def _from_json(form: Mapping[str, Any]) -> Metric:
    family = Metric(form["name"], form["help"], form["type"])
    family.samples = [Sample(name, labels, float(value)) for name, labels, value in form["samples"]]
    return family
