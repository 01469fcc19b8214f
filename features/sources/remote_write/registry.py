"""The series that samples came of, each under a number, and which of them a selector means."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from features.sources.remote_write.needed import BOUND, Series, selectors_of, selects
from features.sources.rules import Mapping, Selector
from features.telemetry.columns import Floats, Ints

# What Prometheus itself would choke on; the memory is some 500 bytes a series.
MOST_SERIES = 400_000
# As for a Prometheus that is asked: more is a label that names requests, not services.
MOST_ENTITIES = 10_000
# Nothing is tried twice (`++`): senders choose the text, and of many digits each would be tried
# with each.
_NUMBER = re.compile(
    r"[+-]?((\d++(?:\.\d*+)?|\.\d++)(e[+-]?\d++)?|inf(inity)?)", re.ASCII | re.IGNORECASE
)
# No writer of numbers gives one more digits.
_LONGEST_NUMBER = 64


@dataclass(slots=True)
class Selected:
    """The series that a selector means: their rows, entities and, of buckets, upper bounds."""

    upto: int = 0
    rows: list[int] = field(default_factory=list)
    entities: list[int] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)


class Columns:
    """The same as arrays."""

    def __init__(self, selected: Selected) -> None:
        self.rows: Ints = np.array(selected.rows, np.int64)
        self.entities: Ints = np.array(selected.entities, np.int64)
        self.bounds: Floats = np.array(selected.bounds, np.float64)


class Registry:
    """Numbers the series that a mapping needs, and their entities, in the order they came."""

    def __init__(self, mapping: Mapping) -> None:
        self._label = mapping.entity
        self._needed = tuple(dict.fromkeys(selectors_of(mapping)))
        self._by_identity: dict[int, int] = {}
        self._series: list[Series] = []
        self._entity_of: list[int] = []
        self._entities: dict[str, int] = {}
        self._selected: dict[Selector, Selected] = {}
        self.refused = 0
        self.why_refused = ""

    def __len__(self) -> int:
        return len(self._series)

    @property
    def entities(self) -> list[str]:
        return list(self._entities)

    def rows(self, series: Sequence[Series]) -> Ints:
        """Give each series' number; -1 for one that is not needed, or has no room."""
        known = self._by_identity
        found = [known.get(each.identity, -1) for each in series]
        if -1 in found:
            found = [
                self._add(each) if row < 0 else row for each, row in zip(series, found, strict=True)
            ]
        return np.array(found, np.int64)

    def select(self, selector: Selector) -> Columns:
        """Give the series that a selector means; those that are new since are looked at now."""
        selected = self._selected.setdefault(selector, Selected())
        for row in range(selected.upto, len(self._series)):
            series = self._series[row]
            if selects(selector, series):
                selected.rows.append(row)
                selected.entities.append(self._entity_of[row])
                selected.bounds.append(_bound(series))
        selected.upto = len(self._series)
        return Columns(selected)

    def values(self, label: str) -> Ints:
        """Give each series a number of its value of a label, from 1 on; 0 where it has none."""
        numbers: dict[str, int] = {}
        found = (dict(each.labels).get(label, "") for each in self._series)
        return np.array(
            [numbers.setdefault(value, len(numbers) + 1) if value else 0 for value in found],
            np.int64,
        )

    def keep(self, rows: Ints) -> Ints:
        """Forget all series but these, which rise; give the new number of each old one, or -1."""
        renumbered = np.full(len(self._series), -1, np.int64)
        renumbered[rows] = np.arange(len(rows))
        kept = [self._series[row] for row in rows.tolist()]
        self._by_identity, self._series, self._entity_of = {}, [], []
        self._entities, self._selected = {}, {}
        self.rows(kept)
        return renumbered

    def _add(self, series: Series) -> int:
        row = self._by_identity.get(series.identity)  # twice in one entry
        if row is not None:
            return row
        # The gateway may have gone by another version of the configuration.
        if not any(selects(selector, series) for selector in self._needed):
            return -1
        entity = dict(series.labels).get(self._label, "")
        number = self._entities.get(entity, len(self._entities))
        if not entity or number >= MOST_ENTITIES or len(self._series) >= MOST_SERIES:
            self.refused += 1
            self.why_refused = (
                f"{series.name} of {entity[:80]!r}: over {MOST_SERIES} series, or over "
                f"{MOST_ENTITIES} entities by the label {self._label!r}; choose one that names "
                "services"
            )
            return -1
        self._entities[entity] = number
        self._by_identity[series.identity] = row = len(self._series)
        self._series.append(series)
        self._entity_of.append(number)
        return row


def _bound(series: Series) -> float:
    text = dict(series.labels).get(BOUND, "")
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return math.nan
    return float(text)
