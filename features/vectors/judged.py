"""Features that the streams of an entity's metrics give: put into its vector when it is published.

They cannot be computed of telemetry alone; what was published is what is known of them.
"""

from collections.abc import Mapping
from dataclasses import replace

from features.definitions.definition import MINUTE
from features.telemetry.judged import Judged
from features.vectors.vector import GROUPS, Vector

_GROUP = GROUPS.index("Judged")


def with_judged(vector: Vector, judged: Judged | None) -> Vector:
    """Put in what is said of the entity's newest interval that was judged."""
    if judged is None or not judged.metrics:
        return vector
    newest = judged.newest.values()
    event_time, known_time = list(vector.event_time), list(vector.known_time)
    event_time[_GROUP] = judged.event_time
    known_time[_GROUP] = max(each.known_time for each in newest)
    return replace(
        vector,
        values={**vector.values, **_values(judged)},
        event_time=event_time,
        known_time=known_time,
    )


def _values(judged: Judged) -> Mapping[str, float]:
    newest = judged.newest.values()
    rarest = min(each.p_value for each in newest)
    began = max(each.since for each in newest)
    return {
        "anomaly_score": 1.0 - min(1.0, len(newest) * rarest),
        "regime_change": max(each.change_probability for each in newest),
        "regime_minutes": max(judged.event_time - began, 0.0) / MINUTE,
    }
