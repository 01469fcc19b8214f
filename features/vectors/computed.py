"""Computes all stored features of entities, now or as of any moment of the past, by one code."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from features.calendars.of_entity import calendar_values
from features.definitions.catalogue import STORED
from features.definitions.definition import HOUR, MINUTE, Window
from features.definitions.live import NORMAL
from features.rows import FeatureRow
from features.telemetry import stored
from features.telemetry.merged import scope_of
from features.telemetry.rolling import rolling
from features.telemetry.tables import ColumnStore
from features.vectors.as_of import AsOf, Moment, StepMemory, Values
from features.vectors.vector import GROUPS, Vector, group_of

_NOTHING = {each.name: math.nan for each in STORED}
_NORMAL, _NORMAL_STEP = group_of(NORMAL[0]), HOUR


def _windows_by_group() -> dict[Hashable, dict[str, Window]]:
    found: dict[Hashable, dict[str, Window]] = {}
    for each in STORED:
        if isinstance(each.computed, Window):
            found.setdefault(group_of(each), {})[each.name] = each.computed
    return found


_WINDOWS = _windows_by_group()


class Published(NamedTuple):
    """What models read of an entity, and all features of it."""

    row: FeatureRow
    vector: Vector


class Facts(Protocol):
    """What is stated of an entity, since nobody can measure it."""

    @property
    def exchange(self) -> str | None: ...

    @property
    def time_zone(self) -> str | None: ...


class StoredFeatures:
    """Computes features; what is as of a whole step is remembered until the next one."""

    def __init__(self, store: ColumnStore, facts_of: Callable[[str], Facts]) -> None:
        self._store = store
        self._facts_of = facts_of
        self._memory = StepMemory()

    def rows(self, entities: Sequence[str], known_until_ms: int) -> dict[str, FeatureRow]:
        """Give what models read, of the entities that were measured in the last day."""
        moment = Moment(known_until_ms // 1000, known_until_ms)
        newest = stored.newest_values(
            self._store, entities, moment.at, known_until_ms=known_until_ms
        )
        normal, so_far = self._normal([*newest], moment), self._so_far([*newest], moment)
        return {
            each: _row(found, normal.get(each), so_far.get(each)) for each, found in newest.items()
        }

    def published(
        self, entities: Sequence[str], cadence_seconds: float, known_until_ms: int
    ) -> dict[str, Published]:
        """Give all that is published of the entities that were measured in the last day."""
        moment = Moment(known_until_ms // 1000, known_until_ms)
        newest = stored.newest_values(
            self._store, entities, moment.at, known_until_ms=known_until_ms
        )
        normal, so_far = self._normal([*newest], moment), self._so_far([*newest], moment)
        windows = {span: self._windows(span, [*newest], moment) for span in _WINDOWS}
        minute = moment.at // MINUTE * MINUTE
        found = {}
        for entity, live in newest.items():
            by_group: dict[Hashable, Part] = {
                "Live": (live.at, live.known_ms / 1000, live.values),
                "Calendar": (minute, minute, self._calendar(entity, minute)),
                _NORMAL: _part(normal.get(entity)),
            }
            by_group |= {group: _part(w.get(entity)) for group, w in windows.items()}
            row = _row(live, normal.get(entity), so_far.get(entity))
            row = replace(row, cadence_seconds=cadence_seconds)
            found[entity] = Published(row, _vector(by_group, cadence_seconds))
        return found

    def _normal(self, entities: Sequence[str], now: Moment) -> dict[str, AsOf]:
        def read(entities: Sequence[str], moment: Moment) -> dict[str, Values]:
            known = moment.known_until_ms
            return stored.baselines(self._store, moment.at, entities=entities, known_until_ms=known)

        return self._memory.values(_NORMAL, _NORMAL_STEP, entities, now, read)

    def _so_far(self, entities: Sequence[str], now: Moment) -> dict[str, Values]:
        return stored.rates_so_far(self._store, entities, now.at, known_until_ms=now.known_until_ms)

    def _windows(self, group: Hashable, entities: Sequence[str], now: Moment) -> dict[str, AsOf]:
        windows = _WINDOWS[group]
        longest = next(iter(windows.values()))

        def read(entities: Sequence[str], moment: Moment) -> dict[str, Values]:
            since = moment.at - longest.seconds
            scope = scope_of(self._store, since, moment.at, entities, moment.known_until_ms)
            return rolling(self._store, windows, scope)

        return self._memory.values(group, longest.step_seconds, entities, now, read)

    def _calendar(self, entity: str, minute: int) -> Values:
        facts = self._facts_of(entity)
        return calendar_values(facts.exchange, facts.time_zone, minute)


Part = tuple[float, float, Values]
"""Event time, known time, values."""


def _part(found: AsOf | None) -> Part:
    return (math.nan, math.nan, {}) if found is None else (found.at, found.at, found.values)


def _row(live: stored.Newest, normal: AsOf | None, so_far: Values | None) -> FeatureRow:
    return live.row({**(normal.values if normal else {}), **(so_far or {})})


def _vector(parts: Mapping[Hashable, Part], cadence_seconds: float) -> Vector:
    values = dict(_NOTHING)
    for _, _, each in parts.values():
        values |= each
    event_time, known_time = zip(
        *(parts.get(group, _part(None))[:2] for group in GROUPS), strict=True
    )
    return Vector(values, event_time, known_time, cadence_seconds)
