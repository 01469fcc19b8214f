"""A feature row: what is known of one entity, and since when."""

import math
from dataclasses import dataclass
from typing import Any

import orjson

from features.errors import UnreadableFeaturesError

MINUTE = 60.0
# The mean rate of the hour so far: beside the newest interval's, for who looks hours ahead.
HOUR_RATE = "request_rate_this_hour"


@dataclass(frozen=True, slots=True)
class FeatureRow:
    values: dict[str, float]  # NaN where the telemetry had no number
    event_time: float  # epoch seconds of the telemetry that the row was read off
    cadence_seconds: float = MINUTE  # how often there is a new one

    def encode(self) -> bytes:
        return orjson.dumps(
            {
                "values": self.values,
                "event_time": self.event_time,
                "cadence_seconds": self.cadence_seconds,
            }
        )


def decode(entity: str, stored: bytes | str) -> FeatureRow:
    try:
        content: dict[str, Any] = orjson.loads(stored)
        # JSON has no NaN: one reading that is missing must not cost the others.
        values = {
            name: math.nan if value is None else float(value)
            for name, value in content["values"].items()
        }
        cadence = float(content.get("cadence_seconds", MINUTE))  # an earlier release wrote none
        return FeatureRow(values, float(content["event_time"]), cadence)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableFeaturesError(entity, str(error)) from error
