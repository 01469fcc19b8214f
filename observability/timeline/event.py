"""One event of the timeline: what changed, when, and of whom."""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from observability.timeline.kinds import SENTENCES, Kind

Detail = str | int | float | bool | None

# A reason may be the page that a proxy answered; nobody reads it here to its end.
MOST_CHARACTERS = 1000
# Nothing happened before 1970, and the column store's times end in 2299.
EARLIEST, LATEST = 0, 9_999_999_999
ID_CHARACTERS = 32
_PLAIN = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class Event:
    """An event; two of the same content are the same event, however often it is told."""

    kind: Kind
    time: float  # epoch seconds, when it happened
    entity: str = ""
    source: str = ""
    details: Mapping[str, Detail] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.time) and EARLIEST <= self.time <= LATEST):
            raise ValueError(
                f"an event of the timeline cannot be at {self.time}: give epoch seconds"
            )
        object.__setattr__(self, "entity", _clipped(self.entity))
        object.__setattr__(self, "source", _clipped(self.source))
        details = {name: _clipped(value) for name, value in self.details.items()}
        object.__setattr__(self, "details", details)
        _ = self.summary  # which lacks nothing, or the event is refused

    @property
    def time_ms(self) -> int:
        return round(self.time * 1000)

    @cached_property
    def summary(self) -> str:
        """The event in a sentence."""
        # A kind of a later release is told by its name: better than not at all.
        sentence = SENTENCES.get(self.kind) or self.kind.replace("_", " ")
        stated = {"entity": self.entity, "source": self.source}
        named = {name: text for name, text in stated.items() if text} | dict(self.details)
        try:
            return sentence.format_map(named)
        except KeyError as missing:
            raise ValueError(
                f"an event of the kind {self.kind} states its {missing.args[0]}: {sentence!r}"
            ) from missing

    @cached_property
    def id(self) -> str:
        """A hash of the content; the sentence is no part of it, so it may be improved."""
        content = [self.time_ms, self.kind, self.entity, self.source, self.details]
        canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(canonical).hexdigest()[:ID_CHARACTERS]

    def to_json(self) -> bytes:
        """Write it as the stream carries it."""
        return orjson.dumps(
            {
                "kind": self.kind,
                "time_ms": self.time_ms,
                "entity": self.entity,
                "source": self.source,
                "details": self.details,
            }
        )


def read_event(data: bytes) -> Event:
    """Read what `to_json` or a script in Redis wrote; raises ValueError where it is no event."""
    try:
        fields: dict[str, Any] = orjson.loads(data)
        kind, entity, source = fields["kind"], fields["entity"], fields["source"]
        time, details = fields["time_ms"] / 1000, dict(fields["details"])
        plain = _PLAIN.fullmatch(kind) and isinstance(entity, str) and isinstance(source, str)
        if plain and all(isinstance(each, Detail) for each in details.values()):
            return Event(kind, time, entity, source, details)
    except (KeyError, TypeError, AttributeError) as error:
        raise _no_event(data) from error
    raise _no_event(data)


def _no_event(data: bytes) -> ValueError:
    return ValueError(f"this is no event of the timeline: {data[:200]!r}")


def _clipped(value: Any) -> Any:
    return value[:MOST_CHARACTERS] if isinstance(value, str) else value
