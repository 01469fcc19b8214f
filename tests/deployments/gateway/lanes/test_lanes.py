import asyncio
from typing import Any

import pytest

from access.keys import Principal, Role
from config_store.document import Lane
from deployments.api.errors import UnavailableError
from deployments.api.tail import TailBody
from deployments.gateway.lanes.lane import LaneLimits
from deployments.gateway.lanes.lanes import Lanes, limits_of
from deployments.gateway.steering.choice import VersionChoice
from deployments.runtime.transport.frame import Frame
from tests.deployments.house import House, document_with

WHO = Principal("k1", Role.CLIENT)
BODY = TailBody(entity="order-gateway", load=0.5)


def test_a_lanes_limits_are_the_configurations() -> None:
    limits = limits_of(
        Lane(max_batch_rows=8, batches_in_flight=3, max_waiting_rows=99, slice_rows=5)
    )
    assert limits == LaneLimits(8, 3, 99, 5)


async def test_before_the_first_configuration_nothing_is_carried(house: House) -> None:
    lanes = Lanes({}, VersionChoice(lambda: None, house.context.clocks.wall), house.context.clocks)
    with pytest.raises(UnavailableError, match="No configuration has been loaded") as refusal:
        await lanes.ask("tail", [BODY], WHO, lanes.now(), "r")
    assert (refusal.value.status, refusal.value.retry_after_s) == (503, 1)


async def test_a_new_configuration_changes_the_lanes_that_are_open(house: House) -> None:
    lane = house.context.lanes.by_family["tail"]
    wide = Lane(max_batch_rows=7, batches_in_flight=2, max_waiting_rows=70)
    await house.deploy(document_with(house.document, lane=wide))
    assert house.context.lanes.by_family["tail"] is lane
    assert lane.limits == limits_of(wide)


async def test_draining_waits_for_what_is_in_flight(house: House) -> None:
    lanes = house.context.lanes
    asked = [
        asyncio.create_task(lanes.ask("tail", [BODY], WHO, lanes.now(), "r")) for _ in range(9)
    ]
    await asyncio.sleep(0)
    await lanes.drain()
    assert [len(task.result()) for task in asked] == [1] * 9


async def test_of_a_long_request_rows_keep_their_answers_when_a_later_slice_fails(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (replica,) = house.replicas["safety"]
    answer, lane = replica.answer, house.context.lanes.by_family["extremes"]
    lane.limits = LaneLimits(4, 1, 1024, slice_rows=4)

    async def fail_after_the_first_slice(frame: Frame, compiled: Any) -> Frame:
        if await house.ledger():
            raise KeyError("policy")
        judged: Frame = await answer(frame, compiled)
        return judged

    monkeypatch.setattr(replica, "answer", fail_after_the_first_slice)
    row = {"values": [float(1 + at * 7919 % 997) for at in range(400)]}
    async with house.client() as client:
        found = await client.post("/models/extreme-events", json={"rows": [row] * 10})
    answers = found.json()
    assert (found.status_code, len(answers)) == (200, 10)
    assert [each["meta"]["decision_id"] for each in answers[:4]] == [
        row["decision_id"] for row in await house.ledger()
    ]
    assert {each["error"]["code"] for each in answers[4:]} == {"unavailable"}


async def test_a_family_whose_rows_are_not_refused_one_by_one_refuses_the_whole(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (replica,) = house.replicas["safety"]
    answer = replica.answer
    house.context.lanes.by_family["tail"].limits = LaneLimits(4, 1, 1024, slice_rows=4)

    async def fail_after_the_first_slice(frame: Frame, compiled: Any) -> Frame:
        if await house.ledger():
            raise KeyError("policy")
        judged: Frame = await answer(frame, compiled)
        return judged

    monkeypatch.setattr(replica, "answer", fail_after_the_first_slice)
    async with house.client() as client:
        found = await client.post("/models/tail-slo", json={"rows": [{"load": 0.5}] * 10})
    assert (found.status_code, found.headers["retry-after"]) == (503, "1")
