"""One source fills neither Redis nor the processes with names."""

from deployments.telemetry.entity_limit import FORGET_SECONDS, EntityLimit
from tests.deployments.telemetry.posting import a_minute, measured_of

NOON = 1_773_144_000


class Clock:
    def __init__(self) -> None:
        self.now = float(NOON)

    def __call__(self) -> float:
        return self.now


def test_entities_beyond_the_limit_are_left_out_with_a_complaint() -> None:
    limit = EntityLimit(Clock(), 3)
    limit.know({"a": NOON - 60, "long ago": NOON - int(FORGET_SECONDS) - 1})
    kept = limit.keep(measured_of("b", "c", "d", "e", "a", "d", ts=a_minute()))
    assert kept.telemetry.entity.tolist() == ["b", "c", "a"]
    (complaint,) = kept.complaints
    assert (complaint.fault, complaint.count) == ("out of bounds", 3)
    assert "'d'" in complaint.example
    assert "over 3 entities" in complaint.example
    again = limit.keep(measured_of("a", "b", "c", ts=a_minute()))
    assert again.telemetry.entity.tolist() == ["a", "b", "c"]
    assert again.complaints == ()


def test_those_that_are_gone_make_room() -> None:
    clock = Clock()
    limit = EntityLimit(clock, 2)
    limit.keep(measured_of("a", "b", ts=a_minute()))
    clock.now += FORGET_SECONDS / 2
    limit.keep(measured_of("b", ts=a_minute()))
    assert limit.keep(measured_of("c", ts=a_minute())).telemetry.entity.tolist() == []
    clock.now += FORGET_SECONDS / 2
    kept = limit.keep(measured_of("b", "c", "d", ts=a_minute()))
    assert kept.telemetry.entity.tolist() == ["b", "c"]
