"""Proposes how the lines of a log become metrics: which field is what, and what is missing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from features.errors import NothingUsableError
from features.sources.logs.choices import Choices
from features.sources.logs.config import Condition, LatencyField, LogRules, Pattern
from features.sources.logs.conventions import (
    ENTITIES,
    GRPC_CODES,
    LATENCIES,
    LEVELS,
    STATUSES,
    TIMES,
    Unit,
)
from features.sources.logs.ends import Ends, Line
from features.sources.logs.fields import fields_of
from features.sources.logs.intervals import QUANTILES
from features.sources.logs.patterns import LineRead, LineReader
from features.sources.logs.values import Failed

SHOWN_BYTES = 120


@dataclass(frozen=True, slots=True)
class Stated:
    """What the user says himself; what is left out is looked for."""

    entity_field: str | None = None
    entity_name: str | None = None
    time_field: str | None = None
    time_zone: str | None = None
    latency_field: str | None = None
    latency_unit: Unit | None = None
    status_field: str | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """What one field is used for."""

    field: str
    example: str
    share: float  # of the lines that have it
    gives: str
    software: str


@dataclass(frozen=True, slots=True)
class LogProposal:
    """Rules for some files, and what to know of them before they are used."""

    rules: LogRules
    uses: tuple[Use, ...]
    files: int
    lines: int
    unread: tuple[str, ...]  # lines that tell nothing, and why
    entities: tuple[str, ...]
    newest: float | None  # the time of the newest line
    perhaps: tuple[str, ...]  # fields that may be latencies, in a unit that nobody knows


def propose(paths: Sequence[str], ends: Ends, stated: Stated, *, name: str) -> LogProposal:
    """Propose rules for lines; `name` names the entity where no field does.

    NothingUsableError says why there are none.
    """
    objects = _objects(ends.lines)
    choices = Choices(fields_of(objects), len(objects))
    time = choices.time(stated.time_field, stated.time_zone)
    entity = None if stated.entity_name else choices.entity(stated.entity_field)
    latency = choices.latency(stated.latency_field, stated.latency_unit)
    failed = choices.failed(stated.status_field)
    rules = LogRules(
        paths=tuple(paths),
        entity_field=entity,
        entity_name=None if entity else stated.entity_name or name,
        time=time,
        latency=latency,
        requests=_requests(latency, failed),
        patterns=() if failed is None else (Pattern(kind="error", where=(failed.condition,)),),
    )
    uses = tuple(_uses(choices, rules, failed))
    return _tried(rules, uses, ends, () if latency else choices.without_unit())


def _objects(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Read the lines; most have to be JSON objects."""
    found, first = list[dict[str, Any]](), None
    for line in lines:
        value = _read(line.text)
        if value is not None:
            found.append(value)
        elif first is None:
            first = line
    if first is not None and 2 * len(found) <= len(lines):
        raise NothingUsableError(
            f"{len(lines) - len(found)} of the last {len(lines)} lines are no JSON objects, as in "
            f"{first.path}: {first.text[:SHOWN_BYTES].decode(errors='replace')!r}"
        )
    return found


def _read(text: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _requests(latency: LatencyField | None, failed: Failed | None) -> tuple[Condition, ...]:
    """Say which lines tell of a request where no latency does: those with a status."""
    if latency is not None or failed is None:
        return ()
    if failed.by == "status":
        return (Condition(field=failed.field, at_least=0),)
    if failed.by == "gRPC code":
        return (Condition(field=failed.field, matches="."),)
    return ()


def _uses(choices: Choices, rules: LogRules, failed: Failed | None) -> Iterator[Use]:
    def use(name: str, gives: str, software: str = "") -> Use:
        seen = choices.fields[name]
        share = len(seen.values) / choices.lines
        return Use(name, str(seen.example), share, gives, software or _software(name))

    yield use(rules.time.field, f"the time ({_written(rules)})")
    if rules.entity_field is not None:
        yield use(rules.entity_field, "the entity")
    if rules.latency is not None:
        latencies = f"{', '.join(QUANTILES)} (it is in {rules.latency.unit})"
        yield use(rules.latency.field, f"request_rate, {latencies}")
    if failed is not None:
        rate = "request_rate, " if rules.requests else ""
        yield use(failed.field, f"{rate}error_rate (by the {failed.by})")


def _written(rules: LogRules) -> str:
    if rules.time.format != "rfc3339":
        return f"{rules.time.format} since 1970"
    return "RFC 3339" if rules.time.zone is None else f"without offset, {rules.time.zone}"


def _software(name: str) -> str:
    known = (*TIMES, *ENTITIES, *LATENCIES, *STATUSES, *GRPC_CODES, *LEVELS)
    return next((each.software for each in known if each.field == name), "")


def _tried(
    rules: LogRules, uses: tuple[Use, ...], ends: Ends, perhaps: tuple[str, ...]
) -> LogProposal:
    """Read the lines by the rules."""
    reader = LineReader(rules)
    read, unread = list[LineRead](), list[str]()
    for line in ends.lines:
        found = reader.read(line.text)
        if isinstance(found, LineRead):
            read.append(found)
        else:
            unread.append(found.example)
    return LogProposal(
        rules=rules,
        uses=uses,
        files=ends.files,
        lines=len(ends.lines),
        unread=tuple(unread),
        entities=tuple(sorted({each.entity for each in read})),
        newest=max((each.time for each in read), default=None),
        perhaps=perhaps,
    )
