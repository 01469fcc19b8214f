"""A feature row: what is known of one entity, and since when."""

import math
from dataclasses import dataclass
from typing import Any

import orjson

from features.errors import UnreadableFeaturesError


@dataclass(frozen=True, slots=True)
class FeatureRow:
    values: dict[str, float]  # NaN where the telemetry had no number
    event_time: float  # epoch seconds of the telemetry that the row was read off

    def encode(self) -> bytes:
        return orjson.dumps({"values": self.values, "event_time": self.event_time})


def decode(entity: str, stored: bytes | str) -> FeatureRow:
    try:
        content: dict[str, Any] = orjson.loads(stored)
        # JSON has no NaN: one reading that is missing must not cost the others.
        values = {
            name: math.nan if value is None else float(value)
            for name, value in content["values"].items()
        }
        return FeatureRow(values, float(content["event_time"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableFeaturesError(entity, str(error)) from error
