"""Fleets in the handler of points: alarms, replay, and nothing left of those that are gone."""

from typing import Any

import numpy as np

from config_store.document import StreamsConfig
from deployments.anomaly.alarm_budget import AlarmBudget
from deployments.anomaly.operations import Fleet, Look, ObservePoints, PointChoice
from deployments.anomaly.points import PointHandler
from deployments.anomaly.record import Event, pack
from deployments.anomaly.stream import DELETED, Stream
from deployments.runtime.state.handler import Reply, StateRequest

MEMBERS, METRICS, POINTS = 3, 2, 2_000
FLEET: Fleet = {"detector": "fleet", "members": MEMBERS}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += 60.0
        return self.now


def handler() -> PointHandler:
    return PointHandler(AlarmBudget(0.0), Clock())


def points() -> list[list[float]]:
    values = np.random.default_rng(3).normal(size=(POINTS, MEMBERS, METRICS))
    values[-5:, 1] += 12
    found: list[list[float]] = values.reshape(POINTS, -1).tolist()
    return found


def make_request(
    given: list[list[float]], choice: PointChoice | None = None, name: str = "x"
) -> StateRequest[ObservePoints | Look]:
    ask: ObservePoints = {"op": "observe", "values": given}
    if choice is not None:
        ask["choice"] = choice
    return StateRequest(name, name, ask, settings=StreamsConfig(alarms_per_day=20.0))


def followed(
    handler: PointHandler, stream: Stream, given: list[list[float]], size: int
) -> list[Reply[Event]]:
    return [
        reply
        for at in range(0, len(given), size)
        for reply in handler.answer([(stream, make_request(given[at : at + size], FLEET))])
    ]


def events(replies: list[Reply[Event]]) -> list[Event]:
    return [reply.event for reply in replies if reply.event is not None]


def points_of(replies: list[Reply[Event]]) -> list[Any]:
    return [
        point
        for reply in replies
        if reply.detail is not None
        for point in reply.detail["data"]["points"]
    ]


def test_an_alarm_names_the_member_and_gives_its_metrics() -> None:
    own = handler()
    stream, given = own.fresh("x"), points()
    replies = followed(own, stream, given, 20)
    notices = [notice for reply in replies for notice in reply.notices]
    assert [notice["member"] for notice in notices] == [1] * len(notices)
    assert notices
    at = [point["is_anomaly"] for point in points_of(replies)].index(True)
    assert at >= POINTS - 5
    assert notices[0]["value"] == given[at][METRICS : 2 * METRICS]
    assert stream.record.latest_alarms[0]["member"] == 1
    assert stream.record.latest is not None
    assert stream.record.latest["member"] == 1


def test_replayed_or_put_away_in_between_it_answers_the_same_bits() -> None:
    given, first, second, third = points(), handler(), handler(), handler()
    whole = followed(first, one := first.fresh("x"), given, 20)
    replayed = second.fresh("x")
    second.replay([(replayed, events(whole[:17]))])
    back = third.decode("x", first.encode(one))
    assert third.encode(back) == first.encode(one)
    second.replay([(replayed, events(whole[17:]))])
    assert second.encode(replayed) == first.encode(one)
    left = [(first, one), (second, replayed), (third, back)]
    rest = [points_of(followed(each, stream, given[:40], 20)) for each, stream in left]
    assert rest[0] == rest[1] == rest[2]


def test_fleets_of_one_batch_answer_as_each_alone() -> None:
    given, together = points()[:200], handler()
    choices: dict[str, PointChoice] = {
        "a": FLEET,
        "b": {**FLEET, "weights": [1.0, 0.5]},
        "c": {"detector": "fleet", "members": 2},
        "d": "isolation_forest",
        "e": FLEET,
    }
    streams = {name: together.fresh(name) for name in choices}
    rows = [(streams[name], make_request(given, choice, name)) for name, choice in choices.items()]
    mixed = together.answer(rows)
    for (name, choice), reply in zip(choices.items(), mixed, strict=True):
        alone = handler()
        (expected,) = alone.answer([(alone.fresh(name), make_request(given, choice, name))])
        assert points_of([reply]) == points_of([expected])


def test_nothing_is_left_of_a_fleet_that_is_gone() -> None:
    own, given = handler(), points()[:10]
    for members in (2, 3):
        stream = own.fresh("x")
        own.answer([(stream, make_request(given, {"detector": "fleet", "members": members}))])
        own.release(stream)
    assert not own._banks
    stream = own.fresh("x")
    own.answer([(stream, make_request(given, FLEET))])
    own.replay([(stream, [DELETED])])
    assert not own._banks
    assert stream.record.members == 0


def test_a_detector_of_another_release_begins_anew_and_the_record_stays() -> None:
    own, given = handler(), points()[:100]
    stream = own.fresh("x")
    own.answer([(stream, make_request(given, FLEET))])
    kept = pack(stream.record, b"written by another release")
    back = own.decode("x", kept)
    assert (back.record, back.slot) == (stream.record, None)
    (reply,) = own.answer([(back, make_request(given))])
    assert back.record.observations == 200
    assert back.record.detector == "fleet"
    assert len(points_of([reply])) == 100
