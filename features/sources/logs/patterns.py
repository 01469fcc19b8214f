"""Reads one line of a log by the rules: whose it is, when it was, and what it tells."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from features.sources.logs.config import Condition, LineRules, TimeField
from features.sources.source import Fault

# A pattern is looked for in so much of a text: what follows says no more about its kind.
MOST_SEARCHED = 2000
LONGEST_NAME = 200
SHOWN = 120
IN_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}

_MISSING = object()


class LineRead(NamedTuple):
    """What a line tells."""

    entity: str
    time: float  # epoch seconds
    latency_ms: float | None
    request: bool
    failed: bool
    deploy: bool
    restart: bool


class UnreadLine(NamedTuple):
    """Why a line tells nothing."""

    fault: Fault
    example: str


class LineReader:
    """Reads lines by the rules, which it makes ready once."""

    def __init__(self, rules: LineRules) -> None:
        self._rules = rules
        self._time = time_reader(rules.time)
        self._requests = [_test(each) for each in rules.requests]
        self._kinds = [
            (each.kind, [_test(condition) for condition in each.where]) for each in rules.patterns
        ]
        latency = rules.latency
        self._latency_ms = IN_SECONDS[latency.unit] * 1000 if latency is not None else 0.0

    def read(self, line: bytes) -> LineRead | UnreadLine:
        try:
            fields = orjson.loads(line)
        except ValueError:
            return _unread("schema", "the line is no JSON", line)
        if not isinstance(fields, dict):
            return _unread("schema", "the line is no JSON object", line)
        entity = self._entity(fields)
        if entity is None:
            return _unread("schema", f"{self._rules.entity_field} names no entity", line)
        try:
            time = self._time(field_of(fields, self._rules.time.field))
        except (ValueError, TypeError, OverflowError):
            return _unread("schema", f"{self._rules.time.field} is no time", line)
        latency = self._latency(fields)
        if isinstance(latency, UnreadLine):
            return latency
        kinds = {str(kind) for kind, tests in self._kinds if all(test(fields) for test in tests)}
        request = self._is_request(fields, kinds, latency)
        return LineRead(
            entity,
            time,
            latency if request else None,
            request,
            request and "error" in kinds,
            "deploy" in kinds,
            "restart" in kinds,
        )

    def _entity(self, fields: Mapping[str, Any]) -> str | None:
        if self._rules.entity_field is None:
            return self._rules.entity_name
        named = field_of(fields, self._rules.entity_field)
        if not isinstance(named, str) or not 0 < len(named) <= LONGEST_NAME:
            return None
        return named

    def _latency(self, fields: Mapping[str, Any]) -> float | UnreadLine | None:
        if self._rules.latency is None:
            return None
        name = self._rules.latency.field
        found = field_of(fields, name)
        if found is _MISSING or found is None:
            return None
        number = number_of(found)
        if number is None:
            return UnreadLine("not a number", f"{name} is no number"[:SHOWN])
        if number < 0:
            return UnreadLine("out of bounds", f"{name} is {number}")
        return number * self._latency_ms

    def _is_request(
        self, fields: Mapping[str, Any], kinds: set[str], latency: float | None
    ) -> bool:
        if self._requests:
            return all(test(fields) for test in self._requests)
        if self._rules.latency is not None:
            return latency is not None
        return not kinds & {"deploy", "restart"}


def _unread(fault: Fault, why: str, line: bytes) -> UnreadLine:
    # Without its text, which viewers would see: secrets get into logs.
    return UnreadLine(fault, f"{why} ({len(line)} bytes)")


def field_of(fields: Mapping[str, Any], name: str) -> Any:
    """Find a field by its name, or by the names of those around it."""
    if name in fields:
        return fields[name]
    found: Any = fields
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return _MISSING
        found = found[part]
    return found


def number_of(value: Any) -> float | None:
    """Read a number, also one that a logger wrote as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _test(condition: Condition) -> Callable[[Mapping[str, Any]], bool]:
    name = condition.field
    if condition.matches is not None:
        pattern = condition.matches
        return lambda fields: _is_in(pattern, _text(field_of(fields, name))[:MOST_SEARCHED])
    if condition.at_least is not None:
        least = condition.at_least
        return lambda fields: _at_least(field_of(fields, name), least)
    expected = condition.equals
    if isinstance(expected, bool):
        return lambda fields: field_of(fields, name) is expected
    return lambda fields: _equals(field_of(fields, name), expected)


def _is_in(pattern: str, text: str) -> bool:
    # By RE2, which no pattern and no text makes slow: strangers write what is logged.
    found: bool = pc.match_substring_regex(pa.scalar(text), pattern=pattern).as_py()
    return found


def _at_least(value: Any, least: float) -> bool:
    number = number_of(value)
    return number is not None and number >= least


def _equals(value: Any, expected: Any) -> bool:
    # True == 1 in Python, and in no log.
    return value == expected and not isinstance(value, bool)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is _MISSING else orjson.dumps(value).decode()


def time_reader(rule: TimeField) -> Callable[[Any], float]:
    """Make what reads a time, epoch seconds; it raises ValueError or TypeError for no time."""
    if rule.format == "rfc3339":
        zone = None if rule.zone is None else ZoneInfo(rule.zone)
        return lambda value: _moment(value, zone)
    unit = IN_SECONDS[rule.format]

    def since_1970(value: Any) -> float:
        number = number_of(value)
        if number is None:
            raise ValueError
        return number * unit

    return since_1970


def _moment(value: Any, zone: ZoneInfo | None) -> float:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        if zone is None:
            raise ValueError
        moment = moment.replace(tzinfo=zone)
    return moment.timestamp()
