import math
from dataclasses import replace

from features.definitions.catalogue import STORED, Catalogue
from features.telemetry.judged import Judged
from features.vectors.judged import with_judged
from features.vectors.published import OWN
from features.vectors.reading import Reading
from features.vectors.vector import GROUPS, Vector
from tests.features.telemetry.test_judged import METRIC

NAMES = ("anomaly_score", "regime_change", "regime_minutes")
NOTHING = Vector(
    {each.name: math.nan for each in STORED},
    [math.nan] * len(GROUPS),
    [math.nan] * len(GROUPS),
    60.0,
)


def test_what_streams_say_is_read_with_its_own_times() -> None:
    calm = replace(METRIC, p_value=0.5, change_probability=0.1, since=0.0)
    vector = with_judged(NOTHING, Judged({"cpu": calm, "p99_ms": METRIC}))
    reading = Reading(Catalogue(), NAMES)
    found = reading.read([(OWN, vector.encode(OWN))], METRIC.event_time + 100)
    assert found.values[0].tolist() == [1 - 2 * 0.01, 0.4, (6000 - 5280) / 60]
    assert set(found.event_time[0].tolist()) == {METRIC.event_time}
    assert set(found.known_time[0].tolist()) == {METRIC.known_time}
    assert not found.stale.any()
    later = reading.read([(OWN, vector.encode(OWN))], METRIC.event_time + 241)
    assert later.stale.all()


def test_of_an_entity_that_no_stream_follows_they_are_missing() -> None:
    assert with_judged(NOTHING, None) is NOTHING
