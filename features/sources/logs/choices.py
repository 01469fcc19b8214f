"""Chooses the fields of a log that metrics are made of: those stated, else those known."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from features.errors import NothingUsableError
from features.sources.logs.config import LatencyField, TimeField
from features.sources.logs.conventions import (
    ENTITIES,
    GRPC_CODES,
    LATENCIES,
    LEVELS,
    STATUSES,
    TIMES,
    Known,
    Unit,
    may_be_latency,
    unit_in,
)
from features.sources.logs.fields import FieldSeen
from features.sources.logs.values import (
    Failed,
    are_latencies,
    by_code,
    by_level,
    by_status,
    lacks_offset,
    look_like_times,
    time_in,
)

SHOWN_NAMES = 12
# Some lines of a file are of another kind, and have none of it.
ENOUGH = 0.5
# More names than these, in so few lines, name requests and not services.
MOST_ENTITIES = 200


@dataclass(frozen=True, slots=True)
class Choices:
    """The fields of so many lines."""

    fields: Mapping[str, FieldSeen]
    lines: int

    def time(self, stated: str | None, zone: str | None) -> TimeField:
        """Choose the time; NothingUsableError names the fields that are there instead."""
        if stated is not None:
            found = time_in(self.stated(stated))
            if found is None:
                raise NothingUsableError(
                    f"the field {stated} holds {self.fields[stated].example!r}, which is no RFC "
                    "3339 time and no number of s, ms, us or ns since 1970"
                )
        else:
            found = self._known_time()
        if found.format != "rfc3339" or not lacks_offset(self.fields[found.field]):
            return found
        if zone is None:
            raise NothingUsableError(
                f"the times of {found.field}, such as {self.fields[found.field].example!r}, name "
                "no offset: give their zone with --time-zone, as in --time-zone UTC"
            )
        return TimeField(field=found.field, zone=zone)

    def entity(self, stated: str | None) -> str | None:
        """Choose what names the entity; None where nothing does."""
        if stated is not None:
            return self.stated(stated).name
        return next((each.name for each in self._there(ENTITIES) if self._names(each)), None)

    def latency(self, stated: str | None, unit: Unit | None) -> LatencyField | None:
        """Choose the latency, in a unit that is stated or known."""
        name, known = self._stated_latency(stated) if stated else self._known_latency()
        if name is None and unit is not None:
            name = next(iter(self.without_unit()), None)
        if name is None:
            return None
        if unit is None and known is None:
            raise NothingUsableError(
                f"the name {name} does not say in which unit it is, as in "
                f"{self.fields[name].example!r}: give --latency-unit"
            )
        return LatencyField(field=name, unit=unit or known or "ms")

    def without_unit(self) -> tuple[str, ...]:
        """Give the fields that are named like a latency, and whose unit must be stated."""
        return tuple(
            each.name
            for each in self.fields.values()
            if may_be_latency(each.name) and are_latencies(each)
        )

    def failed(self, stated: str | None) -> Failed | None:
        """Choose by what a failed request is known: a status before a level."""
        if stated is not None:
            return self._stated_failure(self.stated(stated))
        ways: Sequence[tuple[Iterable[Known], Callable[[FieldSeen], Failed | None]]] = (
            (STATUSES, by_status),
            (GRPC_CODES, by_code),
            (LEVELS, by_level),
        )
        for known, way in ways:
            for each in self._there(known):
                if (found := way(each)) is not None:
                    return found
        return None

    def stated(self, name: str) -> FieldSeen:
        """Give the field of this name, or say which there are."""
        found = self.fields.get(name)
        if found is None:
            raise NothingUsableError(f"no line has the field {name}; there are {self.names()}")
        return found

    def names(self) -> str:
        more = len(self.fields) - SHOWN_NAMES
        return ", ".join(list(self.fields)[:SHOWN_NAMES]) + (
            f" and {more} more" if more > 0 else ""
        )

    def _known_time(self) -> TimeField:
        usual = [each for each in self.fields.values() if self._is_usual(each)]
        for each in (
            *(known for known in self._there(TIMES) if self._is_usual(known)),
            *filter(look_like_times, usual),
        ):
            if (found := time_in(each)) is not None:
                return found
        raise NothingUsableError(
            f"no field is known to hold a time; there are {self.names()}: name one with "
            "--time-field"
        )

    def _known_latency(self) -> tuple[str | None, Unit | None]:
        for each in LATENCIES:
            if self._is_beside(each) and are_latencies(self.fields[each.field]):
                return each.field, each.unit
        for seen in self.fields.values():
            unit = unit_in(seen.name)
            if unit is not None and are_latencies(seen):
                return seen.name, unit
        return None, None

    def _stated_latency(self, name: str) -> tuple[str | None, Unit | None]:
        self.stated(name)
        fitting = (each for each in LATENCIES if each.field == name and self._is_beside(each))
        known = next(fitting, None)
        return name, unit_in(name) if known is None else known.unit

    def _stated_failure(self, seen: FieldSeen) -> Failed:
        found = by_status(seen) or by_code(seen) or by_level(seen)
        if found is None:
            raise NothingUsableError(
                f"the field {seen.name} holds {seen.example!r}, which is no status of HTTP, no "
                "name of a gRPC code and no level"
            )
        return found

    def _there(self, known: Iterable[Known]) -> Iterable[FieldSeen]:
        return (self.fields[each.field] for each in known if self._is_beside(each))

    def _is_beside(self, known: Known) -> bool:
        return all(name in self.fields for name in (known.field, *known.beside))

    def _is_usual(self, seen: FieldSeen) -> bool:
        return len(seen.values) >= ENOUGH * self.lines

    def _names(self, seen: FieldSeen) -> bool:
        different = len(seen.texts())
        named = sum(isinstance(each, str) and each != "" for each in seen.values)
        few = different <= MOST_ENTITIES and (different <= 1 or different <= ENOUGH * named)
        return named >= ENOUGH * self.lines and few
