"""Which series a mapping needs: judged by the name first, then by the labels, once a series."""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from features.sources.plain import LONGEST_NAME
from features.sources.remote_write.fields import RefusedSeriesError
from features.sources.rules import (
    Expression,
    Gauge,
    GaugeRatio,
    Mapping,
    Matcher,
    Quantile,
    Rate,
    Ratio,
    Rule,
    Selector,
)

NAME = "__name__"
BOUND = "le"
# Characters in all: a stranger's long labels would take hundreds of megabytes to remember.
_LONGEST_REMEMBERED = 500
Labels = tuple[tuple[str, str], ...]


class Series(NamedTuple):
    """A series, with as much of its labels as the mapping speaks of."""

    # Of all its labels: two series that differ only in others are still two.
    identity: int
    name: str
    labels: Labels


class Needed:
    """What one mapping needs of all that a Prometheus writes."""

    def __init__(self, mapping: Mapping) -> None:
        self._entity = mapping.entity
        self._selectors: dict[str, list[Selector]] = {}
        for selector in selectors_of(mapping):
            self._selectors.setdefault(selector.name, []).append(selector)
        self._kept = frozenset(
            {mapping.entity, BOUND, mapping.version_label or BOUND}
            | {m.label for found in self._selectors.values() for s in found for m in s.where}
        )
        self.names = frozenset(self._selectors)
        # As they stand in a body, so that most series are dropped before anything is decoded.
        self.encoded_names = frozenset(name.encode() for name in self.names)

    def series(self, labels: dict[str, str]) -> Series | None:
        """Give the series of these labels, or None where no rule counts it.

        RefusedSeriesError for one whose entity has a name that no row may have.
        """
        name = labels.get(NAME, "")
        if not labels.get(self._entity) or name not in self.names:
            return None
        kept = tuple(sorted((label, labels[label]) for label in self._kept & labels.keys()))
        series = Series(identity_of(labels), name, kept)
        found = self._selectors[name]
        if not any(selects(selector, series) for selector in found):
            return None
        if len(labels[self._entity]) > LONGEST_NAME:
            raise RefusedSeriesError(
                f"the label {self._entity!r}, which names the entity, has "
                f"{len(labels[self._entity])} characters, and {LONGEST_NAME} are the limit"
            )
        return series


def selectors_of(mapping: Mapping) -> Iterator[Selector]:
    """Give the selector of every series that the mapping's rules count."""
    for rule in mapping.metrics.values():
        yield from _of_rule(rule)
    if mapping.deploys is not None:
        yield mapping.deploys


def _of_rule(rule: Rule) -> Iterator[Selector]:
    match rule:
        case Rate() | Gauge():
            yield rule.of
        case Ratio() | GaugeRatio():
            yield rule.of
            yield rule.by
        case Quantile():
            # A native histogram's series is needed so that it can be refused, not passed over.
            yield rule.of if rule.native else buckets_of(rule)
        case Expression():
            return


def buckets_of(rule: Quantile) -> Selector:
    """Give the selector of a classic histogram's buckets."""
    return rule.of.model_copy(update={"name": rule.of.name + "_bucket"})


def selects(selector: Selector, series: Series) -> bool:
    """Tell whether the series is one that the selector means."""
    if series.name != selector.name:
        return False
    if not selector.where:
        return True
    is_short = sum(len(value) for _, value in series.labels) <= _LONGEST_REMEMBERED
    matches = _matches if is_short else _matches.__wrapped__
    return matches(selector.where, series.labels)


@lru_cache(maxsize=65_536)  # series come again with every write
def _matches(where: tuple[Matcher, ...], labels: Labels) -> bool:
    values = dict(labels)
    return all(_match(each, values.get(each.label, "")) for each in where)


def _match(matcher: Matcher, value: str) -> bool:
    """Match as Prometheus does: a label that is not there is empty, and a pattern is anchored."""
    match matcher.op:
        case "=":
            return value == matcher.value
        case "!=":
            return value != matcher.value
        case "=~":
            return _fits(matcher.value, value)
        case "!~":
            return not _fits(matcher.value, value)


def _fits(pattern: str, value: str) -> bool:
    # RE2 is the dialect of Prometheus, and no pattern makes it slow.
    fits: bool = pc.match_substring_regex(pa.scalar(value), pattern=f"^(?s:{pattern})$").as_py()
    return fits


def identity_of(labels: dict[str, str]) -> int:
    """Give 64 bits that stand for all labels: of 100,000 series two agree once in 10^9 tries."""
    text = "\xff".join(f"{label}\xfe{labels[label]}" for label in sorted(labels))
    return int.from_bytes(blake2b(text.encode("utf-8"), digest_size=8).digest(), "little")
