import asyncio

import pytest

from config_store.document import Lane
from deployments.errors import UnavailableError
from deployments.families.tail import TailBody
from deployments.gateway.desk import Desk, limits_of
from safety.access import Principal, Role
from tests.deployments.house import House, document_with

WHO = Principal("k1", Role.CLIENT)
BODY = TailBody(entity="order-gateway", load=0.5)


def test_a_lanes_limits_are_the_configurations() -> None:
    limits = limits_of(Lane(max_batch_rows=8, batches_in_flight=3, max_waiting_rows=99))
    assert (limits.max_batch_rows, limits.batches_in_flight, limits.max_waiting_rows) == (8, 3, 99)


async def test_before_the_first_configuration_nothing_is_carried(house: House) -> None:
    desk = Desk({}, lambda: None, house.premises.clocks)
    with pytest.raises(UnavailableError, match="No configuration has been loaded") as refusal:
        await desk.ask("tail", [BODY], WHO, desk.now(), "r")
    assert (refusal.value.status, refusal.value.retry_after_s) == (503, 1)


async def test_a_new_configuration_changes_the_lanes_that_are_open(house: House) -> None:
    lane = house.premises.desk.lanes["tail"]
    wide = Lane(max_batch_rows=7, batches_in_flight=2, max_waiting_rows=70)
    await house.deploy(document_with(house.document, lane=wide))
    assert house.premises.desk.lanes["tail"] is lane
    assert lane.limits == limits_of(wide)


async def test_draining_waits_for_what_is_in_flight(house: House) -> None:
    desk = house.premises.desk
    asked = [asyncio.create_task(desk.ask("tail", [BODY], WHO, desk.now(), "r")) for _ in range(9)]
    await asyncio.sleep(0)
    await desk.drain()
    assert [len(task.result()) for task in asked] == [1] * 9
